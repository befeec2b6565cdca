//! The connection loop of every listener: HTTP/1.1 and h2c on one port, with every limit set.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Listener;
use super::boundary::{Boundary, Room};
use super::connection::Connection;
use super::limits::ServerLimits;
use crate::runtime::Shutdown;
use crate::telemetry::metrics::Limit;

/// A wait after a failed accept. The usual cause is too many open files, which needs time to pass.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// hyper refuses a smaller buffer for an HTTP/1.1 head.
const HTTP1_BUFFER_BYTES_MIN: usize = 8 << 10;

/// Serves a listener until it has drained, or was told to stop.
pub(crate) async fn run<R: Room>(
    name: &'static str,
    listener: Listener,
    limits: &ServerLimits,
    boundary: Boundary<R>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let http = builder(limits);
    let boundary = Arc::new(boundary);
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut accepting = true;
    loop {
        let accepted = tokio::select! {
            () = shutdown.drain.cancelled() => break,
            () = shutdown.stop.cancelled() => break,
            Some(ended) = connections.join_next() => {
                note_panic(&boundary, ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let connection = match accepted {
            Ok(connection) => {
                accepting = true;
                connection
            }
            Err(error) => {
                // Said once until it works again: with too many open files it fails all the time.
                if accepting {
                    tracing::warn!(listener = name, %error, "connections cannot be accepted");
                }
                accepting = false;
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            boundary.metrics.limited(Limit::Connections);
            continue;
        };
        let open = boundary.metrics.connection(name);
        let served = serve_connection(
            http.clone(),
            connection,
            Arc::clone(&boundary),
            limits.header_read_timeout,
            shutdown.drain.clone(),
        );
        connections.spawn(async move {
            served.await;
            drop((place, open));
        });
    }
    drop(listener);
    finish(&boundary, connections, &shutdown.stop).await;
    Ok(())
}

/// Waits until the connections have ended, or drops them when told to stop.
async fn finish<R: Room>(
    boundary: &Boundary<R>,
    mut connections: JoinSet<()>,
    stop: &CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            ended = connections.join_next() => match ended {
                Some(ended) => note_panic(boundary, ended),
                None => return,
            },
        }
    }
}

fn note_panic<R: Room>(boundary: &Boundary<R>, ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        boundary.metrics.panicked();
    }
}

fn builder(limits: &ServerLimits) -> Builder<TokioExecutor> {
    let header_list = usize::try_from(limits.header_list_bytes).unwrap_or(usize::MAX);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .max_buf_size(header_list.max(HTTP1_BUFFER_BYTES_MIN));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.concurrent_streams)
        .max_header_list_size(limits.header_list_bytes)
        .max_local_error_reset_streams(limits.local_error_resets)
        .max_pending_accept_reset_streams(limits.pending_accept_resets)
        .keep_alive_interval(limits.keep_alive_interval)
        .keep_alive_timeout(limits.keep_alive_timeout)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_send_buf_size(limits.send_buffer_bytes);
    builder
}

/// Serves one connection. A client's faults end it and are nobody's news: logged for debugging only.
async fn serve_connection<R: Room>(
    http: Builder<TokioExecutor>,
    connection: Connection,
    boundary: Arc<Boundary<R>>,
    preface_timeout: Duration,
    drain: CancellationToken,
) {
    let preface = connection.preface();
    let metrics = Arc::clone(&boundary.metrics);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let boundary = Arc::clone(&boundary);
        async move { Ok::<_, Infallible>(boundary.answer(request).await) }
    });
    let mut served = pin!(http.serve_connection(TokioIo::new(connection), service));
    let mut deadline = pin!(tokio::time::sleep(preface_timeout));
    let (mut draining, mut undecided) = (false, true);
    loop {
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended with an error");
                }
                return;
            }
            () = drain.cancelled(), if !draining => {
                draining = true;
                served.as_mut().graceful_shutdown();
            }
            () = deadline.as_mut(), if undecided => {
                undecided = false;
                if !preface.is_complete() {
                    metrics.limited(Limit::PrefaceTimeout);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
