//! Rules that try to cost more than an evaluation may.

use std::time::{Duration, Instant};

use outrigger_flags::{ErrorCode, EvaluationContext, Format, UnixSeconds, Value, limits};
use outrigger_tests::document;
use serde_json::{Value as Json, json};

use crate::engine::{loaded, resolve};

/// What an evaluation may take at most on a quiet machine, with the optimisation of a release.
const EVALUATION_MAX: Duration = Duration::from_millis(1);
/// Development builds are slower than that, and tests share the machine.
const ALLOWANCE: u32 = if cfg!(debug_assertions) { 30 } else { 3 };

fn rule(targeting: Json) -> String {
    document::of([
        (
            "bomb",
            json!({"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
            "targeting": {"if": [targeting, "on", null]}}),
        ),
        ("answer", document::constant(42)),
    ])
}

/// Three loops in each other over a list that the rule itself holds.
fn loops(items: usize) -> Json {
    let list = vec![1; items];
    (0..3).fold(json!({"==": [{"var": ""}, -1]}), |body, _| json!({"some": [list, body]}))
}

#[test]
fn b2_nested_loops_run_out_of_fuel_within_a_millisecond() {
    let cheap = resolve(loaded(&rule(loops(10)), Format::Json).layer, "bomb", "{}");
    assert_eq!(cheap, Ok(Value::from(true)), "10^3 items fit into {} steps", limits::FUEL_STEPS);

    let layer = loaded(&rule(loops(100)), Format::Json).layer;
    let flag = layer.flags().iter().find(|flag| flag.key() == "bomb").expect("there");
    let context = EvaluationContext::new();
    let mut fastest = Duration::MAX;
    for _ in 0..50 {
        let began = Instant::now();
        let error = flag.resolve(&context, UnixSeconds(0)).expect_err("100^3 items");
        fastest = fastest.min(began.elapsed());
        assert_eq!(error.code, ErrorCode::General, "{error}");
    }
    println!("b2: the fastest of 50 evaluations took {fastest:?}");
    assert!(fastest < EVALUATION_MAX * ALLOWANCE, "{fastest:?}");
    assert_eq!(resolve(layer, "answer", "{}"), Ok(Value::from(42_i64)));
}

#[test]
fn b2_text_that_doubles_at_every_step_is_cut_short() {
    let mut body = json!({"var": "x"});
    for _ in 0..20 {
        body = json!({"reduce": [[1, 2], {"cat": [{"var": "accumulator"}, {"var": "accumulator"}]},
            body]});
    }
    let context = json!({"x": "0123456789abcdef".repeat(64)}).to_string();
    let outcome = resolve(loaded(&rule(body), Format::Json).layer, "bomb", &context);
    let error = outcome.expect_err("4^20 KiB of text");
    assert_eq!(error.code, ErrorCode::General, "{error}");
}

#[test]
fn b3_a_missing_or_strange_targeting_key_never_breaks_a_split() {
    let text = document::of([(
        "split",
        json!({"state": "ENABLED",
        "variants": {"on": true, "off": false}, "defaultVariant": "off",
        "targeting": {"fractional": [["on", 50], ["off", 50]]}}),
    )]);
    for context in [
        "{}",
        "{\"targetingKey\":\"\"}",
        "{\"targetingKey\":null}",
        "{\"targetingKey\":7}",
        "{\"targetingKey\":[\"a\"]}",
        "{\"targetingKey\":{\"a\":1}}",
        "{\"targetingKey\":\"user-1\"}",
    ] {
        let once = || resolve(loaded(&text, Format::Json).layer, "split", context);
        assert_eq!(once(), once(), "{context}");
        assert!(matches!(once(), Ok(Value::Bool(_))), "{context}: {:?}", once());
    }
}
