//! The compiler against the fixtures of flagd's JSON schemas.

use std::path::{Path, PathBuf};

use outrigger_flags::{Diagnostic, Format, Generation, LoadOptions, Severity, SourceName, load};
use outrigger_tests::public_data;
use outrigger_tests::report::Report;

fn fixtures(kind: &str, sign: &str) -> Vec<PathBuf> {
    let schemas = public_data::flagd_testbed().with_file_name("schemas");
    let folder = schemas.join("json/test").join(kind).join(sign);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

/// The errors that the compiler finds; a document that is refused has at least one.
fn errors(text: &str) -> Vec<Diagnostic> {
    let options = LoadOptions { source: SourceName::new("fixture"), generation: Generation::V2 };
    let found = match load(text.as_bytes(), Format::Json, &options, None) {
        Ok(loaded) => loaded.diagnostics,
        Err(refused) => refused.diagnostics().to_vec(),
    };
    found.into_iter().filter(|problem| problem.severity() == Severity::Error).collect()
}

/// A fixture of the targeting schema is a rule by itself: make it the rule of a flag, beside the
/// evaluator that one of them refers to.
fn document(kind: &str, text: &str) -> String {
    match kind {
        "targeting" => format!(
            r#"{{"flags":{{"f":{{"state":"ENABLED","variants":{{"on":true,"off":false}},"defaultVariant":"off","targeting":{text}}}}},"$evaluators":{{"some-ref":true}}}}"#
        ),
        _ => text.to_owned(),
    }
}

/// Fixtures on which we differ from the schema, and why.
fn named_difference(file: &Path) -> Option<&'static str> {
    match file.file_name()?.to_str()? {
        "with-array-flags.json" if file.parent()?.ends_with("negative") => {
            Some("the schema of a sync payload has no array form; files may use it")
        }
        _ => None,
    }
}

#[test]
fn fixtures_of_flagd_s_schemas() {
    let mut report = Report::new("schema");
    for kind in ["flags", "flagd", "targeting"] {
        for sign in ["positive", "negative"] {
            for file in fixtures(kind, sign) {
                let text = std::fs::read_to_string(&file).unwrap();
                let found = errors(&document(kind, &text));
                let name = format!("{kind} {sign} {}", file.file_name().unwrap().to_string_lossy());
                let is_right = found.is_empty() == (sign == "positive");
                match named_difference(&file) {
                    Some(why) => report.note(&name, "skipped", why),
                    None if is_right => report.note(&name, "passed", ""),
                    None => {
                        println!("{name}: {found:?}");
                        report.note(&name, "failed", &format!("{found:?}"));
                    }
                }
            }
        }
    }
    report.write();
    assert!(report.count("passed") >= 20, "only {} passed", report.count("passed"));
    assert_eq!(report.count("failed"), 0);
}
