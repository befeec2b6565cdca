//! `flagd.sync.v1`: whole definitions, for clients that evaluate in their own process.
//!
//! A client gets the selected flags at once and again after every change of one of them. The payload
//! must be strict flagd: some clients refuse all of it for one member that they do not know.

mod payload;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use outrigger_flags::Selector;
use outrigger_proto::flagd::sync::v1::flag_sync_service_server::{
    FlagSyncService, FlagSyncServiceServer,
};
use outrigger_proto::flagd::sync::v1::{
    FetchAllFlagsRequest, FetchAllFlagsResponse, GetMetadataRequest, GetMetadataResponse,
    SyncFlagsRequest, SyncFlagsResponse,
};
use prost_types::Struct;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;
use tower_service::Service;

use self::payload::Payloads;
use super::body::{self, Body, full};
use super::boundary::{Boundary, Room};
use super::browser::BrowserPolicy;
use super::failure::Failure;
use super::limits::ServerLimits;
use super::stream::{Feed, Streams, Wake};
use super::{Listener, header_text, server, structs};
use crate::evaluation::{self, Evaluation};
use crate::runtime::Shutdown;
use crate::telemetry::metrics::{Limit, StreamKind};

/// What the operator decides about this listener.
#[derive(Debug, Clone)]
pub struct SyncSettings {
    /// Its limits.
    pub limits: ServerLimits,
    /// How long a stream may live; `None` is for ever.
    pub stream_deadline: Option<Duration>,
    /// Whether the deprecated `GetMetadata` answers.
    pub metadata_endpoint: bool,
}

impl Default for SyncSettings {
    fn default() -> Self {
        Self { limits: ServerLimits::default(), stream_deadline: None, metadata_endpoint: true }
    }
}

/// Serves the sync service until drained.
///
/// # Errors
/// If the listener breaks.
pub async fn serve(
    listener: Listener,
    settings: SyncSettings,
    evaluation: Evaluation,
    shutdown: Shutdown,
) -> io::Result<()> {
    let SyncSettings { limits, stream_deadline, metadata_endpoint } = settings;
    let metrics = Arc::clone(evaluation.metrics());
    let streams = Streams::new(
        StreamKind::Sync,
        limits.clone(),
        stream_deadline,
        shutdown.drain.clone(),
        Arc::clone(&metrics),
    );
    let flags = Flags { evaluation, metadata_endpoint, streams, payloads: Arc::default() };
    let room = Sync { limits: limits.clone(), service: FlagSyncServiceServer::new(flags) };
    // Browsers speak no h2c, so there is nothing to allow.
    let boundary = Boundary { room, browsers: BrowserPolicy::default(), metrics };
    server::run("sync", listener, &limits, boundary, shutdown).await
}

#[derive(Debug)]
struct Sync {
    limits: ServerLimits,
    service: FlagSyncServiceServer<Flags>,
}

impl Room for Sync {
    async fn serve(&self, head: &Parts, body: &mut Incoming) -> Result<Response<Body>, Failure> {
        match (is_grpc(&head.headers), head.version < Version::HTTP_2) {
            (true, true) => return Err(Failure::WrongVersion),
            (true, false) => {}
            (false, _) if head.method == Method::POST => return Err(Failure::WrongMedia),
            (false, _) => return Err(Failure::UnknownRoute),
        }
        let message = body::read(body, &self.limits).await?;
        let request = Request::from_parts(head.clone(), Full::new(message));
        match self.service.clone().call(request).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }

    fn refuse(&self, head: &Parts, failure: &Failure) -> Response<Body> {
        refuse_grpc(head, failure)
    }
}

/// Whether a request's content type is gRPC's.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(http::header::CONTENT_TYPE).is_some_and(|content_type| {
        let rest = content_type.as_bytes().strip_prefix(b"application/grpc");
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

/// A failure on a listener that speaks gRPC, or plain HTTP to those who do not.
pub(super) fn refuse_grpc(head: &Parts, failure: &Failure) -> Response<Body> {
    if is_grpc(&head.headers) && head.version >= Version::HTTP_2 {
        return failure.status().into_http();
    }
    let text = match failure {
        Failure::UnknownRoute => "there is nothing at this path".to_owned(),
        _ => failure.message(),
    };
    let mut response = Response::new(full(text));
    *response.status_mut() = failure.http();
    response
}

#[derive(Debug)]
struct Flags {
    evaluation: Evaluation,
    metadata_endpoint: bool,
    streams: Streams,
    payloads: Arc<Payloads>,
}

type SyncStream = Box<dyn Stream<Item = Result<SyncFlagsResponse, Status>> + Send + Unpin>;

#[tonic::async_trait]
impl FlagSyncService for Flags {
    type SyncFlagsStream = SyncStream;

    async fn sync_flags(
        &self,
        request: tonic::Request<SyncFlagsRequest>,
    ) -> Result<tonic::Response<SyncStream>, Status> {
        let selector = selector(request.metadata().as_ref(), &request.get_ref().selector)?;
        let metrics = Arc::clone(self.evaluation.metrics());
        let subscription = self.evaluation.subscribe(selector);
        let (feed, messages) = self.streams.open(subscription).map_err(|failure| {
            metrics.limited(Limit::Subscribers);
            failure.status()
        })?;
        let (payloads, context) = (Arc::clone(&self.payloads), self.static_context());
        tokio::spawn(async move {
            let began = Instant::now();
            run(feed, &payloads, context).await;
            metrics.sync_stream_ended(began.elapsed());
        });
        let stream = ReceiverStream::new(messages)
            .map(|message| message.map_err(|failure| failure.status()));
        Ok(tonic::Response::new(Box::new(stream)))
    }

    async fn fetch_all_flags(
        &self,
        request: tonic::Request<FetchAllFlagsRequest>,
    ) -> Result<tonic::Response<FetchAllFlagsResponse>, Status> {
        let selector = selector(request.metadata().as_ref(), &request.get_ref().selector)?;
        let subscription = self.evaluation.subscribe(selector);
        let flag_configuration = self.payloads.of(&subscription).await.to_string();
        Ok(tonic::Response::new(FetchAllFlagsResponse { flag_configuration }))
    }

    async fn get_metadata(
        &self,
        _: tonic::Request<GetMetadataRequest>,
    ) -> Result<tonic::Response<GetMetadataResponse>, Status> {
        if !self.metadata_endpoint {
            return Err(Failure::TurnedOff("metadata").status());
        }
        let metadata = Some(self.static_context());
        Ok(tonic::Response::new(GetMetadataResponse { metadata }))
    }
}

impl Flags {
    fn static_context(&self) -> Struct {
        let values = self.evaluation.static_context();
        structs::write(values.iter().map(|(name, value)| (name.as_str(), value)))
    }
}

fn selector(headers: &HeaderMap, in_body: &str) -> Result<Selector, Status> {
    evaluation::selector(|name| header_text(headers, name), in_body)
        .map_err(|error| Failure::from(error).status())
}

async fn run(mut feed: Feed<SyncFlagsResponse>, payloads: &Payloads, context: Struct) {
    loop {
        let payload = payloads.of(feed.subscription()).await;
        let message = SyncFlagsResponse {
            flag_configuration: payload.to_string(),
            sync_context: Some(context.clone()),
        };
        if !feed.send(message).await {
            return;
        }
        loop {
            match feed.wake().await {
                Wake::Changed(_) => break,
                // HTTP/2's keep-alive shows that the server is there; the protocol has no word for it.
                Wake::Silence => {}
                Wake::Drain => return feed.end(None, Some(Failure::Draining)).await,
                Wake::Deadline => return feed.end(None, Some(Failure::StreamDeadline)).await,
                Wake::Gone => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
