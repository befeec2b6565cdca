//! What the verbs about flags work on: documents read from files, compiled as `serve` compiles them.

use std::path::PathBuf;
use std::sync::Arc;

use outrigger_flags::{
    Diagnostic, EvaluationContext, Format, Generation, InvalidDocument, LoadOptions, Loaded,
    Revision, Severity, Snapshot, SourceName, Value, json, limits,
};

use super::{Exit, complain};
use crate::config::{DEFAULT_FLAGS, DEFAULT_GENERATION};
use crate::sources::file::{Names, documents, read};

/// Which generation of `fractional` buckets.
#[derive(Debug, clap::Args)]
pub(super) struct GenerationArg {
    /// The generation of `fractional`: v2 or v3
    #[arg(long = "fractional", value_name = "GENERATION", default_value_t = DEFAULT_GENERATION)]
    pub(super) generation: Generation,
}

/// For whom a flag is evaluated.
#[derive(Debug, clap::Args)]
pub(super) struct ContextArgs {
    /// The targeting key
    #[arg(long = "key", short = 'k', value_name = "TARGETING_KEY")]
    targeting_key: Option<String>,
    /// The evaluation context, a JSON object
    #[arg(long, short = 'c', value_name = "JSON")]
    context: Option<String>,
}

impl ContextArgs {
    /// The context, or a complaint.
    pub(super) fn read(&self) -> Result<EvaluationContext, Exit> {
        let refuse = |problem: &dyn std::fmt::Display| {
            complain(format_args!(
                "--context: {problem}\n  write a JSON object, such as --context '{{\"country\":\"NL\"}}'"
            ));
            Exit::Usage
        };
        let mut context = match &self.context {
            None => EvaluationContext::new(),
            Some(text) => match json::read(text.as_bytes(), limits::CONTEXT_DEPTH_MAX) {
                Ok(Value::Object(members)) => {
                    EvaluationContext::from_object(members).map_err(|error| refuse(&error))?
                }
                Ok(other) => return Err(refuse(&format_args!("this is a {}", other.kind()))),
                Err(error) => return Err(refuse(&error)),
            },
        };
        if let Some(key) = &self.targeting_key {
            let set = context.set(outrigger_flags::TARGETING_KEY, Value::from(key.as_str()));
            set.map_err(|error| refuse(&error))?;
        }
        Ok(context)
    }
}

/// One document, and what became of it.
pub(super) struct Document {
    pub(super) name: String,
    /// Its bytes; empty if it cannot be read.
    pub(super) bytes: Vec<u8>,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    Unreadable(String),
    Refused(InvalidDocument),
    Loaded(Loaded),
}

impl Document {
    /// What is wrong with it; nothing if it cannot even be read.
    pub(super) fn diagnostics(&self) -> &[Diagnostic] {
        match &self.outcome {
            Outcome::Unreadable(_) => &[],
            Outcome::Refused(document) => document.diagnostics(),
            Outcome::Loaded(loaded) => &loaded.diagnostics,
        }
    }

    pub(super) fn count(&self, severity: Severity) -> usize {
        let unreadable =
            matches!(self.outcome, Outcome::Unreadable(_)) && severity == Severity::Error;
        let found = self.diagnostics().iter().filter(|found| found.severity() == severity).count();
        found + usize::from(unreadable)
    }

    pub(super) fn flags(&self) -> usize {
        match &self.outcome {
            Outcome::Loaded(loaded) => loaded.layer.len(),
            _ => 0,
        }
    }
}

/// The paths that were named, or where flags usually are.
pub(super) fn paths(named: &[PathBuf]) -> Vec<(PathBuf, Names)> {
    match named {
        [] => vec![(PathBuf::from(DEFAULT_FLAGS), Names::Flagd)],
        _ => named.iter().map(|path| (path.clone(), Names::Any)).collect(),
    }
}

/// Reads and compiles every document of these paths, lowest priority first.
pub(super) fn load_all(
    paths: &[(PathBuf, Names)],
    load: impl Fn(&[u8], Format, &LoadOptions) -> Result<Loaded, InvalidDocument>,
    generation: Generation,
) -> Vec<Document> {
    let files = paths.iter().flat_map(|(path, names)| documents(path, *names));
    files
        .map(|file| {
            let name = file.display().to_string();
            let options = LoadOptions { source: SourceName::new(&name), generation };
            match read(&file) {
                Err(absence) => {
                    let outcome = Outcome::Unreadable(absence.to_string());
                    Document { name, bytes: Vec::new(), outcome }
                }
                Ok((bytes, format)) => {
                    let outcome = match load(&bytes, format, &options) {
                        Ok(loaded) => Outcome::Loaded(loaded),
                        Err(refused) => Outcome::Refused(refused),
                    };
                    Document { name, bytes, outcome }
                }
            }
        })
        .collect()
}

/// The flags of these paths as `serve` would serve them. What is wrong goes to standard error.
pub(super) fn snapshot(named: &[PathBuf], generation: Generation) -> Result<Snapshot, Exit> {
    let load = |bytes: &[u8], format, options: &LoadOptions| {
        outrigger_flags::load(bytes, format, options, None)
    };
    let documents = load_all(&paths(named), load, generation);
    if documents.is_empty() {
        complain(format_args!(
            "there are no *.flagd.json or *.flagd.yaml files in ./{DEFAULT_FLAGS}\n  \
             name files, or write some with: outrigger init"
        ));
        return Err(Exit::Config);
    }
    let mut layers = Vec::new();
    let mut refused = false;
    for document in documents {
        let name = &document.name;
        match &document.outcome {
            Outcome::Unreadable(problem) => {
                complain(format_args!("{name}: {problem}"));
                refused = true;
            }
            Outcome::Refused(problem) => {
                complain(format_args!("{name}:{problem}"));
                refused = true;
            }
            Outcome::Loaded(_) => {
                let errors = document.count(Severity::Error);
                if errors > 0 {
                    complain(format_args!(
                        "{name}: {errors} errors, see: outrigger validate {name}"
                    ));
                }
            }
        }
        if let Outcome::Loaded(loaded) = document.outcome {
            layers.push(Arc::new(loaded.layer));
        }
    }
    if refused {
        return Err(Exit::Config);
    }
    Ok(Snapshot::compose(Revision::default(), &layers))
}
