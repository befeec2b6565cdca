//! Runs the stock OpenFeature provider for Rust against the sidecar that `OUTRIGGER_BIN` names.

mod evaluation;
mod harness;
mod lifecycle;
mod report;

use harness::Mode;
use libtest_mimic::Arguments;
use report::{Report, Scenario};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each scenario starts a process of its own and then mostly waits for it.
    arguments.test_threads.get_or_insert(4);
    let report = Report::default();
    let trials = [Mode::Rpc, Mode::InProcess, Mode::Rest]
        .into_iter()
        .flat_map(|mode| [evaluation::scenarios(mode), lifecycle::scenarios(mode)])
        .flatten()
        .map(|scenario: Scenario| scenario.into_trial(&report))
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    report.write_if_asked();
    conclusion.exit_code()
}
