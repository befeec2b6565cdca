//! Length-prefixed frames, shared by gRPC, gRPC-Web and Connect's streams: a byte of flags, four
//! bytes of length, the message.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::Frame;

use super::events::Event;
use super::protocol::{Framing, Protocol, ok_trailers, trailers};
use crate::transport::failure::Failure;
use crate::transport::stream::Messages;

/// Flags of an ordinary message.
pub(super) const MESSAGE: u8 = 0;
/// Flags of the last frame of a Connect stream.
pub(super) const CONNECT_END: u8 = 0b0000_0010;
/// Flags of gRPC-Web's trailers.
pub(super) const GRPC_WEB_TRAILERS: u8 = 0b1000_0000;
const COMPRESSED: u8 = 0b0000_0001;
const PREFIX_BYTES: usize = 5;

/// A frame. Messages are bounded far below four gigabytes by the flag engine's limits.
pub(super) fn frame(flags: u8, message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(flags);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// The one message of a request.
pub(super) fn only_message(mut body: Bytes) -> Result<Bytes, Failure> {
    if body.len() < PREFIX_BYTES {
        return Err(Failure::Malformed("the request holds no message".to_owned()));
    }
    let flags = body.get_u8();
    let length = usize::try_from(body.get_u32()).unwrap_or(usize::MAX);
    if flags & COMPRESSED != 0 {
        return Err(Failure::Compressed);
    }
    if flags != MESSAGE {
        return Err(Failure::Malformed(format!("a message has unknown flags {flags:#04x}")));
    }
    if body.len() != length {
        return Err(Failure::Malformed(format!(
            "the request announces one message of {length} bytes and holds {}",
            body.len()
        )));
    }
    Ok(body)
}

/// A response body with a frame for every event.
#[derive(Debug)]
pub(super) struct EventBody {
    protocol: Protocol,
    events: Messages<Event>,
    is_over: bool,
}

impl EventBody {
    pub(super) fn new(protocol: Protocol, events: Messages<Event>) -> Self {
        Self { protocol, events, is_over: false }
    }

    fn last(&mut self, failure: Option<&Failure>) -> Frame<Bytes> {
        self.is_over = true;
        match self.protocol.framing {
            Framing::Grpc => {
                Frame::trailers(failure.map_or_else(ok_trailers, |f| trailers(&f.status())))
            }
            _ => Frame::data(self.protocol.last_frame(failure)),
        }
    }
}

impl http_body::Body for EventBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let frame = match ready!(self.events.poll_recv(cx)) {
            Some(Ok(event)) => {
                Frame::data(self.protocol.framed(&event.encode(self.protocol.codec)))
            }
            Some(Err(failure)) => self.last(Some(&failure)),
            None => self.last(None),
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_exactly_one_whole_message() {
        let whole = frame(MESSAGE, b"abc");
        assert_eq!(only_message(whole.clone()).unwrap(), "abc");
        assert_eq!(only_message(frame(MESSAGE, b"")).unwrap(), "");
        for cut in 0..whole.len() {
            assert!(only_message(whole.slice(..cut)).is_err(), "cut at {cut}");
        }
        let twice = [whole.clone(), whole].concat();
        assert!(matches!(only_message(twice.into()), Err(Failure::Malformed(_))));
        assert_eq!(only_message(frame(COMPRESSED, b"abc")), Err(Failure::Compressed));
        assert!(matches!(only_message(frame(0x40, b"")), Err(Failure::Malformed(_))));
        let lie = Bytes::from_static(b"\x00\xff\xff\xff\xffabc");
        assert!(matches!(only_message(lie), Err(Failure::Malformed(_))));
    }
}
