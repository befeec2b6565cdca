//! What was served last, on disk, so that a process starts while its sources are down.
//!
//! One file for each source in `<state-dir>/last-known-good/`, named after the digest of the source's
//! name. It begins with one header line and goes on with the served flags as one flag document:
//!
//! ```text
//! outrigger-last-known-good 1 <SHA-256 of all that follows> <Unix seconds> <source as a JSON text>
//! {"flags":{…}}
//! ```
//!
//! A file is replaced in one step (write beside it, fsync, rename, fsync the directory) and can be
//! read by its owner alone. What is damaged or of another version is reported and left alone: it is a
//! cache, and the sources are the truth.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outrigger_flags::{Format, Generation, Layer, LoadOptions, Snapshot, SourceName, UnixSeconds};
use outrigger_flags::{Value, json, limits, load};
use thiserror::Error;
use tokio::sync::watch;

use super::Version;
use crate::runtime::Clock;

/// The first words of every file.
const MAGIC: &str = "outrigger-last-known-good";
/// Grows when the header or what follows it changes.
const FORMAT_VERSION: &str = "1";
const EXTENSION: &str = "lkg";
/// What is being written; left behind only by a crash.
const UNFINISHED_EXTENSION: &str = "unfinished";
/// Most files that are read at start.
const FILES_MAX: usize = 10_000;
/// Largest file: a document written out may be larger than it was read.
const FILE_BYTES_MAX: u64 = 2 * limits::DOCUMENT_BYTES_MAX as u64;

/// The last good state of one source.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// Whose state.
    pub source: SourceName,
    /// The flags.
    pub layer: Arc<Layer>,
    /// When it was written.
    pub written: UnixSeconds,
}

/// Why a file is of no use.
#[derive(Debug, Error)]
enum Unusable {
    #[error("it was not written by this program, or by another version of it")]
    Foreign,
    #[error("its digest is wrong: it is damaged or was edited")]
    Damaged,
    #[error("its flags are not valid here: {0}")]
    Invalid(String),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The directory with the files.
#[derive(Debug, Clone)]
pub struct LastKnownGood {
    directory: PathBuf,
}

impl LastKnownGood {
    /// Opens the directory below the state directory, and makes it if need be.
    ///
    /// # Errors
    /// If it cannot be made or entered.
    pub fn open(state_directory: &Path) -> io::Result<Self> {
        let directory = state_directory.join("last-known-good");
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        Ok(Self { directory })
    }

    /// Reads everything that is usable and reports the rest.
    ///
    /// # Errors
    /// If the directory cannot be listed.
    pub fn read_all(&self, generation: Generation) -> io::Result<Vec<Remembered>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)?.take(FILES_MAX) {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(EXTENSION) => match read(&path, generation) {
                    Ok(remembered) => found.push(remembered),
                    Err(error) => {
                        tracing::warn!(file = %path.display(), %error, "last known good ignored");
                    }
                },
                Some(UNFINISHED_EXTENSION) => fs::remove_file(&path)?,
                _ => tracing::warn!(file = %path.display(), "a file that does not belong here"),
            }
        }
        Ok(found)
    }

    /// Writes down every layer that is published from now on, and removes what is remembered of
    /// sources that have none, until the publisher is gone.
    ///
    /// It follows the published snapshots, so what is remembered is what was served; and it falls
    /// behind, rather than hold up a reload, when the disk is slow. `read` is on disk already.
    pub async fn follow(
        self,
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
        read: Vec<Arc<Layer>>,
        clock: Clock,
    ) {
        let mut on_disk = read;
        while snapshots.changed().await.is_ok() {
            let layers = snapshots.borrow_and_update().layers().to_vec();
            let directory = self.clone();
            // The old layers go too: nobody else may hold them, and a large one takes long to drop.
            let writing = tokio::task::spawn_blocking(move || {
                directory.replace(&on_disk, &layers, clock.now());
                layers
            });
            match writing.await {
                Ok(layers) => on_disk = layers,
                Err(_) => return,
            }
        }
    }

    /// Makes the directory remember `layers`, of which it remembers `on_disk` so far.
    ///
    /// A source without a layer is one that is no longer configured, or a file that somebody removed
    /// from its directory. Left there, its flags would come back the day the directory is missing.
    fn replace(&self, on_disk: &[Arc<Layer>], layers: &[Arc<Layer>], now: UnixSeconds) {
        for layer in layers.iter().filter(|layer| !contains(on_disk, layer)) {
            self.write_or_warn(layer, now);
        }
        let has_layer = |name: &SourceName| layers.iter().any(|layer| layer.source() == name);
        for source in on_disk.iter().map(|layer| layer.source()).filter(|name| !has_layer(name)) {
            match fs::remove_file(self.path_of(source, EXTENSION)) {
                Ok(()) => {
                    tracing::info!(%source, "no longer a source; its last known good flags are removed");
                }
                Err(error) => tracing::warn!(%source, %error, "last known good flags stay behind"),
            }
        }
    }

    fn write_or_warn(&self, layer: &Layer, now: UnixSeconds) {
        if let Err(error) = self.write(layer, now) {
            let source = layer.source();
            tracing::warn!(%source, %error, "the flags are served but could not be written down");
        }
    }

    /// Replaces what is remembered of the layer's source.
    fn write(&self, layer: &Layer, now: UnixSeconds) -> io::Result<()> {
        let source = layer.source();
        let mut rest = format!("{} ", now.0);
        json::quote(source.as_str(), &mut rest);
        rest.push('\n');
        rest.push_str(&layer.to_document());
        let header = format!("{MAGIC} {FORMAT_VERSION} {} ", Version::of(rest.as_bytes()));

        let path = self.path_of(source, EXTENSION);
        let unfinished = self.path_of(source, UNFINISHED_EXTENSION);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(header.as_bytes())?;
        file.write_all(rest.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&self.directory)?.sync_all()
    }

    fn path_of(&self, source: &SourceName, extension: &str) -> PathBuf {
        let name = Version::of(source.as_str().as_bytes()).to_string();
        self.directory.join(name).with_extension(extension)
    }
}

fn contains(layers: &[Arc<Layer>], layer: &Arc<Layer>) -> bool {
    layers.iter().any(|other| Arc::ptr_eq(other, layer))
}

fn read(path: &Path, generation: Generation) -> Result<Remembered, Unusable> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    let mut words = text.splitn(4, ' ');
    let mut word = || words.next().ok_or(Unusable::Foreign);
    if word()? != MAGIC || word()? != FORMAT_VERSION {
        return Err(Unusable::Foreign);
    }
    let (digest, rest) = (word()?, word()?);
    if digest != Version::of(rest.as_bytes()).to_string() {
        return Err(Unusable::Damaged);
    }
    let (header, body) = rest.split_once('\n').ok_or(Unusable::Foreign)?;
    let (written, source) = header.split_once(' ').ok_or(Unusable::Foreign)?;
    let written = UnixSeconds(written.parse().map_err(|_| Unusable::Foreign)?);
    let source = match json::read(source.as_bytes(), 1) {
        Ok(Value::String(source)) => SourceName::new(&source),
        _ => return Err(Unusable::Foreign),
    };
    let options = LoadOptions { source: source.clone(), generation };
    let loaded = load(body.as_bytes(), Format::Json, &options, None)
        .map_err(|invalid| Unusable::Invalid(invalid.to_string()))?;
    Ok(Remembered { source, layer: Arc::new(loaded.layer), written })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
    const FLAGS: &str = r#"{"flags":{"a":{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"},
        "b":{"state":"DISABLED","variants":{"x":"é\n"},"defaultVariant":"x"}}}"#;

    fn layer(source: &str, text: &str) -> Layer {
        let options = LoadOptions { source: SourceName::new(source), generation: Generation::V2 };
        load(text.as_bytes(), Format::Json, &options, None).unwrap().layer
    }

    fn open() -> (tempfile::TempDir, LastKnownGood) {
        let state = tempfile::tempdir().unwrap();
        let directory = LastKnownGood::open(state.path()).unwrap();
        (state, directory)
    }

    fn only_file(directory: &LastKnownGood) -> PathBuf {
        let mut entries = fs::read_dir(&directory.directory).unwrap();
        let path = entries.next().unwrap().unwrap().path();
        assert!(entries.next().is_none());
        path
    }

    #[test]
    fn what_was_written_is_read_again() {
        let (_state, directory) = open();
        directory.write(&layer("dir/a b\n.json", FLAGS), NOW).unwrap();
        directory.write(&layer("other", r#"{"flags":{}}"#), NOW).unwrap();
        let mut found = directory.read_all(Generation::V2).unwrap();
        found.sort_by_key(|remembered| remembered.source.clone());
        let summary: Vec<_> =
            found.iter().map(|r| (r.source.as_str(), r.layer.len(), r.written)).collect();
        assert_eq!(summary, [("dir/a b\n.json", 2, NOW), ("other", 0, NOW)]);
        assert_eq!(found[0].layer.removed_since(&layer("x", FLAGS)), 0);
    }

    #[test]
    fn only_the_owner_may_read_it() {
        let (_state, directory) = open();
        directory.write(&layer("a", FLAGS), NOW).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory.directory), 0o700);
        assert_eq!(mode(&only_file(&directory)), 0o600);
    }

    #[test]
    fn every_damaged_byte_and_every_truncation_is_noticed() {
        let (_state, directory) = open();
        directory.write(&layer("a", FLAGS), NOW).unwrap();
        let path = only_file(&directory);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let found = directory.read_all(Generation::V2).unwrap();
            assert!(found.is_empty(), "byte {at} was not noticed");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(directory.read_all(Generation::V2).unwrap().is_empty(), "cut at {at}");
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(directory.read_all(Generation::V2).unwrap().len(), 1);
    }

    #[test]
    fn what_a_crash_left_behind_is_removed_and_foreign_files_are_left_alone() {
        let (_state, directory) = open();
        fs::write(directory.directory.join("x.unfinished"), "half").unwrap();
        fs::write(directory.directory.join("README"), "mine").unwrap();
        assert!(directory.read_all(Generation::V2).unwrap().is_empty());
        assert!(only_file(&directory).ends_with("README"));
    }

    #[test]
    fn sources_that_are_gone_are_forgotten_and_do_not_come_back() {
        let (_state, directory) = open();
        let names = || {
            let found = directory.read_all(Generation::V2).unwrap();
            let mut names: Vec<_> = found.into_iter().map(|one| one.source.to_string()).collect();
            names.sort();
            names
        };
        let [old, goes, stays] = ["old", "goes", "stays"].map(|name| Arc::new(layer(name, FLAGS)));
        directory.write(&old, NOW).unwrap();
        directory.replace(&[old], &[Arc::clone(&goes), Arc::clone(&stays)], NOW);
        assert_eq!(names(), ["goes", "stays"]);
        directory.replace(&[goes, Arc::clone(&stays)], &[stays], NOW);
        assert_eq!(names(), ["stays"]);
    }
}
