//! What every long-lived stream has in common: when it wakes and how it ends.
//!
//! Each stream is a task that owns its subscription and a channel of one message. It reads the
//! newest state only when the client has taken the last message, so a slow client skips states and
//! costs one message and one snapshot; nobody waits for it.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use outrigger_flags::Change;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::limits::ServerLimits;
use crate::evaluation::Subscription;
use crate::telemetry::metrics::{Limit, Metrics, Open, StreamKind};

/// What a stream's client reads.
pub(crate) type Messages<T> = mpsc::Receiver<Result<T, Failure>>;

/// Why a stream woke up.
#[derive(Debug)]
pub(crate) enum Wake {
    /// Selected flags changed.
    Changed(Arc<[Change]>),
    /// Nothing was sent for a while.
    Silence,
    /// The process is about to end.
    Drain,
    /// The stream lived as long as the operator lets it.
    Deadline,
    /// The client has gone.
    Gone,
}

/// The streams of one listener.
#[derive(Debug)]
pub(crate) struct Streams {
    kind: StreamKind,
    places: Arc<Semaphore>,
    limits: ServerLimits,
    deadline: Option<Duration>,
    drain: CancellationToken,
    metrics: Arc<Metrics>,
}

/// The server's end of a stream.
#[derive(Debug)]
pub(crate) struct Feed<T> {
    subscription: Subscription,
    client: mpsc::Sender<Result<T, Failure>>,
    deadline: Option<Pin<Box<Sleep>>>,
    silence: Duration,
    stall: Duration,
    drain: CancellationToken,
    metrics: Arc<Metrics>,
    /// Held while the stream is open.
    _place: (OwnedSemaphorePermit, Open),
}

impl Streams {
    /// No streams yet; one may live for `deadline`, or for ever.
    pub(crate) fn new(
        kind: StreamKind,
        limits: ServerLimits,
        deadline: Option<Duration>,
        drain: CancellationToken,
        metrics: Arc<Metrics>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(limits.subscribers));
        Self { kind, places, limits, deadline, drain, metrics }
    }

    /// Opens a stream: its two ends.
    ///
    /// # Errors
    /// [`Failure::TooManyStreams`] if there is no place left.
    pub(crate) fn open<T>(
        &self,
        subscription: Subscription,
    ) -> Result<(Feed<T>, Messages<T>), Failure> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(Failure::TooManyStreams(self.limits.subscribers));
        };
        let (client, messages) = mpsc::channel(1);
        let feed = Feed {
            subscription,
            client,
            deadline: self.deadline.map(|after| Box::pin(sleep(after))),
            silence: self.limits.event_keep_alive,
            stall: self.limits.subscriber_stall,
            drain: self.drain.clone(),
            metrics: Arc::clone(&self.metrics),
            _place: (place, self.metrics.stream(self.kind)),
        };
        Ok((feed, messages))
    }
}

impl<T> Feed<T> {
    /// The subscription.
    pub(crate) fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Waits until there is something to do.
    pub(crate) async fn wake(&mut self) -> Wake {
        let deadline = async {
            match &mut self.deadline {
                Some(deadline) => deadline.await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.drain.cancelled() => Wake::Drain,
            () = deadline => Wake::Deadline,
            () = self.client.closed() => Wake::Gone,
            changed = self.subscription.changed() => match changed {
                Some(update) => Wake::Changed(update.changes),
                None => Wake::Drain,
            },
            () = sleep(self.silence) => Wake::Silence,
        }
    }

    /// Sends a message once there is room; false if the stream is over. Draining does not wait.
    pub(crate) async fn send(&self, message: T) -> bool {
        let sent = tokio::select! {
            biased;
            sent = self.client.send_timeout(Ok(message), self.stall) => sent,
            () = self.drain.cancelled() => return true,
        };
        if let Err(SendTimeoutError::Timeout(_)) = sent {
            self.metrics.limited(Limit::StreamStalled);
        }
        sent.is_ok()
    }

    /// Ends the stream: with a last message, a failure, or both, as far as there is room at once.
    pub(crate) async fn end(self, last: Option<T>, failure: Option<Failure>) {
        const FAREWELL: Duration = Duration::from_millis(200);
        if let Some(last) = last {
            let _ = self.client.send_timeout(Ok(last), FAREWELL).await;
        }
        if let Some(failure) = failure {
            let _ = self.client.send_timeout(Err(failure), FAREWELL).await;
        }
    }
}
