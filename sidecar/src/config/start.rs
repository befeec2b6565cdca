//! `outrigger start`: flagd's command line, `FLAGD_*` variables and configuration file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::options::START;
use super::read::{Origin, Reader};
use super::{Config, ConfigErrors, Dialect, Given, RequestSizes, duration, file, source};
use crate::sources::FileSource;

/// Where flagd looks for settings if nobody says where, below the home directory.
const DEFAULT_FILE: &str = ".agent.yaml";
/// What stands for "no limit" on a request's body: sixteen times the default.
const UNLIMITED_BODY_BYTES: usize = 16_000_000;
/// The limit of Go's HTTP server on a request's headers.
const GO_HEADER_BYTES: u32 = 1 << 20;

/// Reads the settings of `start`; `read_file` reads the configuration file.
///
/// # Errors
/// All problems at once.
pub fn start(
    given: &Given,
    read_file: impl Fn(&Path) -> io::Result<String>,
) -> Result<Config, ConfigErrors> {
    let mut reader = Reader::new(START, given);
    read_config_file(&mut reader, given, read_file);
    reader.warn_of_unknown_keys();
    refuse_tls(&mut reader);
    let address = reader.address();
    let sources = sources(&mut reader);
    let config = Config {
        request: request_sizes(&mut reader),
        stream_deadline: stream_deadline(&mut reader),
        sync_metadata: !reader.switch("disable-sync-metadata", false),
        ..reader.config(Dialect::Flagd, address, sources)
    };
    reader.warn_of_ignored();
    reader.finish(config)
}

fn read_config_file(
    reader: &mut Reader<'_>,
    given: &Given,
    read_file: impl Fn(&Path) -> io::Result<String>,
) {
    let named = reader.text("config");
    let is_named = named.is_some();
    let (path, origin) = match (named, given.environment.get("HOME")) {
        (Some((path, origin)), _) => (PathBuf::from(path), origin),
        (None, Some(home)) => (Path::new(home).join(DEFAULT_FILE), Origin::Argument("config")),
        (None, None) => return,
    };
    let text = match read_file(&path) {
        Ok(text) => text,
        Err(error) if !is_named && error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return reader.problem(origin, format!("{}: {error}", path.display())),
    };
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    match file::read(&text, is_json) {
        Ok(settings) => reader.file = settings,
        Err(message) => reader.problem(origin, format!("{}: {message}", path.display())),
    }
}

/// Whoever asks for TLS must never get plain text.
fn refuse_tls(reader: &mut Reader<'_>) {
    for option in ["server-cert-path", "server-key-path"] {
        if let Some((_, origin)) = reader.text(option) {
            reader.problem(
                origin,
                "TLS is not served yet; leave it out, or end TLS before this process",
            );
        }
    }
}

fn sources(reader: &mut Reader<'_>) -> Vec<FileSource> {
    let uris = reader.list("uri");
    let mut found = Vec::new();
    for (uri, origin) in uris {
        found.push((source::from_uri(&uri), origin));
    }
    if let Some(setting) = reader.setting("sources") {
        for text in setting.texts.iter().filter(|text| !text.trim().is_empty()) {
            let read = source::from_json(text).into_iter();
            found.extend(read.map(|source| (source, setting.origin.clone())));
        }
    }
    if found.is_empty() {
        reader.problem("--uri", "no source of flags; name one, such as --uri file:flags.json");
    }
    let mut sources = Vec::new();
    for (number, (source, origin)) in found.into_iter().enumerate() {
        match source {
            Ok(source) => sources.push(source),
            Err(message) => {
                reader.problem(origin, format!("source number {}: {message}", number + 1));
            }
        }
    }
    source::without_repetitions(sources, reader)
}

/// To flagd 0 is "no limit" for bodies and "Go's own limit" for headers.
fn request_sizes(reader: &mut Reader<'_>) -> RequestSizes {
    let what = "a number of bytes";
    let body_bytes = reader.parsed("max-request-body", what, |text| text.parse().ok());
    if body_bytes == Some(0) {
        reader.warnings.push(format!(
            "max-request-body 0 was read as {UNLIMITED_BODY_BYTES} bytes: nothing here is without a limit"
        ));
    }
    let header_bytes = reader.parsed("max-request-header", what, |text| text.parse().ok());
    RequestSizes {
        body_bytes: body_bytes.map(|bytes| if bytes == 0 { UNLIMITED_BODY_BYTES } else { bytes }),
        header_bytes: header_bytes.map(|bytes| if bytes == 0 { GO_HEADER_BYTES } else { bytes }),
    }
}

fn stream_deadline(reader: &mut Reader<'_>) -> Option<Duration> {
    reader
        .parsed("stream-deadline", "a duration such as 30s or 1h30m", duration::read)
        .filter(|deadline| !deadline.is_zero())
}
