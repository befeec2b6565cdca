//! Following the selected flags: what changed since a subscriber last looked.
//!
//! A subscriber keeps the snapshot it has seen and compares it with the newest one, so a slow one
//! skips revisions instead of queueing them, and nobody waits for it. Nearly all of them have seen
//! the same one, so a comparison is made once and shared.

use std::sync::Arc;

use outrigger_flags::{Change, Revision, Selector, Snapshot, View};
use tokio::sync::{Mutex, watch};

/// Most comparisons that are kept: the newest of a few flag sets.
const COMPARISONS_MAX: usize = 16;

/// One subscriber's position.
#[derive(Debug)]
pub struct Subscription {
    announcements: watch::Receiver<Arc<Snapshot>>,
    comparisons: Arc<Comparisons>,
    selector: Selector,
    seen: Arc<Snapshot>,
}

/// A newer state of the selected flags.
#[derive(Debug)]
pub struct Update {
    /// What differs from the state before; never empty.
    pub changes: Arc<[Change]>,
}

impl Subscription {
    pub(super) fn new(
        announcements: watch::Receiver<Arc<Snapshot>>,
        comparisons: Arc<Comparisons>,
        selector: Selector,
    ) -> Self {
        let seen = Arc::clone(&announcements.borrow());
        Self { announcements, comparisons, selector, seen }
    }

    /// The selector that it follows.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// The snapshot that it has seen.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.seen
    }

    /// The selected flags that it has seen.
    pub fn view(&self) -> &View {
        self.seen.view(&self.selector)
    }

    /// Waits until a selected flag differs from what was seen, and moves on to the newest state.
    /// `None` once no more snapshots can come. Dropping the future loses nothing.
    pub async fn changed(&mut self) -> Option<Update> {
        loop {
            let seen = self.seen.revision();
            let newer = self.announcements.wait_for(|snapshot| snapshot.revision() != seen);
            let newest = Arc::clone(&*newer.await.ok()?);
            let changes = self.comparisons.between(&self.seen, &newest, &self.selector).await;
            self.seen = newest;
            if !changes.is_empty() {
                return Some(Update { changes });
            }
        }
    }
}

/// The newest comparisons.
#[derive(Debug, Default)]
pub(super) struct Comparisons(Mutex<Vec<Comparison>>);

#[derive(Debug)]
struct Comparison {
    selector: Selector,
    revisions: (Revision, Revision),
    changes: Arc<[Change]>,
}

impl Comparisons {
    /// Makes everybody wait until the result is dropped.
    #[cfg(test)]
    pub(super) async fn hold(&self) -> impl Drop + use<'_> {
        self.0.lock().await
    }

    /// What changed from one snapshot to another. Whoever comes while it is found out waits for it.
    async fn between(&self, old: &Snapshot, new: &Snapshot, selector: &Selector) -> Arc<[Change]> {
        let revisions = (old.revision(), new.revision());
        let mut kept = self.0.lock().await;
        let mut same = kept.iter().filter(|c| c.revisions == revisions && c.selector == *selector);
        if let Some(hit) = same.next() {
            return Arc::clone(&hit.changes);
        }
        let changes: Arc<[Change]> = new.view(selector).changes_since(old.view(selector)).into();
        kept.truncate(COMPARISONS_MAX - 1);
        let selector = selector.clone();
        kept.insert(0, Comparison { selector, revisions, changes: Arc::clone(&changes) });
        changes
    }
}
