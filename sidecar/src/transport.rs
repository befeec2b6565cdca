//! The listeners: bytes in, evaluation, bytes out.
//!
//! One connection loop ([`server`]) and one request boundary ([`boundary`]) serve every listener, so
//! a limit or a check exists once. The rooms below it differ in their protocols alone: [`rpc`]
//! (gRPC, gRPC-Web and Connect), [`sync`], [`ofrep`] and [`management`]. Wire types stop here.

mod authority;
mod body;
mod boundary;
mod browser;
mod connection;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod limits;
pub mod management;
pub mod ofrep;
pub mod rpc;
mod server;
mod stream;
mod structs;
pub mod sync;
#[cfg(test)]
pub(crate) mod testing;

use std::borrow::Cow;

use http::HeaderMap;
use tokio::net::{TcpListener, UnixListener};

pub use browser::BrowserPolicy;

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

/// The first value of a header, as text.
fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<Cow<'h, str>> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
}
