//! One accepted socket, TCP or Unix, that counts what it has read.
//!
//! hyper waits without limit for the bytes that tell HTTP/1.1 from HTTP/2. The count lets the server
//! end a connection that never sends them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::Listener;
use super::authority::AuthorityFilter;

/// The length of HTTP/2's client preface: with so many bytes the protocol is known.
const PREFACE_BYTES: usize = 24;

/// An accepted socket.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    read: Arc<AtomicUsize>,
    /// Only for Unix sockets, whose clients may name a path as the authority.
    authorities: Option<AuthorityFilter>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Tells whether a connection's protocol is known yet.
#[derive(Debug)]
pub(crate) struct Preface(Arc<AtomicUsize>);

impl Preface {
    /// Whether enough has arrived.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= PREFACE_BYTES
    }
}

impl Listener {
    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<Connection> {
        let (socket, authorities) = match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Answers are small and awaited: waiting to fill a packet only delays them.
                stream.set_nodelay(true)?;
                (Socket::Tcp(stream), None)
            }
            Self::Unix(listener) => {
                (Socket::Unix(listener.accept().await?.0), Some(AuthorityFilter::default()))
            }
        };
        Ok(Connection { socket, read: Arc::default(), authorities })
    }
}

impl Connection {
    /// A witness of what this connection reads.
    pub(crate) fn preface(&self) -> Preface {
        Preface(Arc::clone(&self.read))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        let Some(arrived) = buffer.filled_mut().get_mut(before..) else { return polled };
        if let Some(authorities) = &mut self.authorities {
            authorities.pass(arrived);
        }
        let read = self.read.load(Ordering::Relaxed);
        if read < PREFACE_BYTES {
            self.read.store(read.saturating_add(arrived.len()), Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Socket::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
