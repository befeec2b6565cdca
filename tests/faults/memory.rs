//! What the state directory remembers: the last known good flags.

use std::fs;
use std::path::{Path, PathBuf};

use outrigger_tests::document;
use outrigger_tests::sidecar::Start;
use outrigger_tests::wait::eventually;

struct Home {
    _directory: tempfile::TempDir,
    flags: PathBuf,
    state: PathBuf,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let flags = directory.path().join("flags.json");
        fs::write(&flags, document::answer(1)).expect("writable");
        Self { flags, state: directory.path().join("state"), _directory: directory }
    }

    fn start(&self) -> Start {
        Start::serve().flags(&self.flags).state(&self.state)
    }

    /// The one file that remembers, once it holds this.
    fn remembered(&self, text: &str) -> PathBuf {
        let holds = || {
            let mut entries = fs::read_dir(self.state.join("last-known-good")).ok()?;
            let path = entries.find_map(|entry| {
                let path = entry.ok()?.path();
                (path.extension()? == "lkg").then_some(path)
            })?;
            fs::read_to_string(&path).ok()?.contains(text).then_some(path)
        };
        eventually(text, holds).0
    }
}

#[test]
fn a5_a_restart_without_the_source_serves_the_last_known_good_flags_and_says_how_old_they_are() {
    let home = Home::new();
    let sidecar = home.start().expect();
    home.remembered("\"it\":1");
    document::rename_into_place(&home.flags, &document::answer(2));
    sidecar.wait_for_value("answer", 2);
    home.remembered("\"it\":2");
    sidecar.kill();
    fs::remove_file(&home.flags).expect("there");

    let mut sidecar = home.start().expect();
    assert_eq!(sidecar.value("answer"), 2);
    let said = sidecar.readiness();
    assert!(said.contains("last-known-good") && said.contains("no such file"), "{said}");
    assert!(said.contains("written"), "{said}");
    sidecar.wait_for_log("s ago");

    fs::write(&home.flags, document::answer(3)).expect("writable");
    sidecar.wait_for_value("answer", 3);
    sidecar.wait_for_readiness("fresh");
    sidecar.assert_unharmed();
}

#[test]
fn a5_a_restart_on_a_broken_source_serves_the_last_known_good_flags() {
    let home = Home::new();
    let sidecar = home.start().expect();
    home.remembered("\"it\":1");
    sidecar.kill();
    fs::write(&home.flags, "{\"flags\": {\"answer").expect("writable");
    let mut sidecar = home.start().expect();
    assert_eq!(sidecar.value("answer"), 1);
    assert!(sidecar.readiness().contains("refused") || sidecar.readiness().contains("last-known"));
    sidecar.assert_unharmed();
}

#[test]
fn a5_without_source_or_memory_the_process_does_not_start() {
    let home = Home::new();
    fs::remove_file(&home.flags).expect("there");
    let ended = home.start().expect_end();
    assert_eq!(ended.code, Some(78), "{}", ended.log);
    assert!(ended.log.contains("no flags to serve") && ended.log.contains("no such file"));
}

#[test]
fn a22_a_damaged_memory_is_never_served_and_never_in_the_way() {
    let home = Home::new();
    let sidecar = home.start().expect();
    let path = home.remembered("\"it\":1");
    sidecar.kill();
    let whole = fs::read_to_string(&path).expect("text");
    let edited = whole.replace("\"it\":1", "\"it\":6");
    assert_ne!(edited, whole);
    for damaged in [edited.as_str(), &whole[..whole.len() - 9], "", "garbage", "\u{0}"] {
        fs::write(&path, damaged).expect("writable");
        // With the source the damage does not matter.
        let sidecar = home.start().expect();
        assert_eq!(sidecar.value("answer"), 1);
        sidecar.wait_for_log("last known good ignored");
        sidecar.kill();

        // Without it there is nothing that could be trusted.
        fs::write(&path, damaged).expect("writable");
        let aside = home.flags.with_extension("aside");
        fs::rename(&home.flags, &aside).expect("there");
        let ended = home.start().expect_end();
        assert_eq!(ended.code, Some(78), "{}", ended.log);
        fs::rename(&aside, &home.flags).expect("there");
    }
}

#[test]
fn a22_a_crash_while_writing_leaves_the_memory_before_it() {
    let home = Home::new();
    let sidecar = home.start().expect();
    let path = home.remembered("\"it\":1");
    sidecar.kill();
    fs::write(path.with_extension("unfinished"), "outrigger-last-known-good 1 ").expect("writable");
    fs::remove_file(&home.flags).expect("there");
    let sidecar = home.start().expect();
    assert_eq!(sidecar.value("answer"), 1);
    assert!(!path.with_extension("unfinished").exists());
}

#[test]
fn a23_a_second_process_on_the_same_state_directory_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    let mut first = home.start().expect();
    let ended = home.start().expect_end();
    assert_eq!(ended.code, Some(70), "{}", ended.log);
    assert!(ended.log.contains("another outrigger uses it"), "{}", ended.log);
    assert_eq!(first.value("answer"), 1);
    first.assert_unharmed();
    // A killed process holds no lock.
    first.kill();
    assert_eq!(home.start().expect().value("answer"), 1);
}

#[test]
fn a24_a_state_directory_that_cannot_be_written_keeps_the_process_from_starting() {
    let home = Home::new();
    fs::write(&home.state, "in the way").expect("writable");
    let ended = home.start().expect_end();
    assert_eq!(ended.code, Some(70), "{}", ended.log);
    assert!(ended.log.contains("--state-dir"), "{}", ended.log);
    assert!(Path::new(&home.state).is_file(), "what is there is left alone");
}
