//! Which directories to watch for a path, and the watch on them.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use outrigger_flags::SourceName;
use tokio::sync::watch;

/// Most symbolic links followed on one path: the kernel's own limit.
const LINKS_MAX: usize = 40;

/// A watch on a set of directories, without what is below them.
#[derive(Debug)]
pub(super) struct DirectoryWatch {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl DirectoryWatch {
    /// A watch on nothing yet, and a receiver that changes with every event.
    ///
    /// Without a watcher (inotify instances are a scarce resource of the host) there are no events,
    /// and polling has to do.
    pub(super) fn new(source: &SourceName) -> (Self, watch::Receiver<()>) {
        let (touch, touched) = watch::channel(());
        let handler = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_opening(&event.kind)) {
                return;
            }
            touch.send_replace(());
        };
        let watcher = notify::recommended_watcher(handler)
            .inspect_err(|error| {
                tracing::warn!(%source, %error, "no file events; polling every few seconds instead");
            })
            .ok();
        (Self { watcher, watched: BTreeSet::new() }, touched)
    }

    /// Watches exactly these directories from now on.
    ///
    /// Adding is repeated for those already watched: one that was deleted and made again has lost
    /// its watch, and adding twice costs nothing. What cannot be watched is polled.
    pub(super) fn follow(&mut self, directories: BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.watched.difference(&directories) {
            // It may have been deleted, and the watch with it.
            let _ = watcher.unwatch(gone);
        }
        for directory in &directories {
            if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                tracing::debug!(directory = %directory.display(), %error, "not watched");
            }
        }
        self.watched = directories;
    }
}

/// Our own reading causes these; listening to them would never end.
fn is_opening(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if *access != AccessKind::Close(AccessMode::Write))
}

/// The directories in which something must change for `path` to lead elsewhere: the one of every
/// symbolic link on the way, and the one the way ends in.
pub(super) fn directories_of(path: &Path) -> BTreeSet<PathBuf> {
    let mut directories = BTreeSet::new();
    let Ok(absolute) = std::path::absolute(path) else { return directories };
    let mut ahead = parts(&absolute);
    let mut at = PathBuf::new();
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        match part {
            Part::Root => at = PathBuf::from("/"),
            Part::Up => {
                at.pop();
            }
            Part::Name(name) => {
                let next = at.join(name);
                match fs::read_link(&next) {
                    Ok(target) if links < LINKS_MAX => {
                        links += 1;
                        directories.insert(at.clone());
                        for part in parts(&target).into_iter().rev() {
                            ahead.push_front(part);
                        }
                    }
                    _ => at = next,
                }
            }
        }
    }
    directories.extend(at.parent().map(Path::to_path_buf));
    directories
}

enum Part {
    Root,
    Up,
    Name(OsString),
}

fn parts(path: &Path) -> VecDeque<Part> {
    let part = |component| match component {
        Component::RootDir => Some(Part::Root),
        Component::ParentDir => Some(Part::Up),
        Component::Normal(name) => Some(Part::Name(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn real(path: &Path) -> PathBuf {
        fs::canonicalize(path).unwrap()
    }

    #[test]
    fn a_plain_file_needs_its_directory() {
        let home = tempfile::tempdir().unwrap();
        let home = real(home.path());
        assert_eq!(directories_of(&home.join("f.json")), BTreeSet::from([home]));
    }

    #[test]
    fn a_config_map_needs_its_volume_and_the_version_it_points_to() {
        let volume = tempfile::tempdir().unwrap();
        let volume = real(volume.path());
        fs::create_dir(volume.join("..v1")).unwrap();
        fs::write(volume.join("..v1/f.json"), "{}").unwrap();
        symlink("..v1", volume.join("..data")).unwrap();
        symlink("..data/f.json", volume.join("f.json")).unwrap();
        let expected = BTreeSet::from([volume.clone(), volume.join("..v1")]);
        assert_eq!(directories_of(&volume.join("f.json")), expected);
    }

    #[test]
    fn a_link_anywhere_on_the_way_counts() {
        let home = tempfile::tempdir().unwrap();
        let home = real(home.path());
        fs::create_dir_all(home.join("releases/one")).unwrap();
        symlink("releases/one", home.join("current")).unwrap();
        let expected = BTreeSet::from([home.clone(), home.join("releases/one")]);
        assert_eq!(directories_of(&home.join("current/f.json")), expected);
    }

    #[test]
    fn a_circle_of_links_ends() {
        let home = tempfile::tempdir().unwrap();
        let home = real(home.path());
        symlink("b", home.join("a")).unwrap();
        symlink("a", home.join("b")).unwrap();
        assert_eq!(directories_of(&home.join("a")), BTreeSet::from([home]));
    }
}
