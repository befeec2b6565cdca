//! Which crate may depend on which. A crate boundary exists only to forbid a dependency.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use outrigger_tests::public_data::repository;
use serde_json::Value as Json;

/// Our crates and, of each, which others of ours it may know.
const KNOWS: [(&str, &[&str]); 8] = [
    ("outrigger-flags", &[]),
    ("outrigger-proto", &[]),
    ("outrigger-decision", &["outrigger-flags"]),
    ("outrigger-sdk", &["outrigger-flags", "outrigger-proto"]),
    ("outrigger-demo", &["outrigger-sdk"]),
    // The demo is a verb behind a feature; the SDK itself is out of reach.
    ("outrigger", &["outrigger-flags", "outrigger-decision", "outrigger-proto", "outrigger-demo"]),
    (
        "outrigger-tests",
        &["outrigger-flags", "outrigger-proto", "outrigger-decision", "outrigger-sdk"],
    ),
    (
        "outrigger-benches",
        &["outrigger-flags", "outrigger-proto", "outrigger-decision", "outrigger-sdk"],
    ),
];

/// All that the flag engine may depend on.
const FLAGS_MAY_USE: [&str; 5] = ["arc-swap", "foldhash", "serde", "serde-saphyr", "serde_json"];
/// All that the decision engine may depend on.
const DECISION_MAY_USE: [&str; 2] = ["libm", "outrigger-flags"];
/// What a pure crate has nowhere in its tree: runtimes, sockets, clocks, randomness.
const IMPURE: [&str; 14] = [
    "async-std",
    "chrono",
    "fastrand",
    "getrandom",
    "hyper",
    "mio",
    "rand",
    "reqwest",
    "rustix",
    "socket2",
    "time",
    "tokio",
    "tonic",
    "tracing",
];

struct Workspace {
    /// Normal dependencies of every package in the graph, by name.
    normal: BTreeMap<String, BTreeSet<String>>,
    members: BTreeSet<String>,
}

fn workspace() -> Workspace {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let list = |json: &Json| json.as_array().expect("a list").clone();
    let text = |json: &Json| json.as_str().expect("a text").to_owned();
    let names: BTreeMap<String, String> =
        list(&metadata["packages"]).iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let members =
        list(&metadata["workspace_members"]).iter().map(|id| names[&text(id)].clone()).collect();
    let mut normal = BTreeMap::<String, BTreeSet<String>>::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let entry = normal.entry(names[&text(&node["id"])].clone()).or_default();
        let is_normal = |dependency: &Json| {
            list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null())
        };
        let used = list(&node["deps"]).into_iter().filter(is_normal);
        entry.extend(used.map(|dependency| names[&text(&dependency["pkg"])].clone()));
    }
    Workspace { normal, members }
}

impl Workspace {
    /// Everything below a package.
    fn tree(&self, name: &str) -> BTreeSet<String> {
        let mut tree = BTreeSet::new();
        let mut ahead = vec![name.to_owned()];
        while let Some(next) = ahead.pop() {
            for below in self.normal.get(&next).into_iter().flatten() {
                if tree.insert(below.clone()) {
                    ahead.push(below.clone());
                }
            }
        }
        tree
    }
}

#[test]
fn every_crate_is_in_the_table_and_knows_only_whom_it_may() {
    let workspace = workspace();
    let table = BTreeMap::from(KNOWS);
    for member in &workspace.members {
        let allowed = table.get(&**member).unwrap_or_else(|| panic!("{member}: not in the table"));
        for used in workspace.normal[member].intersection(&workspace.members) {
            assert!(allowed.contains(&&**used), "{member} must not depend on {used}");
        }
    }
}

#[test]
fn the_sdk_and_the_sidecar_never_see_each_other() {
    let workspace = workspace();
    assert!(!workspace.tree("outrigger-sdk").contains("outrigger"));
    assert!(!workspace.normal["outrigger"].contains("outrigger-sdk"));
}

#[test]
fn the_pure_crates_use_what_they_may_and_nothing_impure_lies_below() {
    let workspace = workspace();
    let pure: [(&str, &[&str]); 2] =
        [("outrigger-flags", &FLAGS_MAY_USE), ("outrigger-decision", &DECISION_MAY_USE)];
    for (name, allowed) in pure {
        // The decision engine joins the table before it joins the workspace.
        let Some(used) = workspace.normal.get(name) else { continue };
        for dependency in used {
            assert!(allowed.contains(&&**dependency), "{name} must not depend on {dependency}");
        }
        for below in workspace.tree(name) {
            assert!(!IMPURE.contains(&&*below), "{below} is below {name}");
        }
    }
    assert!(workspace.normal.contains_key("outrigger-flags"));
}

#[test]
fn there_are_at_most_250_packages_below_the_binary() {
    let count = workspace().tree("outrigger").len();
    println!("{count} packages below the binary");
    assert!(count <= 250, "{count}");
}
