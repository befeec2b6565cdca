//! Every limit of a listener, in one place, with its unit and its reason.

use std::time::Duration;

use outrigger_flags::limits::CONTEXT_DEPTH_MAX;

/// Deepest nesting of a JSON request: a context, in its envelope.
pub(super) const REQUEST_DEPTH_MAX: usize = CONTEXT_DEPTH_MAX + 1;

/// What one listener bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLimits {
    /// Largest request body, bytes. A context is a few hundred bytes; 256 KiB is generous.
    pub body_bytes: usize,
    /// Largest list of request headers, bytes, as HTTP/2 counts it. HTTP/1.1 rounds it up to 8 KiB.
    pub header_list_bytes: u32,
    /// How long a client may take to send a request's head. An HTTP/1.1 connection may also idle no
    /// longer than this: a slow-loris cannot be told from an idle client.
    pub header_read_timeout: Duration,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// Streams at the same time on one HTTP/2 connection.
    pub concurrent_streams: u32,
    /// Connections at the same time on this listener; one above is closed at once and counted.
    pub connections: usize,
    /// How often an HTTP/2 client is asked whether it is still there.
    pub keep_alive_interval: Duration,
    /// How long it may take to answer that.
    pub keep_alive_timeout: Duration,
    /// Streams that the server may reset for protocol errors before it closes the connection: bounds
    /// a flood of malformed streams (CVE-2025-8671 and its kin). hyper's own number is 1,024.
    pub local_error_resets: usize,
    /// Streams that a client may open and reset unserved before the connection is closed
    /// (CVE-2023-44487).
    pub pending_accept_resets: usize,
    /// Bytes that one HTTP/2 stream may have waiting to be sent.
    pub send_buffer_bytes: usize,
    /// Bytes that a client may send ahead on one HTTP/2 stream: a whole ordinary body.
    pub stream_window_bytes: u32,
    /// Bytes that a client may send ahead on one HTTP/2 connection, all its streams together.
    pub connection_window_bytes: u32,
    /// Event or sync streams at the same time on this listener. Each costs a task, a message and, if
    /// its client is slow, an old snapshot.
    pub subscribers: usize,
    /// How long a subscriber may stop reading before its stream is ended. It holds an old snapshot
    /// alive while it stalls.
    pub subscriber_stall: Duration,
    /// Silence after which an event stream says that it is alive. flagd's number.
    pub event_keep_alive: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            body_bytes: 256 << 10,
            header_list_bytes: 16 << 10,
            header_read_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            concurrent_streams: 128,
            connections: 4_096,
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(10),
            local_error_resets: 64,
            pending_accept_resets: 20,
            send_buffer_bytes: 64 << 10,
            stream_window_bytes: 64 << 10,
            connection_window_bytes: 1 << 20,
            subscribers: 4_096,
            subscriber_stall: Duration::from_secs(30),
            event_keep_alive: Duration::from_secs(20),
        }
    }
}

impl ServerLimits {
    /// flagd's sizes, for its command line. Its time limits are tighter than ours and a client that
    /// keeps to them keeps to ours.
    pub fn flagd() -> Self {
        Self { body_bytes: 1_000_000, header_list_bytes: 1_000_000, ..Self::default() }
    }
}
