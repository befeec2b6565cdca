//! Evaluation over RPC: `flagd.evaluation.v1` and `.v2`, each in gRPC, gRPC-Web and Connect.
//!
//! The four protocols differ in framing and in the words of an error, so there is one dispatcher and
//! [`protocol`] knows the differences. Answers are encoded while they borrow the snapshot.

mod all;
mod answer;
mod events;
mod framing;
mod protocol;
mod request;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, Version};
use hyper::body::Incoming;
use outrigger_flags::Object;

use self::answer::{Answer, Generation, Kind};
use self::protocol::{Framing, Protocol};
use super::body::{self, Body};
use super::boundary::{Boundary, Room};
use super::browser::BrowserPolicy;
use super::failure::Failure;
use super::limits::ServerLimits;
use super::stream::Streams;
use super::{Listener, header_text, server};
use crate::evaluation::{Evaluation, Subject};
use crate::runtime::Shutdown;
use crate::telemetry::metrics::StreamKind;

/// What the operator decides about this listener.
#[derive(Debug, Clone, Default)]
pub struct RpcSettings {
    /// Its limits.
    pub limits: ServerLimits,
    /// Which browsers' requests it serves.
    pub browsers: BrowserPolicy,
    /// How long an event stream may live; `None` is for ever.
    pub stream_deadline: Option<Duration>,
}

/// Serves the evaluation services until drained.
///
/// # Errors
/// If the listener breaks.
pub async fn serve(
    listener: Listener,
    settings: RpcSettings,
    evaluation: Evaluation,
    shutdown: Shutdown,
) -> io::Result<()> {
    let RpcSettings { limits, browsers, stream_deadline } = settings;
    let metrics = Arc::clone(evaluation.metrics());
    let streams = Streams::new(
        StreamKind::Event,
        limits.clone(),
        stream_deadline,
        shutdown.drain.clone(),
        Arc::clone(&metrics),
    );
    let room = Rpc { evaluation, limits: limits.clone(), streams };
    let boundary = Boundary { room, browsers, metrics };
    server::run("rpc", listener, &limits, boundary, shutdown).await
}

#[derive(Debug)]
struct Rpc {
    evaluation: Evaluation,
    limits: ServerLimits,
    streams: Streams,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Procedure {
    Resolve(Kind),
    ResolveAll,
    EventStream,
}

impl Room for Rpc {
    async fn serve(&self, head: &Parts, body: &mut Incoming) -> Result<Response<Body>, Failure> {
        let (generation, procedure) = route(head.uri.path()).ok_or(Failure::UnknownRoute)?;
        let protocol = admit(head, procedure)?;
        let message = protocol.message(body::read(body, &self.limits).await?)?;
        match procedure {
            Procedure::Resolve(kind) => {
                let request = protocol.codec.resolve_request(&message)?;
                let subject = self.subject(request.context, &head.headers)?;
                self.resolve(protocol, generation, kind, &request.flag_key, &subject)
            }
            Procedure::ResolveAll => {
                let context = protocol.codec.resolve_all_request(&message)?;
                let subject = self.subject(context, &head.headers)?;
                let answer = all::resolve(&self.evaluation, &subject, protocol.codec).await;
                Ok(protocol.respond(&answer))
            }
            Procedure::EventStream => self.follow(protocol, &message, &head.headers),
        }
    }

    fn refuse(&self, head: &Parts, failure: &Failure) -> Response<Body> {
        let before_protocol = matches!(
            failure,
            Failure::Forbidden(_)
                | Failure::WrongMethod
                | Failure::WrongMedia
                | Failure::WrongVersion
        );
        match Protocol::of(&head.headers) {
            Some(protocol) if !before_protocol => protocol.refuse(failure),
            _ => refuse_plainly(failure),
        }
    }
}

impl Rpc {
    fn subject(&self, context: Object, headers: &HeaderMap) -> Result<Subject, Failure> {
        Ok(self.evaluation.subject(context, |name| header_text(headers, name))?)
    }

    fn resolve(
        &self,
        protocol: Protocol,
        generation: Generation,
        kind: Kind,
        key: &str,
        subject: &Subject,
    ) -> Result<Response<Body>, Failure> {
        let encoded = self.evaluation.resolve(subject, key, |resolution| {
            let answer = Answer::of(generation, kind, resolution, &subject.selector)?;
            Ok(answer.encode(protocol.codec))
        })?;
        Ok(protocol.respond(&encoded))
    }

    fn follow(
        &self,
        protocol: Protocol,
        message: &Bytes,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, Failure> {
        protocol.codec.event_stream_request(message)?;
        let selector = crate::evaluation::selector(|name| header_text(headers, name), "")?;
        let events = events::start(&self.streams, self.evaluation.subscribe(selector))?;
        Ok(protocol.stream(events))
    }
}

/// Whether the request may call the procedure, and in which protocol it does.
fn admit(head: &Parts, procedure: Procedure) -> Result<Protocol, Failure> {
    if head.method != Method::POST {
        return Err(Failure::WrongMethod);
    }
    let protocol = Protocol::of(&head.headers).ok_or(Failure::WrongMedia)?;
    let streams = procedure == Procedure::EventStream;
    match protocol.framing {
        Framing::Grpc if head.version < Version::HTTP_2 => return Err(Failure::WrongVersion),
        Framing::ConnectUnary if streams => return Err(Failure::WrongMedia),
        Framing::ConnectStream if !streams => return Err(Failure::WrongMedia),
        _ => {}
    }
    body::refuse_compressed(&head.headers)?;
    match head.headers.get("connect-protocol-version") {
        Some(version) if version != "1" && protocol.is_connect() => {
            Err(Failure::Malformed("connect-protocol-version must be 1".to_owned()))
        }
        _ => Ok(protocol),
    }
}

fn route(path: &str) -> Option<(Generation, Procedure)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let generation = match service {
        "flagd.evaluation.v1.Service" => Generation::V1,
        "flagd.evaluation.v2.Service" => Generation::V2,
        _ => return None,
    };
    let procedure = match method {
        "ResolveBoolean" => Procedure::Resolve(Kind::Boolean),
        "ResolveString" => Procedure::Resolve(Kind::String),
        "ResolveFloat" => Procedure::Resolve(Kind::Float),
        "ResolveInt" => Procedure::Resolve(Kind::Int),
        "ResolveObject" => Procedure::Resolve(Kind::Object),
        "EventStream" => Procedure::EventStream,
        "ResolveAll" if generation == Generation::V1 => Procedure::ResolveAll,
        _ => return None,
    };
    Some((generation, procedure))
}

/// An answer to a request that speaks none of the protocols, or may not.
fn refuse_plainly(failure: &Failure) -> Response<Body> {
    let mut response = protocol::connect_refusal(failure, failure.http());
    let headers = response.headers_mut();
    match failure {
        Failure::WrongMethod => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        Failure::WrongMedia => {
            headers.insert("accept-post", HeaderValue::from_static(protocol::ACCEPTED));
        }
        _ => {}
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Reads a message as every kind of request, for the fuzzer.
#[cfg(fuzzing)]
pub(super) fn read_as_anything(message: &Bytes) {
    for codec in [protocol::Codec::Proto, protocol::Codec::Json] {
        let _ = codec.resolve_request(message);
        let _ = codec.resolve_all_request(message);
        let _ = codec.event_stream_request(message);
    }
    let _ = framing::only_message(message.clone());
}

#[cfg(test)]
mod tests;
