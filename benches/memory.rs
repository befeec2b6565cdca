//! Reading and compiling documents, composing snapshots: the memory.
//!
//! `cargo bench -p outrigger-benches --bench memory [-- --json]`
//!
//! Bytes are those asked of the allocator. The peak is the most that is held at one time beside
//! the text of the document; what is retained is the layer, and the snapshot's indexes on top.

use std::error::Error;
use std::sync::Arc;

use outrigger_benches::report::{Arguments, Cell, Table};
use outrigger_benches::workload::{compile, compose, mixed_document};

const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];

const COLUMNS: &[&str] = &[
    "flags",
    "bytes a flag, document",
    "peak",
    "layer",
    "snapshot",
    "allocations a flag, load",
    "unchanged",
    "compose",
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let mut table = Table::new("memory", COLUMNS);
    for flags in SIZES {
        let flags = if arguments.measure { flags } else { 10 };
        let document = mixed_document(flags, 1);
        let (mut loaded, mut snapshot) = (None, None);
        let load = allocation_counter::measure(|| loaded = compile(&document, None).ok());
        let layer = Arc::new(loaded.ok_or("the document is refused")?.layer);
        let unchanged = allocation_counter::measure(|| drop(compile(&document, Some(&layer))));
        let composing =
            allocation_counter::measure(|| snapshot = Some(compose(1, Arc::clone(&layer))));
        drop(snapshot);
        let each = |count: u64| Cell::Number(ratio(count, flags), 1);
        table.push([
            Cell::count(flags as u64),
            each(document.len() as u64),
            each(load.bytes_max),
            each(load.bytes_current.unsigned_abs()),
            each(composing.bytes_current.unsigned_abs()),
            each(load.count_total),
            each(unchanged.count_total),
            each(composing.count_total),
        ]);
    }
    table.print(arguments.json);
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
fn ratio(count: u64, flags: usize) -> f64 {
    count as f64 / flags as f64
}
