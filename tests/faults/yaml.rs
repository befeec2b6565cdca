//! YAML: not safe to truncate, and full of surprises that must not be any.

use std::time::{Duration, Instant};

use outrigger_flags::{Code, Format, Value};
use outrigger_tests::document;

use crate::engine::{codes, loaded, resolve, try_load};

#[test]
fn a2_truncated_yaml_at_every_byte_never_changes_a_flag_that_it_still_holds() {
    let whole = document::yaml(0..60);
    let before = loaded(&whole, Format::Yaml).layer;
    let (mut parsed, mut shorter) = (0, 0);
    for end in 0..whole.len() {
        let Ok(now) = try_load(&whole.as_bytes()[..end], Format::Yaml, Some(&before)) else {
            continue;
        };
        parsed += 1;
        let removed = now.layer.removed_since(&before);
        shorter += usize::from(removed > 0);
        // At most the flag in which the cut lies is new: by its key, or by what it says.
        let changed = now.layer.flags().iter().filter(|flag| {
            !before
                .flags()
                .iter()
                .any(|old| old.key() == flag.key() && old.definition() == flag.definition())
        });
        assert!(changed.count() <= 1, "cut at byte {end}");
    }
    println!("a2: {parsed} of {} prefixes load, {shorter} with fewer flags", whole.len());
    assert!(shorter > 1_000, "YAML became safe to truncate; then the guard can go");
}

#[test]
fn a9_alias_bombs_are_refused_before_they_are_written_out() {
    let mut bomb = String::from("x0: &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for i in 1..12 {
        let below = vec![format!("*x{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("x{i}: &x{i} [{below}]\n"));
    }
    bomb.push_str("flags: {}\n");
    let began = Instant::now();
    let refused = try_load(bomb.as_bytes(), Format::Yaml, None).expect_err("a bomb");
    println!("a9: refused after {:?}: {refused}", began.elapsed());
    // A release reads it ten times as fast.
    let allowed = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 3 });
    assert!(began.elapsed() < allowed, "it took {:?}", began.elapsed());

    let merged: String = (0..200).map(|i| format!("  <<: *m{i}\n")).collect();
    let hostile = format!("flags:\n{merged}");
    assert!(try_load(hostile.as_bytes(), Format::Yaml, None).is_err(), "unknown anchors");
}

#[test]
fn a9_anchors_and_merge_keys_work_as_people_use_them() {
    let text = "\
defaults: &defaults
  state: ENABLED
  variants: {on: true, off: false}
flags:
  a: {<<: *defaults, defaultVariant: on}
  b:
    <<: *defaults
    defaultVariant: \"off\"
";
    let [a, b] = ["a", "b"].map(|key| resolve(loaded(text, Format::Yaml).layer, key, "{}"));
    assert_eq!((a, b), (Ok(Value::from(true)), Ok(Value::from(false))));
}

#[test]
fn a9_only_true_and_false_are_booleans() {
    // In YAML 1.1 `on`, `off`, `no` and `y` were booleans: a variant called `on` became `true`.
    let text = "\
flags:
  a:
    state: ENABLED
    variants: {on: yes, off: no, y: NO, n: true}
    defaultVariant: on
";
    for (default, value) in [
        ("on", Value::from("yes")),
        ("off", Value::from("no")),
        ("y", Value::from("NO")),
        ("n", Value::from(true)),
    ] {
        let text = text.replace("defaultVariant: on", &format!("defaultVariant: {default}"));
        let loaded = loaded(&text, Format::Yaml);
        assert_eq!(codes(&loaded), [Code::VariantTypesDiffer], "{default}");
        assert_eq!(resolve(loaded.layer, "a", "{}"), Ok(value), "{default}");
    }
}

#[test]
fn a9_tags_several_documents_and_duplicates_are_refused_or_reported() {
    let flag = "{state: ENABLED, variants: {on: true}, defaultVariant: on}";
    let several = format!("flags: {{a: {flag}}}\n---\nflags: {{b: {flag}}}\n");
    assert!(try_load(several.as_bytes(), Format::Yaml, None).is_err(), "two documents");
    let twice = format!("flags:\n  a: {flag}\n  b: {flag}\n  a: {flag}\n");
    match try_load(twice.as_bytes(), Format::Yaml, None) {
        Err(refused) => println!("a9: a flag written twice refuses the document: {refused}"),
        Ok(loaded) => assert!(codes(&loaded).contains(&Code::FlagDuplicate)),
    }
    let tagged = format!("flags: {{a: !!python/object:os.system {flag}}}\n");
    if let Ok(loaded) = try_load(tagged.as_bytes(), Format::Yaml, None) {
        assert_eq!(resolve(loaded.layer, "a", "{}"), Ok(Value::from(true)), "a tag is only a tag");
    }
}
