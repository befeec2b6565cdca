//! A small HTTP/2 client: whole requests of any content, whole answers with their trailers.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http1::DEADLINE;

/// A connection; cheap to clone, and every clone may have requests under way.
#[derive(Debug, Clone)]
pub struct Connection(SendRequest<Full<Bytes>>);

/// A response.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers and, after them, the trailers.
    pub headers: HeaderMap,
    /// The body; of a stream what came first.
    pub body: Bytes,
}

impl Answer {
    /// A header or trailer as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The gRPC status, wherever it stands.
    pub fn grpc_status(&self) -> Option<u32> {
        self.header("grpc-status")?.parse().ok()
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub async fn open(address: SocketAddr) -> Result<Self, String> {
        let socket = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        socket.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(socket))
            .await
            .map_err(|error| error.to_string())?;
        // It ends with the last clone of the sender; an error shows in the request it hits.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// One exchange. Of a stream that goes on, what comes within `stream_for` is the answer; the
    /// stream is then reset.
    ///
    /// # Errors
    /// If the answer is late, cut off, or the stream is reset.
    pub async fn exchange(
        &mut self,
        request: Request<Bytes>,
        stream_for: Duration,
    ) -> Result<Answer, String> {
        match timeout(DEADLINE, self.answer(request, stream_for)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {DEADLINE:?}")),
        }
    }

    async fn answer(
        &mut self,
        request: Request<Bytes>,
        stream_for: Duration,
    ) -> Result<Answer, String> {
        self.0.ready().await.map_err(describe)?;
        let response = self.0.send_request(request.map(Full::new)).await.map_err(describe)?;
        let (head, mut body) = response.into_parts();
        let mut answer =
            Answer { status: head.status.as_u16(), headers: head.headers, body: Bytes::new() };
        let mut whole = Vec::new();
        loop {
            // The first frame is waited for as long as any answer.
            let wait = if whole.is_empty() { DEADLINE } else { stream_for };
            match timeout(wait, body.frame()).await {
                Err(_) | Ok(None) => break,
                Ok(Some(Err(error))) => return Err(describe(error)),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => whole.extend_from_slice(&data),
                    Err(frame) => answer.headers.extend(frame.into_trailers().unwrap_or_default()),
                },
            }
        }
        answer.body = whole.into();
        Ok(answer)
    }
}

fn describe(error: hyper::Error) -> String {
    use std::error::Error;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// A POST to this path.
///
/// # Panics
/// If the path or a header is not even HTTP.
pub fn post(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Request<Bytes> {
    let mut request = Request::post(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).expect("a request")
}

/// A gRPC message with its prefix.
///
/// # Panics
/// If it is longer than four gigabytes.
pub fn grpc_message(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message");
    [&[0][..], &length.to_be_bytes(), message].concat()
}
