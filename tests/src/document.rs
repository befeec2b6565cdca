//! Flag documents for tests.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

/// A boolean flag that is on.
pub fn on() -> Json {
    json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"})
}

/// A flag whose only variant is this value.
pub fn constant(value: impl Into<Json>) -> Json {
    json!({"state": "ENABLED", "variants": {"it": value.into()}, "defaultVariant": "it"})
}

/// A document of these flags.
pub fn of<'a>(flags: impl IntoIterator<Item = (&'a str, Json)>) -> String {
    let flags: serde_json::Map<String, Json> =
        flags.into_iter().map(|(key, flag)| (key.to_owned(), flag)).collect();
    json!({ "flags": flags }).to_string()
}

/// A document with the one flag `answer`, whose value is this.
pub fn answer(value: impl Into<Json>) -> String {
    of([("answer", constant(value))])
}

/// A document of `count` flags `flag-000000…`, each a number flag with the value `value`.
pub fn many(count: usize, value: u64) -> String {
    let mut text = String::from("{\"flags\":{");
    for i in 0..count {
        let separator = if i == 0 { "" } else { "," };
        write!(
            text,
            "{separator}\n\"flag-{i:06}\":{{\"state\":\"ENABLED\",\"variants\":{{\"it\":{value}}},\
             \"defaultVariant\":\"it\",\"targeting\":{{\"if\":[{{\"==\":[{{\"var\":\"tier\"}},\
             \"gold\"]}},\"it\",null]}}}}"
        )
        .expect("a String can be written to");
    }
    text.push_str("}}");
    text
}

/// A YAML document of the boolean flags `flag-000…` in this range, each followed by a blank line.
pub fn yaml(flags: std::ops::Range<usize>) -> String {
    let mut text = String::from("flags:\n");
    for i in flags {
        write!(
            text,
            "  flag-{i:03}:\n    state: ENABLED\n    variants:\n      on: true\n      off: false\n    \
             defaultVariant: on\n\n"
        )
        .expect("a String can be written to");
    }
    text
}

/// Puts a file in its place in one step, as editors and deploy tools do.
///
/// # Panics
/// If the directory cannot be written to.
pub fn rename_into_place(path: &Path, content: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, content).expect("writable");
    fs::rename(&beside, path).expect("renamable");
}
