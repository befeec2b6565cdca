//! One flag document: the layer that is served, and what is known about its source.

use std::sync::Arc;

use outrigger_flags::{Layer, SourceName, UnixSeconds};
use tokio::time::Instant;

use super::guard::{HOLD, Judgement, Offer, judge};
use super::message::Version;
use crate::runtime::Health;
use crate::telemetry::metrics::Reload;

/// Every method keeps the served layer unless a better one arrives.
#[derive(Debug, Default)]
pub(super) struct Document {
    layer: Option<Arc<Layer>>,
    /// The newest content, whatever became of it.
    version: Option<Version>,
    verdict: Verdict,
    /// Why the source cannot be read, and since when.
    absent: Option<(UnixSeconds, String)>,
    /// When a file that vanished is given up.
    drop_at: Option<Instant>,
}

/// What became of the newest content.
#[derive(Debug, Default)]
enum Verdict {
    /// There was none yet.
    #[default]
    Unseen,
    Live,
    Refused {
        since: UnixSeconds,
        reason: String,
    },
    Held {
        since: UnixSeconds,
        until: Instant,
        held: Box<Offer>,
    },
    Remembered {
        written: UnixSeconds,
    },
}

impl Document {
    /// A document of which only the state directory knows.
    pub(super) fn remembered(layer: Arc<Layer>, written: UnixSeconds) -> Self {
        let verdict = Verdict::Remembered { written };
        Self { layer: Some(layer), verdict, ..Self::default() }
    }

    /// The layer that is served.
    pub(super) fn layer(&self) -> Option<Arc<Layer>> {
        self.layer.clone()
    }

    pub(super) fn flags(&self) -> usize {
        self.layer.as_ref().map_or(0, |layer| layer.len())
    }

    /// Notes that the document is readable. Returns whether this content has to be loaded.
    pub(super) fn wants(&mut self, version: Version) -> bool {
        (self.absent, self.drop_at) = (None, None);
        self.version != Some(version)
    }

    /// Takes a valid document over, or holds it.
    pub(super) fn offer(
        &mut self,
        version: Version,
        offer: Offer,
        now: UnixSeconds,
        at: Instant,
        source: &SourceName,
    ) -> Reload {
        self.version = Some(version);
        let waiting = match &self.verdict {
            Verdict::Held { held, .. } => Some(held.as_ref()),
            _ => None,
        };
        match judge(offer, self.flags(), waiting) {
            Judgement::Live(offer) => {
                tracing::info!(%source, flags = offer.layer.len(), %version, "document loaded");
                self.layer = Some(offer.layer);
                self.verdict = Verdict::Live;
                Reload::Applied
            }
            Judgement::Hold(held) => {
                tracing::error!(
                    %source,
                    removed = held.removed,
                    of = self.flags(),
                    hold_s = HOLD.as_secs(),
                    "the document lacks many flags; the one before stays until this is confirmed"
                );
                self.verdict = Verdict::Held { since: now, until: at + HOLD, held: Box::new(held) };
                Reload::Refused
            }
        }
    }

    /// Notes that the newest content is not valid.
    pub(super) fn refuse(&mut self, version: Version, reason: String, now: UnixSeconds) -> Reload {
        self.version = Some(version);
        self.verdict = Verdict::Refused { since: now, reason };
        Reload::Refused
    }

    /// Notes that the source cannot be read. What was held is forgotten: it is not confirmed by a
    /// source that went away.
    pub(super) fn absent(&mut self, reason: String, now: UnixSeconds) {
        let since = self.absent.take().map_or(now, |(since, _)| since);
        self.absent = Some((since, reason));
        if matches!(self.verdict, Verdict::Held { .. }) {
            self.version = None;
            self.verdict = Verdict::Live;
        }
    }

    /// Gives the document up at `at` unless it comes back.
    pub(super) fn drop_at(&mut self, at: Instant) {
        self.drop_at.get_or_insert(at);
    }

    pub(super) fn is_dropped(&self, now: Instant) -> bool {
        self.drop_at.is_some_and(|at| at <= now)
    }

    /// Takes a held document over if it waited long enough; returns whether it did.
    pub(super) fn confirm(&mut self, now: Instant) -> bool {
        match std::mem::take(&mut self.verdict) {
            Verdict::Held { until, held, .. } if until <= now => {
                self.layer = Some(held.layer);
                self.verdict = Verdict::Live;
                true
            }
            other => {
                self.verdict = other;
                false
            }
        }
    }

    /// When something is to be done without news.
    pub(super) fn due(&self) -> Option<Instant> {
        let held = match &self.verdict {
            Verdict::Held { until, .. } => Some(*until),
            _ => None,
        };
        held.into_iter().chain(self.drop_at).min()
    }

    /// Whether the newest content of a readable source is served.
    pub(super) fn is_fresh(&self) -> bool {
        self.health() == Health::Fresh
    }

    pub(super) fn health(&self) -> Health {
        match (&self.verdict, &self.absent) {
            (Verdict::Remembered { written }, absent) => {
                let reason = absent.as_ref().map_or("not read yet", |(_, reason)| reason);
                Health::LastKnownGood { written: *written, reason: reason.to_owned() }
            }
            (_, Some((since, reason))) => Health::Stale { since: *since, reason: reason.clone() },
            (Verdict::Unseen | Verdict::Live, None) => Health::Fresh,
            (Verdict::Refused { since, reason }, None) => {
                Health::Refused { since: *since, reason: reason.clone() }
            }
            (Verdict::Held { since, held, .. }, None) => {
                Health::Held { since: *since, removed: held.removed }
            }
        }
    }
}
