//! What a reader feels while a writer replaces every flag.
//!
//! `cargo bench -p outrigger-benches --bench reload [-- --json]`
//!
//! The writer compiles another edition of the document, composes, publishes and drops what no
//! reader holds: of 1,000 flags at most once a millisecond, of 100,000 as fast as it can. The
//! reader evaluates and times each evaluation, two readings of the clock included. `clock` is a
//! reader that only reads the clock: what a busy machine does to anyone.
//!
//! A reader must neither allocate nor free anything: then it never drops a snapshot either.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use outrigger_benches::clock::now;
use outrigger_benches::histogram::Histogram;
use outrigger_benches::report::{Arguments, Cell, Table};
use outrigger_benches::workload::{
    FLAGS, SUBJECTS, compile, compose, contexts, key, mixed_document,
};
use outrigger_flags::{
    EvaluationContext, InvalidDocument, Selector, SnapshotReader, SnapshotStore, SnapshotWriter,
    UnixSeconds,
};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
const COLUMNS: &[&str] = &[
    "writer",
    "reader",
    "evaluations",
    "p50 ns",
    "p99 ns",
    "p99.9 ns",
    "p99.99 ns",
    "max ns",
    "snapshots a second",
    "most retired",
];

/// What the writer does.
#[derive(Debug, Clone, Copy)]
struct Writing {
    name: &'static str,
    flags: usize,
    /// How often it publishes; `None` if never.
    every: Option<Duration>,
}

const WRITINGS: [Writing; 3] = [
    Writing { name: "none", flags: 1_000, every: None },
    Writing { name: "1,000 flags", flags: 1_000, every: Some(Duration::from_millis(1)) },
    Writing { name: "100,000 flags", flags: 100_000, every: Some(Duration::ZERO) },
];

/// How the reader reads.
#[derive(Debug, Clone, Copy)]
enum Reading {
    Clock,
    ByName,
    ByHandle,
}

impl Reading {
    const ALL: [Self; 3] = [Self::Clock, Self::ByName, Self::ByHandle];

    const fn name(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::ByName => "by name",
            Self::ByHandle => "by handle",
        }
    }
}

/// What the writer did.
#[derive(Debug, Default)]
struct Written {
    snapshots: u32,
    retired_max: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let span = if arguments.measure { Duration::from_secs(3) } else { Duration::from_millis(20) };
    let mut table = Table::new("reload", COLUMNS);
    for writing in WRITINGS {
        let flags = if arguments.measure { writing.flags } else { 100 };
        let writing = Writing { flags, ..writing };
        for reading in Reading::ALL {
            let (histogram, written) = run(writing, reading, span)?;
            let quantile = |parts| Cell::count(histogram.quantile_ns(parts));
            table.push([
                writing.name.into(),
                reading.name().into(),
                Cell::count(histogram.total()),
                quantile(500_000),
                quantile(990_000),
                quantile(999_000),
                quantile(999_900),
                Cell::count(histogram.max_ns()),
                Cell::Number(f64::from(written.snapshots) / span.as_secs_f64(), 1),
                Cell::count(written.retired_max as u64),
            ]);
        }
    }
    table.print(arguments.json);
    Ok(())
}

/// One reader beside one writer.
fn run(
    writing: Writing,
    reading: Reading,
    span: Duration,
) -> Result<(Histogram, Written), Box<dyn Error>> {
    let documents = [0, 1].map(|edition| mixed_document(writing.flags, edition));
    let [document, _] = &documents;
    let first = compile(document, None)?.layer;
    let (writer, reader) = SnapshotStore::new(compose(1, Arc::new(first)));
    let mut evaluate = evaluation(reading, &reader, writing.flags, contexts()?);
    let mut histogram = Histogram::default();
    let is_over = AtomicBool::new(false);
    let (cost, written) = thread::scope(|scope| {
        let writer = scope.spawn(|| write(writer, writing, &documents, &is_over));
        // The first load of a thread sets up what `arc_swap` needs.
        evaluate(0);
        let end = now() + span;
        let cost = allocation_counter::measure(|| observe(&mut histogram, &mut evaluate, end));
        is_over.store(true, Ordering::Relaxed);
        (cost, writer.join())
    });
    if cost.count_total != 0 || cost.count_current != 0 {
        return Err(format!("the reader has allocated or freed: {cost:?}").into());
    }
    let written = written.map_err(|_| "the writer has panicked")??;
    Ok((histogram, written))
}

/// Times evaluations until `end`.
fn observe(histogram: &mut Histogram, evaluate: &mut dyn FnMut(usize), end: Instant) {
    let mut before = now();
    for turn in 0.. {
        evaluate(turn);
        let after = now();
        let nanoseconds = after.duration_since(before).as_nanos();
        histogram.record(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        if after >= end {
            return;
        }
        before = now();
    }
}

/// What the reader does in each turn. Flags and subjects rotate.
fn evaluation(
    reading: Reading,
    reader: &SnapshotReader,
    flags: usize,
    contexts: Vec<EvaluationContext>,
) -> Box<dyn FnMut(usize)> {
    let keys: Vec<String> = (0..flags.min(FLAGS)).map(key).collect();
    match reading {
        Reading::Clock => Box::new(|_| ()),
        Reading::ByName => {
            let reader = reader.clone();
            Box::new(move |turn| {
                let context = contexts.get(turn % SUBJECTS);
                if let (Some(key), Some(context)) = (keys.get(turn % keys.len()), context) {
                    let snapshot = reader.load();
                    black_box(snapshot.view(&Selector::Any).resolve(key, context, NOW).is_ok());
                }
            })
        }
        Reading::ByHandle => {
            let cached = reader.cached();
            let mut handles: Vec<_> = keys.iter().map(|key| cached.handle(key)).collect();
            Box::new(move |turn| {
                let (place, context) = (turn % handles.len(), contexts.get(turn % SUBJECTS));
                if let (Some(handle), Some(context)) = (handles.get_mut(place), context) {
                    black_box(handle.resolve(context, NOW).is_ok());
                }
            })
        }
    }
}

/// Publishes until told that it is over.
fn write(
    mut writer: SnapshotWriter,
    writing: Writing,
    documents: &[String],
    is_over: &AtomicBool,
) -> Result<Written, InvalidDocument> {
    let mut written = Written::default();
    let Some(every) = writing.every else { return Ok(written) };
    let mut due = now();
    for (document, seq) in documents.iter().rev().cycle().zip(2..) {
        while now() < due {
            std::hint::spin_loop();
        }
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        due = now() + every;
        let layer = compile(document, None)?.layer;
        writer.publish(Arc::new(compose(seq, Arc::new(layer))));
        written.snapshots += 1;
        written.retired_max = written.retired_max.max(writer.drop_retired());
    }
    Ok(written)
}
