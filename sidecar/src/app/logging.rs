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
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
