//! From the text of a flag document to a layer: the one reader, validator and compiler.
//!
//! Nothing here stops at the first problem. A flag with an error that makes it impossible to
//! evaluate keeps the definition it had in the previous layer; its siblings go live.

mod advise;
mod evaluators;
mod flag;
mod report;
mod rule;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::bucket::Generation;
use crate::diagnose::{Code, Diagnostic, InvalidDocument, Position};
use crate::evaluate::UnixSeconds;
use crate::flag::Flag;
use crate::key::SourceName;
use crate::layer::Layer;
use crate::limits::{DOCUMENT_BYTES_MAX, FLAGS_MAX};
use crate::tape::{Kind, Name, Node, Tape, position_at};
use crate::value::Object;

use evaluators::Evaluators;
use flag::FlagCompiler;
use report::Report;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML 1.2 with `true` and `false` as the only booleans, and merge keys.
    #[cfg(feature = "yaml")]
    Yaml,
}

impl Format {
    /// The format that a file name extension stands for, in any case.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            #[cfg(feature = "yaml")]
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// What a document is compiled for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// Where it comes from.
    pub source: SourceName,
    /// The generation of `fractional` to bucket by.
    pub generation: Generation,
}

/// A document that was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// What to serve.
    pub layer: Layer,
    /// Every problem in the document, in reading order; at most
    /// [`crate::limits::DIAGNOSTICS_MAX`].
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads, checks and compiles a document.
///
/// `previous` is the layer that the same source has now: a flag with an error keeps its definition
/// from there, and an unchanged flag is shared with it.
///
/// # Errors
/// [`InvalidDocument`] if the document is refused whole: it is not text, not well formed, has no
/// `flags`, or is over a limit. Keep the previous layer.
pub fn load(
    bytes: &[u8],
    format: Format,
    options: &LoadOptions,
    previous: Option<&Layer>,
) -> Result<Loaded, InvalidDocument> {
    compile(bytes, format, options, previous, None)
}

/// As [`load`], with the house rules checked as well: every flag has an owner and a date on which it
/// should be gone, can be killed to a safe variant, and is off unless a rule turns it on. `today`
/// decides what has expired.
///
/// # Errors
/// As [`load`].
pub fn load_strictly(
    bytes: &[u8],
    format: Format,
    options: &LoadOptions,
    today: UnixSeconds,
) -> Result<Loaded, InvalidDocument> {
    compile(bytes, format, options, None, Some(today))
}

fn compile(
    bytes: &[u8],
    format: Format,
    options: &LoadOptions,
    previous: Option<&Layer>,
    house_rules_on: Option<UnixSeconds>,
) -> Result<Loaded, InvalidDocument> {
    let tape = read(bytes, format).map_err(|problem| InvalidDocument(vec![problem]))?;
    let mut report = Report::new(&tape);
    let sections = Sections::find(&tape, &mut report);
    let sections = sections.ok_or_else(|| InvalidDocument(report.take()))?;
    let mut evaluators = Evaluators::read(sections.evaluators, &mut report);
    let set_metadata = flag::read_metadata(sections.metadata, None, &mut report);
    let Some(entries) = sections.entries(&mut report) else {
        return Err(InvalidDocument(report.take()));
    };

    let kept: HashMap<_, _> = previous.iter().flat_map(|layer| layer.flags()).map(by_id).collect();
    let mut compiler = FlagCompiler {
        options,
        set_metadata: &set_metadata,
        evaluators: &mut evaluators,
        previous: &kept,
        house_rules_on,
        report: &mut report,
        text: String::new(),
    };
    let mut flags: Vec<Arc<Flag>> = Vec::with_capacity(entries.len());
    let doubled = doubled_keys(&entries, &set_metadata);
    for entry in &entries {
        let is_doubled = doubled.contains(&entry.node.index());
        flags.extend(compiler.compile(entry, is_doubled));
    }
    if !doubled.is_empty() {
        flags = first_of_each(&flags);
    }
    let layer = Layer::new(options.source.clone(), flags);
    Ok(Loaded { layer, diagnostics: report.take() })
}

fn by_id(flag: &Arc<Flag>) -> ((Option<&str>, &str), &Arc<Flag>) {
    (flag.id(), flag)
}

/// Of a flag that was defined twice, both stand for the same kept or broken flag.
fn first_of_each(flags: &[Arc<Flag>]) -> Vec<Arc<Flag>> {
    let mut seen = HashSet::with_capacity(flags.len());
    flags.iter().filter(|flag| seen.insert(flag.id())).map(Arc::clone).collect()
}

fn read(bytes: &[u8], format: Format) -> Result<Tape<'_>, Diagnostic> {
    let refused = |code, message: String, position| Diagnostic {
        code,
        flag: None,
        message,
        hint: None,
        position,
    };
    if bytes.len() > DOCUMENT_BYTES_MAX {
        let message = format!("{} bytes are more than {DOCUMENT_BYTES_MAX}", bytes.len());
        return Err(refused(Code::DocumentTooLarge, message, None));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let sound = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let position = position_at(&String::from_utf8_lossy(sound), sound.len());
        refused(Code::NotUtf8, "a byte sequence that is not UTF-8".to_owned(), position)
    })?;
    match format {
        Format::Json => Tape::from_json(text).map_err(|error| {
            let position = json_error_position(text, &error);
            refused(Code::Syntax, crate::json::message_of(&error), position)
        }),
        #[cfg(feature = "yaml")]
        Format::Yaml => Tape::from_yaml(text)
            .map_err(|(message, position)| refused(Code::Syntax, message, position)),
    }
}

/// serde_json counts columns in bytes, and column 0 for a line that has not begun.
fn json_error_position(text: &str, error: &serde_json::Error) -> Option<Position> {
    let line_start: usize =
        text.split_inclusive('\n').take(error.line().checked_sub(1)?).map(str::len).sum();
    let column = error.column().saturating_sub(1);
    let mut offset = line_start.saturating_add(column).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    position_at(text, offset)
}

/// The parts of a document.
struct Sections<'t> {
    flags: Node<'t>,
    evaluators: Option<Node<'t>>,
    metadata: Option<Node<'t>>,
}

/// One flag of a document before it is looked into.
pub(crate) struct FlagEntry<'t> {
    key: Name<'t>,
    node: Node<'t>,
}

impl<'t> Sections<'t> {
    fn find(tape: &'t Tape<'_>, report: &mut Report<'_>) -> Option<Self> {
        let root = tape.root();
        let Kind::Object(members) = root.kind() else {
            let message = format!("a flag document is an object, this is {}", root.kind_name());
            report.document(Code::DocumentNotObject, root.index(), message);
            return None;
        };
        let (mut flags, mut evaluators, mut metadata) = (None, None, None);
        for (name, node) in members {
            let section = match name.text {
                "flags" => &mut flags,
                "$evaluators" => &mut evaluators,
                "metadata" => &mut metadata,
                _ => continue,
            };
            if section.replace(node).is_some() {
                let message = format!("{:?} is written twice", name.text);
                report.document(Code::Syntax, name.index, message);
                return None;
            }
        }
        let Some(flags) = flags else {
            report.document(Code::FlagsMissing, root.index(), "there is no \"flags\"".to_owned());
            return None;
        };
        Some(Self { flags, evaluators, metadata })
    }

    /// The flags in written order; `None` if the document is refused.
    fn entries(&self, report: &mut Report<'_>) -> Option<Vec<FlagEntry<'t>>> {
        let is_object = |node: &Option<Node<'_>>| {
            node.is_none_or(|node| matches!(node.kind(), Kind::Object(_) | Kind::Null))
        };
        for (section, name, code) in [
            (&self.evaluators, "$evaluators", Code::EvaluatorsNotObject),
            (&self.metadata, "metadata", Code::SetMetadataNotObject),
        ] {
            if let (Some(node), false) = (section, is_object(section)) {
                let message = format!("{name:?} is an object, this is {}", node.kind_name());
                report.document(code, node.index(), message);
                return None;
            }
        }
        let entries: Vec<FlagEntry<'t>> = match self.flags.kind() {
            Kind::Object(members) => members.map(|(key, node)| FlagEntry { key, node }).collect(),
            Kind::Array(items) => items.map(keyed).collect(),
            _ => {
                // flagd reads null as no flags: a template that failed would empty the source.
                let found = self.flags.kind_name();
                let message = format!("\"flags\" is an object or an array, this is {found}");
                report.document(Code::FlagsNotObject, self.flags.index(), message);
                return None;
            }
        };
        if entries.len() > FLAGS_MAX {
            let message = format!("{} flags are more than {FLAGS_MAX}", entries.len());
            report.document(Code::TooManyFlags, self.flags.index(), message);
            return None;
        }
        Some(entries)
    }
}

/// An item of the array form, which carries its key inside.
fn keyed(node: Node<'_>) -> FlagEntry<'_> {
    let key = match node.kind() {
        Kind::Object(mut members) => members.find(|(name, _)| name.text == "key"),
        _ => None,
    };
    let key = key.and_then(|(_, key)| Some(Name { text: key.as_text()?, index: key.index() }));
    FlagEntry { key: key.unwrap_or(Name { text: "", index: node.index() }), node }
}

/// The nodes of all flags whose key and set occur more than once.
fn doubled_keys(entries: &[FlagEntry<'_>], set_metadata: &Object) -> HashSet<usize> {
    let mut first_of: HashMap<(Option<&str>, &str), usize> = HashMap::with_capacity(entries.len());
    let mut doubled = HashSet::new();
    for entry in entries {
        let id = (flag::set_of(entry.node, set_metadata), entry.key.text);
        if let Some(first) = first_of.insert(id, entry.node.index()) {
            doubled.extend([first, entry.node.index()]);
        }
    }
    doubled
}

#[cfg(test)]
mod tests;
