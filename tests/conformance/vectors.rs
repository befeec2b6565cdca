//! The engine against recorded answers of flagd's own evaluator.
//!
//! `vectors/flagd-core-0.17.0.json` holds rules and contexts of ours with what the Go module
//! `github.com/open-feature/flagd/core` v0.17.0 answered: the name of the variant that the rule
//! selects, DEFAULT where it gave null, STATIC where there was no rule, or an error code.

use std::collections::BTreeMap;

use outrigger_flags::{
    EvaluationContext, Format, Generation, LoadOptions, Reason, SourceName, UnixSeconds, Value,
    json, load,
};
use serde_json::{Value as Json, json};

const VECTORS: &str = include_str!("../vectors/flagd-core-0.17.0.json");
const DEFAULT: &str = "the default variant";
/// After the recording, so that comparisons with `$flagd.timestamp` go the same way.
const NOW_S: i64 = 1_800_000_000;

/// Where we differ from flagd on purpose; `docs/adr/0004-deviations-from-flagd.md` says why.
fn named_difference(case: &Json) -> Option<&'static str> {
    let crashes = case["outcome"]["error"] == "PARSE_ERROR";
    let group = case["group"].as_str()?;
    let rule = &case["rule"];
    match group {
        "list" | "list-shadow" | "reduce" if crashes => {
            return Some("a plain variable or literal serves as the rule of a loop");
        }
        "in" if crashes && rule["in"][0].is_object() => return Some("objects can be compared"),
        "if" if rule["if"][1]["var"].as_str().is_some_and(|name| name.starts_with("var_o")) => {
            return Some("data of the context is never run as a rule");
        }
        _ => {}
    }
    match case.get("raw")? {
        Json::Array(_) | Json::Object(_) => Some("a list or an object names no variant"),
        Json::String(text) if text.contains(['"', '<', '>', '&']) => {
            Some("a variant name is compared as it is, not as escaped JSON")
        }
        _ => None,
    }
}

/// What we answer in the words of the vectors, and what the rule itself gave.
fn answer(case: &Json) -> (Json, Option<Json>) {
    let key = case["flagKey"].as_str().unwrap();
    let mut variants = serde_json::Map::from_iter([(DEFAULT.to_owned(), json!("default"))]);
    if let Some(name) = case["outcome"].as_str() {
        variants.insert(name.to_owned(), json!("hit"));
    }
    let document = json!({"flags": {key: {
        "state": "ENABLED", "variants": variants, "defaultVariant": DEFAULT,
        "targeting": case["rule"],
    }}});
    let source = SourceName::new("vectors");
    let options = LoadOptions { source, generation: Generation::V2 };
    let loaded = load(document.to_string().as_bytes(), Format::Json, &options, None).unwrap();
    let Ok(Value::Object(attributes)) = json::read(case["context"].to_string().as_bytes(), 99)
    else {
        panic!("a context is an object");
    };
    let context = EvaluationContext::from_object(attributes).unwrap();
    let explanation = loaded.layer.flags()[0].explain(&context, UnixSeconds(NOW_S));
    let raw = explanation.rule.and_then(|rule| rule.outcome.ok());
    let raw = raw.and_then(|value| serde_json::from_str(&value.to_string()).ok());
    let outcome = match explanation.resolution {
        Err(error) => json!({"error": error.code.as_str()}),
        Ok(resolution) => match resolution.reason {
            Reason::Static => json!("STATIC"),
            Reason::Default => json!("DEFAULT"),
            _ => json!(resolution.variant),
        },
    };
    (outcome, raw)
}

/// JSON equality with numbers compared as doubles.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[test]
fn agrees_with_flagd_on_every_vector_but_the_named_differences() {
    let cases: Vec<Json> = serde_json::from_str(VECTORS).unwrap();
    let mut differences: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unexpected = Vec::new();
    for case in &cases {
        let flagd = &case["outcome"];
        let (ours, our_raw) = answer(case);
        let raw_agrees = match (case.get("raw"), &our_raw) {
            (Some(flagd), Some(ours)) if flagd != "STATIC" => same(flagd, ours),
            _ => true,
        };
        match named_difference(case) {
            _ if raw_agrees && ours == *flagd => {}
            Some(name) if ours["error"] == "GENERAL" => {
                *differences.entry(name).or_default() += 1;
            }
            _ => unexpected.push(format!(
                "{}: {} over {}: flagd {flagd} {:?}, ours {ours} {our_raw:?}",
                case["group"],
                case["rule"],
                case["context"],
                case.get("raw")
            )),
        }
    }
    println!("{} vectors, named differences: {differences:#?}", cases.len());
    assert!(unexpected.is_empty(), "{} differences:\n{}", unexpected.len(), unexpected.join("\n"));
}
