//! What sources tell the loader.

use std::collections::BTreeSet;
use std::fmt;

use outrigger_flags::{Format, SourceName, limits};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// News from one configured source.
#[derive(Debug)]
pub struct SourceUpdate {
    /// The source's position in the configuration: its priority.
    pub slot: usize,
    /// What was found.
    pub news: News,
}

/// What a source found.
#[derive(Debug)]
pub enum News {
    /// A document's bytes.
    Document {
        /// Which document.
        source: SourceName,
        /// Tells two contents apart.
        version: Version,
        /// How to read the bytes.
        format: Format,
        /// The document.
        bytes: Vec<u8>,
    },
    /// A document, or a whole directory of them, that cannot be read now.
    Absent {
        /// Which document or directory.
        source: SourceName,
        /// Why.
        absence: Absence,
    },
    /// The source was looked at whole: exactly these documents are there.
    Members(BTreeSet<SourceName>),
}

/// Why there are no bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Absence {
    /// Nothing is there.
    #[error("there is no such file or directory")]
    Missing,
    /// A pipe, socket or device.
    #[error("it is neither a regular file nor a directory")]
    NotAFile,
    /// A directory that cannot be listed, or with too many documents.
    #[error("the directory cannot be listed, or holds too many flag files")]
    UnreadableDirectory,
    /// Neither JSON nor YAML by its name.
    #[error("its name must end in .json, .yaml or .yml")]
    UnknownFormat,
    /// Over the size limit.
    #[error("it is larger than {} MiB", limits::DOCUMENT_BYTES_MAX >> 20)]
    TooLarge,
    /// It changes each time it is read.
    #[error("it is being written all the time")]
    Unsettled,
    /// What the operating system said.
    #[error("{0}")]
    Unreadable(String),
}

/// The SHA-256 digest of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Version([u8; 32]);

impl Version {
    /// The version with this content.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The updates without those that a later one supersedes, in their order.
pub(super) fn latest(mut batch: Vec<SourceUpdate>) -> Vec<SourceUpdate> {
    let mut said = BTreeSet::new();
    batch.reverse();
    batch.retain(|update| said.insert((update.slot, subject(&update.news).cloned())));
    batch.reverse();
    batch
}

/// The document an update is about; `None` for the source as a whole.
fn subject(news: &News) -> Option<&SourceName> {
    match news {
        News::Document { source, .. } | News::Absent { source, .. } => Some(source),
        News::Members(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_word_on_each_document_wins() {
        let document = |slot, name: &str, content: &str| SourceUpdate {
            slot,
            news: News::Document {
                source: SourceName::new(name),
                version: Version::of(content.as_bytes()),
                format: Format::Json,
                bytes: content.as_bytes().to_vec(),
            },
        };
        let gone = SourceUpdate {
            slot: 0,
            news: News::Absent { source: SourceName::new("b"), absence: Absence::Missing },
        };
        let batch = vec![
            document(0, "a", "1"),
            document(0, "b", "1"),
            document(1, "a", "1"),
            document(0, "a", "2"),
            gone,
        ];
        let kept: Vec<String> = latest(batch)
            .iter()
            .map(|update| match &update.news {
                News::Document { source, bytes, .. } => {
                    format!("{} {source} {}", update.slot, String::from_utf8_lossy(bytes))
                }
                news => format!("{} {:?}", update.slot, subject(news)),
            })
            .collect();
        assert_eq!(kept, ["1 a 1", "0 a 2", "0 Some(SourceName(\"b\"))"]);
    }

    #[test]
    fn a_version_is_the_digest_in_hexadecimal() {
        assert_eq!(
            Version::of(b"").to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
