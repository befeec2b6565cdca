//! The state directory: at most one process in it, and nobody else's eyes.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// An open state directory; dropping it lets the next process in.
#[derive(Debug)]
pub(super) struct StateDirectory {
    path: PathBuf,
    /// Locked for as long as it is open, also if the process is killed.
    _lock: File,
}

/// Why the state directory cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// Another process holds the lock.
    #[error(
        "state directory {path}: another outrigger uses it; \
         end that one, or give this one a --state-dir of its own"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The operating system said no.
    #[error(
        "state directory {path}: {error}; name a writable one with --state-dir, or leave it out"
    )]
    Io {
        /// The directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl StateDirectory {
    /// Makes the directory if need be and locks it. One that exists keeps its mode: it may be a
    /// mounted volume that belongs to somebody else. What is put into it is private on its own.
    pub(super) fn open(path: &Path) -> Result<Self, StateError> {
        let failed = |error| StateError::Io { path: path.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_process_is_kept_out_until_the_first_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/state");
        let first = StateDirectory::open(&path).unwrap();
        assert_eq!(fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o700);
        let second = StateDirectory::open(&path);
        assert!(matches!(second, Err(StateError::InUse { .. })), "{second:?}");
        drop(first);
        StateDirectory::open(&path).unwrap();
    }

    #[test]
    fn a_place_that_cannot_be_a_directory_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        let error = StateDirectory::open(&file.join("state")).unwrap_err().to_string();
        assert!(error.contains("file/state") && error.contains("--state-dir"), "{error}");
    }
}
