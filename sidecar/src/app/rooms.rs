//! The listeners at work: one task each, all of them ended together.

use std::future::Future;
use std::io;
use std::sync::Arc;

use outrigger_flags::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::StartError;
use super::bind::EvaluationListeners;
use super::flags::Flags;
use crate::config::{Config, Dialect};
use crate::evaluation::{Enrichment, Evaluation};
use crate::runtime::{Clock, Readiness, Shutdown, Status};
use crate::telemetry::metrics::Metrics;
use crate::transport::BrowserPolicy;
use crate::transport::Listener;
use crate::transport::limits::ServerLimits;
use crate::transport::management::{self, ManagementSettings};
use crate::transport::ofrep::{self, OfrepSettings};
use crate::transport::rpc::{self, RpcSettings};
use crate::transport::sync::{self, SyncSettings};

/// What an HTTP/1.1 request to a loopback listener may call it. Any other name means that a page on
/// the web had its own name resolved to this host.
const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The tasks behind the listeners.
pub(super) struct Rooms<'a> {
    config: &'a Config,
    workers: &'a Handle,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    shutdown: Shutdown,
    tasks: JoinSet<(&'static str, io::Result<()>)>,
}

impl<'a> Rooms<'a> {
    pub(super) fn new(
        config: &'a Config,
        workers: &'a Handle,
        metrics: Arc<Metrics>,
        readiness: Readiness,
        shutdown: Shutdown,
    ) -> Self {
        Self { config, workers, metrics, readiness, shutdown, tasks: JoinSet::new() }
    }

    /// Serves health and metrics, on the current runtime.
    pub(super) fn open_management(&mut self, listener: Listener, status: watch::Receiver<Status>) {
        let settings = ManagementSettings { limits: self.limits(), browsers: self.browsers() };
        let (readiness, metrics) = (self.readiness.clone(), Arc::clone(&self.metrics));
        let shutdown = self.shutdown.clone();
        let serving = management::serve(listener, settings, readiness, status, metrics, shutdown);
        self.tasks.spawn(named("management", serving));
    }

    /// Serves flags, on the workers.
    pub(super) fn open(&mut self, listeners: EvaluationListeners, flags: &Flags) {
        let evaluation = Evaluation::new(
            flags.reader(),
            flags.announcements(),
            Clock,
            enrichment(self.config),
            Arc::clone(&self.metrics),
        );
        let stream_deadline = self.config.stream_deadline;
        let settings =
            RpcSettings { limits: self.limits(), browsers: self.browsers(), stream_deadline };
        let shutdown = self.shutdown.clone();
        self.spawn("rpc", rpc::serve(listeners.rpc, settings, evaluation.clone(), shutdown));

        let metadata_endpoint = self.config.sync_metadata;
        let settings = SyncSettings { limits: self.limits(), stream_deadline, metadata_endpoint };
        let shutdown = self.shutdown.clone();
        self.spawn("sync", sync::serve(listeners.sync, settings, evaluation.clone(), shutdown));

        let settings = OfrepSettings { limits: self.limits(), browsers: self.browsers() };
        let shutdown = self.shutdown.clone();
        self.spawn("ofrep", ofrep::serve(listeners.ofrep, settings, evaluation, shutdown));
    }

    fn spawn(
        &mut self,
        room: &'static str,
        serving: impl Future<Output = io::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn_on(named(room, serving), self.workers);
    }

    /// Waits for a listener that ends by itself, which none should.
    pub(super) async fn ended(&mut self) -> StartError {
        let (room, reason) = match self.tasks.join_next().await {
            Some(Ok((room, Ok(())))) => (room, "without a reason".to_owned()),
            Some(Ok((room, Err(error)))) => (room, error.to_string()),
            Some(Err(panic)) => ("unknown", panic.to_string()),
            None => ("last", "without a reason".to_owned()),
        };
        StartError::RoomEnded { room, reason }
    }

    /// Waits until every listener has drained.
    pub(super) async fn all_ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    fn limits(&self) -> ServerLimits {
        let mut limits = match self.config.dialect {
            Dialect::Own => ServerLimits::default(),
            Dialect::Flagd => ServerLimits::flagd(),
        };
        let request = self.config.request;
        limits.body_bytes = request.body_bytes.unwrap_or(limits.body_bytes);
        limits.header_list_bytes = request.header_bytes.unwrap_or(limits.header_list_bytes);
        limits
    }

    fn browsers(&self) -> BrowserPolicy {
        let hosts = match self.config.dialect {
            Dialect::Own => LOOPBACK_HOSTS.map(str::to_owned).to_vec(),
            // A flagd is reached under any name.
            Dialect::Flagd => Vec::new(),
        };
        BrowserPolicy { cors_origins: self.config.cors_origins.clone(), hosts }
    }
}

async fn named(
    room: &'static str,
    serving: impl Future<Output = io::Result<()>>,
) -> (&'static str, io::Result<()>) {
    (room, serving.await)
}

fn enrichment(config: &Config) -> Enrichment {
    let value = |(key, text): &(String, String)| (key.clone(), Value::from(text.as_str()));
    Enrichment {
        values: config.context_values.iter().map(value).collect(),
        headers: config.context_headers.clone(),
    }
}
