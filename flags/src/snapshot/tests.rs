//! How layers compose, and what changed between two snapshots.

use super::*;
use crate::bucket::Generation;
use crate::compile::{Format, LoadOptions, load};
use crate::store::SnapshotStore;

fn layer(source: &str, flags: &[(&str, &str)]) -> Arc<Layer> {
    let flags: Vec<String> = flags
        .iter()
        .map(|(id, variant)| {
            let (set, key) = id.split_once('/').unwrap_or(("", id));
            format!(
                r#"{{"key":"{key}","state":"ENABLED","variants":{{"{variant}":1}},"defaultVariant":"{variant}","metadata":{{"flagSetId":"{set}"}}}}"#
            )
        })
        .collect();
    let document = format!(r#"{{"flags":[{}]}}"#, flags.join(","));
    let options = LoadOptions { source: SourceName::new(source), generation: Generation::V2 };
    Arc::new(load(document.as_bytes(), Format::Json, &options, None).unwrap().layer)
}

fn variant<'v>(view: &'v View, key: &str) -> Option<&'v str> {
    view.resolve(key, &EvaluationContext::new(), UnixSeconds(0)).ok()?.variant
}

fn set(id: &str) -> Selector {
    Selector::FlagSet(Some(FlagSetId::new(id)))
}

fn compose(layers: &[Arc<Layer>]) -> Snapshot {
    Snapshot::compose(Revision { epoch: 1, seq: 1 }, layers)
}

#[test]
fn the_later_layer_wins_and_its_flag_gone_the_earlier_returns() {
    let low = layer("low", &[("a", "low"), ("b", "low")]);
    let both = compose(&[Arc::clone(&low), layer("high", &[("a", "high")])]);
    let all = both.view(&Selector::Any);
    assert_eq!((variant(all, "a"), variant(all, "b")), (Some("high"), Some("low")));
    let without = compose(&[low, layer("high", &[])]);
    assert_eq!(variant(without.view(&Selector::Any), "a"), Some("low"));
}

#[test]
fn a_source_shows_all_of_its_flags() {
    let snapshot = compose(&[layer("low", &[("a", "low")]), layer("high", &[("a", "high")])]);
    let source = |name: &str| snapshot.view(&Selector::Source(SourceName::new(name)));
    assert_eq!(variant(source("low"), "a"), Some("low"));
    assert_eq!(variant(source("high"), "a"), Some("high"));
    assert!(source("elsewhere").is_empty());
}

#[test]
fn sets_that_share_a_key_stay_apart() {
    let snapshot = compose(&[
        layer("low", &[("z/a", "z-low"), ("a", "none-low")]),
        layer("high", &[("m/a", "m-high")]),
    ]);
    assert_eq!(variant(snapshot.view(&set("z")), "a"), Some("z-low"));
    assert_eq!(variant(snapshot.view(&set("m")), "a"), Some("m-high"));
    assert_eq!(variant(snapshot.view(&Selector::FlagSet(None)), "a"), Some("none-low"));
    assert!(snapshot.view(&set("x")).is_empty());
    let all = snapshot.view(&Selector::Any);
    assert_eq!(variant(all, "a"), Some("m-high"), "the higher source wins");
    let ids: Vec<_> = all.flags().iter().map(|flag| flag.id()).collect();
    assert_eq!(ids, [(None, "a"), (Some("m"), "a"), (Some("z"), "a")], "by set, then by key");
    let within = compose(&[layer("only", &[("a/k", "first"), ("b/k", "last")])]);
    assert_eq!(
        variant(within.view(&Selector::Any), "k"),
        Some("last"),
        "within a source the last set"
    );
}

#[test]
fn changes_name_what_is_new_different_and_gone() {
    let before = compose(&[layer("s", &[("a", "1"), ("b", "1"), ("c", "1")])]);
    let now = compose(&[layer("s", &[("b", "2"), ("c", "1"), ("d", "1")])]);
    let view = |snapshot: &Snapshot| -> Vec<(String, &'static str)> {
        let changes = snapshot.view(&Selector::Any).changes_since(before.view(&Selector::Any));
        changes.iter().map(|change| (change.key().to_owned(), change.kind.as_str())).collect()
    };
    let expected = [("a", "delete"), ("b", "update"), ("d", "write")];
    assert_eq!(view(&now), expected.map(|(key, kind)| (key.to_owned(), kind)));
    assert!(view(&before).is_empty());
    let moved = compose(&[layer("elsewhere", &[("a", "1"), ("b", "1"), ("c", "1")])]);
    assert_eq!(view(&moved).len(), 3, "another source is a change");
}

#[test]
fn the_writer_drops_what_no_reader_holds() {
    let (mut writer, reader) = SnapshotStore::new(Snapshot::empty());
    let held = reader.load_full();
    writer.publish(Arc::new(compose(&[layer("s", &[("a", "1")])])));
    assert_eq!(writer.drop_retired(), 1, "a reader still holds it");
    drop(held);
    assert_eq!(writer.drop_retired(), 0);
    assert_eq!(reader.load().revision(), Revision { epoch: 1, seq: 1 });
}

#[test]
fn a_handle_follows_the_snapshot() {
    let (mut writer, reader) = SnapshotStore::new(Snapshot::empty());
    let mut handle = reader.cached().handle("a");
    let mut ask = || {
        let found = handle.resolve(&EvaluationContext::new(), UnixSeconds(0));
        found.map(|found| found.variant.map(str::to_owned)).map_err(|error| error.code)
    };
    assert_eq!(ask(), Err(crate::ErrorCode::FlagNotFound));
    for variant in ["1", "2"] {
        writer.publish(Arc::new(compose(&[layer("s", &[("a", variant)])])));
        assert_eq!(ask(), Ok(Some(variant.to_owned())));
        assert_eq!(ask(), Ok(Some(variant.to_owned())));
    }
}
