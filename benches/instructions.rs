//! Instructions of an evaluation, counted by callgrind: the same on a busy machine as on a quiet
//! one, and so what a change is checked against. Needs valgrind.
//!
//! `cargo bench -p outrigger-benches --bench instructions [-- check | bless] [--json]`
//!
//! `check` fails if a workload takes 2 % more or less than `instructions.tsv` says; `bless` writes
//! that file. The counts belong to the compiler that `rust-toolchain.toml` names.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write;
use std::process::Command;

use outrigger_benches::contenders::{Contender, engine};
use outrigger_benches::report::{Arguments, Cell, Table};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.tsv");
/// How far from the baseline a count may be.
const TOLERANCE: f64 = 0.02;
/// Two runs of different length: what they share is setting up.
const EVALUATIONS: [u32; 2] = [1_000, 11_000];

const COLUMNS: &[&str] = &["evaluation", "instructions", "baseline", "change %"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["run", name, evaluations] => run(name, evaluations.parse()?),
        _ if !arguments.measure => run("W1 by name", 1),
        [] => measure(&arguments).map(drop),
        ["bless"] => Ok(std::fs::write(BASELINE, measure(&arguments)?)?),
        ["check"] => check(&arguments),
        _ => Err("usage: instructions [check | bless | run EVALUATION TIMES] [--json]".into()),
    }
}

fn name_of(contender: &Contender) -> String {
    format!("{contender:?}")
}

/// What runs under callgrind.
fn run(name: &str, evaluations: usize) -> Result<(), Box<dyn Error>> {
    let mut contenders = engine()?;
    let contender = contenders.iter_mut().find(|contender| name_of(contender) == name);
    contender.ok_or_else(|| format!("there is no {name:?}"))?.run(evaluations);
    Ok(())
}

fn check(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let counts = measure(arguments)?;
    let (counts, baseline) = (parse(&counts), baseline());
    let is_off = |(name, count): &(&String, &f64)| {
        let change = baseline.get(*name).map_or(f64::INFINITY, |known| *count / known - 1.0);
        change.abs() > TOLERANCE
    };
    let off: Vec<&str> = counts.iter().filter(is_off).map(|(name, _)| name.as_str()).collect();
    if off.is_empty() {
        return Ok(());
    }
    Err(format!("over 2 % away from instructions.tsv: {}; bless what is meant", off.join(", "))
        .into())
}

/// Counts everyone and prints the table; returns the counts as a baseline.
fn measure(arguments: &Arguments) -> Result<String, Box<dyn Error>> {
    let known = baseline();
    let mut table = Table::new("instructions", COLUMNS);
    let mut counts = String::new();
    for contender in &engine()? {
        let name = name_of(contender);
        let [short, long] = EVALUATIONS;
        let extra = count(&name, long)? - count(&name, short)?;
        let each = extra / f64::from(long - short);
        writeln!(counts, "{name}\t{each:.1}")?;
        let before = known.get(&name).copied();
        table.push([
            Cell::Text(name),
            Cell::Number(each, 1),
            before.map_or(Cell::Nothing, |before| Cell::Number(before, 1)),
            before.map_or(Cell::Nothing, |before| Cell::Number(100.0 * (each / before - 1.0), 1)),
        ]);
    }
    table.print(arguments.json);
    Ok(counts)
}

/// The instructions of a whole run.
fn count(name: &str, evaluations: u32) -> Result<f64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["run", name, &evaluations.to_string()])
        .output()
        .map_err(|error| format!("valgrind cannot be started: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let total = log.lines().find_map(|line| line.split_once("Collected :"));
    let (_, total) = total.ok_or_else(|| format!("valgrind counted nothing:\n{log}"))?;
    Ok(total.trim().parse()?)
}

fn baseline() -> HashMap<String, f64> {
    parse(&std::fs::read_to_string(BASELINE).unwrap_or_default())
}

fn parse(lines: &str) -> HashMap<String, f64> {
    let entry = |line: &str| {
        let (name, count) = line.split_once('\t')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    lines.lines().filter_map(entry).collect()
}
