//! Bodies: the one response type, and reading a request's body within its limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::failure::Failure;
use super::limits::ServerLimits;

/// The body of every response.
pub(crate) type Body = tonic::body::Body;

/// What is read and thrown away of a body over the limit, as a multiple of the limit. A client that
/// is still sending when the connection closes gets a reset instead of the answer.
const DISCARD_FACTOR: usize = 16;

/// What is read and thrown away of a body that nobody wanted, bytes: as much as an HTTP/2 client
/// sends without being asked for more.
const LEFTOVER_BYTES_MAX: usize = 64 << 10;
/// How long that is waited for.
const LEFTOVER_WITHIN: Duration = Duration::from_secs(1);

/// A response body of these bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Body::new(Full::new(bytes.into()))
}

/// Refuses a compressed body: a bomb costs more than small requests save.
pub(crate) fn refuse_compressed(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => Err(Failure::Compressed),
        _ => Ok(()),
    }
}

/// The whole body of a request.
pub(crate) async fn read(body: &mut Incoming, limits: &ServerLimits) -> Result<Bytes, Failure> {
    match tokio::time::timeout(limits.body_timeout, collect(body, limits.body_bytes)).await {
        Ok(result) => result,
        Err(_) => Err(Failure::BodyTimeout(limits.body_timeout)),
    }
}

async fn collect(body: &mut Incoming, bytes_max: usize) -> Result<Bytes, Failure> {
    let too_large = Failure::BodyTooLarge(bytes_max);
    let discard_max = bytes_max.saturating_mul(DISCARD_FACTOR);
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > discard_max {
        return Err(too_large);
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::BodyAborted)?;
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > discard_max {
            return Err(too_large);
        }
        match (seen > bytes_max, first.is_empty()) {
            (true, _) => {}
            // Nearly every body is one frame, and that is not copied.
            (false, true) => first = data,
            (false, false) => {
                if rest.is_empty() {
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&data);
            }
        }
    }
    match seen > bytes_max {
        true => Err(too_large),
        false if rest.is_empty() => Ok(first),
        false => Ok(rest.freeze()),
    }
}

/// Reads what is left of a body that was not wanted, within bounds.
///
/// Answering over an unread body resets the HTTP/2 stream; what is still on its way then counts as
/// the client's fault, and enough of that ends its connection. HTTP/1.1 would close at once.
pub(crate) async fn discard(body: &mut Incoming) {
    let reading = async {
        let mut seen = 0_usize;
        while seen <= LEFTOVER_BYTES_MAX {
            let Some(Ok(frame)) = body.frame().await else { return };
            seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        }
    };
    // Whoever sends more, or more slowly, has to bear the reset.
    let _ = tokio::time::timeout(LEFTOVER_WITHIN, reading).await;
}
