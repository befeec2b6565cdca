//! The guard against removals that nobody meant.

use std::fs;
use std::time::Duration;

use outrigger_tests::document;
use outrigger_tests::sidecar::{Sidecar, Start};
use outrigger_tests::wait::eventually;

fn serve_yaml() -> (tempfile::TempDir, std::path::PathBuf, Sidecar) {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("flags.yaml");
    fs::write(&file, document::yaml(0..100)).expect("writable");
    let sidecar = Start::serve().flags(&file).expect();
    (home, file, sidecar)
}

#[test]
fn a2_a_mass_removal_in_yaml_is_held_until_the_next_version_confirms_it() {
    let (_home, file, mut sidecar) = serve_yaml();
    document::rename_into_place(&file, &document::yaml(0..40));
    let said = sidecar.wait_for_readiness("held");
    assert!(said.contains("lacks 60 flags"), "{said}");
    assert_eq!(sidecar.resolve_all().len(), 100);
    document::rename_into_place(&file, &document::yaml(1..41));
    eventually("the removal is confirmed", || (sidecar.resolve_all().len() == 40).then_some(()));
    assert_eq!(sidecar.value("flag-040"), true);
    sidecar.assert_unharmed();
}

#[test]
fn a2_a_mass_removal_that_is_taken_back_never_happened() {
    let (_home, file, mut sidecar) = serve_yaml();
    document::rename_into_place(&file, "flags: {}\n");
    sidecar.wait_for_readiness("held");
    document::rename_into_place(&file, &document::yaml(0..101));
    sidecar.wait_for_value("flag-100", true);
    assert_eq!(sidecar.resolve_all().len(), 101);
    sidecar.wait_for_readiness("fresh");
    sidecar.assert_unharmed();
}

#[test]
fn a2_a_mass_removal_that_nobody_touches_is_applied_in_the_end() {
    let (_home, file, mut sidecar) = serve_yaml();
    document::rename_into_place(&file, &document::yaml(0..40));
    sidecar.wait_for_readiness("held");
    let (_, taken) =
        eventually("it is applied", || (sidecar.resolve_all().len() == 40).then_some(()));
    println!("a2: a removal of 60 flags was held for {taken:?}");
    assert!(taken > Duration::from_secs(5), "held for {taken:?} only");
    sidecar.assert_unharmed();
}

#[test]
fn a2_a_small_removal_is_everyday_work() {
    let (_home, file, mut sidecar) = serve_yaml();
    document::rename_into_place(&file, &document::yaml(0..90));
    eventually("it is applied", || (sidecar.resolve_all().len() == 90).then_some(()));
    assert!(!sidecar.log().contains("lacks many flags"), "{}", sidecar.log());
    sidecar.assert_unharmed();
}

#[test]
fn a5_a_file_that_vanishes_among_others_goes_only_after_a_while() {
    let home = tempfile::tempdir().expect("a directory");
    let write = |name: &str, key: &str| {
        let text = document::of([(key, document::on())]);
        fs::write(home.path().join(name), text).expect("writable");
    };
    write("a.json", "first");
    write("b.json", "second");
    let mut sidecar = Start::serve().flags(home.path()).expect();
    fs::remove_file(home.path().join("a.json")).expect("there");
    let said = sidecar.wait_for_readiness("stale");
    assert!(said.contains("a.json"), "{said}");
    assert_eq!(sidecar.value("first"), true);
    // Back in time: nothing happened.
    write("a.json", "first");
    eventually("all is fresh", || (!sidecar.readiness().contains("stale")).then_some(()));
    fs::remove_file(home.path().join("a.json")).expect("there");
    let gone = || (sidecar.resolve("first")["errorCode"] == "FLAG_NOT_FOUND").then_some(());
    let (_, taken) = eventually("it is given up", gone);
    assert!(taken > Duration::from_secs(5), "after {taken:?} only");
    assert_eq!(sidecar.value("second"), true);
    sidecar.assert_unharmed();
}
