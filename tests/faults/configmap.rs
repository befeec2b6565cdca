//! Volumes as the kubelet writes them: files are links over `..data`, which is swapped.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use outrigger_tests::document;
use outrigger_tests::sidecar::Start;

const FILE: &str = "flags.json";

/// A ConfigMap volume: what the kubelet's atomic writer does, step by step.
struct Volume {
    root: PathBuf,
    generation: u64,
}

impl Volume {
    fn new(root: &Path, content: &str) -> Self {
        let mut volume = Self { root: root.to_owned(), generation: 0 };
        volume.write(content);
        symlink(Path::new("..data").join(FILE), root.join(FILE)).expect("new");
        volume
    }

    fn directory(&self) -> String {
        format!("..2026_11_21_10_00_00.{}", self.generation)
    }

    /// A directory for the new content, a link to it under another name, the link renamed over
    /// `..data`, the old directory removed.
    fn write(&mut self, content: &str) {
        let old = self.root.join(self.directory());
        self.generation += 1;
        let new = self.directory();
        fs::create_dir(self.root.join(&new)).expect("new");
        fs::write(self.root.join(&new).join(FILE), content).expect("writable");
        symlink(&new, self.root.join("..data_tmp")).expect("new");
        fs::rename(self.root.join("..data_tmp"), self.root.join("..data")).expect("renamable");
        if self.generation > 1 {
            fs::remove_dir_all(old).expect("there");
        }
    }
}

fn swaps() -> u64 {
    std::env::var("SWAPS").map_or(40, |text| text.parse().expect("a number"))
}

#[test]
fn a4_every_swap_of_a_configmap_is_applied_to_a_file_in_it() {
    every_swap_is_applied(|root| root.join(FILE));
}

#[test]
fn a4_every_swap_of_a_configmap_is_applied_to_its_directory() {
    every_swap_is_applied(Path::to_owned);
}

#[test]
fn a4_every_swap_of_a_configmap_is_applied_through_a_link_from_elsewhere() {
    every_swap_is_applied(|root| {
        let link = root.parent().expect("a parent").join("linked.json");
        symlink(root.join(FILE), &link).expect("new");
        link
    });
}

fn every_swap_is_applied(source: impl Fn(&Path) -> PathBuf) {
    let home = tempfile::tempdir().expect("a directory");
    let root = home.path().join("volume");
    fs::create_dir(&root).expect("new");
    let mut volume = Volume::new(&root, &document::answer(0));
    let mut sidecar = Start::serve().flags(source(&root)).expect();
    let mut taken: Vec<Duration> = (1..=swaps())
        .map(|value| {
            volume.write(&document::answer(value));
            sidecar.wait_for_value("answer", value)
        })
        .collect();
    taken.sort();
    let median = taken[taken.len() / 2];
    println!("a4: {} swaps, visible after {median:?}, at worst {:?}", taken.len(), taken.last());
    // Polling alone would take seconds: the swaps were seen as events.
    assert!(median < Duration::from_secs(1), "{taken:?}");
    sidecar.assert_unharmed();
}

#[test]
fn a4_swaps_faster_than_anyone_can_look_end_in_the_last_one() {
    let home = tempfile::tempdir().expect("a directory");
    let mut volume = Volume::new(home.path(), &document::answer(0));
    let mut sidecar = Start::serve().flags(home.path().join(FILE)).expect();
    for value in 1..=2_000 {
        volume.write(&document::answer(value));
    }
    sidecar.wait_for_value("answer", 2_000);
    sidecar.wait_for_readiness("fresh");
    sidecar.assert_unharmed();
}
