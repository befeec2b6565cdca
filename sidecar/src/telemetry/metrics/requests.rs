//! Counting and timing HTTP requests by route template, method and status.

use std::sync::OnceLock;

use http::{Method, StatusCode};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntGauge, IntGaugeVec, Opts, Registry};
use tokio::time::Instant;

/// Every route that may be a label, sorted; anything else is [`OTHER`].
const ROUTES: [&str; 23] = [
    "/flagd.evaluation.v1.Service/EventStream",
    "/flagd.evaluation.v1.Service/ResolveAll",
    "/flagd.evaluation.v1.Service/ResolveBoolean",
    "/flagd.evaluation.v1.Service/ResolveFloat",
    "/flagd.evaluation.v1.Service/ResolveInt",
    "/flagd.evaluation.v1.Service/ResolveObject",
    "/flagd.evaluation.v1.Service/ResolveString",
    "/flagd.evaluation.v2.Service/EventStream",
    "/flagd.evaluation.v2.Service/ResolveBoolean",
    "/flagd.evaluation.v2.Service/ResolveFloat",
    "/flagd.evaluation.v2.Service/ResolveInt",
    "/flagd.evaluation.v2.Service/ResolveObject",
    "/flagd.evaluation.v2.Service/ResolveString",
    "/flagd.sync.v1.FlagSyncService/FetchAllFlags",
    "/flagd.sync.v1.FlagSyncService/GetMetadata",
    "/flagd.sync.v1.FlagSyncService/SyncFlags",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/healthz",
    "/metrics",
    OFREP_BULK,
    OFREP_SINGLE,
    "/readyz",
];
const OFREP_BULK: &str = "/ofrep/v1/evaluate/flags";
const OFREP_SINGLE: &str = "/ofrep/v1/evaluate/flags/{key}";
const OTHER: &str = "_other";

/// Statuses that these listeners answer with; any other is counted as 0.
const STATUSES: [u16; 18] =
    [0, 200, 204, 304, 400, 401, 403, 404, 405, 408, 412, 413, 415, 429, 500, 501, 503, 505];
const METHODS: [&str; 4] = ["GET", "OPTIONS", "POST", "_OTHER"];
const ROUTE_COUNT: usize = ROUTES.len() + 1;

/// Edges in seconds. The work is microseconds, so the low edges tell queueing from waiting.
const SECONDS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// flagd's HTTP server metrics, with every handle resolved at its first use.
#[derive(Debug)]
pub(super) struct RequestSeries {
    durations: HistogramVec,
    active: IntGaugeVec,
    duration_handles: Box<[OnceLock<Histogram>]>,
    active_handles: Box<[OnceLock<IntGauge>]>,
}

impl RequestSeries {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "http_server_request_duration_seconds",
                "Time from a request's head to its response's head",
            )
            .buckets(SECONDS.to_vec()),
            &["http_route", "http_request_method", "http_response_status_code", "url_scheme"],
        )?;
        let active = IntGaugeVec::new(
            Opts::new("http_server_active_requests", "Requests that wait for their response"),
            &["http_route", "http_request_method", "url_scheme"],
        )?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(active.clone()))?;
        let cells = ROUTE_COUNT * METHODS.len();
        Ok(Self {
            durations,
            active,
            duration_handles: (0..cells * STATUSES.len()).map(|_| OnceLock::new()).collect(),
            active_handles: (0..cells).map(|_| OnceLock::new()).collect(),
        })
    }

    pub(super) fn start(&self, method: &Method, path: &str) -> RequestTimer<'_> {
        let cell = route_of(path) * METHODS.len() + method_of(method);
        let active = self.active_handles.get(cell).map(|handle| {
            handle.get_or_init(|| {
                let (route, method) = names(cell);
                self.active.with_label_values(&[route, method, "http"])
            })
        });
        if let Some(active) = active {
            active.inc();
        }
        RequestTimer { series: self, cell, active, began: Instant::now(), status: 0 }
    }

    fn observe(&self, cell: usize, status: u16, seconds: f64) {
        let status_at = STATUSES.binary_search(&status).unwrap_or(0);
        let Some(handle) = self.duration_handles.get(cell * STATUSES.len() + status_at) else {
            return;
        };
        handle
            .get_or_init(|| {
                let (route, method) = names(cell);
                let status = STATUSES.get(status_at).copied().unwrap_or(0).to_string();
                self.durations.with_label_values(&[route, method, &status, "http"])
            })
            .observe(seconds);
    }
}

/// One request under way; dropping it records it, also when the client has gone.
#[derive(Debug)]
pub(crate) struct RequestTimer<'a> {
    series: &'a RequestSeries,
    cell: usize,
    active: Option<&'a IntGauge>,
    began: Instant,
    status: u16,
}

impl RequestTimer<'_> {
    /// Notes the status of the response that is about to be sent.
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for RequestTimer<'_> {
    fn drop(&mut self) {
        if let Some(active) = self.active {
            active.dec();
        }
        self.series.observe(self.cell, self.status, self.began.elapsed().as_secs_f64());
    }
}

fn names(cell: usize) -> (&'static str, &'static str) {
    let route = ROUTES.get(cell / METHODS.len()).copied().unwrap_or(OTHER);
    (route, METHODS.get(cell % METHODS.len()).copied().unwrap_or("_OTHER"))
}

fn route_of(path: &str) -> usize {
    let path = match path.strip_prefix(OFREP_BULK) {
        Some("" | "/") => OFREP_BULK,
        Some(rest) if rest.starts_with('/') => OFREP_SINGLE,
        _ => path,
    };
    ROUTES.binary_search(&path).unwrap_or(ROUTES.len())
}

fn method_of(method: &Method) -> usize {
    METHODS.binary_search(&method.as_str()).unwrap_or(METHODS.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_for_the_searches() {
        assert!(ROUTES.is_sorted());
        assert!(STATUSES.is_sorted());
        assert!(METHODS.is_sorted());
    }

    #[test]
    fn a_path_of_a_client_never_becomes_a_label() {
        let name = |path: &str| names(route_of(path) * METHODS.len()).0;
        assert_eq!(name("/readyz"), "/readyz");
        assert_eq!(name("/ofrep/v1/evaluate/flags/"), OFREP_BULK);
        assert_eq!(name("/ofrep/v1/evaluate/flags/a%20b"), OFREP_SINGLE);
        assert_eq!(name("/ofrep/v1/evaluate/flagsx"), OTHER);
        assert_eq!(name("/%00"), OTHER);
    }

    #[test]
    fn counts_a_request_and_forgets_none() {
        let registry = Registry::new();
        let series = RequestSeries::new(&registry).unwrap();
        series.start(&Method::GET, "/readyz").answered(StatusCode::PRECONDITION_FAILED);
        drop(series.start(&Method::PATCH, "/nowhere"));
        let pending = series.start(&Method::POST, OFREP_BULK);
        let scrape = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "http_server_request_duration_seconds_count{http_request_method=\"GET\",\
             http_response_status_code=\"412\",http_route=\"/readyz\",url_scheme=\"http\"} 1",
            "http_server_request_duration_seconds_count{http_request_method=\"_OTHER\",\
             http_response_status_code=\"0\",http_route=\"_other\",url_scheme=\"http\"} 1",
            "http_server_active_requests{http_request_method=\"POST\",\
             http_route=\"/ofrep/v1/evaluate/flags\",url_scheme=\"http\"} 1",
            "http_server_active_requests{http_request_method=\"GET\",http_route=\"/readyz\",\
             url_scheme=\"http\"} 0",
        ] {
            assert!(scrape.contains(line), "{line} is missing in:\n{scrape}");
        }
        drop(pending);
    }
}
