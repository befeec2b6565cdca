//! What a file source reports about real files and directories.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::loader::{Absence, News};

use super::*;

fn source(path: &Path, names: Names) -> FileSource {
    FileSource { name: SourceName::new("src"), path: path.to_owned(), names }
}

/// Passes until settled; returns what was said, one line each.
fn look(scanner: &mut Scanner) -> Vec<String> {
    let mut said = Vec::new();
    for _ in 0..10 {
        if scanner.pass(&mut |update| said.push(describe(update.news))) {
            return said;
        }
    }
    panic!("never settled: {said:?}");
}

fn describe(news: News) -> String {
    match news {
        News::Document { source, bytes, .. } => {
            format!("{source} = {}", String::from_utf8(bytes).unwrap())
        }
        News::Absent { source, absence } => format!("{source}: {absence}"),
        News::Members(members) => {
            let names: Vec<&str> = members.iter().map(SourceName::as_str).collect();
            format!("members [{}]", names.join(" "))
        }
    }
}

#[test]
fn a_file_is_reported_when_seen_twice_and_again_only_when_it_changes() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("f.json");
    fs::write(&path, "1").unwrap();
    let mut scanner = Scanner::new(source(&path, Names::Any), 0);
    let mut first = Vec::new();
    assert!(!scanner.pass(&mut |update| first.push(update)), "seen once only");
    assert!(first.is_empty());
    assert_eq!(look(&mut scanner), ["src = 1", "members [src]"]);
    assert!(look(&mut scanner).is_empty());
    fs::write(&path, "2").unwrap();
    assert_eq!(look(&mut scanner), ["src = 2"]);
}

#[test]
fn a_file_that_changes_between_two_looks_is_not_reported() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("f.yaml");
    fs::write(&path, "whole").unwrap();
    let mut scanner = Scanner::new(source(&path, Names::Any), 0);
    look(&mut scanner);
    let mut said = Vec::new();
    for length in 1..20 {
        fs::write(&path, "x".repeat(length)).unwrap();
        assert!(!scanner.pass(&mut |update| said.push(describe(update.news))));
    }
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(look(&mut scanner), [format!("src = {}", "x".repeat(19))]);
}

#[test]
fn a_file_that_never_holds_still_is_reported_once_as_such() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("f.json");
    let mut scanner = Scanner::new(source(&path, Names::Any), 0);
    let mut said = Vec::new();
    for round in 0..300 {
        fs::write(&path, round.to_string()).unwrap();
        scanner.pass(&mut |update| said.push(describe(update.news)));
    }
    assert_eq!(said, [format!("src: {}", Absence::Unsettled)]);
    assert_eq!(look(&mut scanner), ["src = 299", "members [src]"]);
}

#[test]
fn absence_is_news_with_a_reason_and_so_is_the_return() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("f.json");
    let mut scanner = Scanner::new(source(&path, Names::Any), 0);
    assert_eq!(look(&mut scanner), ["src: there is no such file or directory"]);
    assert!(look(&mut scanner).is_empty(), "said once");
    fs::write(&path, "1").unwrap();
    assert_eq!(look(&mut scanner), ["src = 1", "members [src]"]);
    fs::remove_file(&path).unwrap();
    assert_eq!(look(&mut scanner), ["src: there is no such file or directory"]);
    fs::write(&path, "1").unwrap();
    assert_eq!(look(&mut scanner), ["src = 1", "members [src]"], "the same bytes are news again");
}

#[test]
fn what_cannot_be_a_document_is_absent() {
    let home = tempfile::tempdir().unwrap();
    let said = |path: &Path| look(&mut Scanner::new(source(path, Names::Any), 0));

    let text = home.path().join("f.txt");
    fs::write(&text, "1").unwrap();
    assert_eq!(said(&text), [format!("src: {}", Absence::UnknownFormat)]);

    let socket = home.path().join("f.json");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert_eq!(said(&socket), [format!("src: {}", Absence::NotAFile)]);

    let large = home.path().join("large.json");
    fs::File::create(&large).unwrap().set_len((64 << 20) + 1).unwrap();
    assert_eq!(said(&large), [format!("src: {}", Absence::TooLarge)]);
}

#[test]
fn a_file_that_may_not_be_read_is_absent() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("f.json");
    fs::write(&path, "1").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        // Root reads everything: then this says what the others see.
        fs::remove_file(&path).unwrap();
        symlink("f.json", &path).unwrap();
    }
    let said = look(&mut Scanner::new(source(&path, Names::Any), 0));
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("os error"), "{said:?}");
}

#[test]
fn a_directory_is_its_flag_files_in_order() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str| fs::write(home.path().join(name), name).unwrap();
    for name in ["b.yaml", "a.flagd.json", "c.yml", ".hidden.json", "notes.txt", "json"] {
        write(name);
    }
    fs::create_dir(home.path().join("deep.json")).unwrap();
    let mut scanner = Scanner::new(source(home.path(), Names::Any), 0);
    assert_eq!(
        look(&mut scanner),
        [
            "src/a.flagd.json = a.flagd.json",
            "src/b.yaml = b.yaml",
            "src/c.yml = c.yml",
            "members [src/a.flagd.json src/b.yaml src/c.yml]"
        ]
    );
    let mut only_flagd = Scanner::new(source(home.path(), Names::Flagd), 0);
    assert_eq!(
        look(&mut only_flagd),
        ["src/a.flagd.json = a.flagd.json", "members [src/a.flagd.json]"]
    );

    write("d.json");
    fs::remove_file(home.path().join("b.yaml")).unwrap();
    assert_eq!(
        look(&mut scanner),
        ["src/d.json = d.json", "members [src/a.flagd.json src/c.yml src/d.json]"]
    );
}

#[test]
fn a_directory_that_goes_away_is_absent_and_all_of_it_is_news_when_it_is_back() {
    let home = tempfile::tempdir().unwrap();
    let (path, aside) = (home.path().join("flags"), home.path().join("aside"));
    fs::create_dir(&path).unwrap();
    fs::write(path.join("a.json"), "1").unwrap();
    let mut scanner = Scanner::new(source(&path, Names::Any), 0);
    look(&mut scanner);
    fs::rename(&path, &aside).unwrap();
    assert_eq!(look(&mut scanner), ["src: there is no such file or directory"]);
    fs::rename(&aside, &path).unwrap();
    assert_eq!(look(&mut scanner), ["src/a.json = 1", "members [src/a.json]"]);
}

/// The kubelet's way: a new directory, and one link renamed over.
fn swap(volume: &Path, version: &str, content: &str) {
    let directory = volume.join(version);
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("f.json"), content).unwrap();
    let link = volume.join("..data_tmp");
    symlink(version, &link).unwrap();
    let before = fs::read_link(volume.join("..data")).ok();
    fs::rename(&link, volume.join("..data")).unwrap();
    if let Some(before) = before {
        fs::remove_dir_all(volume.join(before)).unwrap();
    }
}

/// Receives until the document has this content. Events must do it: polling is slower than this.
async fn content(updates: &mut mpsc::Receiver<SourceUpdate>, expected: &str) {
    let received = async {
        while let Some(update) = updates.recv().await {
            if let News::Document { bytes, .. } = update.news
                && bytes == expected.as_bytes()
            {
                return;
            }
        }
        panic!("the source ended");
    };
    let in_time = tokio::time::timeout(POLL_EVERY, received).await;
    assert!(in_time.is_ok(), "{expected:?} did not arrive before the next poll");
}

#[tokio::test]
async fn every_way_of_replacing_a_file_is_noticed_by_events() {
    let home = tempfile::tempdir().unwrap();
    let plain = home.path().join("plain.json");
    fs::write(&plain, "0").unwrap();
    let (sender, mut updates) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let running = tokio::spawn(source(&plain, Names::Any).run(0, sender, stop.clone()));
    content(&mut updates, "0").await;
    for round in 0..5 {
        fs::write(&plain, format!("in place {round}")).unwrap();
        content(&mut updates, &format!("in place {round}")).await;

        let beside = home.path().join("beside");
        fs::write(&beside, format!("renamed {round}")).unwrap();
        fs::rename(&beside, &plain).unwrap();
        content(&mut updates, &format!("renamed {round}")).await;

        fs::remove_file(&plain).unwrap();
        fs::write(&plain, format!("made anew {round}")).unwrap();
        content(&mut updates, &format!("made anew {round}")).await;
    }
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn every_config_map_swap_is_noticed_by_events() {
    let volume = tempfile::tempdir().unwrap();
    swap(volume.path(), "..v0", "version 0");
    symlink("..data/f.json", volume.path().join("f.json")).unwrap();
    let (sender, mut updates) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let path = volume.path().join("f.json");
    let running = tokio::spawn(source(&path, Names::Any).run(0, sender, stop.clone()));
    content(&mut updates, "version 0").await;
    for version in 1..20 {
        swap(volume.path(), &format!("..v{version}"), &format!("version {version}"));
        content(&mut updates, &format!("version {version}")).await;
    }
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_source_ends_when_nobody_listens() {
    let home = tempfile::tempdir().unwrap();
    let (sender, updates) = mpsc::channel(1);
    drop(updates);
    source(home.path(), Names::Any).run(0, sender, CancellationToken::new()).await;
}
