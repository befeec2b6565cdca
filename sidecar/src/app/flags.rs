//! Everything between the sources and the published snapshot, wired and supervised.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use outrigger_flags::{Revision, Snapshot, SnapshotReader, SnapshotStore};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::StartError;
use super::state::StateDirectory;
use crate::config::Config;
use crate::loader::last_known_good::{LastKnownGood, Remembered};
use crate::loader::{self, Loader, NothingToServe};
use crate::publish::Publishing;
use crate::runtime::{Clock, Shutdown, Status, supervise};
use crate::telemetry::metrics::Metrics;

/// How long the last known good state may take to reach the disk at the end.
const WRITE_WITHIN: Duration = Duration::from_secs(1);

/// The published flags, and the tasks that keep them up to date.
pub(super) struct Flags {
    reader: SnapshotReader,
    announcements: watch::Receiver<Arc<Snapshot>>,
    status: watch::Receiver<Status>,
    first: oneshot::Receiver<Result<Revision, NothingToServe>>,
    tasks: JoinSet<()>,
    archive: Option<JoinHandle<()>>,
}

impl Flags {
    /// Starts every task on the current runtime, but the writer on that of `publishing`.
    pub(super) fn start(
        config: &Config,
        state: Option<&StateDirectory>,
        publishing: &Handle,
        clock: Clock,
        metrics: Arc<Metrics>,
        shutdown: &Shutdown,
    ) -> Result<Self, StartError> {
        let (writer, reader) = SnapshotStore::new(Snapshot::empty());
        let (announce, announcements) = watch::channel(Arc::new(Snapshot::empty()));
        let mut tasks = Tasks { set: JoinSet::new(), metrics: Arc::clone(&metrics), shutdown };

        // Grows with every start, as long as the clock does not go back. A process can die and be back
        // within a second.
        let epoch = clock.now_ms();
        let (writing, publisher) = Publishing::new(writer, announce, epoch, Arc::clone(&metrics));
        let writing = Arc::new(Mutex::new(writing));
        tasks.supervise("publish", publishing, move || {
            let writing = Arc::clone(&writing);
            async move { writing.lock().await.run().await }
        });

        let (remembered, archive) = match state {
            Some(state) => {
                let (remembered, directory) = remember(state, config)?;
                let layers = remembered.iter().map(|found| Arc::clone(&found.layer)).collect();
                let follow = directory.follow(announcements.clone(), layers, clock);
                (remembered, Some(tokio::spawn(follow)))
            }
            None => (Vec::new(), None),
        };
        let (report, status) = watch::channel(Status::default());
        let (tell_first, first) = oneshot::channel();
        let (sender, updates) = mpsc::channel(loader::QUEUE_UPDATES_MAX);
        let here = Handle::current();
        for (slot, source) in config.sources.iter().cloned().enumerate() {
            let (sender, stop) = (sender.clone(), shutdown.stop.clone());
            tasks.supervise("source", &here, move || {
                source.clone().run(slot, sender.clone(), stop.clone())
            });
        }
        let loader = Loader::new(loader::Parts {
            slots: config.sources.iter().map(|source| source.name.clone()).collect(),
            generation: config.generation,
            updates,
            publisher,
            status: report,
            remembered,
            clock,
            metrics,
            first: tell_first,
        });
        let loader = Arc::new(Mutex::new(loader));
        tasks.supervise("loader", &here, move || {
            let loader = Arc::clone(&loader);
            async move { loader.lock().await.run().await }
        });
        let tasks = tasks.set;
        Ok(Self { reader, announcements, status, first, tasks, archive })
    }
}

impl Flags {
    /// The read side of the store.
    pub(super) fn reader(&self) -> SnapshotReader {
        self.reader.clone()
    }

    /// Every published snapshot.
    pub(super) fn announcements(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.announcements.clone()
    }

    /// The state of every source.
    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// What is served now.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.reader.load())
    }

    /// Waits for the first publish.
    pub(super) async fn first_published(&mut self) -> Result<Revision, StartError> {
        match (&mut self.first).await {
            Ok(Ok(revision)) => Ok(revision),
            Ok(Err(nothing)) => Err(StartError::NothingToServe(nothing)),
            Err(_) => Err(StartError::Fault("the first flags were not published".to_owned())),
        }
    }

    /// Waits until the tasks have ended, which `Shutdown::stop` makes them do.
    pub(super) async fn finish(mut self) {
        while self.tasks.join_next().await.is_some() {}
        if let Some(archive) = self.archive
            && tokio::time::timeout(WRITE_WITHIN, archive).await.is_err()
        {
            tracing::warn!("the last known good flags may not have reached the disk");
        }
    }
}

/// Spawns supervised tasks.
struct Tasks<'a> {
    set: JoinSet<()>,
    metrics: Arc<Metrics>,
    shutdown: &'a Shutdown,
}

impl Tasks<'_> {
    fn supervise<F, T>(&mut self, name: &'static str, on: &Handle, start: F)
    where
        F: FnMut() -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let metrics = Arc::clone(&self.metrics);
        let stop = self.shutdown.stop.clone();
        self.set.spawn_on(supervise(name, stop, move |_| metrics.panicked(), start), on);
    }
}

/// Opens the last known good state. Without the directory there is no point in going on: whoever
/// names one relies on it.
fn remember(
    state: &StateDirectory,
    config: &Config,
) -> Result<(Vec<Remembered>, LastKnownGood), StartError> {
    let failed =
        |error: io::Error| StartError::Io { what: "opening the last known good flags", error };
    let directory = LastKnownGood::open(state.path()).map_err(failed)?;
    let remembered = directory.read_all(config.generation).map_err(failed)?;
    Ok((remembered, directory))
}
