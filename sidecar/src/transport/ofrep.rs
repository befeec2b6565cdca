//! OFREP: evaluation as plain HTTP and JSON, one flag or all of them.
//!
//! Answers carry an entity tag over their bytes, so that a polling client pays for a change only.

mod answer;
mod etag;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use outrigger_flags::{Flag, Object, Resolution, ResolutionError, Selector, Value, json};

use super::body::{self, Body, full};
use super::boundary::{Boundary, Room};
use super::browser::BrowserPolicy;
use super::failure::Failure;
use super::limits::{REQUEST_DEPTH_MAX, ServerLimits};
use super::{Listener, header_text, server, structs};
use crate::evaluation::{Evaluation, Scope, Subject};
use crate::runtime::Shutdown;

/// Everything below this path evaluates.
const EVALUATE: &str = "/ofrep/v1/evaluate/flags";
/// What the operator decides about this listener.
#[derive(Debug, Clone, Default)]
pub struct OfrepSettings {
    /// Its limits.
    pub limits: ServerLimits,
    /// Which browsers' requests it serves.
    pub browsers: BrowserPolicy,
}

/// Serves OFREP until drained.
///
/// # Errors
/// If the listener breaks.
pub async fn serve(
    listener: Listener,
    settings: OfrepSettings,
    evaluation: Evaluation,
    shutdown: Shutdown,
) -> io::Result<()> {
    let limits = settings.limits;
    let boundary = Boundary {
        browsers: settings.browsers,
        metrics: Arc::clone(evaluation.metrics()),
        room: Ofrep { evaluation, limits: limits.clone() },
    };
    server::run("ofrep", listener, &limits, boundary, shutdown).await
}

#[derive(Debug)]
struct Ofrep {
    evaluation: Evaluation,
    limits: ServerLimits,
}

#[derive(Debug, PartialEq, Eq)]
enum Target {
    Flag(String),
    All,
}

impl Room for Ofrep {
    async fn serve(&self, head: &Parts, body: &mut Incoming) -> Result<Response<Body>, Failure> {
        let target = target(head.uri.path())?;
        if head.method != Method::POST {
            return Err(Failure::WrongMethod);
        }
        body::refuse_compressed(&head.headers)?;
        let context = context(&body::read(body, &self.limits).await?)?;
        let subject = self.evaluation.subject(context, |name| header_text(&head.headers, name))?;
        let text = match &target {
            Target::Flag(key) => self.single(key, &subject)?,
            Target::All => self.bulk(&subject).await,
        };
        Ok(respond(&head.headers, text))
    }

    fn refuse(&self, head: &Parts, failure: &Failure) -> Response<Body> {
        if *failure == Failure::UnknownRoute {
            return json_answer(
                StatusCode::NOT_FOUND,
                "{\"message\":\"no such route\"}".to_owned(),
            );
        }
        let key = match target(head.uri.path()) {
            Ok(Target::Flag(key)) => Some(key),
            _ => None,
        };
        let selector = header_text(&head.headers, crate::evaluation::SELECTOR_HEADER);
        let selector = selector.and_then(|text| Selector::parse(&text).ok()).unwrap_or_default();
        let mut text = String::new();
        answer::failure(key.as_deref(), failure, &selector, &mut text);
        let mut response = json_answer(failure.http(), text);
        if *failure == Failure::WrongMethod {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

impl Ofrep {
    fn single(&self, key: &str, subject: &Subject) -> Result<String, Failure> {
        Ok(self.evaluation.resolve(subject, key, |resolution| {
            let mut text = String::new();
            answer::success(resolution, &subject.selector, &mut text);
            Ok(text)
        })?)
    }

    async fn bulk(&self, subject: &Subject) -> String {
        let mut text = String::from("{\"flags\":[");
        let mut is_first = true;
        let write = |flag: &Flag, resolved: Result<&Resolution<'_>, &ResolutionError>| {
            if !is_first {
                text.push(',');
            }
            is_first = false;
            match resolved {
                Ok(resolution) => answer::success(resolution, &subject.selector, &mut text),
                Err(error) => answer::broken(flag, error, &subject.selector, &mut text),
            }
        };
        self.evaluation.resolve_all(subject, Scope::Flags, write).await;
        text.push_str("],\"metadata\":");
        structs::metadata_json(None, &subject.selector, &mut text);
        text.push('}');
        text
    }
}

/// What a path asks for. A key is one segment, percent-encoded.
fn target(path: &str) -> Result<Target, Failure> {
    match path.strip_prefix(EVALUATE).ok_or(Failure::UnknownRoute)? {
        "" | "/" => Ok(Target::All),
        rest => match rest.strip_prefix('/') {
            Some(segment) if !segment.contains('/') => percent_decode(segment)
                .map(Target::Flag)
                .ok_or_else(|| Failure::Malformed("the flag key is badly encoded".to_owned())),
            _ => Err(Failure::UnknownRoute),
        },
    }
}

fn percent_decode(segment: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The context of a request. An empty body is an empty context; a context that is not an object is
/// ignored, as in flagd.
pub(super) fn context(body: &Bytes) -> Result<Object, Failure> {
    if body.is_empty() {
        return Ok(Object::default());
    }
    match json::read(body, REQUEST_DEPTH_MAX) {
        Ok(Value::Object(members)) => {
            let context = members.into_iter().find(|(name, _)| **name == *"context");
            match context {
                Some((_, Value::Object(context))) => Ok(structs::object_as_if_sent(context)),
                _ => Ok(Object::default()),
            }
        }
        Ok(Value::Null) => Ok(Object::default()),
        Ok(other) => Err(Failure::Malformed(format!(
            "the request must be a JSON object and is of type {}",
            other.kind()
        ))),
        Err(error) => Err(Failure::Malformed(error.to_string())),
    }
}

/// The answer, or 304 if the client has it already.
fn respond(headers: &HeaderMap, text: String) -> Response<Body> {
    let tag = etag::of(text.as_bytes());
    let known = etag::is_listed(headers.get_all(IF_NONE_MATCH), &tag);
    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        json_answer(StatusCode::OK, text)
    };
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn json_answer(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests;
