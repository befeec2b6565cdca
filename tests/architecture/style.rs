//! What every Rust file has, and what none has.

use proc_macro2::{TokenStream, TokenTree};

use crate::source::{File, files, none};

const FOLDERS: [&str; 6] = ["flags", "proto", "sidecar", "sdk", "tests", "benches"];
/// Lines of a file without its tests.
const LINES_MAX: usize = 400;

fn all() -> Vec<File> {
    let folders: Vec<&str> = FOLDERS
        .into_iter()
        .filter(|folder| outrigger_tests::public_data::repository().join(folder).is_dir())
        .collect();
    files(&folders)
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = all().into_iter().filter(|file| !file.text.starts_with("//! "));
    none(&silent.map(|file| format!("{}: begins without a `//!`", file.path)).collect::<Vec<_>>());
}

#[test]
fn no_file_is_longer_than_400_lines_without_its_tests() {
    let mut long = Vec::new();
    for file in all() {
        // Unit tests in a file of their own are the tests of the file above.
        if file.is_test() && !file.path.starts_with("tests/") {
            continue;
        }
        let end = file.text.find("\n#[cfg(test)]\nmod tests").unwrap_or(file.text.len());
        let lines = file.text[..end].lines().count();
        if lines > LINES_MAX {
            long.push(format!("{}: {lines} lines", file.path));
        }
    }
    none(&long);
}

#[test]
fn nothing_is_left_undone_hidden_or_unsafe() {
    // Put together here, so that this file does not find itself.
    let macros = [["to", "do"], ["unimple", "mented"], ["db", "g"]].map(|parts| parts.concat());
    let texts = [["#[", "ignore"], ["TO", "DO:"], ["FIX", "ME"]].map(|parts| parts.concat());
    let mut breaches = Vec::new();
    for file in all() {
        for (word, next) in words(&file) {
            if (macros.contains(&word) && next == "!") || word == "unsafe" {
                breaches.push(format!("{}: {word}", file.path));
            }
        }
        let found = texts.iter().filter(|text| file.text.contains(*text));
        breaches.extend(found.map(|text| format!("{}: {text}", file.path)));
    }
    none(&breaches);
}

/// Each word of a file and what follows it.
fn words(file: &File) -> Vec<(String, String)> {
    fn flatten(trees: impl IntoIterator<Item = TokenTree>, out: &mut Vec<String>) {
        for tree in trees {
            match tree {
                TokenTree::Group(group) => flatten(group.stream(), out),
                other => out.push(other.to_string()),
            }
        }
    }
    let mut tokens = Vec::new();
    flatten(file.text.parse::<TokenStream>().expect("Rust"), &mut tokens);
    tokens.windows(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

#[test]
fn every_limit_says_its_unit() {
    const UNITS: [&str; 12] = [
        "byte",
        "second",
        "how long",
        "how often",
        "deepest",
        "most ",
        "steps",
        "streams",
        "connections",
        "longest",
        "may take",
        "silence",
    ];
    for path in ["flags/src/limits.rs", "sidecar/src/transport/limits.rs"] {
        let file = files(&[path.rsplit_once('/').expect("a folder").0]);
        let file = file.into_iter().find(|file| file.path == path).expect("there");
        let mut doc = String::new();
        let mut limits = 0;
        for line in file.text.lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("/// ") {
                doc.push_str(&text.to_lowercase());
            } else if line.starts_with("pub const ")
                || (line.starts_with("pub ") && line.ends_with(','))
            {
                limits += 1;
                assert!(UNITS.iter().any(|unit| doc.contains(unit)), "{path}: {line}: {doc}");
                doc.clear();
            } else {
                doc.clear();
            }
        }
        assert!(limits >= 10, "{path}: only {limits} limits were found");
    }
}
