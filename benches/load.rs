//! Reading and compiling documents, composing snapshots: the time.
//!
//! `cargo bench -p outrigger-benches --bench load [-- FLAGS… --json]`
//!
//! Half of the flags have a rule, half a split. `json` only checks that the document is JSON, which
//! is the least that a reader has to do; `unchanged` loads the document again with the layer
//! that it has become; `compose` makes a snapshot of that layer. What memory it all takes is told
//! by the bench `memory`, because counting allocations costs time.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use outrigger_benches::clock::{nanoseconds_each, time};
use outrigger_benches::report::{Arguments, Cell, Table};
use outrigger_benches::rounds::median;
use outrigger_benches::workload::{compile, compose, mixed_document};
use serde::de::IgnoredAny;

/// Flags in a document, and how many times it is loaded.
const SIZES: [(usize, usize); 4] = [(100, 400), (1_000, 200), (10_000, 20), (100_000, 5)];
/// What a flag of 1,000 may take.
const TARGET_FLAGS: usize = 1_000;
const TARGET_US: f64 = 1.1;

const COLUMNS: &[&str] = &[
    "flags",
    "bytes a flag",
    "json ms",
    "cold ms",
    "times json",
    "µs a flag",
    "target",
    "met",
    "unchanged ms",
    "compose ms",
    "µs to compose a flag",
];

#[derive(Default)]
struct Times {
    json: Vec<f64>,
    cold: Vec<f64>,
    unchanged: Vec<f64>,
    compose: Vec<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let mut table = Table::new("load", COLUMNS);
    let is_wanted =
        |flags: usize| arguments.words.is_empty() || arguments.words.contains(&flags.to_string());
    for (flags, rounds) in SIZES.into_iter().filter(|(flags, _)| is_wanted(*flags)) {
        let (flags, rounds) = if arguments.measure { (flags, rounds) } else { (10, 1) };
        let document = mixed_document(flags, 1);
        let mut times = Times::default();
        for _ in 0..rounds {
            run(&document, &mut times)?;
        }
        let milliseconds = |times: &[f64]| Cell::Number(median(times.to_vec()) / 1e6, 3);
        let each = |times: &[f64]| median(times.to_vec()) / nanoseconds(flags);
        let (has_target, cold) = (flags == TARGET_FLAGS, each(&times.cold));
        table.push([
            Cell::count(flags as u64),
            Cell::count((document.len() / flags) as u64),
            milliseconds(&times.json),
            milliseconds(&times.cold),
            Cell::Number(times.cold_to_json(), 1),
            Cell::Number(cold, 2),
            if has_target { Cell::Number(TARGET_US, 1) } else { Cell::Nothing },
            match has_target {
                true if cold <= TARGET_US => "yes".into(),
                true => "no".into(),
                false => Cell::Nothing,
            },
            milliseconds(&times.unchanged),
            milliseconds(&times.compose),
            Cell::Number(each(&times.compose), 2),
        ]);
    }
    table.print(arguments.json);
    Ok(())
}

impl Times {
    /// The median of the ratios within each round.
    fn cold_to_json(&self) -> f64 {
        median(self.cold.iter().zip(&self.json).map(|(cold, json)| cold / json).collect())
    }
}

/// A microsecond for each flag, in nanoseconds.
fn nanoseconds(flags: usize) -> f64 {
    nanoseconds_each(Duration::from_micros(flags as u64), 1)
}

/// Loads once, loads again, composes. Dropping is not timed.
fn run(document: &str, times: &mut Times) -> Result<(), Box<dyn Error>> {
    let (json, checked) = time(|| serde_json::from_str::<IgnoredAny>(document));
    checked?;
    let (cold, loaded) = time(|| compile(document, None));
    let loaded = loaded?;
    if let Some(problem) = loaded.diagnostics.first() {
        return Err(problem.to_string().into());
    }
    let (unchanged, again) = time(|| compile(document, Some(&loaded.layer)));
    let again = again?;
    let layer = Arc::new(loaded.layer);
    let (composing, snapshot) = time(|| compose(1, Arc::clone(&layer)));
    if !layer.flags().iter().zip(again.layer.flags()).all(|(one, two)| Arc::ptr_eq(one, two)) {
        return Err("an unchanged flag is not shared".into());
    }
    times.json.push(nanoseconds_each(json, 1));
    times.cold.push(nanoseconds_each(cold, 1));
    times.unchanged.push(nanoseconds_each(unchanged, 1));
    times.compose.push(nanoseconds_each(composing, 1));
    drop(snapshot);
    Ok(())
}
