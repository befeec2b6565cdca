//! Who may know whom inside the sidecar. Plain use goes downward.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{File, files, none};

/// The rooms of `sidecar/src` and, of each, which others it may name. `main` and `lib` only lead in.
const KNOWS: [(&str, &[&str]); 14] = [
    ("cli", &["app", "config", "loader", "runtime", "sources"]),
    (
        "app",
        &[
            "config",
            "control",
            "evaluation",
            "journal",
            "loader",
            "publish",
            "rollback",
            "runtime",
            "signals",
            "sources",
            "telemetry",
            "transport",
        ],
    ),
    ("config", &["sources"]),
    ("sources", &["loader", "runtime", "telemetry"]),
    ("loader", &["publish", "runtime", "telemetry"]),
    ("publish", &["journal", "runtime", "telemetry"]),
    ("transport", &["control", "evaluation", "runtime", "telemetry"]),
    ("evaluation", &["runtime", "telemetry"]),
    ("control", &["journal", "publish", "runtime", "telemetry"]),
    ("rollback", &["journal", "publish", "runtime", "signals", "telemetry"]),
    ("telemetry", &["runtime"]),
    ("journal", &["runtime", "telemetry"]),
    ("signals", &["runtime", "telemetry"]),
    ("runtime", &[]),
];

/// What only these rooms may name. A name stands for itself and everything below it.
const ONLY: [(&str, &[&str]); 16] = [
    // The only writer.
    ("SnapshotWriter", &["publish"]),
    ("SnapshotStore", &["app"]),
    ("outrigger_flags::load", &["loader", "cli"]),
    ("Snapshot::compose", &["publish", "cli"]),
    // Wire types stop at the transport.
    ("outrigger_proto", &["transport"]),
    ("tonic", &["transport"]),
    ("tonic_health", &["transport"]),
    ("prost", &["transport"]),
    ("prost_types", &["transport"]),
    ("hyper", &["transport"]),
    ("hyper_util", &["transport"]),
    ("notify", &["sources"]),
    ("clap", &["cli"]),
    // The real clock and the environment.
    ("SystemTime", &["runtime"]),
    ("std::time::Instant", &["runtime"]),
    ("std::env", &["main"]),
];

/// The room of a file: `sidecar/src/loader/guard.rs` is in `loader`.
fn room(file: &File) -> &str {
    let below = file.path.strip_prefix("sidecar/src/").expect("a file of the sidecar");
    below.split(['/', '.']).next().expect("a name")
}

/// How many modules deep a file is: `loader.rs` is 1, `loader/guard.rs` is 2.
fn depth(file: &File) -> usize {
    file.path.matches('/').count() - 1
}

/// The rooms that a file names, through `crate::` or by going up.
fn named_rooms(file: &File) -> BTreeSet<String> {
    let top = format!("{}crate", "super::".repeat(depth(file))).replace("::crate", "");
    let names_room = |path: String| {
        let rest =
            path.strip_prefix("crate::").or_else(|| path.strip_prefix(&format!("{top}::")))?;
        rest.split("::").next().map(str::to_owned)
    };
    file.paths().into_iter().filter_map(names_room).collect()
}

fn sidecar() -> Vec<File> {
    files(&["sidecar/src"]).into_iter().filter(|file| !file.is_test()).collect()
}

#[test]
fn a_room_names_only_the_rooms_below_it() {
    let table = BTreeMap::from(KNOWS);
    let (mut arrows, mut wrong) = (BTreeSet::new(), Vec::new());
    for file in sidecar() {
        let room = room(&file);
        if matches!(room, "main" | "lib") {
            continue;
        }
        let allowed = table.get(room).unwrap_or_else(|| panic!("{room} is not in the table"));
        for other in named_rooms(&file) {
            if other == room || !table.contains_key(&*other) {
                continue;
            }
            if !allowed.contains(&&*other) {
                wrong.push(format!("{} must not name {other}", file.path));
            }
            arrows.insert(format!("{room} -> {other}"));
        }
    }
    none(&wrong);
    assert!(arrows.len() > 10, "the rule sees too little: {arrows:?}");
}

#[test]
fn the_table_of_rooms_has_no_way_back_but_the_messages_of_a_receiver() {
    let table = BTreeMap::from(KNOWS);
    let mut both = BTreeSet::new();
    for (room, known) in KNOWS {
        for other in known.iter().filter(|other| table[**other].contains(&room)) {
            both.insert(format!("{room} <-> {other}"));
        }
    }
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn what_belongs_to_one_room_is_named_nowhere_else() {
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for file in sidecar() {
        for path in file.paths() {
            for (name, rooms) in ONLY {
                if !is_or_is_below(&path, name) {
                    continue;
                }
                if !rooms.contains(&room(&file)) {
                    wrong.push(format!("{} must not name {name}: {path}", file.path));
                }
                seen.insert(name);
            }
        }
    }
    none(&wrong);
    let unseen: Vec<&str> =
        ONLY.iter().map(|(name, _)| *name).filter(|name| !seen.contains(name)).collect();
    // What nobody names at all is a rule that may have lost its name.
    assert!(unseen.iter().all(|name| *name == "std::time::Instant"), "{unseen:?}");
}

/// Whether a path is this name, leads to it, or goes on from it.
fn is_or_is_below(path: &str, name: &str) -> bool {
    let path: Vec<&str> = path.split("::").collect();
    let name: Vec<&str> = name.split("::").collect();
    match name[0].starts_with(char::is_uppercase) {
        true => path.windows(name.len()).any(|part| part == name),
        false => path.starts_with(&name),
    }
}

#[test]
fn the_flag_engine_touches_nothing_of_the_world() {
    const WORLD: [&str; 8] = [
        "std::env",
        "std::fs",
        "std::net",
        "std::process",
        "std::thread",
        "std::time",
        "SystemTime",
        "Instant",
    ];
    let mut wrong = Vec::new();
    for file in files(&["flags/src"]).into_iter().filter(|file| !file.is_test()) {
        for path in file.paths() {
            // Wire types stop elsewhere: domain types are not written by serde.
            if path == "Serialize" || WORLD.iter().any(|name| is_or_is_below(&path, name)) {
                wrong.push(format!("{} must not name {path}", file.path));
            }
        }
    }
    none(&wrong);
}
