//! What happens to files, tried on the real process.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use outrigger_tests::document;
use outrigger_tests::sidecar::{Sidecar, Start, binary};
use outrigger_tests::wait::eventually;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// A sidecar on one file with this content.
fn serve(name: &str, content: &str) -> (TempDir, std::path::PathBuf, Sidecar) {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join(name);
    fs::write(&file, content).expect("writable");
    let sidecar = Start::serve().flags(&file).expect();
    (home, file, sidecar)
}

fn revision(sidecar: &Sidecar) -> f64 {
    sidecar.metric("outrigger_snapshot_revision")
}

#[test]
fn a1_a_writer_that_pauses_in_json_changes_nothing_until_it_is_done() {
    let (_home, path, mut sidecar) = serve("flags.json", &document::answer(1));
    let next = document::answer(2);
    let mut file = File::create(&path).expect("writable");
    let (head, tail) = next.split_at(next.len() / 2);
    file.write_all(head.as_bytes()).expect("writable");
    // The pause lasts until the half was read and refused.
    sidecar.wait_for_readiness("refused");
    assert_eq!(sidecar.value("answer"), 1);
    assert_eq!(revision(&sidecar), 1.0);
    file.write_all(tail.as_bytes()).expect("writable");
    sidecar.wait_for_value("answer", 2);
    sidecar.wait_for_readiness("fresh");
    assert_eq!(revision(&sidecar), 2.0, "one swap");
    sidecar.assert_unharmed();
}

#[test]
fn a2_a_writer_that_pauses_in_yaml_loses_no_flag() {
    let (_home, path, mut sidecar) = serve("flags.yaml", &document::yaml(0..100));
    let next = document::yaml(0..101);
    // Cut between two flags: what is there so far is a valid document of 30 flags.
    let cut = next.find("  flag-030:").expect("there");
    let mut file = File::create(&path).expect("writable");
    file.write_all(&next.as_bytes()[..cut]).expect("writable");
    sidecar.wait_for_readiness("held");
    let answers = sidecar.resolve_all();
    assert_eq!(answers.len(), 100);
    assert!(answers.iter().all(|(_, answer)| answer["value"] == true));
    file.write_all(&next.as_bytes()[cut..]).expect("writable");
    sidecar.wait_for_value("flag-100", true);
    assert_eq!(sidecar.resolve_all().len(), 101);
    sidecar.wait_for_readiness("fresh");
    sidecar.assert_unharmed();
}

#[test]
fn a3_a_rename_over_the_file_is_one_swap_and_soon_visible() {
    const RENAMES: u64 = 40;
    let (_home, path, mut sidecar) = serve("flags.json", &document::answer(0));
    let mut taken: Vec<Duration> = (1..=RENAMES)
        .map(|value| {
            document::rename_into_place(&path, &document::answer(value));
            sidecar.wait_for_value("answer", value)
        })
        .collect();
    taken.sort();
    println!("a3: visible after {:?}, at worst {:?}", taken[taken.len() / 2], taken.last());
    assert!(taken[taken.len() / 2] < Duration::from_millis(250), "{taken:?}");
    assert_eq!(revision(&sidecar), (RENAMES + 1) as f64, "one swap each");
    sidecar.assert_unharmed();
}

#[test]
fn a5_a_deleted_file_changes_nothing_and_is_picked_up_when_it_is_back() {
    let (_home, path, mut sidecar) = serve("flags.json", &document::answer(1));
    for round in 2..=3 {
        fs::remove_file(&path).expect("there");
        let said = sidecar.wait_for_readiness("stale");
        assert!(said.starts_with("ready\n") && said.contains("no such file"), "{said}");
        assert_eq!(sidecar.management("/readyz").status, 200, "stale is not unready");
        assert_eq!(sidecar.value("answer"), round - 1);
        fs::write(&path, document::answer(round)).expect("writable");
        sidecar.wait_for_value("answer", round);
        sidecar.wait_for_readiness("fresh");
    }
    sidecar.assert_unharmed();
}

#[test]
fn a5_a_directory_that_goes_away_changes_nothing_and_is_watched_again_when_it_is_back() {
    let home = tempfile::tempdir().expect("a directory");
    let directory = home.path().join("flags");
    let write = |value: u64| {
        fs::create_dir(&directory).expect("not there");
        fs::write(directory.join("a.json"), document::answer(value)).expect("writable");
    };
    write(1);
    let mut sidecar = Start::serve().flags(&directory).expect();
    fs::rename(&directory, home.path().join("elsewhere")).expect("renamable");
    sidecar.wait_for_readiness("stale");
    assert_eq!(sidecar.value("answer"), 1);
    write(2);
    sidecar.wait_for_value("answer", 2);
    document::rename_into_place(&directory.join("a.json"), &document::answer(3));
    sidecar.wait_for_value("answer", 3);
    sidecar.assert_unharmed();
}

#[test]
fn a5_a_file_of_mode_000_changes_nothing() {
    const NOBODY: u32 = 65_534;
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("flags.json");
    fs::write(&path, document::answer(1)).expect("writable");
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    };
    mode(home.path(), 0o755);
    mode(&path, 0o644);
    // Root reads every file, whatever its mode; then somebody else must do it.
    let probe = home.path().join("probe");
    fs::write(&probe, "").expect("writable");
    mode(&probe, 0o000);
    let is_root = File::open(&probe).is_ok();
    let start = Start::serve().flags(&path);
    let start = if is_root { start.as_user(NOBODY) } else { start };
    if is_root && !can_run_as(NOBODY) {
        println!("a5: SKIPPED: root reads every file, and nobody else may run the binary");
        return;
    }
    let mut sidecar = start.expect();
    mode(&path, 0o000);
    let said = sidecar.wait_for_readiness("stale");
    assert!(said.to_lowercase().contains("permission denied"), "{said}");
    assert_eq!(sidecar.value("answer"), 1);
    mode(&path, 0o644);
    sidecar.wait_for_readiness("fresh");
    document::rename_into_place(&path, &document::answer(2));
    sidecar.wait_for_value("answer", 2);
    sidecar.assert_unharmed();
}

fn can_run_as(uid: u32) -> bool {
    use std::os::unix::process::CommandExt;
    let tried = Command::new(binary()).arg("version").uid(uid).gid(uid).output();
    tried.is_ok_and(|output| output.status.success())
}

#[test]
fn a6_a_change_without_any_event_is_found_by_looking() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("watched/flags.json");
    let elsewhere = home.path().join("unwatched/flags.json");
    for file in [&path, &elsewhere] {
        fs::create_dir(file.parent().expect("a parent")).expect("new");
    }
    fs::write(&path, document::answer(1)).expect("writable");
    // Events name the directory through which a file was opened: written by its other name, the
    // file changes without a word in the directory that is watched.
    fs::hard_link(&path, &elsewhere).expect("one file system");
    let mut sidecar = Start::serve().flags(&path).expect();
    fs::write(&elsewhere, document::answer(2)).expect("writable");
    let taken = sidecar.wait_for_value("answer", 2);
    println!("a6: found after {taken:?}");
    sidecar.assert_unharmed();
}

#[test]
fn a13_a_broken_flag_in_a_file_is_isolated_and_reported() {
    let both =
        |good: u64, bad: Json| document::of([("good", document::constant(good)), ("bad", bad)]);
    let (_home, path, mut sidecar) = serve("flags.json", &both(1, document::constant("before")));
    let wrong = json!({"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "no-such"});
    document::rename_into_place(&path, &both(2, wrong));
    sidecar.wait_for_value("good", 2);
    assert_eq!(sidecar.value("bad"), "before");
    sidecar.wait_for_log("default-variant-unknown");
    sidecar.assert_unharmed();
}

#[test]
fn a14_an_emptied_file_changes_nothing_and_an_empty_set_is_obeyed() {
    let (_home, path, mut sidecar) = serve("flags.json", &document::answer(1));
    File::create(&path).expect("writable");
    sidecar.wait_for_readiness("refused");
    assert_eq!(sidecar.value("answer"), 1);
    document::rename_into_place(&path, "{\"flags\": {}}");
    let gone = || (sidecar.resolve("answer")["errorCode"] == "FLAG_NOT_FOUND").then_some(());
    eventually("the set is empty, as it says", gone);
    sidecar.wait_for_readiness("fresh");
    sidecar.assert_unharmed();
}

#[test]
fn a17_of_two_files_with_the_same_flag_the_later_wins_whichever_changed_last() {
    let home = tempfile::tempdir().expect("a directory");
    let [low, high] = ["low.json", "high.json"].map(|name| home.path().join(name));
    fs::write(&low, document::answer("low")).expect("writable");
    fs::write(&high, document::answer("high")).expect("writable");
    let mut sidecar = Start::serve().flags(&low).flags(&high).expect();
    assert_eq!(sidecar.value("answer"), "high");
    let changed = document::of([("answer", document::constant("low")), ("only", document::on())]);
    document::rename_into_place(&low, &changed);
    sidecar.wait_for_value("only", true);
    assert_eq!(sidecar.value("answer"), "high");
    document::rename_into_place(&high, "{\"flags\": {}}");
    sidecar.wait_for_value("answer", "low");
    sidecar.assert_unharmed();
}

#[test]
fn a18_a_file_that_is_not_text_changes_nothing() {
    let (_home, path, mut sidecar) = serve("flags.json", &document::answer(1));
    for bytes in [&b"\xff\xfe{\0}\0"[..], b"\x1f\x8b\x08\0\0\0\0\0", b"\0\0\0\0", b"<html></html>"]
    {
        fs::write(&path, bytes).expect("writable");
        let refused = || sidecar.metric(&refusals(&path));
        let before = refused();
        if before == 0.0 {
            eventually("it is refused", || (refused() > before).then_some(()));
        }
        sidecar.wait_for_readiness("refused");
        assert_eq!(sidecar.value("answer"), 1);
    }
    document::rename_into_place(&path, &document::answer(2));
    sidecar.wait_for_value("answer", 2);
    sidecar.assert_unharmed();
}

fn refusals(path: &Path) -> String {
    format!("outrigger_reloads_total{{result=\"refused\",source=\"{}\"}}", path.display())
}

#[test]
fn a21_a_file_that_never_rests_is_stale_and_not_half_read() {
    let (_home, path, mut sidecar) = serve("flags.json", &document::answer(1));
    let mut file = OpenOptions::new().append(true).open(&path).expect("writable");
    // Spaces after a document leave it valid: only its bytes never hold still.
    let (said, _) = eventually("it is stale", || {
        file.write_all(b" ").expect("writable");
        Some(sidecar.readiness()).filter(|said| said.contains("stale"))
    });
    assert!(said.contains("being written"), "{said}");
    assert_eq!(sidecar.value("answer"), 1);
    drop(file);
    sidecar.wait_for_readiness("fresh");
    sidecar.assert_unharmed();
}
