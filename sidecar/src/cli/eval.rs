//! `outrigger eval` and `outrigger explain`: one flag for one subject, from files, as `serve` would.

use std::path::PathBuf;

use outrigger_flags::{
    ErrorCode, Explanation, Flag, Resolution, ResolutionError, Selector, Step, UnixSeconds, Value,
};

use super::documents::{ContextArgs, GenerationArg, snapshot};
use super::{Exit, complain, object, print};
use crate::runtime::Clock;

/// Evaluate a flag
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples
  outrigger eval new-checkout --key user-1
  outrigger eval new-checkout --context '{\"country\":\"NL\"}' --flags shop.json

Exit codes
  0 there is a value · 1 there is none · 78 a file cannot be loaded")]
pub(super) struct EvalArgs {
    #[command(flatten)]
    question: Question,
}

/// Evaluate a flag and say why
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example
  outrigger explain new-checkout --key user-1

Prints every node of the rule that was evaluated with what it saw; for
fractional also the bytes that were hashed, the hash and the bucket.")]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    question: Question,
}

#[derive(Debug, clap::Args)]
struct Question {
    /// The flag key
    flag: String,
    /// Flag files and directories [./flags/*.flagd.json and .yaml]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    flags: Vec<PathBuf>,
    #[command(flatten)]
    context: ContextArgs,
    /// Ask one flag set or source only, as clients do: flagSetId=ID or source=NAME
    #[arg(long, value_name = "SELECTOR", default_value = "")]
    selector: String,
    /// The time that rules see, in seconds since 1970 [now]
    #[arg(long, value_name = "UNIX_SECONDS")]
    at: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    generation: GenerationArg,
}

pub(super) fn eval(args: &EvalArgs) -> Exit {
    args.question.answer(|question, flag, answer| match question.json {
        true => format!("{}\n", answer_object(&question.flag, flag, &answer.resolution)),
        false => one_line(&answer.resolution),
    })
}

pub(super) fn explain(args: &ExplainArgs) -> Exit {
    args.question.answer(|question, flag, answer| match question.json {
        true => {
            let answered = answer_object(&question.flag, flag, &answer.resolution);
            let explained = object([
                ("resolution", answered),
                ("generation", Value::from(answer.generation.as_str())),
                ("source", Value::from(flag.source().as_str())),
                ("rule", answer.rule.as_ref().map_or(Value::Null, step_object)),
            ]);
            format!("{explained}\n")
        }
        false => in_words(flag, answer),
    })
}

impl Question {
    fn answer(&self, render: impl FnOnce(&Self, &Flag, &Explanation<'_>) -> String) -> Exit {
        let context = match self.context.read() {
            Ok(context) => context,
            Err(exit) => return exit,
        };
        let selector = match Selector::parse(&self.selector) {
            Ok(selector) => selector,
            Err(error) => {
                complain(format_args!("--selector: {error}"));
                return Exit::Usage;
            }
        };
        let snapshot = match snapshot(&self.flags, self.generation.generation) {
            Ok(snapshot) => snapshot,
            Err(exit) => return exit,
        };
        let view = snapshot.view(&selector);
        let Some(flag) = view.get(&self.flag) else {
            let known = view.flags().iter().map(|flag| flag.key());
            let meant = outrigger_flags::closest(&self.flag, known);
            let hint = meant.map_or(String::new(), |meant| format!("; did you mean {meant:?}?"));
            complain(format_args!("there is no flag {:?}{hint}", self.flag));
            return Exit::No;
        };
        let now = self.at.map_or_else(|| Clock.now(), UnixSeconds);
        let answer = flag.explain(&context, now);
        let printed = print(&render(self, flag, &answer));
        if answer.resolution.is_ok() { printed } else { Exit::No }
    }
}

/// The value, then variant and reason for people.
fn one_line(resolution: &Result<Resolution<'_>, ResolutionError>) -> String {
    match resolution {
        Err(error) => format!("{}: {error}\n", error.code),
        Ok(found) => {
            let value = found.value.map_or("(the code default)".to_owned(), Value::to_string);
            let variant = found.variant.map_or(String::new(), |name| format!("variant {name:?}, "));
            format!("{value}  ({variant}{})\n", found.reason)
        }
    }
}

fn in_words(flag: &Flag, answer: &Explanation<'_>) -> String {
    let mut text = format!("{}{}\n", one_line(&answer.resolution), origin(flag));
    if let Ok(found) = &answer.resolution {
        text.push_str(&format!("  assignment {}\n", found.assignment.as_str()));
    }
    match &answer.rule {
        Some(rule) => text.push_str(&format!("\n{rule}")),
        None if !flag.is_enabled() => text.push_str("\nthe flag is disabled\n"),
        None => text.push_str("\nno targeting: the default variant for everyone\n"),
    }
    text
}

fn origin(flag: &Flag) -> String {
    let set = flag.set().map_or(String::new(), |set| format!(", flag set {set:?}"));
    format!("  from {}{set}, fractional {}", flag.source(), flag.generation())
}

fn answer_object(
    key: &str,
    flag: &Flag,
    resolution: &Result<Resolution<'_>, ResolutionError>,
) -> Value {
    let key = ("key", Value::from(key));
    match resolution {
        Err(error) => {
            let reason = outrigger_flags::Reason::Error.as_str();
            let message = error.to_string();
            let code: ErrorCode = error.code;
            object([
                key,
                ("reason", Value::from(reason)),
                ("errorCode", Value::from(code.as_str())),
                ("errorDetails", Value::from(message)),
            ])
        }
        Ok(found) => object([
            key,
            ("value", found.value.cloned().unwrap_or(Value::Null)),
            ("variant", found.variant.map_or(Value::Null, Value::from)),
            ("reason", Value::from(found.reason.as_str())),
            ("assignment", Value::from(found.assignment.as_str())),
            ("metadata", Value::Object(flag.metadata().clone())),
        ]),
    }
}

fn step_object(step: &Step) -> Value {
    let operands: Vec<Value> = step.operands.iter().map(step_object).collect();
    let (outcome, error) = match &step.outcome {
        Ok(value) => (value.clone(), Value::Null),
        Err(message) => (Value::Null, Value::from(message.as_str())),
    };
    let bucket = step.bucket.as_ref().map_or(Value::Null, |draw| {
        let shares = draw.weights.iter().map(|(variant, weight)| {
            object([
                ("variant", Value::from(variant.as_str())),
                ("weight", Value::from(i64::from(*weight))),
            ])
        });
        object([
            ("bytes", Value::from(draw.hex())),
            ("hash", Value::from(i64::from(draw.hash))),
            ("bucket", Value::from(i64::from(draw.bucket))),
            ("total", Value::from(i64::from(draw.total))),
            ("shares", Value::Array(shares.collect())),
        ])
    });
    object([
        ("node", Value::from(step.label.as_str())),
        ("outcome", outcome),
        ("error", error),
        ("bucket", bucket),
        ("operands", Value::Array(operands.into())),
    ])
}
