//! `outrigger list`: the flags of some files, a line each.

use std::path::PathBuf;

use outrigger_flags::{Flag, Selector, Value};

use super::documents::{GenerationArg, snapshot};
use super::{Exit, object, print};

/// List flags
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples
  outrigger list                    the flags in ./flags
  outrigger list shop.json --json   one JSON object a line")]
pub(super) struct ListArgs {
    /// Flag files and directories [./flags/*.flagd.json and .yaml]
    paths: Vec<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    generation: GenerationArg,
}

const HEADINGS: [&str; 6] = ["FLAG", "STATE", "TYPE", "DEFAULT", "TARGETING", "SOURCE"];

pub(super) fn run(args: &ListArgs) -> Exit {
    let snapshot = match snapshot(&args.paths, args.generation.generation) {
        Ok(snapshot) => snapshot,
        Err(exit) => return exit,
    };
    let flags = snapshot.view(&Selector::Any).flags();
    let text = match args.json {
        true => flags.iter().map(|flag| format!("{}\n", as_object(flag))).collect(),
        false => table(flags.iter().map(|flag| row(flag)).collect()),
    };
    print(&text)
}

fn row(flag: &Flag) -> [String; 6] {
    let key = match flag.set() {
        Some(set) => format!("{set}/{}", flag.key()),
        None => flag.key().to_owned(),
    };
    let default = flag.default_variant().map_or("(code default)", |variant| variant.name());
    [
        key,
        state(flag).to_owned(),
        kind(flag).to_owned(),
        default.to_owned(),
        if flag.has_targeting() { "yes" } else { "no" }.to_owned(),
        flag.source().to_string(),
    ]
}

fn state(flag: &Flag) -> &'static str {
    match flag.definition() {
        None => "broken",
        Some(_) if flag.is_enabled() => "enabled",
        Some(_) => "disabled",
    }
}

fn kind(flag: &Flag) -> &'static str {
    flag.variants().first().map_or("-", |variant| variant.value().kind())
}

fn table(rows: Vec<[String; 6]>) -> String {
    let rows: Vec<[String; 6]> = std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths);
        let padded: Vec<String> = cells.map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn as_object(flag: &Flag) -> Value {
    let variants = flag.variants().iter().map(|variant| Value::from(variant.name()));
    object([
        ("key", Value::from(flag.key())),
        ("flagSetId", flag.set().map_or(Value::Null, Value::from)),
        ("state", Value::from(state(flag))),
        ("type", Value::from(kind(flag))),
        ("variants", Value::Array(variants.collect())),
        ("defaultVariant", flag.default_variant().map_or(Value::Null, |v| Value::from(v.name()))),
        ("safeVariant", flag.safe_variant().map_or(Value::Null, |v| Value::from(v.name()))),
        ("targeting", Value::Bool(flag.has_targeting())),
        ("source", Value::from(flag.source().as_str())),
        ("metadata", Value::Object(flag.metadata().clone())),
    ])
}
