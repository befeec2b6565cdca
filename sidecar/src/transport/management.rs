//! The management listener: liveness, readiness, metrics, and gRPC health on the same port.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower_service::Service;

use super::body::{self, Body, full};
use super::boundary::{Boundary, Room};
use super::browser::BrowserPolicy;
use super::failure::Failure;
use super::limits::ServerLimits;
use super::sync::{is_grpc, refuse_grpc};
use super::{Listener, server};
use crate::runtime::{Readiness, Shutdown, Status};
use crate::telemetry::metrics::Metrics;

/// What the operator decides about this listener.
#[derive(Debug, Clone, Default)]
pub struct ManagementSettings {
    /// Its limits.
    pub limits: ServerLimits,
    /// Which hosts' requests it serves. Origins do not count: a page that may evaluate flags has no
    /// business with the metrics.
    pub browsers: BrowserPolicy,
}

/// Serves health and metrics until drained.
///
/// # Errors
/// If the listener breaks.
pub async fn serve(
    listener: Listener,
    settings: ManagementSettings,
    readiness: Readiness,
    status: watch::Receiver<Status>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let reporter = HealthReporter::new();
    let boundary = Boundary {
        browsers: BrowserPolicy { cors_origins: Vec::new(), ..settings.browsers },
        metrics: Arc::clone(&metrics),
        room: Management {
            readiness: readiness.clone(),
            status,
            metrics,
            health: HealthServer::new(HealthService::from_health_reporter(reporter.clone())),
            shutdown: shutdown.clone(),
            limits: settings.limits.clone(),
        },
    };
    let served = server::run("management", listener, &settings.limits, boundary, shutdown.clone());
    tokio::select! {
        result = served => result,
        never = report(readiness, reporter, shutdown) => match never {},
    }
}

/// Keeps gRPC health in step with readiness.
async fn report(
    readiness: Readiness,
    mut reporter: HealthReporter,
    shutdown: Shutdown,
) -> Infallible {
    let mut ready = readiness.subscribe();
    while !shutdown.drain.is_cancelled() {
        let is_ready = *ready.borrow_and_update();
        let status = if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        reporter.set_service_status("", status).await;
        tokio::select! {
            changed = ready.changed() => if changed.is_err() { break },
            () = shutdown.drain.cancelled() => {}
        }
    }
    shutdown.drain.cancelled().await;
    reporter.set_service_status("", ServingStatus::NotServing).await;
    // A watch has no end of its own and would hold up the drain: forgetting the service ends it.
    reporter.clear_service_status("").await;
    pending().await
}

struct Management {
    readiness: Readiness,
    status: watch::Receiver<Status>,
    metrics: Arc<Metrics>,
    health: HealthServer<HealthService>,
    shutdown: Shutdown,
    limits: ServerLimits,
}

impl Room for Management {
    async fn serve(&self, head: &Parts, body: &mut Incoming) -> Result<Response<Body>, Failure> {
        if is_grpc(&head.headers) {
            return self.health(head, body).await;
        }
        let route = head.uri.path();
        if !matches!(route, "/healthz" | "/readyz" | "/metrics") {
            return Err(Failure::UnknownRoute);
        }
        if head.method != Method::GET && head.method != Method::HEAD {
            return Err(Failure::WrongMethod);
        }
        Ok(match route {
            "/metrics" => self.scrape()?,
            "/readyz" => self.readiness(),
            _ => plain(StatusCode::OK, String::new()),
        })
    }

    fn refuse(&self, head: &Parts, failure: &Failure) -> Response<Body> {
        let mut response = refuse_grpc(head, failure);
        if *failure == Failure::WrongMethod {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

impl Management {
    /// Ready to be sent requests: not while starting, and no more once draining.
    fn is_ready(&self) -> bool {
        self.readiness.get() && !self.shutdown.drain.is_cancelled()
    }

    /// For probes the status code; for people a line for each source. A stale source is not a
    /// reason to be taken out of service, so only the text says it.
    fn readiness(&self) -> Response<Body> {
        let (code, word) = match self.is_ready() {
            true => (StatusCode::OK, "ready"),
            false => (StatusCode::PRECONDITION_FAILED, "not ready"),
        };
        plain(code, format!("{word}\n{}", *self.status.borrow()))
    }

    fn scrape(&self) -> Result<Response<Body>, Failure> {
        let scrape = self.metrics.scrape().map_err(|error| {
            tracing::error!(%error, "the metrics cannot be written");
            Failure::Internal
        })?;
        let mut response = Response::new(full(scrape));
        let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, text);
        Ok(response)
    }

    async fn health(&self, head: &Parts, body: &mut Incoming) -> Result<Response<Body>, Failure> {
        if head.version < Version::HTTP_2 {
            return Err(Failure::WrongVersion);
        }
        let message = body::read(body, &self.limits).await?;
        let request = Request::from_parts(head.clone(), Full::new(message));
        match self.health.clone().call(request).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
