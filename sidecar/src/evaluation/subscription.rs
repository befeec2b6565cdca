//! Following the selected flags: what changed since a subscriber last looked.
//!
//! A subscriber keeps the snapshot it has seen and compares it with the newest one, so a slow one
//! skips revisions instead of queueing them, and nobody waits for it.

use std::sync::Arc;

use outrigger_flags::{Change, Selector, Snapshot, View};
use tokio::sync::watch;

/// One subscriber's position.
#[derive(Debug)]
pub struct Subscription {
    announcements: watch::Receiver<Arc<Snapshot>>,
    selector: Selector,
    seen: Arc<Snapshot>,
}

/// A newer state of the selected flags.
#[derive(Debug)]
pub struct Update {
    /// What differs from the state before; never empty.
    pub changes: Vec<Change>,
}

impl Subscription {
    pub(super) fn new(
        mut announcements: watch::Receiver<Arc<Snapshot>>,
        selector: Selector,
    ) -> Self {
        let seen = Arc::clone(&announcements.borrow_and_update());
        Self { announcements, selector, seen }
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
            self.announcements.changed().await.ok()?;
            let newest = Arc::clone(&self.announcements.borrow_and_update());
            let changes = newest.view(&self.selector).changes_since(self.view());
            self.seen = newest;
            if !changes.is_empty() {
                return Some(Update { changes });
            }
        }
    }
}
