//! Resolving flags for a request, whatever protocol it came by.
//!
//! Every request reads the snapshot exactly once, so an answer, single or bulk, belongs to one
//! revision. Answers are handed to a closure while they still borrow the snapshot: nothing is copied
//! that the protocol does not ask for. Only a bulk answer of many flags keeps its snapshot across a
//! pause.

mod subscription;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use outrigger_flags::{
    ContextError, ErrorCode, EvaluationContext, Flag, InvalidSelector, Object, Reason, Resolution,
    ResolutionError, Selector, Snapshot, SnapshotReader, Value,
};
use tokio::sync::watch;

use crate::runtime::Clock;
use crate::telemetry::metrics::Metrics;

use subscription::Comparisons;
pub use subscription::{Subscription, Update};

/// How many flags a bulk request resolves before it lets others go on: a fraction of a millisecond.
const FLAGS_AT_ONCE: usize = 256;
/// The header that selects a part of the snapshot.
pub const SELECTOR_HEADER: &str = "flagd-selector";

/// The door to the flags. Cheap to clone.
#[derive(Clone)]
pub struct Evaluation {
    inner: Arc<Inner>,
}

struct Inner {
    reader: SnapshotReader,
    announcements: watch::Receiver<Arc<Snapshot>>,
    comparisons: Arc<Comparisons>,
    clock: Clock,
    enrichment: Enrichment,
    metrics: Arc<Metrics>,
}

/// What the operator adds to every evaluation context.
#[derive(Debug, Clone, Default)]
pub struct Enrichment {
    /// Attributes, laid over those of the request.
    pub values: Vec<(String, Value)>,
    /// Request headers that become attributes, as (header, attribute); laid over everything else.
    pub headers: Vec<(String, String)>,
}

/// Whom a request asks about: which flags, and for which subject.
#[derive(Debug)]
pub struct Subject {
    /// Which flags it sees.
    pub selector: Selector,
    /// What is known about the subject.
    pub context: EvaluationContext,
}

/// What a bulk request runs over, which differs where flag sets share a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every flag of every selected set.
    Flags,
    /// Every key once, with the flag that a request for that key alone would get.
    Keys,
}

/// Why a request got no value. The transports word it, each in its one table.
#[derive(Debug, Clone, PartialEq)]
pub enum EvaluationError {
    /// The selector cannot be understood.
    Selector(InvalidSelector),
    /// The evaluation context is over a limit.
    Context(ContextError),
    /// The flag has no value to give.
    Flag {
        /// What went wrong.
        code: ErrorCode,
        /// The key that was asked for.
        key: String,
        /// What the operator should know; empty if the code says it all.
        detail: String,
        /// The flag's metadata, if there is such a flag.
        metadata: Object,
    },
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selector(error) => error.fmt(f),
            Self::Context(error) => error.fmt(f),
            Self::Flag { code, key, detail, .. } => write!(f, "flag {key:?}: {code}: {detail}"),
        }
    }
}

impl std::error::Error for EvaluationError {}

impl EvaluationError {
    /// A flag that exists and has no value to give.
    pub fn of_flag(flag: &Flag, code: ErrorCode, detail: String) -> Self {
        let (key, metadata) = (flag.key().to_owned(), flag.metadata().clone());
        Self::Flag { code, key, detail, metadata }
    }
}

impl fmt::Debug for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluation").field("enrichment", &self.inner.enrichment).finish()
    }
}

impl Evaluation {
    /// Wires the door up.
    ///
    /// `announcements` must carry a snapshot no earlier than `reader` shows it, so that whoever
    /// hears of a change can already see it.
    pub fn new(
        reader: SnapshotReader,
        announcements: watch::Receiver<Arc<Snapshot>>,
        clock: Clock,
        enrichment: Enrichment,
        metrics: Arc<Metrics>,
    ) -> Self {
        let comparisons = Arc::default();
        let inner = Inner { reader, announcements, comparisons, clock, enrichment, metrics };
        Self { inner: Arc::new(inner) }
    }

    /// The metrics that evaluations are counted in.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.inner.metrics
    }

    /// The attributes that are added to every context.
    pub fn static_context(&self) -> &[(String, Value)] {
        &self.inner.enrichment.values
    }

    /// Reads whom a request asks about: its own attributes, below the operator's, below those taken
    /// from headers.
    ///
    /// # Errors
    /// If the selector has an unknown key or the context is over a limit.
    pub fn subject<'h>(
        &self,
        attributes: Object,
        header: impl Fn(&str) -> Option<Cow<'h, str>>,
    ) -> Result<Subject, EvaluationError> {
        let selector = selector(&header, "")?;
        let context = self.context(attributes, header).map_err(EvaluationError::Context)?;
        Ok(Subject { selector, context })
    }

    fn context<'h>(
        &self,
        attributes: Object,
        header: impl Fn(&str) -> Option<Cow<'h, str>>,
    ) -> Result<EvaluationContext, ContextError> {
        let mut context = EvaluationContext::from_object(attributes)?;
        for (name, value) in &self.inner.enrichment.values {
            context.set(name, value.clone())?;
        }
        for (name, attribute) in &self.inner.enrichment.headers {
            if let Some(value) = header(name).filter(|value| !value.is_empty()) {
                context.set(attribute, Value::from(&*value))?;
            }
        }
        Ok(context)
    }

    /// Resolves one flag and hands the resolution to `read`, which may still refuse its type.
    ///
    /// # Errors
    /// If there is no such flag, it cannot be evaluated, or `read` refuses it.
    pub fn resolve<T>(
        &self,
        subject: &Subject,
        key: &str,
        read: impl FnOnce(&Resolution<'_>) -> Result<T, ErrorCode>,
    ) -> Result<T, EvaluationError> {
        let Inner { reader, metrics, clock, .. } = &*self.inner;
        let snapshot = reader.load();
        let Some(flag) = snapshot.view(&subject.selector).get(key) else {
            metrics.evaluated_unknown();
            return Err(EvaluationError::Flag {
                code: ErrorCode::FlagNotFound,
                key: key.to_owned(),
                detail: String::new(),
                metadata: Object::default(),
            });
        };
        let failed = |code, detail| {
            metrics.evaluated(key, None, Reason::Error);
            EvaluationError::of_flag(flag, code, detail)
        };
        let resolution = flag
            .resolve(&subject.context, clock.now())
            .map_err(|error| failed(error.code, error.to_string()))?;
        let answer = read(&resolution).map_err(|code| failed(code, String::new()))?;
        metrics.evaluated(key, resolution.variant, resolution.reason);
        Ok(answer)
    }

    /// Resolves every selected flag of one snapshot, ordered by flag set and key, and hands each to
    /// `visit`. One failing flag fails nobody else, and many flags hold nobody else up.
    pub async fn resolve_all(
        &self,
        subject: &Subject,
        scope: Scope,
        mut visit: impl FnMut(&Flag, Result<&Resolution<'_>, &ResolutionError>),
    ) {
        let Inner { reader, metrics, clock, .. } = &*self.inner;
        // Kept across the pauses, so that the answer is one revision.
        let snapshot = reader.load_full();
        let (view, now) = (snapshot.view(&subject.selector), clock.now());
        for (index, flag) in view.flags().iter().enumerate() {
            if index % FLAGS_AT_ONCE == FLAGS_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let is_chosen = || view.get(flag.key()).is_some_and(|chosen| Arc::ptr_eq(chosen, flag));
            if scope == Scope::Keys && !is_chosen() {
                continue;
            }
            match flag.resolve(&subject.context, now) {
                Ok(resolution) => {
                    metrics.evaluated(flag.key(), resolution.variant, resolution.reason);
                    visit(flag, Ok(&resolution));
                }
                Err(error) => {
                    metrics.evaluated(flag.key(), None, Reason::Error);
                    visit(flag, Err(&error));
                }
            }
        }
    }

    /// Follows the selected flags from now on.
    pub fn subscribe(&self, selector: Selector) -> Subscription {
        let Inner { announcements, comparisons, .. } = &*self.inner;
        Subscription::new(announcements.clone(), Arc::clone(comparisons), selector)
    }
}

/// The selector of a request: the header's, else the one in its body.
///
/// # Errors
/// If it has an unknown key.
pub fn selector<'h>(
    header: impl Fn(&str) -> Option<Cow<'h, str>>,
    in_body: &str,
) -> Result<Selector, EvaluationError> {
    let in_header = header(SELECTOR_HEADER).filter(|text| !text.is_empty());
    Selector::parse(in_header.as_deref().unwrap_or(in_body)).map_err(EvaluationError::Selector)
}

#[cfg(test)]
mod tests;
