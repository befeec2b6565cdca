//! The engine against the evaluator scenarios of flagd's public testbed.

use std::collections::HashMap;
use std::path::Path;

use gherkin::{Feature, GherkinEnv, Scenario, Step};
use outrigger_flags::{
    EvaluationContext, Format, Generation, Layer, LoadOptions, Object, Reason, Resolution,
    ResolutionError, SourceName, UnixSeconds, Value, json, load,
};
use outrigger_tests::public_data;
use outrigger_tests::report::Report;

/// Reads a feature. The testbed writes `\"` in cells, which the parser takes only as `\\"`.
fn read_feature(file: &Path) -> Feature {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    Feature::parse(text.replace("\\\"", "\\\\\""), GherkinEnv::default())
        .unwrap_or_else(|error| panic!("{file:?}: {error}"))
}

/// One scenario, or one row of an outline's examples.
struct Case {
    name: String,
    tags: Vec<String>,
    steps: Vec<Step>,
}

/// The cases of a feature, with the placeholders of outlines filled in.
fn cases(feature: &Feature) -> Vec<Case> {
    feature.scenarios.iter().flat_map(|scenario| cases_of(feature, scenario)).collect()
}

fn cases_of(feature: &Feature, scenario: &Scenario) -> Vec<Case> {
    let background = feature.background.iter().flat_map(|background| &background.steps);
    let steps: Vec<Step> = background.chain(&scenario.steps).cloned().collect();
    let name = format!("{}: {}", feature.name, scenario.name);
    let tags: Vec<String> = feature.tags.iter().chain(&scenario.tags).cloned().collect();
    if scenario.examples.is_empty() {
        return vec![Case { name, tags, steps }];
    }
    let mut cases = Vec::new();
    for examples in &scenario.examples {
        let Some(table) = &examples.table else { continue };
        let (header, rows) = table.rows.split_first().expect("a table has a header");
        for row in rows {
            let fill = |text: &str| {
                header.iter().zip(row).fold(text.to_owned(), |text, (column, value)| {
                    text.replace(&format!("<{column}>"), value)
                })
            };
            let steps = steps.iter().map(|step| Step { value: fill(&step.value), ..step.clone() });
            cases.push(Case {
                name: format!("{name} [{}]", row.join(" | ")),
                tags: tags.iter().chain(&examples.tags).cloned().collect(),
                steps: steps.collect(),
            });
        }
    }
    cases
}

/// What the steps of one case work on.
struct World<'a> {
    layer: &'a Layer,
    key: String,
    kind: String,
    fallback: String,
    context: EvaluationContext,
    outcome: Option<Result<Resolution<'a>, ResolutionError>>,
}

impl<'a> World<'a> {
    fn run(layer: &'a Layer, steps: &[Step]) -> Result<(), String> {
        let mut world = World {
            layer,
            key: String::new(),
            kind: String::new(),
            fallback: String::new(),
            context: EvaluationContext::new(),
            outcome: None,
        };
        steps.iter().try_for_each(|step| {
            world.step(step).map_err(|problem| format!("{:?}: {problem}", step.value))
        })
    }

    /// A step's text with its quoted arguments cut out, and the arguments.
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let text = step.value.replace("\\\\\"", "\u{1}").replace("\\\"", "\u{1}");
        let parts: Vec<&str> = text.split('"').collect();
        let shape: Vec<&str> = parts.iter().step_by(2).map(|part| part.trim()).collect();
        let arguments: Vec<String> =
            parts.iter().skip(1).step_by(2).map(|part| part.replace('\u{1}', "\"")).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match (shape.as_slice(), arguments.as_slice()) {
            (["an evaluator"], []) => Ok(()),
            ([flag, "and a fallback value", ""], [key, fallback]) => {
                let kind = flag.split(['-', ' ']).nth(1).ok_or("no type")?;
                (self.kind, self.key, self.fallback) =
                    (kind.to_owned(), (*key).to_owned(), (*fallback).to_owned());
                Ok(())
            }
            (
                ["a context containing a key", ", with type", "and with value", ""],
                [key, kind, value],
            ) => self.set(key, typed(kind, value)?),
            (["a context containing a targeting key with value", ""], [key]) => {
                self.set("targetingKey", Value::from(*key))
            }
            ([start, "and inner key", ", with value", ""], [outer, inner, value])
                if start.starts_with("a context containing a nested property") =>
            {
                let inner = [(Box::from(*inner), Value::from(*value))];
                self.set(outer, Value::Object(inner.into_iter().collect()))
            }
            (["the flag was evaluated with details"], []) => {
                let flag = self.layer.flags().iter().find(|flag| flag.key() == self.key);
                let now = UnixSeconds(1_700_000_000);
                self.outcome = flag.map(|flag| flag.resolve(&self.context, now));
                Ok(())
            }
            (["the resolved details value should be", ""], [expected]) => self.value_is(expected),
            (["the reason should be", ""], [expected]) => {
                let reason = self.resolution().map_or(Reason::Error, |found| found.reason);
                equal(reason.as_str(), expected)
            }
            (["the error-code should be", ""], [expected]) => {
                equal(self.error_code().as_str(), expected)
            }
            (["the resolved metadata should contain"], []) => {
                let table = step.table.as_ref().ok_or("no table")?;
                table.rows.iter().skip(1).try_for_each(|row| match row.as_slice() {
                    [key, kind, value] => self.metadata_has(key, &typed(kind, value)?),
                    _ => Err("a row has three cells".to_owned()),
                })
            }
            (["the resolved metadata is empty"], []) => {
                equal(&self.resolution().ok_or("no resolution")?.flag.metadata().len(), &0)
            }
            _ => Err("no such step is known".to_owned()),
        }
    }

    fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        self.context.set(key, value).map_err(|error| error.to_string())
    }

    fn resolution(&self) -> Option<&Resolution<'a>> {
        self.outcome.as_ref()?.as_ref().ok()
    }

    /// The value as an SDK of the asked type sees it: the fallback on an error.
    fn value_is(&self, expected: &str) -> Result<(), String> {
        let read = self.resolution().and_then(|found| self.typed_read(found).ok().flatten());
        let value = match read {
            Some(value) => value,
            None => typed(&self.kind, &self.fallback)?,
        };
        equal(&value, &typed(&self.kind, expected)?)
    }

    fn typed_read(&self, found: &Resolution<'a>) -> Result<Option<Value>, String> {
        let mismatch = |code: outrigger_flags::ErrorCode| code.to_string();
        Ok(match self.kind.as_str() {
            "Boolean" => found.as_bool().map_err(mismatch)?.map(Value::from),
            "String" => found.as_str().map_err(mismatch)?.map(Value::from),
            "Integer" => found.as_i64().map_err(mismatch)?.map(Value::from),
            "Float" => found
                .as_f64()
                .map_err(mismatch)?
                .and_then(|value| outrigger_flags::Number::from_f64(value).map(Value::Number)),
            "Object" => found.as_object().map_err(mismatch)?.cloned().map(Value::Object),
            other => return Err(format!("no type {other}")),
        })
    }

    fn error_code(&self) -> String {
        match &self.outcome {
            None => "FLAG_NOT_FOUND".to_owned(),
            Some(Err(error)) => error.code.to_string(),
            Some(Ok(found)) => self.typed_read(found).err().unwrap_or_default(),
        }
    }

    fn metadata_has(&self, key: &str, expected: &Value) -> Result<(), String> {
        let found = self.resolution().ok_or("no resolution")?;
        equal(&found.flag.metadata().get(key), &Some(expected))
    }
}

fn equal<T: PartialEq + std::fmt::Debug + ?Sized>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}")) }
}

fn typed(kind: &str, text: &str) -> Result<Value, String> {
    match kind {
        "String" => Ok(Value::from(text)),
        "Object" if text.is_empty() => Ok(Value::Object(Object::default())),
        _ => json::read(text.as_bytes(), 16).map_err(|error| format!("{text:?}: {error}")),
    }
}

fn load_flags(testbed: &Path, generation: Generation) -> Layer {
    let file = testbed.join("evaluator/flags/testkit-flags.json");
    let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let options = LoadOptions { source: SourceName::new("testkit-flags.json"), generation };
    load(&bytes, Format::Json, &options, None).unwrap().layer
}

#[test]
fn evaluator_scenarios_of_the_flagd_testbed() {
    let testbed = public_data::flagd_testbed();
    let layers: HashMap<Generation, Layer> = [Generation::V2, Generation::V3]
        .into_iter()
        .map(|generation| (generation, load_flags(&testbed, generation)))
        .collect();
    let folder = testbed.join("evaluator/gherkin");
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut report = Report::new("testbed-engine");
    for file in &files {
        let feature = read_feature(file);
        for case in cases(&feature) {
            let has = |tag: &str| case.tags.iter().any(|other| other == tag);
            if has("fractional-v1") {
                report.note(&case.name, "skipped", "generation v1 is not served");
                continue;
            }
            let generation = if has("fractional-v3") { Generation::V3 } else { Generation::V2 };
            match World::run(&layers[&generation], &case.steps) {
                Ok(()) => report.note(&case.name, "passed", ""),
                Err(problem) => {
                    println!("{}: {problem}", case.name);
                    report.note(&case.name, "failed", &problem);
                }
            }
        }
    }
    report.write();
    assert!(report.count("passed") >= 125, "only {} passed", report.count("passed"));
    assert_eq!(report.count("failed"), 0);
}
