//! The only writer: takes changes one at a time, composes a snapshot, swaps it in, announces it.
//!
//! Whoever wants something changed (today the loader) holds a [`Publisher`] and sends a
//! [`Change`]; what changes is decided by the order in which they arrive here and by nothing else.
//! The order of one change is fixed: compose, store, announce, reply. Whoever hears the announcement
//! therefore finds at least that revision in the store.
//!
//! Composing merges compiled layers and never compiles, so this task is never busy for long. Commands
//! that must not wait behind a source (an operator's kill) get a queue of their own, read first.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use outrigger_flags::{Layer, Revision, Selector, Snapshot, SnapshotWriter};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use crate::telemetry::metrics::Metrics;

/// Changes that wait. A sender beyond that waits itself; there are few senders.
const QUEUE_CHANGES_MAX: usize = 64;
/// How often snapshots are looked through that somebody still read when they were replaced.
const RETIRED_CHECK_EVERY: Duration = Duration::from_secs(1);

/// What can happen to the published flags.
#[derive(Debug)]
pub enum Change {
    /// These are the layers of all sources now, lowest priority first.
    Layers(Vec<Arc<Layer>>),
}

/// Why a change was not applied.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The process is ending.
    #[error("the process is ending; nothing more is published")]
    Ending,
    /// A fault in this program; the snapshot before is still served.
    #[error(
        "composing the snapshot failed, which is a fault in this program; the one before stays"
    )]
    Fault,
}

struct Request {
    change: Change,
    reply: oneshot::Sender<Result<Revision, Refusal>>,
}

/// The sending end: cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher(mpsc::Sender<Request>);

impl Publisher {
    /// Applies a change and returns the revision in which it is visible.
    ///
    /// # Errors
    /// [`Refusal`]; the snapshot is then as it was.
    pub async fn publish(&self, change: Change) -> Result<Revision, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Request { change, reply }).await.map_err(|_| Refusal::Ending)?;
        answer.await.map_err(|_| Refusal::Ending)?
    }
}

/// The writing end; [`Publishing::run`] is the task.
#[derive(Debug)]
pub struct Publishing {
    requests: mpsc::Receiver<Request>,
    writer: SnapshotWriter,
    announcements: watch::Sender<Arc<Snapshot>>,
    metrics: Arc<Metrics>,
    revision: Revision,
    layers: Vec<Arc<Layer>>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

impl Publishing {
    /// A writer over `writer` whose revisions start after `(epoch, 0)`.
    ///
    /// `epoch` must grow from one process to the next, so that a revision never repeats.
    pub fn new(
        writer: SnapshotWriter,
        announcements: watch::Sender<Arc<Snapshot>>,
        epoch: u64,
        metrics: Arc<Metrics>,
    ) -> (Self, Publisher) {
        let (sender, requests) = mpsc::channel(QUEUE_CHANGES_MAX);
        let revision = Revision { epoch, seq: 0 };
        let layers = Vec::new();
        let publishing = Self { requests, writer, announcements, metrics, revision, layers };
        (publishing, Publisher(sender))
    }

    /// Applies changes until every [`Publisher`] is gone.
    pub async fn run(&mut self) {
        let mut check = tokio::time::interval(RETIRED_CHECK_EVERY);
        check.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(Request { change, reply }) => {
                        // The sender may have stopped waiting; the change stands all the same.
                        let _ = reply.send(self.apply(change));
                    }
                    None => return,
                },
                _ = check.tick() => {
                    self.writer.drop_retired();
                }
            }
        }
    }

    fn apply(&mut self, change: Change) -> Result<Revision, Refusal> {
        let Change::Layers(layers) = change;
        if self.revision.seq > 0 && same_layers(&layers, &self.layers) {
            return Ok(self.revision);
        }
        let revision = Revision { seq: self.revision.seq + 1, ..self.revision };
        // A panic here would take the only writer with it, and with it every later kill.
        let snapshot = catch_unwind(AssertUnwindSafe(|| Snapshot::compose(revision, &layers)))
            .map_err(|_| {
                self.metrics.panicked();
                Refusal::Fault
            })?;
        let snapshot = Arc::new(snapshot);
        self.writer.publish(Arc::clone(&snapshot));
        let flags = snapshot.view(&Selector::Any).len();
        self.announcements.send_replace(snapshot);
        self.metrics.published(revision, flags);
        self.revision = revision;
        self.layers = layers;
        self.writer.drop_retired();
        Ok(revision)
    }
}

fn same_layers(left: &[Arc<Layer>], right: &[Arc<Layer>]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(l, r)| Arc::ptr_eq(l, r))
}

#[cfg(test)]
mod tests;
