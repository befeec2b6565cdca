//! All flags at one moment: layers composed by priority, immutable.
//!
//! Composing never compiles: it picks, for each flag set and key, the flag of the highest layer, and
//! builds the indexes that lookups need. Every answer of one request comes from one snapshot.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::context::EvaluationContext;
use crate::evaluate::UnixSeconds;
use crate::flag::{Flag, Resolution, ResolutionError};
use crate::key::{FlagSetId, SourceName};
use crate::layer::Layer;
use crate::selector::Selector;

/// Which snapshot this is. Revisions of one writer ascend: a newer epoch (a restart) beats any
/// sequence number of an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision {
    /// Ascends with each start of the writer.
    pub epoch: u64,
    /// Ascends with each change within an epoch.
    pub seq: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

/// All flags at one moment.
#[derive(Debug)]
pub struct Snapshot {
    revision: Revision,
    layers: Box<[Arc<Layer>]>,
    all: Arc<View>,
    sets: HashMap<Option<FlagSetId>, Arc<View>>,
    sources: HashMap<SourceName, Arc<View>>,
    nothing: View,
}

impl Snapshot {
    /// A snapshot without flags.
    pub fn empty() -> Self {
        Self::compose(Revision::default(), &[])
    }

    /// Composes layers, the one of highest priority last.
    pub fn compose(revision: Revision, layers: &[Arc<Layer>]) -> Self {
        let seed = hash_seed(revision);
        let all = Arc::new(View::of_layers(layers, seed));
        let mut by_set: HashMap<Option<&FlagSetId>, Vec<&Arc<Flag>>> = HashMap::new();
        for flag in &all.flags {
            by_set.entry(flag.set.as_ref()).or_default().push(flag);
        }
        let sets = if by_set.len() == 1 {
            by_set.into_keys().map(|set| (set.cloned(), Arc::clone(&all))).collect()
        } else {
            let view =
                |flags: Vec<&Arc<Flag>>| View::new(flags.into_iter().cloned().collect(), seed);
            by_set.into_iter().map(|(set, flags)| (set.cloned(), Arc::new(view(flags)))).collect()
        };
        let sources = match layers {
            [only] => HashMap::from([(only.source().clone(), Arc::clone(&all))]),
            _ => layers
                .iter()
                .map(|layer| {
                    let view = View::of_layers(std::slice::from_ref(layer), seed);
                    (layer.source().clone(), Arc::new(view))
                })
                .collect(),
        };
        Self {
            revision,
            layers: layers.into(),
            all,
            sets,
            sources,
            nothing: View::new(Vec::new(), seed),
        }
    }

    /// Which snapshot this is.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The layers it was composed of, the one of highest priority last.
    pub fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    /// The flags that a selector selects. A set or source that does not exist has none.
    pub fn view(&self, selector: &Selector) -> &View {
        let view = match selector {
            Selector::Any => return &self.all,
            Selector::FlagSet(set) => self.sets.get(set),
            Selector::Source(source) => self.sources.get(source),
        };
        view.map_or(&self.nothing, |view| view)
    }
}

/// What the indexes of a snapshot hash with. It differs between snapshots, so that nobody can write a
/// document beforehand whose keys all fall into one place.
const fn hash_seed(revision: Revision) -> u64 {
    revision.epoch.rotate_left(32) ^ revision.seq
}

/// A selection of the flags of a snapshot.
#[derive(Debug)]
pub struct View {
    /// By flag set, then by key.
    flags: Vec<Arc<Flag>>,
    index: HashSet<ByKey, FixedState>,
}

/// A flag that is hashed and compared as its key.
#[derive(Debug)]
struct ByKey(Arc<Flag>);

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

impl std::hash::Hash for ByKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

impl std::borrow::Borrow<str> for ByKey {
    fn borrow(&self) -> &str {
        &self.0.key
    }
}

impl View {
    fn of_layers(layers: &[Arc<Layer>], seed: u64) -> Self {
        let flags = layers.iter().rev().flat_map(|layer| layer.flags());
        let mut picked: Vec<(Arc<Flag>, usize)> =
            flags.enumerate().map(|(priority, flag)| (Arc::clone(flag), priority)).collect();
        // Of the same set and key the first in order of priority stays.
        picked.sort_unstable_by(|(a, a_priority), (b, b_priority)| {
            a.id().cmp(&b.id()).then(a_priority.cmp(b_priority))
        });
        picked.dedup_by(|(later, _), (earlier, _)| later.id() == earlier.id());
        let mut view = Self::new(Vec::new(), seed);
        view.index.reserve(picked.len());
        let mut priority_of: HashMap<&str, usize> = HashMap::new();
        let has_sets = picked.iter().any(|(flag, _)| flag.set.is_some());
        for (flag, priority) in &picked {
            // Where sets share a key, the highest layer wins; within one layer the last set.
            if has_sets {
                let layer = layer_of(layers, *priority);
                match priority_of.get(flag.key()) {
                    Some(best) if *best < layer => continue,
                    _ => priority_of.insert(flag.key(), layer),
                };
            }
            view.index.replace(ByKey(Arc::clone(flag)));
        }
        view.flags = picked.into_iter().map(|(flag, _)| flag).collect();
        view
    }

    /// Of flags with the same key the last one is found by it.
    fn new(flags: Vec<Arc<Flag>>, seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        let mut index = HashSet::with_capacity_and_hasher(flags.len(), hasher);
        for flag in &flags {
            index.replace(ByKey(Arc::clone(flag)));
        }
        Self { flags, index }
    }

    /// The flag of this key.
    #[inline]
    pub fn get(&self, key: &str) -> Option<&Arc<Flag>> {
        self.index.get(key).map(|ByKey(flag)| flag)
    }

    /// Every flag, by flag set and then by key; a key may occur in several sets.
    pub fn flags(&self) -> &[Arc<Flag>] {
        &self.flags
    }

    /// How many flags there are.
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there are no flags.
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    /// Resolves the flag of this key; see [`Flag::resolve`].
    ///
    /// # Errors
    /// [`crate::ErrorCode::FlagNotFound`] if there is none, and what [`Flag::resolve`] returns.
    #[inline]
    pub fn resolve(
        &self,
        key: &str,
        context: &EvaluationContext,
        now: UnixSeconds,
    ) -> Result<Resolution<'_>, ResolutionError> {
        match self.get(key) {
            Some(flag) => flag.resolve(context, now),
            None => Err(ResolutionError::not_found()),
        }
    }

    /// What changed from an older view to this one, by flag set and then by key. A flag has changed
    /// if its definition or its source has.
    pub fn changes_since(&self, older: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let (mut old, mut new) = (older.flags.iter().peekable(), self.flags.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return changes,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(old), Some(new)) => old.id().cmp(&new.id()),
            };
            let before = if order.is_le() { old.next() } else { None };
            let after = if order.is_ge() { new.next() } else { None };
            let kind = match (before, after) {
                (Some(before), Some(after)) if is_same(before, after) => continue,
                (Some(_), Some(_)) => ChangeKind::Update,
                (None, _) => ChangeKind::Write,
                (_, None) => ChangeKind::Delete,
            };
            changes.extend(after.or(before).map(|flag| Change { flag: Arc::clone(flag), kind }));
        }
    }
}

fn is_same(a: &Arc<Flag>, b: &Arc<Flag>) -> bool {
    Arc::ptr_eq(a, b)
        || (a.source == b.source && a.definition == b.definition && a.definition.is_some())
}

/// Which layer, counted from the highest, the flag at a place in priority order comes from.
fn layer_of(layers: &[Arc<Layer>], place: usize) -> usize {
    let mut end = 0;
    layers
        .iter()
        .rev()
        .position(|layer| {
            end += layer.len();
            place < end
        })
        .unwrap_or(layers.len())
}

/// One flag that differs between two views.
#[derive(Debug, Clone)]
pub struct Change {
    flag: Arc<Flag>,
    /// What became of it.
    pub kind: ChangeKind,
}

impl Change {
    /// The flag key.
    pub fn key(&self) -> &str {
        self.flag.key()
    }

    /// The flag as it is now, or as it last was.
    pub fn flag(&self) -> &Flag {
        &self.flag
    }
}

/// What became of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It is new.
    Write,
    /// It is another.
    Update,
    /// It is gone.
    Delete,
}

impl ChangeKind {
    /// flagd's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

#[cfg(test)]
mod tests;
