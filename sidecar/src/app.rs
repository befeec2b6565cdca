//! The composition root: the one place that builds the components and wires them together.
//!
//! The order of a start: state directory, listeners, flags, then serving. Whoever connects before the
//! first snapshot is published waits in the listener's backlog and never sees an empty flag set; only
//! the management listener answers from the beginning, and says that it is not ready.
//!
//! There are three runtimes. Evaluation has all worker threads to itself, so that no reload can hold it
//! up. Publishing has a thread of its own: composing a large snapshot and dropping the one before take
//! longer than a probe should wait. Loading and the management listener share this one thread.

mod banner;
mod bind;
mod flags;
mod logging;
mod rooms;
mod state;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::{Builder, Handle};

use crate::config::Config;
use crate::loader::NothingToServe;
use crate::runtime::{Clock, Readiness, Shutdown, Termination};
use crate::telemetry::metrics::Metrics;
use bind::{BindError, Listeners};
use flags::Flags;
use rooms::Rooms;
use state::{StateDirectory, StateError};

/// How long open requests and streams may take to end after a signal. Kubernetes kills after 30 s.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// How long a blocked thread (a hanging file system) may hold up the end of the process.
const ABANDON_AFTER: Duration = Duration::from_millis(500);

/// Why the process did not start, or ended by itself.
#[derive(Debug, Error)]
pub enum StartError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// A listener.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// No flags.
    #[error(
        "there are no flags to serve:\n  {}\n\
         `outrigger validate` shows every problem of a file, `outrigger init` makes a first one",
        .0.problems.join("\n  ")
    )]
    NothingToServe(NothingToServe),
    /// What the operating system said.
    #[error("{what}: {error}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
    /// A fault in this program.
    #[error("{0}: this is a fault in outrigger; please report it")]
    Fault(String),
    /// A listener gave up: better to end and be restarted than to serve some of the protocols.
    #[error("the {room} listener ended: {reason}")]
    RoomEnded {
        /// Which one.
        room: &'static str,
        /// What it said.
        reason: String,
    },
}

/// Runs the sidecar until a signal ends it.
///
/// # Errors
/// If it cannot start, or a listener ends.
pub fn run(config: Config, out: &mut dyn Write) -> Result<(), StartError> {
    logging::start(config.log);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let failed = |error| StartError::Io { what: "starting threads", error };
    let workers = Builder::new_multi_thread()
        .thread_name("evaluation")
        .enable_all()
        .build()
        .map_err(failed)?;
    let publishing = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("publish")
        .enable_all()
        .build()
        .map_err(failed)?;
    let control = Builder::new_current_thread()
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(failed)?;
    let handles = Handles { workers: workers.handle(), publishing: publishing.handle() };
    let outcome = control.block_on(live(config, handles, out));
    for runtime in [control, publishing, workers] {
        runtime.shutdown_timeout(ABANDON_AFTER);
    }
    outcome
}

/// The runtimes beside the one that runs [`live`].
struct Handles<'a> {
    workers: &'a Handle,
    publishing: &'a Handle,
}

/// From the first listener to the last answer.
async fn live(
    config: Config,
    Handles { workers, publishing }: Handles<'_>,
    out: &mut dyn Write,
) -> Result<(), StartError> {
    let listening = |error| StartError::Io { what: "listening for signals", error };
    let mut termination = Termination::listen().map_err(listening)?;
    let state = config.state_directory.as_deref().map(StateDirectory::open).transpose()?;
    let clock = Clock;
    let metrics = Metrics::new().map_err(|error| StartError::Fault(error.to_string()))?;
    let metrics = Arc::new(metrics);
    metrics.started(clock.now());

    let listeners = Listeners::bind(&config, workers).await?;
    let Listeners { management, evaluation, addresses, sockets } = listeners;
    let (readiness, shutdown) = (Readiness::new(), Shutdown::default());
    let mut flags =
        Flags::start(&config, state.as_ref(), publishing, clock, Arc::clone(&metrics), &shutdown)?;
    let mut rooms = Rooms::new(&config, workers, metrics, readiness.clone(), shutdown.clone());
    rooms.open_management(management, flags.status());
    let revision = tokio::select! {
        revision = flags.first_published() => revision?,
        signal = termination.received() => {
            tracing::info!(signal, "ended before the first flags were published");
            return Ok(());
        }
    };
    rooms.open(evaluation, &flags);
    readiness.set(true);
    tracing::info!(%revision, "ready");
    let state = state.as_ref().map(StateDirectory::path);
    banner::print(out, &config, &addresses, &flags.snapshot(), state);

    let outcome = tokio::select! {
        signal = termination.received() => {
            tracing::info!(signal, "draining");
            Ok(())
        }
        ended = rooms.ended() => Err(ended),
    };
    readiness.set(false);
    shutdown.drain.cancel();
    tokio::select! {
        () = rooms.all_ended() => {}
        () = tokio::time::sleep(DRAIN_WITHIN) => tracing::warn!("some clients were cut off"),
        signal = termination.received() => tracing::warn!(signal, "ending at once"),
    }
    shutdown.stop.cancel();
    flags.finish().await;
    drop(sockets);
    tracing::info!("ended");
    outcome
}
