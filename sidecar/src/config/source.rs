//! Sources as they are configured: URIs, and flagd's JSON objects.
//!
//! Messages never repeat a URI: it may hold credentials.

use std::path::PathBuf;

use outrigger_flags::SourceName;
use serde::Deserialize;

use super::read::Reader;
use crate::sources::FileSource;
use crate::sources::file::Names;

/// flagd's kinds, by the beginning of a URI.
const KINDS: [(&str, &str); 12] = [
    ("http://", "http"),
    ("https://", "http"),
    ("grpc://", "grpc"),
    ("grpcs://", "grpc"),
    ("envoy://", "grpc"),
    ("dns:", "grpc"),
    ("uds:", "grpc"),
    ("xds:", "grpc"),
    ("core.openfeature.dev/", "kubernetes"),
    ("gs://", "gcs"),
    ("azblob://", "azblob"),
    ("s3://", "s3"),
];

/// The members of flagd's source object that matter here.
#[derive(Debug, Deserialize)]
struct SourceObject {
    uri: String,
    provider: String,
}

/// Reads flagd's `--uri`.
pub(super) fn from_uri(uri: &str) -> Result<FileSource, String> {
    match uri.strip_prefix("file:") {
        Some(path) => file(path),
        None => Err(match kind_of(uri) {
            Some(kind) => not_built(kind),
            None => "a URI begins with its kind, such as file:flags.json".to_owned(),
        }),
    }
}

/// Reads a path, or a URI in its place.
pub(super) fn from_path(text: &str) -> Result<FileSource, String> {
    match kind_of(text) {
        Some(kind) => Err(not_built(kind)),
        None => file(text.strip_prefix("file:").unwrap_or(text)),
    }
}

/// Reads flagd's `--sources`: an array of objects, or from a configuration file one object.
pub(super) fn from_json(text: &str) -> Vec<Result<FileSource, String>> {
    let objects = if text.trim_start().starts_with('[') {
        serde_json::from_str::<Vec<SourceObject>>(text)
    } else {
        serde_json::from_str::<SourceObject>(text).map(|object| vec![object])
    };
    match objects {
        Ok(objects) => objects.iter().map(from_object).collect(),
        Err(error) => {
            // Only the place: the message itself may quote a secret.
            let place = format!("line {}, column {}", error.line(), error.column());
            vec![Err(format!("not a JSON array of {{\"uri\", \"provider\"}} objects ({place})"))]
        }
    }
}

/// A source that is named twice is read once, at its higher priority.
pub(super) fn without_repetitions(
    sources: Vec<FileSource>,
    reader: &mut Reader<'_>,
) -> Vec<FileSource> {
    let mut kept: Vec<FileSource> = Vec::new();
    for source in sources {
        if kept.contains(&source) {
            let name = &source.name;
            reader.warnings.push(format!("source {name} is named twice; the later place counts"));
            kept.retain(|other| *other != source);
        }
        kept.push(source);
    }
    kept
}

fn from_object(object: &SourceObject) -> Result<FileSource, String> {
    match object.provider.as_str() {
        "file" | "fsnotify" | "fileinfo" => {
            file(object.uri.strip_prefix("file:").unwrap_or(&object.uri))
        }
        kind if KINDS.iter().any(|(_, known)| *known == kind) => Err(not_built(kind)),
        other => Err(format!("there is no provider {other:?}; this build reads \"file\"")),
    }
}

fn file(path: &str) -> Result<FileSource, String> {
    if path.is_empty() {
        return Err("the path is empty".to_owned());
    }
    let (name, path) = (SourceName::new(path), PathBuf::from(path));
    Ok(FileSource { name, path, names: Names::Any })
}

fn kind_of(uri: &str) -> Option<&'static str> {
    KINDS.iter().find(|(prefix, _)| uri.starts_with(prefix)).map(|(_, kind)| *kind)
}

fn not_built(kind: &str) -> String {
    format!("this build cannot read {kind} sources yet; it reads files and directories")
}
