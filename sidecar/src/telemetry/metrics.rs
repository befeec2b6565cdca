//! Prometheus metrics, under flagd's names where flagd has them and `outrigger_*` elsewhere.
//!
//! One registry, built by `app` and handed down. Every label comes from a bounded set: flag keys up
//! to [`FLAG_SERIES_MAX`], configured sources, fixed route templates. Never a client's text.

mod flags;
mod requests;

use std::time::Duration;

use outrigger_flags::{Reason, Revision, UnixSeconds};
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

pub use flags::FLAG_SERIES_MAX;
use flags::FlagSeries;
use requests::RequestSeries;
pub(crate) use requests::RequestTimer;

/// Edges of the sync stream duration histogram, seconds: flagd's, because dashboards have them.
const STREAM_SECONDS: [f64; 10] =
    [30.0, 60.0, 120.0, 300.0, 480.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 10_800.0];

/// Every metric of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    flags: FlagSeries,
    requests: RequestSeries,
    snapshot_epoch: IntGauge,
    snapshot_revision: IntGauge,
    flag_count: IntGauge,
    source_up: IntGaugeVec,
    source_last_success: GaugeVec,
    reloads: IntCounterVec,
    streams: IntGaugeVec,
    sync_streams: IntGauge,
    sync_stream_seconds: Histogram,
    connections: IntGaugeVec,
    limits: IntCounterVec,
    panics: IntCounter,
    uptime_start: Gauge,
}

/// How one attempt to take over a source's document ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The document is live.
    Applied,
    /// The document was read and refused; the last good one stays.
    Refused,
    /// The source could not be read.
    Failed,
}

/// A limit that made the process refuse or drop something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// A connection above the connection cap was closed.
    Connections,
    /// A connection sent no protocol preface in time.
    PrefaceTimeout,
    /// A request body above the limit.
    BodyBytes,
    /// A request body that did not arrive in time.
    BodyTimeout,
    /// A browser's request from an origin or for a host that is not listed.
    Origin,
    /// A stream above the cap on streams.
    Subscribers,
    /// A stream whose client stopped reading.
    StreamStalled,
}

/// A kind of long-lived stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// `EventStream`.
    Event,
    /// `SyncFlags`.
    Sync,
}

impl Reload {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl Limit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::PrefaceTimeout => "preface_timeout",
            Self::BodyBytes => "body_bytes",
            Self::BodyTimeout => "body_timeout",
            Self::Origin => "origin",
            Self::Subscribers => "subscribers",
            Self::StreamStalled => "stream_stalled",
        }
    }
}

impl StreamKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Sync => "sync",
        }
    }
}

impl Metrics {
    /// Builds and registers every metric.
    ///
    /// # Errors
    /// If two metrics clash, which is a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let metrics = Self {
            flags: FlagSeries::new(&registry)?,
            requests: RequestSeries::new(&registry)?,
            snapshot_epoch: gauge("outrigger_snapshot_epoch", "Epoch of the served snapshot")?,
            snapshot_revision: gauge(
                "outrigger_snapshot_revision",
                "Sequence number of the served snapshot within its epoch",
            )?,
            flag_count: gauge("outrigger_flags", "Flags in the served snapshot")?,
            source_up: gauges("outrigger_source_up", "1 if the last read worked", "source")?,
            source_last_success: GaugeVec::new(
                Opts::new(
                    "outrigger_source_last_success_timestamp_seconds",
                    "When a document of the source was last taken over",
                ),
                &["source"],
            )?,
            reloads: counters(
                "outrigger_reloads_total",
                "Attempts to take over a source's document, by result",
                &["source", "result"],
            )?,
            streams: gauges("outrigger_streams", "Open long-lived streams", "kind")?,
            sync_streams: gauge("feature_flag_flagd_sync_active_streams", "Open sync streams")?,
            sync_stream_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "feature_flag_flagd_sync_stream_duration_seconds",
                    "How long sync streams lived",
                )
                .buckets(STREAM_SECONDS.to_vec()),
            )?,
            connections: gauges("outrigger_connections", "Open connections", "listener")?,
            limits: counters(
                "outrigger_limit_hits_total",
                "Work refused or dropped because of a limit",
                &["limit"],
            )?,
            panics: IntCounter::new("outrigger_panics_total", "Panics caught at a boundary")?,
            uptime_start: Gauge::new(
                "process_start_time_seconds",
                "When the process started, in seconds since the Unix epoch",
            )?,
            registry,
        };
        metrics.register_all()?;
        Ok(metrics)
    }

    fn register_all(&self) -> Result<(), prometheus::Error> {
        let build = gauges("outrigger_build_info", "1, labelled with the version", "version")?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let collectors: [Box<dyn Collector>; 14] = [
            Box::new(build),
            Box::new(self.snapshot_epoch.clone()),
            Box::new(self.snapshot_revision.clone()),
            Box::new(self.flag_count.clone()),
            Box::new(self.source_up.clone()),
            Box::new(self.source_last_success.clone()),
            Box::new(self.reloads.clone()),
            Box::new(self.streams.clone()),
            Box::new(self.sync_streams.clone()),
            Box::new(self.sync_stream_seconds.clone()),
            Box::new(self.connections.clone()),
            Box::new(self.limits.clone()),
            Box::new(self.panics.clone()),
            Box::new(self.uptime_start.clone()),
        ];
        collectors.into_iter().try_for_each(|collector| self.registry.register(collector))
    }

    /// The scrape, in Prometheus' text format.
    ///
    /// # Errors
    /// If a metric cannot be written.
    pub fn scrape(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Records when the process started.
    #[allow(clippy::cast_precision_loss, reason = "Prometheus knows only doubles")]
    pub fn started(&self, at: UnixSeconds) {
        self.uptime_start.set(at.0 as f64);
    }

    /// Records which snapshot is served.
    pub fn published(&self, revision: Revision, flags: usize) {
        self.snapshot_epoch.set(i64::try_from(revision.epoch).unwrap_or(i64::MAX));
        self.snapshot_revision.set(i64::try_from(revision.seq).unwrap_or(i64::MAX));
        self.flag_count.set(i64::try_from(flags).unwrap_or(i64::MAX));
    }

    /// Records one attempt to take over a source's document. `source` must hold no secrets.
    #[allow(clippy::cast_precision_loss, reason = "Prometheus knows only doubles")]
    pub fn reloaded(&self, source: &str, reload: Reload, at: UnixSeconds) {
        self.reloads.with_label_values(&[source, reload.as_str()]).inc();
        self.source_up.with_label_values(&[source]).set(i64::from(reload != Reload::Failed));
        if reload == Reload::Applied {
            self.source_last_success.with_label_values(&[source]).set(at.0 as f64);
        }
    }

    /// Drops the series of a source that is no more: its last values would be false for ever.
    pub fn forget_source(&self, source: &str) {
        // A series that was never there is as good as one that is gone.
        let _ = self.source_up.remove_label_values(&[source]);
        let _ = self.source_last_success.remove_label_values(&[source]);
        for reload in [Reload::Applied, Reload::Refused, Reload::Failed] {
            let _ = self.reloads.remove_label_values(&[source, reload.as_str()]);
        }
    }

    /// Counts something that a limit refused or dropped.
    pub fn limited(&self, limit: Limit) {
        self.limits.with_label_values(&[limit.as_str()]).inc();
    }

    /// Counts a panic that was caught.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Counts an evaluation of a flag that exists.
    #[inline]
    pub(crate) fn evaluated(&self, key: &str, variant: Option<&str>, reason: Reason) {
        self.flags.record(key, variant, reason);
    }

    /// Counts an evaluation of a key that no flag has.
    pub(crate) fn evaluated_unknown(&self) {
        self.flags.record_unknown();
    }

    /// Starts timing a request.
    pub(crate) fn request(&self, method: &http::Method, path: &str) -> RequestTimer<'_> {
        self.requests.start(method, path)
    }

    /// Counts an open stream until the returned guard is dropped.
    pub(crate) fn stream(&self, kind: StreamKind) -> Open {
        let gauge = self.streams.with_label_values(&[kind.as_str()]);
        Open::new(match kind {
            StreamKind::Event => vec![gauge],
            StreamKind::Sync => vec![gauge, self.sync_streams.clone()],
        })
    }

    /// Records how long a sync stream lived.
    pub(crate) fn sync_stream_ended(&self, lived: Duration) {
        self.sync_stream_seconds.observe(lived.as_secs_f64());
    }

    /// Counts an open connection until the returned guard is dropped.
    pub(crate) fn connection(&self, listener: &str) -> Open {
        Open::new(vec![self.connections.with_label_values(&[listener])])
    }
}

/// Something that is open now; dropping it counts it as closed.
#[derive(Debug)]
pub(crate) struct Open(Vec<IntGauge>);

impl Open {
    fn new(gauges: Vec<IntGauge>) -> Self {
        gauges.iter().for_each(IntGauge::inc);
        Self(gauges)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.iter().for_each(IntGauge::dec);
    }
}

fn gauge(name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    IntGauge::new(name, help)
}

fn gauges(name: &str, help: &str, label: &str) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(name, help), &[label])
}

fn counters(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_shows_what_was_recorded() {
        let metrics = Metrics::new().unwrap();
        metrics.published(Revision { epoch: 3, seq: 14 }, 7);
        metrics.reloaded("a.json", Reload::Applied, UnixSeconds(1_700_000_000));
        metrics.reloaded("a.json", Reload::Failed, UnixSeconds(1_800_000_000));
        metrics.limited(Limit::Connections);
        let open = metrics.stream(StreamKind::Sync);
        let scrape = metrics.scrape().unwrap();
        for line in [
            "outrigger_snapshot_revision 14",
            "outrigger_flags 7",
            "outrigger_source_up{source=\"a.json\"} 0",
            "outrigger_source_last_success_timestamp_seconds{source=\"a.json\"} 1700000000",
            "outrigger_reloads_total{result=\"failed\",source=\"a.json\"} 1",
            "outrigger_limit_hits_total{limit=\"connections\"} 1",
            "outrigger_streams{kind=\"sync\"} 1",
            "feature_flag_flagd_sync_active_streams 1",
        ] {
            assert!(scrape.contains(line), "{line} is missing in:\n{scrape}");
        }
        drop(open);
        assert!(metrics.scrape().unwrap().contains("outrigger_streams{kind=\"sync\"} 0"));
        metrics.forget_source("a.json");
        assert!(!metrics.scrape().unwrap().contains("a.json"));
    }
}
