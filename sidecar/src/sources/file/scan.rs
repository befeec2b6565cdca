//! One look at a file or directory: what is there now, compared with what was reported.
//!
//! A [`Scanner`] has no clock and no watch. Whoever calls [`Scanner::pass`] sees to it that two
//! passes are far enough apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use outrigger_flags::{Format, SourceName, limits};

use super::watch::directories_of;
use super::{FileSource, Names};
use crate::loader::{Absence, News, SourceUpdate, Version};

/// Most documents in one directory.
const DIRECTORY_DOCUMENTS_MAX: usize = 1_000;
/// Passes in which a document may differ from the pass before; at 50 ms each, about 5 s.
const UNSETTLED_PASSES_MAX: u32 = 100;
/// A document up to this size is read in every pass: time stamps are coarse on some file systems.
/// A larger one is read when its metadata moved.
const ALWAYS_READ_BYTES_MAX: u64 = 1 << 20;

pub(super) struct Scanner {
    slot: usize,
    source: FileSource,
    documents: BTreeMap<PathBuf, Document>,
    /// The documents that were there in the pass before.
    listed: BTreeSet<PathBuf>,
    /// The members that were last reported.
    members: Option<BTreeSet<SourceName>>,
}

/// What is known of one document.
#[derive(Default)]
struct Document {
    reported: Option<Seen>,
    /// What the pass before saw, while it differs from `reported`.
    pending: Option<Seen>,
    unsettled_passes: u32,
    stamp: Option<Stamp>,
}

#[derive(Clone, PartialEq, Eq)]
enum Seen {
    Content(Version),
    Absent(Absence),
}

/// What changes when a file does: device, inode, length, and both times in nanoseconds.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl Scanner {
    pub(super) fn new(source: FileSource, slot: usize) -> Self {
        let (documents, listed) = (BTreeMap::new(), BTreeSet::new());
        Self { slot, source, documents, listed, members: None }
    }

    /// The directories whose events concern this source.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        let path = &self.source.path;
        let mut directories = directories_of(path);
        if path.is_dir() {
            // Any name will do: what counts is the directory it would be in.
            directories.extend(directories_of(&path.join("flags")));
            directories.extend(self.listed.iter().flat_map(|document| directories_of(document)));
        }
        directories
    }

    /// Looks once and hands what is new to `sink`. Returns whether everything was either seen the
    /// same way twice or is as reported; if not, the caller looks again soon.
    pub(super) fn pass(&mut self, sink: &mut dyn FnMut(SourceUpdate)) -> bool {
        let paths = documents(&self.source.path, self.source.names);
        let mut settled = paths == self.listed;
        self.documents.retain(|path, _| paths.contains(path));
        let mut present = true;
        for path in &paths {
            let name = self.name_of(path);
            let document = self.documents.entry(path.clone()).or_default();
            let (news, document_settled) = document.look(path, &name);
            settled &= document_settled;
            present &= *path != self.source.path || !document.is_reported_absent();
            if let Some(news) = news {
                sink(SourceUpdate { slot: self.slot, news });
            }
        }
        self.listed = paths;
        if !present {
            self.members = None;
        } else if settled {
            self.report_members(sink);
        }
        settled
    }

    fn report_members(&mut self, sink: &mut dyn FnMut(SourceUpdate)) {
        let members: BTreeSet<_> = self.listed.iter().map(|path| self.name_of(path)).collect();
        if self.members.as_ref() != Some(&members) {
            self.members = Some(members.clone());
            sink(SourceUpdate { slot: self.slot, news: News::Members(members) });
        }
    }

    fn name_of(&self, path: &Path) -> SourceName {
        match path.strip_prefix(&self.source.path) {
            Ok(file) if !file.as_os_str().is_empty() => {
                let directory = Path::new(self.source.name.as_str());
                SourceName::new(&directory.join(file).to_string_lossy())
            }
            _ => self.source.name.clone(),
        }
    }
}

/// The paths of all documents. Whatever is not a readable directory is its own only document.
pub(crate) fn documents(root: &Path, names: Names) -> BTreeSet<PathBuf> {
    let itself = || BTreeSet::from([root.to_path_buf()]);
    if !root.is_dir() {
        return itself();
    }
    let Ok(entries) = fs::read_dir(root) else { return itself() };
    let mut paths = BTreeSet::new();
    for entry in entries {
        // A directory that fails half-way must not look like one that lost files.
        let Ok(entry) = entry else { return itself() };
        let path = entry.path();
        if is_document(&path, names) && !path.is_dir() {
            paths.insert(path);
        }
    }
    if paths.len() > DIRECTORY_DOCUMENTS_MAX { itself() } else { paths }
}

fn is_document(path: &Path, names: Names) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    !name.starts_with('.')
        && Format::from_extension(extension).is_some()
        && (names == Names::Any || stem.ends_with(".flagd"))
}

impl Document {
    /// Reads the document if need be. Returns what to report, and whether it holds still.
    fn look(&mut self, path: &Path, name: &SourceName) -> (Option<News>, bool) {
        let stamp = fs::metadata(path).as_ref().map(stamp).ok();
        if self.is_unmoved(stamp.as_ref()) {
            return (None, true);
        }
        let found = read(path);
        let seen = match &found {
            Ok((bytes, _)) => Seen::Content(Version::of(bytes)),
            Err(absence) => Seen::Absent(absence.clone()),
        };
        if self.reported.as_ref() == Some(&seen) {
            (self.pending, self.unsettled_passes, self.stamp) = (None, 0, stamp);
            return (None, true);
        }
        if self.pending.as_ref() != Some(&seen) {
            self.pending = Some(seen);
            return self.wait(name);
        }
        let news = match (&seen, found) {
            (Seen::Content(version), Ok((bytes, format))) => {
                News::Document { source: name.clone(), version: *version, format, bytes }
            }
            (_, found) => absent(name, found.err().unwrap_or(Absence::Missing)),
        };
        *self = Self { reported: Some(seen), stamp, ..Self::default() };
        (Some(news), true)
    }

    /// The document differs from the pass before: look again, but not for ever.
    fn wait(&mut self, name: &SourceName) -> (Option<News>, bool) {
        self.unsettled_passes += 1;
        if self.unsettled_passes <= UNSETTLED_PASSES_MAX {
            return (None, false);
        }
        let seen = Seen::Absent(Absence::Unsettled);
        let news =
            (self.reported.as_ref() != Some(&seen)).then(|| absent(name, Absence::Unsettled));
        *self = Self { reported: Some(seen), ..Self::default() };
        (news, true)
    }

    fn is_unmoved(&self, stamp: Option<&Stamp>) -> bool {
        let large = stamp.is_some_and(|stamp| stamp.2 > ALWAYS_READ_BYTES_MAX);
        large && self.pending.is_none() && self.stamp.as_ref() == stamp
    }

    fn is_reported_absent(&self) -> bool {
        !matches!(self.reported, Some(Seen::Content(_)))
    }
}

fn absent(name: &SourceName, absence: Absence) -> News {
    News::Absent { source: name.clone(), absence }
}

fn stamp(metadata: &Metadata) -> Stamp {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        (metadata.mtime(), metadata.mtime_nsec()),
        (metadata.ctime(), metadata.ctime_nsec()),
    )
}

/// Reads a document whole.
pub(crate) fn read(path: &Path) -> Result<(Vec<u8>, Format), Absence> {
    const BYTES_MAX: u64 = limits::DOCUMENT_BYTES_MAX as u64;
    let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
    if metadata.is_dir() {
        return Err(Absence::UnreadableDirectory);
    }
    // Opening a pipe or a device could wait for ever.
    if !metadata.is_file() {
        return Err(Absence::NotAFile);
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let format = Format::from_extension(extension).ok_or(Absence::UnknownFormat)?;
    if metadata.len() > BYTES_MAX {
        return Err(Absence::TooLarge);
    }
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() > limits::DOCUMENT_BYTES_MAX {
        Err(Absence::TooLarge)
    } else {
        Ok((bytes, format))
    }
}

fn unreadable(error: &io::Error) -> Absence {
    match error.kind() {
        io::ErrorKind::NotFound => Absence::Missing,
        _ => Absence::Unreadable(error.to_string()),
    }
}
