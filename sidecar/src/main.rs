//! The binary: the process's arguments and environment in, an exit code out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn main() -> ExitCode {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    outrigger::cli::run(std::env::args_os(), environment.collect()).into()
}
