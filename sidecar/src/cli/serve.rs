//! `outrigger serve` and `outrigger start`: the options of [`crate::config::options`] as clap
//! arguments, and the process behind them.
//!
//! The values stay text here. `config` reads them together with the environment, so that all
//! problems are shown at once and an option, a variable and a file are read by the same rules.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

use super::{Exit, complain};
use crate::app::{self, StartError};
use crate::config::options::{Owner, SERVE, START, Shape, Spec};
use crate::config::{self, Config, ConfigErrors, Given};

const SERVE_EXAMPLES: &str = "\
Every option can also be an environment variable: --state-dir is OUTRIGGER_STATE_DIR.

Examples
  outrigger serve
  outrigger serve --flags shop.json team/ --state-dir /var/lib/outrigger
  outrigger serve --socket-path /run/outrigger.sock";

const START_EXAMPLES: &str = "\
flagd's options are also read from FLAGD_* variables and from the --config file. Evaluation, sync,
OFREP and management listen on every interface, as flagd's do.

Examples
  outrigger start --uri file:/etc/flagd/flags.json
  outrigger start --sources '[{\"uri\":\"flags.json\",\"provider\":\"file\"}]' --port 9013";

/// The options of `serve` that were given.
#[derive(Debug, Clone)]
pub(super) struct ServeArgs(BTreeMap<String, Vec<String>>);

/// The options of `start` that were given.
#[derive(Debug, Clone)]
pub(super) struct StartArgs(BTreeMap<String, Vec<String>>);

pub(super) fn serve(args: ServeArgs, environment: BTreeMap<String, String>) -> Exit {
    run(config::serve(&Given { arguments: args.0, environment }))
}

pub(super) fn start(args: StartArgs, environment: BTreeMap<String, String>) -> Exit {
    let given = Given { arguments: args.0, environment };
    run(config::start(&given, |path| fs::read_to_string(path)))
}

fn run(config: Result<Config, ConfigErrors>) -> Exit {
    let config = match config {
        Ok(config) => config,
        Err(errors) => {
            for problem in errors.problems() {
                complain(problem);
            }
            return Exit::Config;
        }
    };
    match app::run(config, &mut io::stdout()) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            complain(&error);
            match error {
                StartError::NothingToServe(_) => Exit::Config,
                _ => Exit::Internal,
            }
        }
    }
}

fn augment(command: Command, specs: &'static [Spec]) -> Command {
    command.args(specs.iter().map(argument))
}

fn argument(spec: &Spec) -> Arg {
    let argument =
        Arg::new(spec.name).long(spec.name).help(spec.help).help_heading(spec.group.heading());
    let argument = match spec.short {
        Some(short) => argument.short(short),
        None => argument,
    };
    match spec.shape {
        // Given twice, the last counts, as in flagd.
        Shape::One(value) => argument.value_name(value).action(ArgAction::Append),
        Shape::Many(value) => {
            let argument = argument.value_name(value).action(ArgAction::Append);
            if spec.owner == Owner::Outrigger { argument.num_args(1..) } else { argument }
        }
        Shape::Switch => argument
            .value_name("true|false")
            .action(ArgAction::Append)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}

fn given(matches: &ArgMatches, specs: &'static [Spec]) -> BTreeMap<String, Vec<String>> {
    let values = |spec: &Spec| {
        let values = matches.get_many::<String>(spec.name)?;
        Some((spec.name.to_owned(), values.cloned().collect()))
    };
    specs.iter().filter_map(values).collect()
}

macro_rules! arguments_from_table {
    ($args:ident, $specs:ident, $examples:ident) => {
        impl clap::Args for $args {
            fn augment_args(command: Command) -> Command {
                augment(command, $specs).after_help($examples)
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $args {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Ok(Self(given(matches, $specs)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                self.0 = given(matches, $specs);
                Ok(())
            }
        }
    };
}

arguments_from_table!(ServeArgs, SERVE, SERVE_EXAMPLES);
arguments_from_table!(StartArgs, START, START_EXAMPLES);
