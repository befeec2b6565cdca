//! Files and directories.
//!
//! **Noticing.** The directory of the file is watched, never the file: a watch on a file goes deaf
//! with the first rename or ConfigMap swap. If the path leads over symbolic links, the directory of
//! every link on the way is watched too, and the way is walked again after each event. Any event
//! there, whatever name it carries, means "look again". Because some mounts send no events at all,
//! everything is also looked at every [`POLL_EVERY`].
//!
//! **Reading.** A document is handed on once two reads at least [`SETTLE`] apart gave the same bytes,
//! so that a file caught in the middle of a write is not taken for a shorter one.
//!
//! **Directories.** A directory is its `*.json`, `*.yaml` and `*.yml` in order of their names, each a
//! document of its own; the later name has the higher priority. Names that begin with a dot are left
//! alone: that is where editors and Kubernetes keep what is not meant to be read.

mod scan;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use outrigger_flags::SourceName;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::loader::SourceUpdate;
use scan::Scanner;

pub(crate) use scan::{documents, read};
use watch::DirectoryWatch;

/// How far apart two equal reads must be. Also the shortest pause between two looks.
const SETTLE: Duration = Duration::from_millis(50);
/// How often everything is looked at without an event: subPath mounts never send one, network and
/// overlay file systems may not.
const POLL_EVERY: Duration = Duration::from_secs(3);

/// Which files of a directory are flag documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Every `*.json`, `*.yaml` and `*.yml`.
    Any,
    /// Only `*.flagd.json` and so on: for a directory that nobody named.
    Flagd,
}

/// A file or a directory; which of the two is found out when looking, and may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSource {
    /// What selectors call it: the configured text. A file in a directory adds its name.
    pub name: SourceName,
    /// Where it is.
    pub path: PathBuf,
    /// Which files count, should it be a directory.
    pub names: Names,
}

impl FileSource {
    /// Watches until `stop`, or until nobody listens any more. `slot` is the source's position in
    /// the configuration.
    pub async fn run(
        self,
        slot: usize,
        updates: mpsc::Sender<SourceUpdate>,
        stop: CancellationToken,
    ) {
        let (watch, mut touched) = DirectoryWatch::new(&self.name);
        let mut looker = Looker { watch, scanner: Scanner::new(self, slot), updates };
        loop {
            touched.mark_unchanged();
            // File systems can hang; the runtime must not.
            let look = tokio::task::spawn_blocking(move || {
                let settled = looker.look();
                (looker, settled)
            });
            let settled;
            (looker, settled) = match look.await {
                Ok((looker, Ok(settled))) => (looker, settled),
                Ok((_, Err(Deaf))) => return,
                Err(failure) if failure.is_panic() => {
                    std::panic::resume_unwind(failure.into_panic())
                }
                Err(_) => return,
            };
            let wait = async {
                tokio::time::sleep(SETTLE).await;
                if settled {
                    // An error means that there is no watch; then polling has to do.
                    let _ = tokio::time::timeout(POLL_EVERY, touched.changed()).await;
                }
            };
            tokio::select! {
                () = wait => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// Nobody listens any more.
#[derive(Debug)]
struct Deaf;

/// What one look needs; it moves to a blocking thread and back.
struct Looker {
    watch: DirectoryWatch,
    scanner: Scanner,
    updates: mpsc::Sender<SourceUpdate>,
}

impl Looker {
    /// Looks once. `Ok(true)`: everything was seen twice, or is as it was.
    fn look(&mut self) -> Result<bool, Deaf> {
        // First watch, then look: what changes in between is then an event.
        self.watch.follow(self.scanner.directories());
        let mut deaf = false;
        let settled = self.scanner.pass(&mut |update| {
            deaf = deaf || self.updates.blocking_send(update).is_err();
        });
        if deaf { Err(Deaf) } else { Ok(settled) }
    }
}

#[cfg(test)]
mod tests;
