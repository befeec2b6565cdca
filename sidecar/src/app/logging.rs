//! Log lines go to standard error, for people or for machines.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Starts logging for this process; a second call changes nothing.
pub(super) fn start(log: Log) {
    // Of the libraries only what somebody should act on.
    let filter =
        EnvFilter::new(if log.debug { "info,outrigger=debug" } else { "warn,outrigger=info" });
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal());
    let started = match log.format {
        LogFormat::Console => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    match started {
        Ok(()) => log_panics(),
        Err(_) => tracing::debug!("logging was started before"),
    }
}

/// A panic is caught where it happens (a request, a task); this makes it a log line like any other.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = message.unwrap_or("(no message)");
        tracing::error!(place, message, "panic");
    }));
}
