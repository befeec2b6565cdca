//! In process: a million bulk reads while a writer swaps each millisecond.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use outrigger_flags::{
    EvaluationContext, Format, Generation, LoadOptions, Revision, Selector, Snapshot,
    SnapshotReader, SnapshotStore, SnapshotWriter, SourceName, UnixSeconds, load,
};
use outrigger_tests::document;

const READS_MIN: usize = 1_000_000;
const READERS: usize = 4;
const FLAGS: usize = 8;
const SWAP_EVERY: Duration = Duration::from_millis(1);
const SWAPS_MIN: u64 = 1_000;

/// A snapshot in which every flag of two layers has the value `revision`.
fn snapshot(revision: u64) -> Snapshot {
    let layer = |source: &str| {
        let options = LoadOptions { source: SourceName::new(source), generation: Generation::V2 };
        let keys: Vec<String> = (0..FLAGS / 2).map(|i| format!("{source}-{i}")).collect();
        let flags = keys.iter().map(|key| (key.as_str(), document::constant(revision)));
        let text = document::of(flags);
        Arc::new(load(text.as_bytes(), Format::Json, &options, None).expect("a document").layer)
    };
    Snapshot::compose(Revision { epoch: 1, seq: revision }, &[layer("low"), layer("high")])
}

/// Reads everything in bulk a thousand times; how often the revision was a new one.
fn read_a_thousand_times(reader: &SnapshotReader, newest: &mut u64) -> usize {
    let context = EvaluationContext::new();
    let mut changes = 0;
    for _ in 0..1_000 {
        let snapshot = reader.load();
        let revision = snapshot.revision().seq;
        let view = snapshot.view(&Selector::Any);
        assert_eq!(view.len(), FLAGS);
        for flag in view.flags() {
            let resolution = flag.resolve(&context, UnixSeconds(0)).expect("a value");
            assert_eq!(resolution.as_i64(), Ok(Some(revision as i64)), "torn at {}", flag.key());
        }
        assert!(revision >= *newest, "revision {revision} after {newest}");
        changes += usize::from(revision > *newest);
        *newest = revision;
    }
    changes
}

fn swap_until(mut writer: SnapshotWriter, done: impl Fn(u64) -> bool) -> u64 {
    let mut revision = 0;
    let mut due = Instant::now();
    while !done(revision) {
        revision += 1;
        writer.publish(Arc::new(snapshot(revision)));
        writer.drop_retired();
        due += SWAP_EVERY;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    revision
}

#[test]
fn r2_a_million_bulk_reads_are_each_of_one_revision() {
    let (writer, reader) = SnapshotStore::new(snapshot(0));
    let stop = AtomicBool::new(false);
    let reads = AtomicUsize::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (reader, stop, reads) = (reader.clone(), &stop, &reads);
                scope.spawn(move || {
                    let (mut changes, mut newest) = (0, 0);
                    while !stop.load(Ordering::Relaxed) {
                        changes += read_a_thousand_times(&reader, &mut newest);
                        reads.fetch_add(1_000, Ordering::Relaxed);
                    }
                    changes
                })
            })
            .collect();
        let swaps = swap_until(writer, |revision| {
            revision >= SWAPS_MIN && reads.load(Ordering::Relaxed) >= READS_MIN
        });
        stop.store(true, Ordering::Relaxed);
        let seen: usize = readers.into_iter().map(|reader| reader.join().expect("whole")).sum();
        let (reads, taken) = (reads.load(Ordering::Relaxed), began.elapsed());
        println!("r2: {reads} bulk reads of {FLAGS} flags over {swaps} swaps in {taken:?}, 0 torn");
        assert!(reads >= READS_MIN);
        assert!(
            seen > 100,
            "readers saw only {seen} new revisions: nothing was swapped under them"
        );
    });
}
