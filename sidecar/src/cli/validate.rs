//! `outrigger validate`: every problem of every document in one run, for people, scripts and CI.

use std::fmt::Write;
use std::path::PathBuf;

use outrigger_flags::{Diagnostic, Effect, LoadOptions, Severity, Value};

use super::documents::{Document, GenerationArg, Outcome, load_all, paths};
use super::{Exit, complain, object, print};
use crate::runtime::Clock;

/// Check flag files, all problems at once
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples
  outrigger validate                        the flags in ./flags
  outrigger validate shop.json --strict     with the house rules, warnings forbidden
  outrigger validate --format github        annotations for a pull request

Exit codes
  0 valid · 1 invalid · 78 a file cannot be read

House rules (--strict): metadata.owner, metadata.expires (a date to come),
a safe variant to kill to, and boolean flags that are off by default.")]
pub(super) struct ValidateArgs {
    /// Flag files and directories [./flags/*.flagd.json and .yaml]
    paths: Vec<PathBuf>,
    /// Check the house rules too, and take warnings for errors
    #[arg(long)]
    strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Layout::Human)]
    format: Layout,
    #[command(flatten)]
    generation: GenerationArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Layout {
    /// With the lines in question
    Human,
    /// One JSON object
    Json,
    /// GitHub's workflow commands
    Github,
}

pub(super) fn run(args: &ValidateArgs) -> Exit {
    let today = Clock.now();
    let load = |bytes: &[u8], format, options: &LoadOptions| match args.strict {
        true => outrigger_flags::load_strictly(bytes, format, options, today),
        false => outrigger_flags::load(bytes, format, options, None),
    };
    let documents = load_all(&paths(&args.paths), load, args.generation.generation);
    if documents.is_empty() {
        complain("there are no *.flagd.json or *.flagd.yaml files in ./flags; name some");
        return Exit::Config;
    }
    let text = match args.format {
        Layout::Human => human(&documents),
        Layout::Json => as_json(&documents),
        Layout::Github => github(&documents),
    };
    let printed = print(&text);
    let count = |severity| documents.iter().map(|document| document.count(severity)).sum::<usize>();
    let unreadable = |document: &Document| matches!(document.outcome, Outcome::Unreadable(_));
    if documents.iter().any(unreadable) {
        Exit::Config
    } else if count(Severity::Error) > 0 || (args.strict && count(Severity::Warning) > 0) {
        Exit::No
    } else {
        printed
    }
}

fn human(documents: &[Document]) -> String {
    let mut text = String::new();
    for document in documents {
        if let Outcome::Unreadable(problem) = &document.outcome {
            text.push_str(&format!("{}: error: {problem}\n\n", document.name));
        }
        for found in document.diagnostics() {
            describe(document, found, &mut text);
        }
    }
    let total = |severity| documents.iter().map(|document| document.count(severity)).sum::<usize>();
    let flags: usize = documents.iter().map(Document::flags).sum();
    let (errors, warnings) = (total(Severity::Error), total(Severity::Warning));
    text.push_str(&format!(
        "{}, {}: {}, {}\n",
        counted(documents.len(), "file"),
        counted(flags, "flag"),
        counted(errors, "error"),
        counted(warnings, "warning")
    ));
    text
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// One problem: where, what, the line with a mark under it, the hint, and what becomes of it.
fn describe(document: &Document, found: &Diagnostic, text: &mut String) {
    let place = found.position.map_or(String::new(), |position| format!(":{position}"));
    let flag = found.flag.as_ref().map_or(String::new(), |flag| format!("flag {flag:?}: "));
    let severity = found.severity().as_str();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{}{place}: {severity}[{}] {flag}{}",
        document.name, found.code, found.message
    );
    if let Some(position) = found.position {
        let source = String::from_utf8_lossy(&document.bytes);
        let line = source.lines().nth(position.line.saturating_sub(1)).unwrap_or_default();
        let (excerpt, column) = excerpt(line, position.column);
        let number = position.line.to_string();
        let gutter = " ".repeat(number.len());
        let _ = writeln!(text, "  {number} | {excerpt}");
        let _ = writeln!(text, "  {gutter} | {}^", " ".repeat(column - 1));
    }
    if let Some(hint) = &found.hint {
        let _ = writeln!(text, "  = {hint}");
    }
    match found.code.effect() {
        Effect::Served => {}
        Effect::FlagKept => text.push_str("  = the flag keeps its last good definition\n"),
        Effect::DocumentRefused => {
            text.push_str("  = the whole document is refused, its last good version stays\n");
        }
    }
    text.push('\n');
}

/// The part of a line around a column, both of a width that a terminal has room for; tabs and
/// control characters become blanks so that the mark stands right.
fn excerpt(line: &str, column: usize) -> (String, usize) {
    const BEFORE: usize = 50;
    const WIDTH: usize = 76;
    let skip = column.saturating_sub(1).saturating_sub(BEFORE);
    let blank = |c: char| if c.is_control() { ' ' } else { c };
    let shown = line.chars().skip(skip).take(WIDTH).map(blank).collect();
    (shown, column.saturating_sub(skip).max(1))
}

fn as_json(documents: &[Document]) -> String {
    let mut problems = Vec::new();
    for document in documents {
        let file = Value::from(document.name.as_str());
        if let Outcome::Unreadable(problem) = &document.outcome {
            problems.push(object([
                ("file", file.clone()),
                ("severity", Value::from("error")),
                ("code", Value::from("unreadable")),
                ("message", Value::from(problem.as_str())),
            ]));
        }
        problems.extend(document.diagnostics().iter().map(|found| problem(file.clone(), found)));
    }
    let total = |severity| {
        let count: usize = documents.iter().map(|document| document.count(severity)).sum();
        Value::from(i64::try_from(count).unwrap_or(i64::MAX))
    };
    let report = object([
        ("errors", total(Severity::Error)),
        ("warnings", total(Severity::Warning)),
        ("problems", Value::Array(problems.into())),
    ]);
    format!("{report}\n")
}

fn problem(file: Value, found: &Diagnostic) -> Value {
    let number = |number: usize| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    let text = |text: &str| Value::from(text);
    let effect = match found.code.effect() {
        Effect::Served => "served",
        Effect::FlagKept => "flag-kept",
        Effect::DocumentRefused => "document-refused",
    };
    object([
        ("file", file),
        ("line", found.position.map_or(Value::Null, |position| number(position.line))),
        ("column", found.position.map_or(Value::Null, |position| number(position.column))),
        ("severity", text(found.severity().as_str())),
        ("code", text(found.code.as_str())),
        ("flag", found.flag.as_deref().map_or(Value::Null, text)),
        ("message", text(&found.message)),
        ("hint", found.hint.as_deref().map_or(Value::Null, text)),
        ("effect", text(effect)),
    ])
}

/// GitHub's workflow commands; see "Workflow commands for GitHub Actions" for what is escaped.
fn github(documents: &[Document]) -> String {
    let message = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| message(text).replace(':', "%3A").replace(',', "%2C");
    let mut text = String::new();
    for document in documents {
        let file = property(&document.name);
        if let Outcome::Unreadable(problem) = &document.outcome {
            let _ = writeln!(text, "::error file={file}::{}", message(problem));
        }
        for found in document.diagnostics() {
            let severity = found.severity().as_str();
            let place = found.position.map_or(String::new(), |position| {
                format!(",line={},col={}", position.line, position.column)
            });
            let title = property(found.code.as_str());
            let said = message(&found.to_string());
            let _ = writeln!(text, "::{severity} file={file}{place},title={title}::{said}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(file: &str, text: &str, strict: bool, format: Layout) -> (Exit, String) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(file);
        std::fs::write(&path, text).unwrap();
        let load = |bytes: &[u8], format, options: &LoadOptions| match strict {
            true => outrigger_flags::load_strictly(bytes, format, options, Clock.now()),
            false => outrigger_flags::load(bytes, format, options, None),
        };
        let documents = load_all(&paths(std::slice::from_ref(&path)), load, Default::default());
        let printed = match format {
            Layout::Human => human(&documents),
            Layout::Json => as_json(&documents),
            Layout::Github => github(&documents),
        };
        let generation = GenerationArg { generation: Default::default() };
        let args = ValidateArgs { paths: vec![path], strict, format, generation };
        (run(&args), printed.replace(&home.path().display().to_string(), "."))
    }

    const MISSPELT: &str = "flags:\n  f:\n    state: ENABLED\n    variants: {on: true, off: false}\n    defaultVariant: offf\n";

    #[test]
    fn people_see_the_line_and_what_was_meant() {
        let (exit, text) = validate("f.yaml", MISSPELT, false, Layout::Human);
        assert_eq!(exit, Exit::No);
        assert_eq!(
            text,
            "./f.yaml:5:21: error[default-variant-unknown] flag \"f\": \"defaultVariant\" \"offf\" \
             is not among its variants\n  5 |     defaultVariant: offf\n    |                     \
             ^\n  = did you mean \"off\"?\n  = the flag keeps its last good definition\n\n1 file, 1 \
             flag: 1 error, 0 warnings\n"
        );
    }

    #[test]
    fn pipes_get_json_and_pull_requests_get_annotations() {
        let (_, text) = validate("f.yaml", MISSPELT, false, Layout::Json);
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["errors"], 1);
        assert_eq!(report["problems"][0]["line"], 5);
        assert_eq!(report["problems"][0]["code"], "default-variant-unknown");
        let (_, text) = validate("f.yaml", MISSPELT, false, Layout::Github);
        let start =
            "::error file=./f.yaml,line=5,col=21,title=default-variant-unknown::flag \"f\": ";
        assert!(text.starts_with(start), "{text}");
    }

    #[test]
    fn strictness_asks_for_an_owner_and_an_end() {
        let good = r#"{"flags":{"f":{"state":"ENABLED","variants":{"on":true,"off":false},
            "defaultVariant":"off","metadata":{"owner":"shop","expires":"9999-12-31"}}}}"#;
        assert_eq!(validate("f.json", good, true, Layout::Human).0, Exit::Ok);
        let bare =
            r#"{"flags":{"f":{"state":"ENABLED","variants":{"a":1,"b":2},"defaultVariant":"a"}}}"#;
        let (exit, text) = validate("f.json", bare, true, Layout::Human);
        assert_eq!(exit, Exit::No);
        for code in ["owner-missing", "expiry-missing", "safe-variant-missing"] {
            assert!(text.contains(code), "{text}");
        }
        assert_eq!(validate("f.json", bare, false, Layout::Human).0, Exit::Ok);
    }

    #[test]
    fn what_cannot_be_read_is_no_verdict() {
        let generation = GenerationArg { generation: Default::default() };
        let paths = vec![PathBuf::from("there/is/no.json")];
        let args = ValidateArgs { paths, strict: false, format: Layout::Human, generation };
        assert_eq!(run(&args), Exit::Config);
    }
}
