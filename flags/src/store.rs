//! The one place where the current snapshot is kept: a pointer with one writer and many readers.
//!
//! Readers never wait, not even while the writer swaps. They never pay for taking an old snapshot
//! apart either: the writer holds on to what it has replaced until no reader does, and drops it
//! itself.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache, Guard};

use crate::context::EvaluationContext;
use crate::evaluate::UnixSeconds;
use crate::flag::{Flag, Resolution, ResolutionError};
use crate::snapshot::Snapshot;

/// Creates the two ends of the store.
#[derive(Debug)]
pub struct SnapshotStore;

impl SnapshotStore {
    /// A writer, of which there is only one, and a reader, of which there may be many.
    #[allow(clippy::new_ret_no_self, reason = "the store is its two ends")]
    pub fn new(snapshot: Snapshot) -> (SnapshotWriter, SnapshotReader) {
        let current = Arc::new(ArcSwap::from_pointee(snapshot));
        let reader = SnapshotReader { current: Arc::clone(&current) };
        (SnapshotWriter { current, retired: Vec::new() }, reader)
    }
}

/// The end that swaps. Not `Clone`: there is one writer.
#[derive(Debug)]
pub struct SnapshotWriter {
    current: Arc<ArcSwap<Snapshot>>,
    retired: Vec<Arc<Snapshot>>,
}

impl SnapshotWriter {
    /// Makes a snapshot the current one. Every load that begins after this sees it.
    pub fn publish(&mut self, snapshot: Arc<Snapshot>) {
        self.retired.push(self.current.swap(snapshot));
    }

    /// Drops the replaced snapshots that no reader holds any more; returns how many are left.
    /// Call it now and then, where a pause of some milliseconds does no harm.
    pub fn drop_retired(&mut self) -> usize {
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        self.retired.len()
    }
}

/// The end that reads.
#[derive(Debug, Clone)]
pub struct SnapshotReader {
    current: Arc<ArcSwap<Snapshot>>,
}

impl SnapshotReader {
    /// The current snapshot: load it once per request, so that all answers come from one revision,
    /// and do not keep the guard across an `await`.
    #[inline]
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// The current snapshot, to be kept.
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// A reader of one thread, which loads faster by remembering what it saw last.
    pub fn cached(&self) -> CachedReader {
        CachedReader { cache: Cache::new(Arc::clone(&self.current)) }
    }
}

/// A reader for one thread or task.
#[derive(Debug, Clone)]
pub struct CachedReader {
    cache: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
}

impl CachedReader {
    /// The current snapshot.
    #[inline]
    pub fn load(&mut self) -> &Arc<Snapshot> {
        self.cache.load()
    }

    /// A handle to one flag, which is looked up again only after a swap.
    pub fn handle(&self, key: &str) -> FlagHandle {
        FlagHandle { reader: self.clone(), key: key.into(), bound: None }
    }
}

/// One flag, bound to the current snapshot.
#[derive(Debug, Clone)]
pub struct FlagHandle {
    reader: CachedReader,
    key: Box<str>,
    bound: Option<Binding>,
}

/// Let go of in this order: a flag that outlived its snapshot would be dropped by its reader.
#[derive(Debug, Clone)]
struct Binding {
    flag: Option<Arc<Flag>>,
    snapshot: Arc<Snapshot>,
}

impl FlagHandle {
    /// Resolves the flag as the current snapshot has it; see [`Flag::resolve`].
    ///
    /// # Errors
    /// [`crate::ErrorCode::FlagNotFound`] if there is none, and what [`Flag::resolve`] returns.
    #[inline]
    pub fn resolve(
        &mut self,
        context: &EvaluationContext,
        now: UnixSeconds,
    ) -> Result<Resolution<'_>, ResolutionError> {
        let current = self.reader.cache.load();
        let is_bound =
            self.bound.as_ref().is_some_and(|bound| Arc::ptr_eq(&bound.snapshot, current));
        if !is_bound {
            let flag = current.view(&crate::Selector::Any).get(&self.key).cloned();
            self.bound = Some(Binding { flag, snapshot: Arc::clone(current) });
        }
        match self.bound.as_ref().and_then(|bound| bound.flag.as_ref()) {
            Some(flag) => flag.resolve(context, now),
            None => Err(ResolutionError::not_found()),
        }
    }
}
