//! The engine against the core JsonLogic vectors, `[rule, data, expected]`, as flagd's engine
//! carries them: those whose operators are in flagd's schema.

use outrigger_flags::{
    EvaluationContext, Format, Generation, LoadOptions, SourceName, UnixSeconds, Value, json, load,
};
use outrigger_tests::public_data;
use outrigger_tests::report::Report;
use serde_json::{Value as Json, json};

/// The operators of flagd's `targeting.json`.
const SCHEMA_OPERATORS: &[&str] = &[
    "var",
    "missing",
    "missing_some",
    "if",
    "==",
    "===",
    "!=",
    "!==",
    ">",
    ">=",
    "<",
    "<=",
    "%",
    "/",
    "*",
    "+",
    "-",
    "min",
    "max",
    "merge",
    "cat",
    "substr",
    "!",
    "!!",
    "or",
    "and",
    "in",
    "map",
    "filter",
    "reduce",
    "all",
    "none",
    "some",
    "fractional",
    "starts_with",
    "ends_with",
    "sem_ver",
];

/// The data of a vector may be anything, a context is an object: other data is put under a name
/// that no vector uses, and the rule is run over a list that has it as its only item.
fn evaluate(rule: &Json, data: &Json) -> Result<Json, String> {
    let (rule, attributes) = match data {
        Json::Object(_) => (rule.clone(), data.clone()),
        Json::Null => (rule.clone(), json!({})),
        _ => (
            json!({"map": [{"var": "data-of-the-vector"}, rule]}),
            json!({"data-of-the-vector": [data]}),
        ),
    };
    let document = json!({"flags": {"f": {
        "state": "ENABLED", "variants": {"v": 1}, "defaultVariant": "v", "targeting": rule,
    }}});
    let options = LoadOptions { source: SourceName::new("vectors"), generation: Generation::V2 };
    let loaded = load(document.to_string().as_bytes(), Format::Json, &options, None)
        .map_err(|error| error.to_string())?;
    let Ok(Value::Object(attributes)) = json::read(attributes.to_string().as_bytes(), 99) else {
        return Err("the data is no object".to_owned());
    };
    let context = EvaluationContext::from_object(attributes).map_err(|error| error.to_string())?;
    let explanation = loaded.layer.flags()[0].explain(&context, UnixSeconds(0));
    let outcome = match explanation.rule {
        // Targeting `{}` is no targeting.
        None => return Ok(json!({})),
        Some(step) => step.outcome?,
    };
    let outcome: Json = serde_json::from_str(&outcome.to_string()).expect("JSON");
    Ok(match data {
        Json::Object(_) | Json::Null => outcome,
        _ => outcome[0].clone(),
    })
}

/// The operator outside flagd's schema that a rule uses, if any.
fn foreign_operator(rule: &Json) -> Option<&str> {
    match rule {
        Json::Object(members) if members.len() == 1 => {
            let (name, operands) = members.iter().next()?;
            match SCHEMA_OPERATORS.contains(&name.as_str()) {
                true => foreign_operator(operands),
                false => Some(name),
            }
        }
        Json::Array(items) => items.iter().find_map(foreign_operator),
        _ => None,
    }
}

fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        _ => a == b,
    }
}

#[test]
fn core_jsonlogic_vectors_of_the_schema_s_operators() {
    let file = match public_data::jsonlogic_vectors() {
        Ok(file) => file,
        Err(why) => {
            println!("SKIPPED core JsonLogic vectors: {why}; set OUTRIGGER_JSONLOGIC_VECTORS");
            return;
        }
    };
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let vectors: Vec<Json> = serde_json::from_str(&text).unwrap();
    let mut report = Report::new("jsonlogic");
    for vector in &vectors {
        let Json::Array(parts) = vector else { continue };
        let [rule, data, expected] = parts.as_slice() else { panic!("not a vector: {vector}") };
        let name = format!("{rule} over {data}");
        if let Some(operator) = foreign_operator(rule) {
            report.note(&name, "skipped", &format!("{operator:?} is not in flagd's schema"));
            continue;
        }
        match evaluate(rule, data) {
            Ok(answer) if same(&answer, expected) => report.note(&name, "passed", ""),
            answer => {
                println!("{name}: expected {expected}, got {answer:?}");
                report.note(&name, "failed", &format!("expected {expected}, got {answer:?}"));
            }
        }
    }
    report.write();
    assert!(report.count("passed") >= 250, "only {} passed", report.count("passed"));
    assert_eq!(report.count("failed"), 0);
}
