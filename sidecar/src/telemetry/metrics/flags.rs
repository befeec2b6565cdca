//! Counting evaluations per flag, variant and reason.
//!
//! This runs once per evaluation, so it may not lock, format or allocate: counter handles are looked
//! up in an immutable index behind one atomic pointer. Only the first evaluation of a combination
//! copies the index, and the cap bounds how often that can happen.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use outrigger_flags::Reason;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Most combinations of flag, variant and reason with a series of their own: flagd's number.
pub const FLAG_SERIES_MAX: usize = 2_000;
/// Stands for every flag over the cap.
const OTHER: &str = "_other";
/// Stands for every key that no flag has.
const UNKNOWN: &str = "_unknown";
/// The provider name that flagd writes, so that its dashboards work.
const PROVIDER: &str = "flagd";

/// flagd's two evaluation counters.
#[derive(Debug)]
pub(super) struct FlagSeries {
    impressions: IntCounterVec,
    reasons: IntCounterVec,
    index: ArcSwap<Index>,
    unknown: Handles,
}

#[derive(Debug, Clone, Default)]
struct Index {
    flags: HashMap<Arc<str>, Arc<[Series]>, foldhash::fast::RandomState>,
    series: usize,
}

#[derive(Debug, Clone)]
struct Series {
    variant: Option<Arc<str>>,
    reason: Reason,
    handles: Handles,
}

#[derive(Debug, Clone)]
struct Handles {
    impression: Option<IntCounter>,
    reason: IntCounter,
}

impl Handles {
    fn inc(&self) {
        if let Some(impression) = &self.impression {
            impression.inc();
        }
        self.reason.inc();
    }
}

impl Index {
    fn find(&self, key: &str, variant: Option<&str>, reason: Reason) -> Option<&Handles> {
        let series = self.flags.get(key)?;
        series
            .iter()
            .find(|series| series.reason == reason && series.variant.as_deref() == variant)
            .map(|series| &series.handles)
    }

    fn with(&self, key: &str, series: Series) -> Self {
        let mut index = self.clone();
        let known = index.flags.get(key).map_or(&[][..], |known| known);
        let all: Arc<[Series]> = known.iter().cloned().chain([series]).collect();
        index.flags.insert(Arc::from(key), all);
        index.series += 1;
        index
    }
}

impl FlagSeries {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let impressions = IntCounterVec::new(
            Opts::new("feature_flag_flagd_impression_total", "Evaluations that gave a value"),
            &[
                "feature_flag_key",
                "feature_flag_result_variant",
                "feature_flag_reason",
                "feature_flag_provider_name",
            ],
        )?;
        let reasons = IntCounterVec::new(
            Opts::new("feature_flag_flagd_result_reason_total", "Evaluations by reason"),
            &["feature_flag_key", "feature_flag_reason", "feature_flag_provider_name"],
        )?;
        registry.register(Box::new(impressions.clone()))?;
        registry.register(Box::new(reasons.clone()))?;
        let unknown = Handles {
            impression: None,
            reason: reasons.with_label_values(&[UNKNOWN, Reason::Error.as_str(), PROVIDER]),
        };
        Ok(Self { impressions, reasons, index: ArcSwap::default(), unknown })
    }

    #[inline]
    pub(super) fn record(&self, key: &str, variant: Option<&str>, reason: Reason) {
        match self.index.load().find(key, variant, reason) {
            Some(handles) => handles.inc(),
            None => self.open(key, variant, reason).inc(),
        }
    }

    pub(super) fn record_unknown(&self) {
        self.unknown.inc();
    }

    /// The handles of a combination seen for the first time. Over the cap it shares the series of
    /// all others; those are few (one per reason) and live in the index like any flag's.
    #[cold]
    fn open(&self, key: &str, variant: Option<&str>, reason: Reason) -> Handles {
        if self.index.load().series >= FLAG_SERIES_MAX && key != OTHER {
            if let Some(handles) = self.index.load().find(OTHER, None, reason) {
                return handles.clone();
            }
            return self.open(OTHER, None, reason);
        }
        let handles = self.handles(key, variant, reason);
        self.index.rcu(|index| {
            if index.find(key, variant, reason).is_some() {
                return Arc::clone(index);
            }
            let series =
                Series { variant: variant.map(Arc::from), reason, handles: handles.clone() };
            Arc::new(index.with(key, series))
        });
        handles
    }

    fn handles(&self, key: &str, variant: Option<&str>, reason: Reason) -> Handles {
        let name = reason.as_str();
        let impression = (reason != Reason::Error).then(|| {
            let labels = [key, variant.unwrap_or_default(), name, PROVIDER];
            self.impressions.with_label_values(&labels)
        });
        Handles { impression, reason: self.reasons.with_label_values(&[key, name, PROVIDER]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::TextEncoder;

    #[test]
    fn counts_per_flag_variant_and_reason() {
        let registry = Registry::new();
        let series = FlagSeries::new(&registry).unwrap();
        for _ in 0..3 {
            series.record("a", Some("on"), Reason::Static);
        }
        series.record("a", Some("off"), Reason::Static);
        series.record("a", None, Reason::Error);
        series.record_unknown();
        let scrape = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let count = |line: &str| assert!(scrape.contains(line), "{line} is missing in:\n{scrape}");
        count(
            "feature_flag_flagd_impression_total{feature_flag_key=\"a\",\
             feature_flag_provider_name=\"flagd\",feature_flag_reason=\"STATIC\",\
             feature_flag_result_variant=\"on\"} 3",
        );
        count(
            "feature_flag_flagd_result_reason_total{feature_flag_key=\"a\",\
             feature_flag_provider_name=\"flagd\",feature_flag_reason=\"STATIC\"} 4",
        );
        count(
            "feature_flag_flagd_result_reason_total{feature_flag_key=\"_unknown\",\
             feature_flag_provider_name=\"flagd\",feature_flag_reason=\"ERROR\"} 1",
        );
        assert!(!scrape.contains("result_variant=\"\""), "an error is no impression");
    }

    #[test]
    fn flags_over_the_cap_share_one_series() {
        let registry = Registry::new();
        let series = FlagSeries::new(&registry).unwrap();
        for index in 0..FLAG_SERIES_MAX + 50 {
            series.record(&format!("flag-{index}"), Some("on"), Reason::Default);
            series.record(&format!("flag-{index}"), Some("on"), Reason::Default);
        }
        let scrape = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(scrape.contains(
            "{feature_flag_key=\"_other\",feature_flag_provider_name=\"flagd\",\
             feature_flag_reason=\"DEFAULT\"} 100"
        ));
        let lines = scrape.lines().filter(|line| line.starts_with("feature_flag_flagd_impression"));
        assert_eq!(lines.count(), FLAG_SERIES_MAX + 1);
    }

    #[test]
    fn loses_no_count_when_many_threads_meet_a_new_flag() {
        let registry = Registry::new();
        let series = FlagSeries::new(&registry).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for index in 0..200 {
                        series.record(&format!("flag-{index}"), None, Reason::Disabled);
                    }
                });
            }
        });
        let total: u64 = (0..200)
            .map(|index| {
                let key = format!("flag-{index}");
                series.reasons.with_label_values(&[&key, "DISABLED", PROVIDER]).get()
            })
            .sum();
        assert_eq!(total, 800);
    }
}
