//! What gRPC, gRPC-Web and Connect do differently: content types, framing, and wording an error.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use outrigger_flags::json;
use tonic::Status;

use super::events::Event;
use super::framing::{self, EventBody};
use crate::transport::body::{Body, full};
use crate::transport::failure::{Failure, connect};
use crate::transport::stream::Messages;

/// What this listener understands, for `Accept-Post`.
pub(super) const ACCEPTED: &str = "application/grpc, application/grpc+proto, \
    application/grpc-web, application/grpc-web+proto, application/json, application/proto, \
    application/connect+json, application/connect+proto";

/// How messages are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Length-prefixed messages, the status in HTTP trailers.
    Grpc,
    /// Length-prefixed messages, the status in a last frame of the body.
    GrpcWeb,
    /// The body is the message, the status is HTTP's.
    ConnectUnary,
    /// Length-prefixed messages, the status in a last JSON frame.
    ConnectStream,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// Protocol buffers.
    Proto,
    /// Protocol buffers' JSON form.
    Json,
}

/// The protocol of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Protocol {
    pub(super) framing: Framing,
    pub(super) codec: Codec,
}

impl Protocol {
    /// The protocol that a request's content type names.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        // Nearly every client writes it in lower case; only for the others is it copied.
        Self::named(essence).or_else(|| Self::named(&essence.to_ascii_lowercase()))
    }

    fn named(essence: &str) -> Option<Self> {
        let (framing, codec) = match essence {
            "application/grpc" | "application/grpc+proto" => (Framing::Grpc, Codec::Proto),
            "application/grpc+json" => (Framing::Grpc, Codec::Json),
            "application/grpc-web" | "application/grpc-web+proto" => {
                (Framing::GrpcWeb, Codec::Proto)
            }
            "application/grpc-web+json" => (Framing::GrpcWeb, Codec::Json),
            "application/proto" => (Framing::ConnectUnary, Codec::Proto),
            "application/json" => (Framing::ConnectUnary, Codec::Json),
            "application/connect+proto" => (Framing::ConnectStream, Codec::Proto),
            "application/connect+json" => (Framing::ConnectStream, Codec::Json),
            _ => return None,
        };
        Some(Self { framing, codec })
    }

    pub(super) fn is_connect(self) -> bool {
        matches!(self.framing, Framing::ConnectUnary | Framing::ConnectStream)
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match (self.framing, self.codec) {
            (Framing::Grpc, Codec::Proto) => "application/grpc",
            (Framing::Grpc, Codec::Json) => "application/grpc+json",
            (Framing::GrpcWeb, Codec::Proto) => "application/grpc-web+proto",
            (Framing::GrpcWeb, Codec::Json) => "application/grpc-web+json",
            (Framing::ConnectUnary, Codec::Proto) => "application/proto",
            (Framing::ConnectUnary, Codec::Json) => "application/json",
            (Framing::ConnectStream, Codec::Proto) => "application/connect+proto",
            (Framing::ConnectStream, Codec::Json) => "application/connect+json",
        })
    }

    /// The one message of a request's body.
    pub(super) fn message(self, body: Bytes) -> Result<Bytes, Failure> {
        match self.framing {
            Framing::ConnectUnary => Ok(body),
            _ => framing::only_message(body),
        }
    }

    /// An answer with one message.
    pub(super) fn respond(self, message: &[u8]) -> Response<Body> {
        let body = match self.framing {
            Framing::ConnectUnary => full(Bytes::copy_from_slice(message)),
            Framing::Grpc => {
                let framed = Full::new(self.framed(message));
                Body::new(framed.with_trailers(std::future::ready(Some(Ok(ok_trailers())))))
            }
            Framing::GrpcWeb | Framing::ConnectStream => {
                let mut framed = BytesMut::from(self.framed(message));
                framed.put(self.last_frame(None));
                full(framed.freeze())
            }
        };
        self.answer(StatusCode::OK, body)
    }

    /// An answer with a message for every event.
    pub(super) fn stream(self, events: Messages<Event>) -> Response<Body> {
        self.answer(StatusCode::OK, Body::new(EventBody::new(self, events)))
    }

    /// An answer that says what went wrong.
    pub(super) fn refuse(self, failure: &Failure) -> Response<Body> {
        match self.framing {
            Framing::ConnectUnary => connect_refusal(failure, failure.connect_http()),
            Framing::ConnectStream => {
                self.answer(StatusCode::OK, full(self.last_frame(Some(failure))))
            }
            Framing::Grpc | Framing::GrpcWeb => {
                let mut response = self.answer(StatusCode::OK, Body::empty());
                response.headers_mut().extend(trailers(&failure.status()));
                response
            }
        }
    }

    /// A message with its prefix: no compression, and the length.
    pub(super) fn framed(self, message: &[u8]) -> Bytes {
        framing::frame(framing::MESSAGE, message)
    }

    /// The frame that ends a stream without HTTP trailers.
    pub(super) fn last_frame(self, failure: Option<&Failure>) -> Bytes {
        if self.framing == Framing::ConnectStream {
            let text = match failure {
                None => "{}".to_owned(),
                Some(failure) => format!("{{\"error\":{}}}", connect_error(failure)),
            };
            return framing::frame(framing::CONNECT_END, text.as_bytes());
        }
        let mut text = Vec::new();
        for (name, value) in &failure.map_or_else(ok_trailers, |f| trailers(&f.status())) {
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b":");
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        framing::frame(framing::GRPC_WEB_TRAILERS, &text)
    }

    fn answer(self, status: StatusCode, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, self.content_type());
        if self.framing == Framing::Grpc {
            let identity = HeaderValue::from_static("identity");
            response.headers_mut().insert("grpc-accept-encoding", identity);
        }
        response
    }
}

/// Trailers that say that all went well.
pub(super) fn ok_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers
}

/// Trailers of a status.
pub(super) fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from_static("13"));
    }
    trailers
}

/// An error in Connect's unary form.
pub(super) fn connect_refusal(failure: &Failure, status: StatusCode) -> Response<Body> {
    let mut response = Response::new(full(connect_error(failure)));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn connect_error(failure: &Failure) -> String {
    let mut text = String::from("{\"code\":");
    json::quote(connect(failure.code()).0, &mut text);
    text.push_str(",\"message\":");
    json::quote(&failure.message(), &mut text);
    text.push('}');
    text
}
