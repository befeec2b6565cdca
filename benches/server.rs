//! What a request costs the sidecar: the release binary, asked over loopback.
//!
//! `cargo build --release -p outrigger && cargo bench -p outrigger-benches --bench server [-- --json]`
//!
//! All clients share one thread. The processor time of the server is what holds from run to run;
//! rates and latencies also depend on what else the machine does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outrigger_benches::client::{Client, Failure, Protocol};
use outrigger_benches::clock::{nanoseconds_each, now};
use outrigger_benches::histogram::Histogram;
use outrigger_benches::report::{Arguments, Cell, Table};
use outrigger_benches::sidecar::Sidecar;
use outrigger_benches::workload::mixed_document;
use tokio::task::JoinSet;

/// Flags that are served.
const FLAGS: usize = 100;
/// Requests in flight, how many are sent, and the share of those for bulk requests.
const LOADS: [(usize, usize); 3] = [(1, 5_000), (16, 30_000), (64, 30_000)];
const BULK_SHARE: usize = 10;

const COLUMNS: &[&str] = &[
    "request",
    "in flight",
    "requests",
    "server µs a request",
    "requests a second",
    "p50 µs",
    "p99 µs",
];

/// What one load has shown.
struct Outcome {
    processor: Duration,
    elapsed: Duration,
    latencies: Histogram,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::read();
    if !arguments.measure {
        // The binary is not there in a test build.
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bench.flagd.json");
    std::fs::write(&file, mixed_document(FLAGS, 1))?;
    let sidecar = Sidecar::start(&file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut table = Table::new("server", COLUMNS);
    for protocol in Protocol::ALL {
        let share = if protocol == Protocol::OfrepBulk { BULK_SHARE } else { 1 };
        for (in_flight, requests) in LOADS {
            let requests = requests / share;
            // A tenth of the load first, so that connections and buffers have grown.
            runtime.block_on(run(&sidecar, protocol, in_flight, requests / 10))?;
            let outcome = runtime.block_on(run(&sidecar, protocol, in_flight, requests))?;
            let microseconds = |parts| Cell::count(outcome.latencies.quantile_ns(parts) / 1_000);
            table.push([
                protocol.name().into(),
                Cell::count(in_flight as u64),
                Cell::count(requests as u64),
                Cell::Number(nanoseconds_each(outcome.processor, requests) / 1_000.0, 1),
                Cell::Number(1e9 / nanoseconds_each(outcome.elapsed, requests), 0),
                microseconds(500_000),
                microseconds(990_000),
            ]);
        }
    }
    table.print(arguments.json);
    Ok(())
}

/// Sends so many requests, always so many in flight.
async fn run(
    sidecar: &Sidecar,
    protocol: Protocol,
    in_flight: usize,
    requests: usize,
) -> Result<Outcome, Failure> {
    let clients = protocol.clients(sidecar, in_flight).await?;
    let taken = Arc::new(AtomicUsize::new(0));
    let processor = sidecar.processor_time()?;
    let start = now();
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(keep_asking(client, Arc::clone(&taken), requests));
    }
    let mut latencies = Histogram::default();
    while let Some(done) = running.join_next().await {
        done??.into_iter().for_each(|nanoseconds| latencies.record(nanoseconds));
    }
    let elapsed = start.elapsed();
    let after = sidecar.processor_time()?;
    Ok(Outcome { processor: after - processor, elapsed, latencies })
}

/// Asks until all requests are taken; returns how long each one took.
async fn keep_asking(
    mut client: Client,
    taken: Arc<AtomicUsize>,
    requests: usize,
) -> Result<Vec<u64>, Failure> {
    let mut latencies = Vec::new();
    while taken.fetch_add(1, Ordering::Relaxed) < requests {
        let start = now();
        client.ask().await?;
        latencies.push(u64::try_from(start.elapsed().as_nanos())?);
    }
    Ok(latencies)
}
