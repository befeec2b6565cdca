//! Everyone who answers the workloads: the engine, and the limits beside it.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use outrigger_flags::{
    EvaluationContext, FlagHandle, Resolution, ResolutionError, Selector, SnapshotReader,
    SnapshotStore, UnixSeconds,
};

use crate::limits::{NamedContext, Seed, by_key, by_place, is_below_weight};
use crate::workload::{
    Place, Subject, Workload, chain, compile, compose, contexts, keys, subjects,
};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

/// One way to answer a workload.
pub struct Contender {
    /// What it answers.
    pub workload: Workload,
    /// What it is called.
    pub name: &'static str,
    place: Place,
    run: Box<dyn FnMut(Place, usize) -> Place>,
}

impl std::fmt::Debug for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.workload.name(), self.name)
    }
}

impl Contender {
    fn new(
        workload: Workload,
        name: &'static str,
        run: impl FnMut(Place, usize) -> Place + 'static,
    ) -> Self {
        Self { workload, name, place: Place::START, run: Box::new(run) }
    }

    /// Goes on with the chain for so many evaluations; returns where that has led, which is the
    /// same for all who answer rightly.
    pub fn run(&mut self, evaluations: usize) -> Place {
        self.place = (self.run)(self.place, black_box(evaluations));
        self.place
    }
}

/// The engine by handle.
pub const BY_HANDLE: &str = "by handle";
/// The engine by name.
pub const BY_NAME: &str = "by name";

/// The engine, by handle and by name, on each workload.
///
/// # Errors
/// None, unless the engine refuses the workloads.
pub fn engine() -> Result<Vec<Contender>, Box<dyn Error>> {
    let mut contenders = Vec::new();
    for workload in Workload::ALL {
        let loaded = compile(&workload.document(), None)?;
        if let Some(problem) = loaded.diagnostics.first() {
            return Err(problem.to_string().into());
        }
        let (_, reader) = SnapshotStore::new(compose(1, Arc::new(loaded.layer)));
        contenders.push(by_handle(workload, &reader, contexts()?));
        contenders.push(by_name(workload, reader, contexts()?));
    }
    Ok(contenders)
}

#[inline]
fn is_on(resolution: Result<Resolution<'_>, ResolutionError>) -> bool {
    matches!(resolution.map(|resolution| resolution.as_bool()), Ok(Ok(Some(true))))
}

fn by_handle(
    workload: Workload,
    reader: &SnapshotReader,
    contexts: Vec<EvaluationContext>,
) -> Contender {
    let cached = reader.cached();
    let mut handles: Vec<FlagHandle> = keys().iter().map(|key| cached.handle(key)).collect();
    let run = move |from, evaluations| {
        chain(from, evaluations, |at| match (handles.get_mut(at.flag), contexts.get(at.subject)) {
            (Some(handle), Some(context)) => is_on(handle.resolve(context, NOW)),
            _ => false,
        })
    };
    Contender::new(workload, BY_HANDLE, run)
}

fn by_name(
    workload: Workload,
    reader: SnapshotReader,
    contexts: Vec<EvaluationContext>,
) -> Contender {
    let keys = keys();
    let run = move |from, evaluations| {
        chain(from, evaluations, |at| match (keys.get(at.flag), contexts.get(at.subject)) {
            (Some(key), Some(context)) => {
                let snapshot = reader.load();
                is_on(snapshot.view(&Selector::Any).resolve(key, context, NOW))
            }
            _ => false,
        })
    };
    Contender::new(workload, BY_NAME, run)
}

/// The limits: by place with a cached load, and by key with a plain one.
pub fn limits() -> Vec<Contender> {
    let named = || subjects().iter().map(NamedContext::of).collect::<Vec<_>>();
    let user_hash = |subject: &Subject| Seed::START.hash_with(subject.user.as_bytes());
    vec![
        by_place_limit("L1", Workload::Static, vec![(); crate::workload::SUBJECTS], |flag, ()| {
            flag.is_on
        }),
        by_key_limit("L2", Workload::Static, vec![(); crate::workload::SUBJECTS], |flag, ()| {
            flag.is_on
        }),
        by_place_limit("L3h", Workload::Rule, subjects(), |flag, subject| {
            subject.matches() && flag.then
        }),
        by_key_limit("L3v", Workload::Rule, named(), |flag, context| {
            context.matches() && flag.then
        }),
        by_place_limit("L4h", Workload::Split, subjects(), |flag, subject| {
            is_below_weight(flag.seed.hash_with(subject.user.as_bytes()))
        }),
        by_key_limit("L4", Workload::Split, subjects(), move |flag, subject| {
            is_below_weight(user_hash(subject)) && flag.then
        }),
        by_key_limit("L4p", Workload::Split, subjects(), |flag, subject| {
            is_below_weight(flag.seed.hash_with(subject.user.as_bytes()))
        }),
    ]
}

/// `arc_swap::Cache`, and an index.
fn by_place_limit<S: 'static>(
    name: &'static str,
    workload: Workload,
    subjects: Vec<S>,
    answer: impl Fn(&crate::limits::BareFlag, &S) -> bool + 'static,
) -> Contender {
    let mut cache = Cache::new(Arc::new(ArcSwap::from_pointee(by_place())));
    let run = move |from, evaluations| {
        chain(from, evaluations, |at| match (cache.load().get(at.flag), subjects.get(at.subject)) {
            (Some(flag), Some(subject)) => answer(flag, subject),
            _ => false,
        })
    };
    Contender::new(workload, name, run)
}

/// `ArcSwap::load`, and a lookup by foldhash.
fn by_key_limit<S: 'static>(
    name: &'static str,
    workload: Workload,
    subjects: Vec<S>,
    answer: impl Fn(&crate::limits::BareFlag, &S) -> bool + 'static,
) -> Contender {
    let current = ArcSwap::from_pointee(by_key());
    let keys = keys();
    let run = move |from, evaluations| {
        chain(from, evaluations, |at| match (keys.get(at.flag), subjects.get(at.subject)) {
            (Some(key), Some(subject)) => {
                current.load().get(key.as_str()).is_some_and(|flag| answer(flag, subject))
            }
            _ => false,
        })
    };
    Contender::new(workload, name, run)
}
