//! From what sources found to compiled layers, on a task of its own.
//!
//! The loader keeps one [`document::Document`] for each flag document: the layer that is served, and
//! what is known about its source. Updates are taken in batches, so that a directory of fifty files
//! is one revision; within a batch the latest word on a document wins. Whatever goes wrong, the layer
//! that was served stays (DESIGN invariant 3); the [`Status`] and the log say so.
//!
//! **The first publish** waits until every configured source was looked at, at most
//! [`FIRST_PUBLISH_WITHIN`], and then takes what is there: documents, and for the rest what the state
//! directory remembers. If that is nothing at all, the process does not start.
//!
//! **A file that vanished** from a directory which still holds others was removed by somebody: its
//! flags go after [`guard::HOLD`]. If the directory is gone or empty, everything stays.

mod document;
mod guard;
pub mod last_known_good;
mod message;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outrigger_flags::{Format, Generation, InvalidDocument, Layer, LoadOptions, Loaded, Revision};
use outrigger_flags::{SourceName, load};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::publish::{Change, Publisher};
use crate::runtime::{Clock, Health, SourceStatus, Status};
use crate::telemetry::metrics::{Metrics, Reload};
use document::Document;
use last_known_good::Remembered;
pub use message::{Absence, News, SourceUpdate, Version};

/// Updates that wait to be loaded. A source beyond that waits; it re-reads when its turn comes.
pub const QUEUE_UPDATES_MAX: usize = 16;
/// Longest wait for sources before the first publish.
const FIRST_PUBLISH_WITHIN: Duration = Duration::from_secs(5);

/// What a [`Loader`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// The configured sources, lowest priority first. Their positions are the slots of updates.
    pub slots: Vec<SourceName>,
    /// How `fractional` hashes.
    pub generation: Generation,
    /// Where updates come from.
    pub updates: mpsc::Receiver<SourceUpdate>,
    /// Where layers go.
    pub publisher: Publisher,
    /// Where the state of every source goes.
    pub status: watch::Sender<Status>,
    /// What the state directory remembers.
    pub remembered: Vec<Remembered>,
    /// The wall clock.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Told once how the first publish went.
    pub first: oneshot::Sender<Result<Revision, NothingToServe>>,
}

/// Not one source could be read, and nothing is remembered of any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NothingToServe {
    /// What is wrong with each source.
    pub problems: Vec<String>,
}

/// A document's place: the slot of its source, then its name. The order is the order of priority.
type Place = (usize, SourceName);

/// See the module's documentation. [`Loader::run`] is the task.
#[derive(Debug)]
pub struct Loader {
    slots: Vec<SourceName>,
    generation: Generation,
    updates: mpsc::Receiver<SourceUpdate>,
    publisher: Publisher,
    status: watch::Sender<Status>,
    clock: Clock,
    metrics: Arc<Metrics>,
    documents: BTreeMap<Place, Document>,
    /// The slots not heard of yet.
    silent: BTreeSet<usize>,
    /// Present until the first publish.
    first: Option<oneshot::Sender<Result<Revision, NothingToServe>>>,
}

impl Loader {
    /// A loader that begins with what is remembered of the configured sources.
    pub fn new(parts: Parts) -> Self {
        let mut documents = BTreeMap::new();
        for (slot, name) in parts.slots.iter().enumerate() {
            let own = parts.remembered.iter().filter(|found| belongs_to(&found.source, name));
            for found in own {
                let document = Document::remembered(Arc::clone(&found.layer), found.written);
                documents.insert((slot, found.source.clone()), document);
            }
        }
        Self {
            silent: (0..parts.slots.len()).collect(),
            slots: parts.slots,
            generation: parts.generation,
            updates: parts.updates,
            publisher: parts.publisher,
            status: parts.status,
            clock: parts.clock,
            metrics: parts.metrics,
            documents,
            first: Some(parts.first),
        }
    }

    /// Loads until every source is gone, or the first publish found nothing to serve.
    pub async fn run(&mut self) {
        let first_due = Instant::now() + FIRST_PUBLISH_WITHIN;
        loop {
            let due = if self.first.is_some() { Some(first_due) } else { self.next_due() };
            let waiting = async move {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => pending().await,
                }
            };
            let mut late = false;
            tokio::select! {
                update = self.updates.recv() => match update {
                    Some(update) => self.take_batch(update).await,
                    None => return,
                },
                () = waiting => late = true,
            }
            self.settle_held(Instant::now());
            if self.first.is_none() {
                self.publish().await;
            } else if (late || self.silent.is_empty()) && !self.publish_first().await {
                return;
            }
        }
    }

    async fn take_batch(&mut self, first: SourceUpdate) {
        let mut batch = vec![first];
        while batch.len() < QUEUE_UPDATES_MAX
            && let Ok(update) = self.updates.try_recv()
        {
            batch.push(update);
        }
        for update in message::latest(batch) {
            self.take(update).await;
        }
    }

    async fn take(&mut self, SourceUpdate { slot, news }: SourceUpdate) {
        match news {
            News::Document { source, version, format, bytes } => {
                self.take_document((slot, source), version, format, bytes).await;
            }
            News::Absent { source, absence } => {
                self.silent.remove(&slot);
                self.take_absence(slot, &source, &absence);
            }
            News::Members(members) => {
                self.silent.remove(&slot);
                self.take_members(slot, &members);
            }
        }
    }

    async fn take_document(
        &mut self,
        place: Place,
        version: Version,
        format: Format,
        bytes: Vec<u8>,
    ) {
        let source = place.1.clone();
        let document = self.documents.entry(place).or_default();
        if !document.wants(version) {
            // Back after an absence, and as it was.
            if document.is_fresh() {
                self.metrics.reloaded(source.as_str(), Reload::Applied, self.clock.now());
            }
            return;
        }
        let options = LoadOptions { source: source.clone(), generation: self.generation };
        let previous = document.layer();
        // Parsing, compiling and comparing a large document take long, and so does dropping the old one.
        let loading = tokio::task::spawn_blocking(move || {
            load(&bytes, format, &options, previous.as_deref()).map(
                |Loaded { layer, diagnostics, .. }| {
                    (guard::Offer::new(layer, format, bytes, previous.as_deref()), diagnostics)
                },
            )
        });
        let reload = match loading.await {
            Ok(Ok((offer, diagnostics))) => {
                report::problems(&source, &diagnostics);
                document.offer(version, offer, self.clock.now(), Instant::now(), &source)
            }
            Ok(Err(invalid)) => {
                report::refused(&source, &invalid);
                document.refuse(version, InvalidDocument::to_string(&invalid), self.clock.now())
            }
            Err(_) => {
                self.metrics.panicked();
                let reason = "reading it made this program panic".to_owned();
                tracing::error!(%source, reason, "document refused");
                document.refuse(version, reason, self.clock.now())
            }
        };
        self.metrics.reloaded(source.as_str(), reload, self.clock.now());
    }

    /// Something cannot be read: a document, or a directory and with it all of its documents.
    fn take_absence(&mut self, slot: usize, source: &SourceName, absence: &Absence) {
        let now = self.clock.now();
        let reason = absence.to_string();
        tracing::warn!(%source, reason, "source cannot be read; its flags stay as they are");
        let known = |(at, name): &Place| *at == slot && belongs_to(name, source);
        if !self.documents.keys().any(known) {
            self.documents.insert((slot, source.clone()), Document::default());
        }
        for (place, document) in self.documents.iter_mut().filter(|(place, _)| known(place)) {
            document.absent(reason.clone(), now);
            self.metrics.reloaded(place.1.as_str(), Reload::Failed, now);
        }
    }

    /// A source was looked at whole, and these are its documents.
    fn take_members(&mut self, slot: usize, members: &BTreeSet<SourceName>) {
        let now = self.clock.now();
        let started = self.first.is_none();
        let remaining = !members.is_empty();
        let metrics = &self.metrics;
        self.documents.retain(|(at, name), document| {
            if *at != slot || members.contains(name) {
                return true;
            }
            if document.layer().is_none() || (remaining && !started) {
                metrics.forget_source(name.as_str());
                return false;
            }
            tracing::warn!(source = %name, "the file is gone from its directory");
            document.absent("the file is gone from its directory".to_owned(), now);
            if remaining {
                document.drop_at(Instant::now() + guard::HOLD);
            }
            true
        });
    }

    fn next_due(&self) -> Option<Instant> {
        self.documents.values().filter_map(Document::due).min()
    }

    /// Does what was put off until now: held documents go live, vanished ones go.
    fn settle_held(&mut self, now: Instant) {
        let metrics = &self.metrics;
        self.documents.retain(|(_, source), document| {
            if document.is_dropped(now) {
                metrics.forget_source(source.as_str());
                tracing::warn!(%source, "the file has not come back; its flags are removed");
                return false;
            }
            if document.confirm(now) {
                tracing::warn!(%source, flags = document.flags(), "the removal of flags was confirmed");
            }
            true
        });
    }

    async fn publish(&mut self) -> Option<Revision> {
        let layers: Vec<Arc<Layer>> = self.documents.values().filter_map(Document::layer).collect();
        let published = self.publisher.publish(Change::Layers(layers)).await;
        // Only now is the status true.
        self.report_status();
        published.inspect_err(|refusal| tracing::error!(%refusal, "nothing was published")).ok()
    }

    fn report_status(&self) {
        let source = |((_, source), document): (&Place, &Document)| SourceStatus {
            source: source.clone(),
            health: document.health(),
            flags: document.flags(),
        };
        let status = Status { sources: self.documents.iter().map(source).collect() };
        self.status.send_if_modified(|before| {
            let changed = *before != status;
            *before = status;
            changed
        });
    }

    /// Publishes for the first time; `false` if there is nothing to publish.
    ///
    /// A missing source does not keep the others from being served. But where nothing at all could
    /// be read, a process that answers "no such flag" to everything is worse than none: whoever
    /// started it should see it fail (exit 78), and an old one beside it goes on serving.
    async fn publish_first(&mut self) -> bool {
        let problems = self.problems();
        let nothing = self.documents.values().all(|document| document.layer().is_none());
        let outcome = if nothing && !problems.is_empty() {
            Err(NothingToServe { problems })
        } else {
            for problem in &problems {
                tracing::warn!(problem, "starting without this source's newest document");
            }
            match self.publish().await {
                Some(revision) => Ok(revision),
                None => return false,
            }
        };
        let served = outcome.is_ok();
        if let Some(first) = self.first.take() {
            // Nobody listens when the process is ending already.
            let _ = first.send(outcome);
        }
        served
    }

    /// What is wrong with each source that does not contribute its newest document.
    fn problems(&self) -> Vec<String> {
        let silent = self.silent.iter().filter_map(|slot| {
            let name = self.slots.get(*slot)?;
            Some(format!("{name}: not read within {} s", FIRST_PUBLISH_WITHIN.as_secs()))
        });
        let unhealthy = self
            .documents
            .iter()
            .filter(|((slot, _), document)| !document.is_fresh() && !self.silent.contains(slot))
            .map(|((_, source), document)| {
                format!("{source}: {}", self.explain(&document.health()))
            });
        silent.chain(unhealthy).collect()
    }

    fn explain(&self, health: &Health) -> String {
        match health {
            Health::Stale { reason, .. } => reason.clone(),
            Health::LastKnownGood { written, reason } => {
                let age_s = self.clock.now().0.saturating_sub(written.0);
                format!("{reason}; its flags were written down {age_s} s ago")
            }
            other => other.to_string(),
        }
    }
}

/// Whether a document is `source` itself or a file in it.
fn belongs_to(document: &SourceName, source: &SourceName) -> bool {
    document == source || Path::new(document.as_str()).parent() == Some(Path::new(source.as_str()))
}

#[cfg(test)]
mod tests;
