//! A bad flag costs itself and nothing else: it keeps its last good definition.

use std::sync::Arc;

use outrigger_flags::{
    Code, ErrorCode, EvaluationContext, Format, Generation, LoadOptions, Revision, Selector,
    Severity, Snapshot, SourceName, UnixSeconds, Value, load,
};
use outrigger_tests::document;
use outrigger_tests::random::Random;
use serde_json::{Value as Json, json};

use crate::engine::{codes, loaded, resolve, try_load};

/// Flags that cannot be evaluated, each with the code that says so.
fn broken() -> Vec<(Json, Code)> {
    let rule = |targeting: Json| {
        json!({"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
            "targeting": targeting})
    };
    let changed = |member: &str, value: Json| {
        let mut flag = document::on();
        flag[member] = value;
        flag
    };
    vec![
        (json!(null), Code::FlagNotObject),
        (json!([1]), Code::FlagNotObject),
        (changed("state", json!(1)), Code::StateInvalid),
        (changed("variants", json!({})), Code::VariantsInvalid),
        (changed("variants", json!("on")), Code::VariantsInvalid),
        (changed("defaultVariant", json!("nowhere")), Code::DefaultVariantUnknown),
        (changed("defaultVariant", json!(true)), Code::DefaultVariantInvalid),
        (changed("metadata", json!([])), Code::MetadataInvalid),
        (rule(json!({"no-such-operator": [1]})), Code::OperatorUnknown),
        (rule(json!({"$ref": "nobody"})), Code::ReferenceUnknown),
    ]
}

#[test]
fn a13_a_broken_flag_is_reported_keeps_its_last_good_definition_and_its_siblings_go_live() {
    let before = document::of([("good", document::constant(1)), ("bad", document::constant(1))]);
    let before = loaded(&before, Format::Json).layer;
    for (flag, code) in broken() {
        let now = document::of([("good", document::constant(2)), ("bad", flag.clone())]);
        let now = try_load(now.as_bytes(), Format::Json, Some(&before)).expect("isolated");
        assert!(codes(&now).contains(&code), "{flag}: {:?}", now.diagnostics);
        let named = now.diagnostics.iter().find(|found| found.code == code).expect("there");
        assert_eq!(named.flag.as_deref(), Some("bad"), "{flag}");
        assert_eq!(named.severity(), Severity::Error, "{flag}");
        assert!(named.position.is_some(), "{flag}");
        let [good, bad] = ["good", "bad"].map(|key| value(&now.layer, key));
        assert_eq!(good, Ok(Value::from(2_i64)), "{flag}");
        assert_eq!(bad, Ok(Value::from(1_i64)), "{flag}");
    }
}

/// The value of a flag of a layer that is still needed.
fn value(layer: &outrigger_flags::Layer, key: &str) -> Result<Value, ErrorCode> {
    let flag =
        layer.flags().iter().find(|flag| flag.key() == key).ok_or(ErrorCode::FlagNotFound)?;
    let context = EvaluationContext::new();
    let resolution = flag.resolve(&context, UnixSeconds(0)).map_err(|error| error.code)?;
    Ok(resolution.value.cloned().unwrap_or(Value::Null))
}

#[test]
fn a13_a_flag_that_never_was_right_is_not_as_if_it_were_unknown() {
    for (flag, code) in broken() {
        let now = loaded(&document::of([("bad", flag.clone())]), Format::Json);
        match value(&now.layer, "bad") {
            // Where flagd can read the flag all the same, its reading is served.
            Ok(read) => {
                assert_eq!(read, Value::from(true), "{flag}");
                assert!(matches!(code, Code::StateInvalid | Code::MetadataInvalid), "{flag}");
            }
            Err(error) => assert_eq!(error, ErrorCode::ParseError, "{flag}"),
        }
    }
}

#[test]
fn a13_weights_that_cannot_work_are_reported_and_leave_the_default() {
    let fractional = |weights: Json| {
        let arms: Vec<Json> = weights
            .as_array()
            .expect("weights")
            .iter()
            .enumerate()
            .map(|(i, weight)| json!([if i % 2 == 0 { "on" } else { "off" }, weight]))
            .collect();
        document::of([(
            "f",
            json!({"state": "ENABLED", "variants": {"on": true, "off": false},
            "defaultVariant": "off", "targeting": {"fractional": arms}}),
        )])
    };
    for weights in [json!([0, 0]), json!([-1, 0]), json!([2_147_483_647, 2_147_483_647])] {
        let now = loaded(&fractional(weights.clone()), Format::Json);
        assert!(codes(&now).contains(&Code::FractionalWeight), "{weights}: {:?}", now.diagnostics);
        let value = resolve(now.layer, "f", "{\"targetingKey\":\"u\"}");
        assert_eq!(value, Ok(Value::from(false)), "{weights}");
    }
    assert_eq!(codes(&loaded(&fractional(json!([0, 1])), Format::Json)), []);
}

#[test]
fn a13_whatever_one_flag_holds_the_other_is_served() {
    let mut random = Random::new(Random::seed("a13", 13));
    let mut kept = 0;
    for round in 0..3_000 {
        let mut flag = document::on();
        let member =
            *random.pick(&["state", "variants", "defaultVariant", "targeting", "metadata"]);
        flag[member] = anything(&mut random, 4);
        let text =
            document::of([("a", document::constant(1)), ("bad", flag), ("z", document::on())]);
        let now = loaded(&text, Format::Json);
        kept +=
            usize::from(now.diagnostics.iter().any(|found| found.severity() == Severity::Error));
        assert_eq!(value(&now.layer, "a"), Ok(Value::from(1_i64)), "round {round}: {text}");
        assert_eq!(value(&now.layer, "z"), Ok(Value::from(true)), "round {round}: {text}");
        // It may give anything, but it must not panic, and its layer must be what it says it is.
        let _ = value(&now.layer, "bad");
        let again = loaded(&now.layer.to_document(), Format::Json);
        assert!(again.layer.len() <= now.layer.len());
    }
    assert!(kept > 500, "only {kept} flags were wrong: the test has lost its point");
}

/// A JSON value of any shape, with words that mean something in a flag.
fn anything(random: &mut Random, depth: usize) -> Json {
    const WORDS: [&str; 12] = [
        "on",
        "off",
        "ENABLED",
        "if",
        "var",
        "fractional",
        "$ref",
        "sem_ver",
        "==",
        "map",
        "",
        "\u{0}",
    ];
    let word = |random: &mut Random| (*random.pick(&WORDS)).to_owned();
    match random.below(if depth == 0 { 5 } else { 8 }) {
        0 => Json::Null,
        1 => Json::from(random.once_in(2)),
        2 => Json::from(random.bits() as i64),
        3 => Json::from(f64::from(random.bits() as i32) / 64.0),
        4 => Json::from(word(random)),
        5 => (0..random.below(4)).map(|_| anything(random, depth - 1)).collect(),
        _ => Json::Object(
            (0..=random.below(3)).map(|_| (word(random), anything(random, depth - 1))).collect(),
        ),
    }
}

#[test]
fn a11_what_is_written_twice_is_reported_and_changes_nothing() {
    let on = document::on().to_string();
    let twice = format!("{{\"flags\":{{\"a\":{on},\"b\":{on},\"a\":{}}}}}", document::constant(1));
    let variant = "{\"flags\":{\"a\":{\"state\":\"ENABLED\",\"variants\":{\"x\":1,\"x\":2},\
                   \"defaultVariant\":\"x\"}}}";
    let member = "{\"flags\":{\"a\":{\"state\":\"ENABLED\",\"state\":\"DISABLED\",\"variants\":\
                  {\"x\":1},\"defaultVariant\":\"x\"}}}";
    let before = loaded(&document::of([("a", document::constant("before"))]), Format::Json).layer;
    for (text, code) in [
        (twice.as_str(), Code::FlagDuplicate),
        (variant, Code::VariantDuplicate),
        (member, Code::MemberDuplicate),
    ] {
        let now = try_load(text.as_bytes(), Format::Json, Some(&before)).expect("isolated");
        assert!(codes(&now).contains(&code), "{text}: {:?}", now.diagnostics);
        assert_eq!(value(&now.layer, "a"), Ok(Value::from("before")), "{text}");
    }
    // Nobody can tell which of two flags is meant; what flagd can read of one is served.
    let fresh = loaded(&twice, Format::Json).layer;
    assert_eq!(value(&fresh, "a"), Err(ErrorCode::ParseError));
    assert_eq!(value(&fresh, "b"), Ok(Value::from(true)));
    let section = format!("{{\"flags\":{{\"a\":{on}}},\"flags\":{{}}}}");
    assert!(try_load(section.as_bytes(), Format::Json, None).is_err(), "two sets of flags");
}

#[test]
fn a17_of_two_sources_with_the_same_flag_the_later_wins_in_every_order_of_arrival() {
    let layer = |source: &str, value: i64| {
        let options = LoadOptions { source: SourceName::new(source), generation: Generation::V2 };
        let text = document::of([("both", document::constant(value)), (source, document::on())]);
        Arc::new(load(text.as_bytes(), Format::Json, &options, None).expect("a document").layer)
    };
    let layers = [layer("low", 1), layer("middle", 2), layer("high", 3)];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let stacked = order.map(|i| Arc::clone(&layers[i]));
        let snapshot = Snapshot::compose(Revision { epoch: 1, seq: 1 }, &stacked);
        let view = snapshot.view(&Selector::Any);
        let both = view.get("both").expect("there");
        assert_eq!(both.source(), stacked[2].source(), "{order:?}");
        let context = EvaluationContext::new();
        let explained = both.explain(&context, UnixSeconds(0)).resolution.expect("a value");
        assert_eq!(explained.as_i64(), Ok(Some(order[2] as i64 + 1)), "{order:?}");
        assert_eq!(view.len(), 4, "every flag of its own is there: {order:?}");
    }
}
