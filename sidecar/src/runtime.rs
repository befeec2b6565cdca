//! The clock, readiness, supervision and shutdown: what a process has and a domain must not reach for.
//!
//! This is the one place where the real clock is read. Everything else takes time as an argument,
//! or holds a [`Clock`] that `app` handed down.

mod signals;
mod status;
mod supervise;

pub use signals::Termination;
pub use status::{Health, SourceStatus, Status};
pub use supervise::supervise;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_flags::UnixSeconds;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock;

impl Clock {
    /// Seconds since the Unix epoch; 0 if the host's clock stands before it.
    pub fn now(self) -> UnixSeconds {
        UnixSeconds(i64::try_from(self.since_epoch().as_secs()).unwrap_or(i64::MAX))
    }

    /// The same in milliseconds.
    pub fn now_ms(self) -> u64 {
        u64::try_from(self.since_epoch().as_millis()).unwrap_or(u64::MAX)
    }

    #[allow(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
    fn since_epoch(self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// Whether the process serves: a valid snapshot is published and every listener is bound.
///
/// Cheap to clone; the latch is set by `app` and read by the management listener and gRPC health.
#[derive(Debug, Clone)]
pub struct Readiness(watch::Sender<bool>);

impl Readiness {
    /// Not ready yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Declares the process ready, or no longer so.
    pub fn set(&self, ready: bool) {
        self.0.send_replace(ready);
    }

    /// Whether the process is ready now.
    pub fn get(&self) -> bool {
        *self.0.borrow()
    }

    /// A receiver that sees every later change.
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

/// The two stages of a graceful end, one token each.
///
/// `drain`: tell clients (`provider_shutdown`, GOAWAY, NOT_SERVING) and stop taking connections.
/// `stop`: the deadline has passed; drop what is still open.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Cancelled when draining begins.
    pub drain: CancellationToken,
    /// Cancelled when the drain deadline has passed.
    pub stop: CancellationToken,
}
