//! Documents that are cut off, empty, not text, or from another time.

use outrigger_flags::{Code, Effect, Format, Value, limits};
use outrigger_tests::document;
use serde_json::json;

use crate::engine::{codes, loaded, resolve, try_load};

/// Flags of every kind, with text of several bytes a character.
fn corpus() -> String {
    let flags = json!({
        "metadata": {"team": "flöße"},
        "$evaluators": {"eu": {"in": [{"var": "country"}, ["NL", "BE"]]}},
        "flags": {
            "switch": document::on(),
            "text": document::constant("naïve \u{1f6f6} \"quoted\""),
            "object": document::constant(json!({"a": [1, 2.5, null, {"b": true}]})),
            "off": {"state": "DISABLED", "variants": {"x": 1e-7}, "defaultVariant": "x"},
            "rule": {"state": "ENABLED", "variants": {"on": true, "off": false},
                "defaultVariant": "off",
                "targeting": {"if": [{"$ref": "eu"}, "on",
                    {"fractional": [{"var": "email"}, ["on", 10], ["off", 90]]}]}},
        },
    });
    serde_json::to_string_pretty(&flags).expect("JSON")
}

#[test]
fn a1_truncated_json_is_refused_at_every_byte_and_says_where() {
    let whole = corpus();
    let before = loaded(&whole, Format::Json).layer;
    assert_eq!(before.len(), 5);
    for end in 0..whole.len() {
        let cut = &whole.as_bytes()[..end];
        let refused = try_load(cut, Format::Json, Some(&before))
            .expect_err(&format!("cut at byte {end}, it loads"));
        let first = &refused.diagnostics()[0];
        assert_eq!(first.code.effect(), Effect::DocumentRefused, "cut at {end}: {first}");
        assert!(first.position.is_some() || first.code == Code::NotUtf8, "cut at {end}: {first}");
    }
    println!("a1: {} prefixes, all refused", whole.len());
}

#[test]
fn a1_a_damaged_byte_never_costs_more_than_its_own_flags() {
    let whole = corpus();
    let before = loaded(&whole, Format::Json).layer;
    let mut taken = 0;
    for at in 0..whole.len() {
        for damage in [0x00, b' ', b'"', b'}', 0xff] {
            let mut bytes = whole.clone().into_bytes();
            bytes[at] = damage;
            // Whatever is read, it is a document as written: a key may change, no flag is lost.
            let Ok(now) = try_load(&bytes, Format::Json, Some(&before)) else { continue };
            taken += 1;
            assert!(now.layer.removed_since(&before) <= 1, "byte {at} = {damage:#04x}");
        }
    }
    assert!(taken > 100, "only {taken} damaged documents load: the test has lost its point");
}

#[test]
fn a12_what_is_unknown_is_accepted_and_named() {
    let text = json!({
        "$schema": "https://example.com/next.json", "$version": 99, "future": {"deep": [1]},
        "flags": {"answer": {"state": "ENABLED", "variants": {"it": 42}, "defaultVariant": "it",
            "rollout": {"step": 5}}},
    });
    let loaded = loaded(&text.to_string(), Format::Json);
    assert_eq!(codes(&loaded), [Code::MemberUnknown]);
    assert_eq!(resolve(loaded.layer, "answer", "{}"), Ok(Value::from(42_i64)));
}

#[test]
fn a14_an_empty_document_is_refused_and_an_empty_set_is_a_document() {
    for format in [Format::Json, Format::Yaml] {
        for nothing in ["", " ", "\n\n", "null", "[]", "\u{feff}"] {
            let refused = try_load(nothing.as_bytes(), format, None);
            assert!(refused.is_err(), "{nothing:?} as {format:?}");
        }
        assert!(loaded("{\"flags\": {}}", format).layer.is_empty());
    }
    for missing in ["{}", "{\"flags\": 1}", "{\"flags\": \"\"}", "{\"flag\": {}}"] {
        assert!(try_load(missing.as_bytes(), Format::Json, None).is_err(), "{missing}");
    }
    assert!(try_load(b"# only a comment\n", Format::Yaml, None).is_err());
}

#[test]
fn a18_what_is_not_utf8_is_refused() {
    let text = document::answer("x");
    let at = text.find("\"x\"").expect("the value") + 1;
    for bad in [0x80, 0xc0, 0xed, 0xf8, 0xff] {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = bad;
        for format in [Format::Json, Format::Yaml] {
            let refused = try_load(&bytes, format, None).expect_err("not UTF-8");
            assert_eq!(refused.diagnostics()[0].code, Code::NotUtf8, "{bad:#04x} as {format:?}");
        }
    }
}

/// A flag whose only value nests this deeply, beside a plain one.
fn nested(depth: usize) -> String {
    format!(
        "{{\"flags\":{{\"answer\":{},\"deep\":{{\"state\":\"ENABLED\",\"variants\":{{\"it\":{}{}}},\
         \"defaultVariant\":\"it\"}}}}}}",
        document::constant(42),
        "[".repeat(depth),
        "]".repeat(depth)
    )
}

#[test]
fn a19_deep_nesting_costs_its_flag_or_its_document_and_never_the_stack() {
    // The value of a variant lies four levels below the top.
    let fits = limits::DEPTH_MAX - 4;
    assert_eq!(codes(&loaded(&nested(fits), Format::Json)), [Code::VariantTypeUnusual]);
    let over = loaded(&nested(fits + 1), Format::Json);
    assert!(codes(&over).contains(&Code::TooDeep), "{:?}", over.diagnostics);
    assert_eq!(resolve(over.layer, "answer", "{}"), Ok(Value::from(42_i64)));
    for depth in [500, 100_000] {
        for format in [Format::Json, Format::Yaml] {
            let Ok(deep) = try_load(nested(depth).as_bytes(), format, None) else { continue };
            assert!(codes(&deep).contains(&Code::TooDeep), "{depth} as {format:?}");
            assert_eq!(resolve(deep.layer, "answer", "{}"), Ok(Value::from(42_i64)), "{depth}");
        }
    }
}

#[test]
fn a20_references_in_a_circle_or_a_long_chain_cost_their_flag() {
    let chain = |length: usize| {
        let link = |i: usize| match i + 1 < length {
            true => json!({"$ref": format!("e{}", i + 1)}),
            false => json!({"==": [1, 1]}),
        };
        let evaluators: serde_json::Map<_, _> =
            (0..length).map(|i| (format!("e{i}"), link(i))).collect();
        json!({"$evaluators": evaluators, "flags": {"answer": document::constant(42), "chained":
            {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
                "targeting": {"if": [{"$ref": "e0"}, "on", null]}}}})
    };
    let fits = loaded(&chain(limits::REFERENCE_DEPTH_MAX).to_string(), Format::Json);
    assert_eq!(codes(&fits), []);
    let over = loaded(&chain(limits::REFERENCE_DEPTH_MAX + 1).to_string(), Format::Json);
    assert!(codes(&over).contains(&Code::ReferenceTooDeep), "{:?}", over.diagnostics);

    let mut circle = chain(3);
    circle["$evaluators"]["e2"] = json!({"!": [{"$ref": "e0"}]});
    let circle = loaded(&circle.to_string(), Format::Json);
    assert!(codes(&circle).contains(&Code::ReferenceCycle), "{:?}", circle.diagnostics);
    for layer in [over.layer, circle.layer] {
        assert_eq!(resolve(layer, "answer", "{}"), Ok(Value::from(42_i64)));
    }
}

#[test]
fn a20_references_that_double_at_every_step_are_never_written_out() {
    // Written out, this is 2^30 nodes.
    let mut evaluators = serde_json::Map::from_iter([("e0".to_owned(), json!({"var": "x"}))]);
    for i in 1..=30 {
        let below = json!({"$ref": format!("e{}", i - 1)});
        evaluators.insert(format!("e{i}"), json!({"cat": [below, below]}));
    }
    let bomb = json!({"$evaluators": evaluators, "flags": {"answer": document::constant(42),
        "bomb": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
            "targeting": {"if": [{"$ref": "e30"}, "on", null]}}}});
    let loaded = loaded(&bomb.to_string(), Format::Json);
    assert!(codes(&loaded).contains(&Code::FlagTooLarge), "{:?}", loaded.diagnostics);
    assert_eq!(resolve(loaded.layer, "answer", "{}"), Ok(Value::from(42_i64)));
}
