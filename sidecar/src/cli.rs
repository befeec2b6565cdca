//! The command line: which verbs there are, what they print, and the exit codes.
//!
//! Each verb is a module here with its arguments and a `run` that returns an [`Exit`]. A new verb is
//! a module, a line in [`Command`], and a line in [`OVERVIEW`].

mod completions;
mod diff;
mod documents;
mod eval;
mod exit;
mod healthcheck;
mod init;
mod list;
mod serve;
mod validate;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};

use clap::{CommandFactory, Parser, Subcommand};

pub use exit::Exit;
use outrigger_flags::Value;

/// The verbs by topic, and what the exit codes mean. clap cannot group subcommands by itself.
const OVERVIEW: &str = "\
Serve
  serve        run the sidecar, secure by default
  start        run with flagd's options and FLAGD_* variables
  healthcheck  ask a running sidecar whether it is ready (for exec probes)

Flags
  init         write a first flag file
  validate     check flag files, all problems at once
  list         list flags
  eval         evaluate a flag
  explain      evaluate a flag and say why
  diff         show what changes between two flag files

More
  completions  print a completion script for your shell
  version      print the version
  help         print this, or the help of a verb";

const EXAMPLES: &str = "\
Examples
  outrigger serve                         flags from ./flags/*.flagd.json and .yaml
  outrigger serve --flags shop.json       flags from one file
  outrigger start --uri file:shop.json    as flagd would

Exit codes
  0 ok · 1 the answer is no · 2 usage · 69 sidecar unreachable
  70 internal or I/O (a port in use) · 75 undecided · 78 bad configuration";

const HELP: &str = "{about}\n\n{usage-heading} {usage}{after-help}\n";

#[derive(Debug, Parser)]
#[command(
    name = "outrigger",
    version,
    about = "Serve feature flags next to your application, and turn bad ones off.",
    after_help = format!("{OVERVIEW}\n\n{EXAMPLES}"),
    help_template = HELP,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the sidecar, secure by default
    Serve(serve::ServeArgs),
    /// Run with flagd's options and FLAGD_* variables
    Start(serve::StartArgs),
    /// Ask a running sidecar whether it is ready
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Write a first flag file
    Init(init::InitArgs),
    /// Check flag files, all problems at once
    Validate(validate::ValidateArgs),
    /// List flags
    List(list::ListArgs),
    /// Evaluate a flag
    Eval(eval::EvalArgs),
    /// Evaluate a flag and say why
    Explain(eval::ExplainArgs),
    /// Show what changes between two flag files
    Diff(diff::DiffArgs),
    /// Print a completion script for your shell
    Completions(completions::CompletionsArgs),
    /// Print the version
    Version,
}

/// Runs the program with these arguments (the first is its name) and environment variables.
pub fn run(
    arguments: impl Iterator<Item = OsString>,
    environment: BTreeMap<String, String>,
) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            // With the terminal gone there is nobody to tell.
            let _ = error.print();
            return exit;
        }
    };
    match cli.command {
        Command::Serve(args) => serve::serve(args, environment),
        Command::Start(args) => serve::start(args, environment),
        Command::Healthcheck(args) => healthcheck::run(&args, &environment),
        Command::Init(args) => init::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::List(args) => list::run(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Explain(args) => eval::explain(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Version => print(concat!("outrigger ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

/// Prints to standard output; whoever closed it wanted no more.
fn print(text: &str) -> Exit {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Exit::Ok,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(_) => Exit::Internal,
    }
}

/// A JSON object to print.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let members = members.into_iter().map(|(name, value)| (Box::from(name), value));
    Value::Object(members.collect())
}

/// Prints a complaint to standard error.
fn complain(text: impl std::fmt::Display) {
    // With standard error gone there is nobody to tell; the exit code says it too.
    let _ = writeln!(io::stderr().lock(), "outrigger: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_overview_lists_every_verb_and_no_other() {
        let verbs: Vec<String> =
            Cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        let listed: Vec<&str> = OVERVIEW
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
            .filter(|verb| *verb != "help")
            .collect();
        assert_eq!(listed, verbs);
    }

    #[test]
    fn usage_errors_exit_with_2_and_help_with_0() {
        let exit = |words: &[&str]| {
            let arguments = std::iter::once("outrigger").chain(words.iter().copied());
            run(arguments.map(OsString::from), BTreeMap::new())
        };
        assert_eq!(exit(&[]), Exit::Usage);
        assert_eq!(exit(&["toggle"]), Exit::Usage);
        assert_eq!(exit(&["serve", "--no-such-option"]), Exit::Usage);
        assert_eq!(exit(&["serve", "--help"]), Exit::Ok);
        assert_eq!(exit(&["version"]), Exit::Ok);
    }
}
