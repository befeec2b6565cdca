//! From the members of one flag to a compiled flag, or to the one it was before.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::evaluators::Evaluators;
use super::report::Report;
use super::rule::RuleCompiler;
use super::{FlagEntry, LoadOptions, advise, write};
use crate::bucket::seed_of;
use crate::diagnose::{Code, closest};
use crate::evaluate::UnixSeconds;
use crate::flag::{Body, Flag, Variant};
use crate::json::has_duplicates;
use crate::key::FlagSetId;
use crate::limits::{FLAG_BYTES_MAX, FLAG_KEY_BYTES_MAX};
use crate::tape::{Kind, Name, Node};
use crate::value::{Object, Value};

const MEMBERS: [&str; 5] = ["state", "variants", "defaultVariant", "targeting", "metadata"];
/// Members that tools and other evaluators add, and that mean nothing in a document.
const IGNORED_MEMBERS: [&str; 4] = ["key", "source", "selector", "$schema"];
const FLAG_SET_ID: &str = "flagSetId";

/// Compiles the flags of one document, one after the other.
pub(crate) struct FlagCompiler<'c, 't, 'r> {
    pub(crate) options: &'c LoadOptions,
    pub(crate) set_metadata: &'c Object,
    pub(crate) evaluators: &'c mut Evaluators<'t>,
    /// The flags of the source as they are now.
    pub(crate) previous: &'c HashMap<(Option<&'c str>, &'c str), &'c Arc<Flag>>,
    /// Whether the house rules are checked, and what day it is.
    pub(crate) house_rules_on: Option<UnixSeconds>,
    pub(crate) report: &'c mut Report<'r>,
    /// Where the definition at hand is written.
    pub(crate) text: String,
}

/// A flag whose members are what they should be.
pub(crate) struct Draft<'t> {
    pub(crate) is_enabled: bool,
    pub(crate) variants: Vec<(Name<'t>, Node<'t>)>,
    pub(crate) default_name: Option<&'t str>,
    default: Option<usize>,
    pub(crate) targeting: Option<Node<'t>>,
}

/// The members of a flag as they are written.
#[derive(Default)]
struct Written<'t> {
    state: Option<Node<'t>>,
    variants: Option<Node<'t>>,
    default: Option<Node<'t>>,
    targeting: Option<Node<'t>>,
    metadata: Option<Node<'t>>,
}

impl<'t> FlagCompiler<'_, 't, '_> {
    /// The flag to serve; `None` if the entry has no key to serve it under.
    pub(crate) fn compile(&mut self, entry: &FlagEntry<'t>, is_doubled: bool) -> Option<Arc<Flag>> {
        let key = entry.key;
        self.report.begin_flag();
        if key.text.is_empty() || key.text.len() > FLAG_KEY_BYTES_MAX {
            let message = match key.text.len() {
                0 => "the flag has no key".to_owned(),
                bytes => format!("a key of {bytes} bytes is longer than {FLAG_KEY_BYTES_MAX}"),
            };
            self.report.add(Code::FlagKeyInvalid, key.index, None, message, None);
            return None;
        }
        advise::key(key, self.report);
        if is_doubled {
            let message = "the key is defined more than once".to_owned();
            self.error(key, Code::FlagDuplicate, key.index, message, None);
        }
        let written = self.members(key, entry.node);
        let metadata = read_metadata(written.metadata, Some(key.text), self.report);
        let metadata = match self.set_metadata.is_empty() {
            true => metadata,
            false => self.set_metadata.overlaid_with(&metadata),
        };
        let metadata = metadata.without_nulls();
        let set = non_empty(metadata.get(FLAG_SET_ID).and_then(Value::as_str)).map(FlagSetId::new);
        let previous = self.previous.get(&(set.as_ref().map(FlagSetId::as_str), key.text)).copied();

        let draft = self.draft(key, entry.node, &written);
        let has_definition =
            draft.as_ref().is_some_and(|draft| self.write_definition(key, draft, &metadata));
        if let Some(unchanged) = previous.filter(|flag| has_definition && self.is_unchanged(flag)) {
            return Some(Arc::clone(unchanged));
        }
        let body = draft.map(|draft| self.body(key, &draft));
        if let (Some(body), Some(today)) = (&body, self.house_rules_on) {
            advise::house_rules(key, &metadata, body, today, self.report);
        }
        let findings = self.report.flag_findings();
        if let Some(good) = previous.filter(|flag| findings.kept && flag.is_sound()) {
            return Some(Arc::clone(good));
        }
        // What flagd could not load either is not served; a damaged rule is, as far as it goes.
        let is_whole = !entry.node.is_cut();
        let is_servable = !is_doubled && is_whole && has_definition;
        Some(Arc::new(Flag {
            key: key.text.into(),
            set,
            source: self.options.source.clone(),
            metadata,
            definition: is_servable.then(|| self.text.as_str().into()),
            body: body.filter(|_| is_servable),
            generation: self.options.generation,
            seed: seed_of(self.options.generation, key.text),
            has_findings: findings.any,
        }))
    }

    fn is_unchanged(&self, previous: &Flag) -> bool {
        let found = self.report.flag_findings().any || previous.has_findings;
        !found
            && previous.generation == self.options.generation
            && previous.definition() == Some(&*self.text)
    }

    /// Sorts the members out; what is wrong with the object itself is reported.
    fn members(&mut self, key: Name<'t>, node: Node<'t>) -> Written<'t> {
        let mut written = Written::default();
        let Kind::Object(members) = node.kind() else {
            let message = format!("a flag is an object, this is {}", node.kind_name());
            self.error(key, Code::FlagNotObject, node.index(), message, None);
            return written;
        };
        for (name, value) in members {
            let member = match name.text {
                "state" => &mut written.state,
                "variants" => &mut written.variants,
                "defaultVariant" => &mut written.default,
                "targeting" => &mut written.targeting,
                "metadata" => &mut written.metadata,
                ignored if IGNORED_MEMBERS.contains(&ignored) => continue,
                unknown => {
                    let hint = closest(unknown, MEMBERS).map(|m| format!("did you mean {m:?}?"));
                    let message = format!("the member {unknown:?} means nothing");
                    self.error(key, Code::MemberUnknown, name.index, message, hint);
                    continue;
                }
            };
            if member.replace(value).is_some() {
                let message = format!("{:?} is written twice", name.text);
                self.error(key, Code::MemberDuplicate, name.index, message, None);
            }
        }
        written
    }

    /// Checks each member; `None` if one of them is not what it should be.
    fn draft(&mut self, key: Name<'t>, node: Node<'t>, written: &Written<'t>) -> Option<Draft<'t>> {
        if !matches!(node.kind(), Kind::Object(_)) {
            return None;
        }
        let is_enabled = self.state(key, node, written.state);
        let variants = self.variants(key, node, written.variants);
        let default = self.default_variant(key, written.default, variants.as_deref());
        let targeting = written.targeting.filter(|node| !is_empty_object(*node));
        let (is_enabled, variants, (default_name, default)) = (is_enabled?, variants?, default?);
        advise::variants(key, &variants, self.report);
        Some(Draft { is_enabled, variants, default_name, default, targeting })
    }

    fn state(&mut self, key: Name<'t>, flag: Node<'t>, state: Option<Node<'t>>) -> Option<bool> {
        let text = match state.map(|node| (node, node.kind())) {
            Some((_, Kind::Text(text))) => text,
            Some((node, _)) => {
                let message = format!("\"state\" is a text, this is {}", node.kind_name());
                let hint = Some("write \"ENABLED\" or \"DISABLED\"".to_owned());
                self.error(key, Code::StateInvalid, node.index(), message, hint);
                return None;
            }
            None => "",
        };
        if !matches!(text, "ENABLED" | "DISABLED") {
            let index = state.unwrap_or(flag).index();
            let message = match state {
                Some(_) => format!("the state {text:?} counts as \"ENABLED\""),
                None => "there is no \"state\", which counts as \"ENABLED\"".to_owned(),
            };
            let hint =
                closest(text, ["ENABLED", "DISABLED"]).map(|s| format!("did you mean {s:?}?"));
            self.error(key, Code::StateUnknown, index, message, hint);
        }
        Some(text != "DISABLED")
    }

    fn variants(
        &mut self,
        key: Name<'t>,
        flag: Node<'t>,
        variants: Option<Node<'t>>,
    ) -> Option<Vec<(Name<'t>, Node<'t>)>> {
        let mut members: Vec<_> = match variants.map(Node::kind) {
            Some(Kind::Object(members)) => members.collect(),
            _ => Vec::new(),
        };
        if members.is_empty() {
            let node = variants.unwrap_or(flag);
            let message = match variants.map(Node::kind) {
                None => "there are no \"variants\"".to_owned(),
                Some(Kind::Object(_)) => "\"variants\" is empty".to_owned(),
                Some(_) => format!("\"variants\" is an object, this is {}", node.kind_name()),
            };
            self.error(key, Code::VariantsInvalid, node.index(), message, None);
            return None;
        }
        if has_duplicates(members.iter().map(|(name, _)| name.text)) {
            let mut seen = HashSet::new();
            for (name, _) in members.iter().filter(|(name, _)| !seen.insert(name.text)) {
                let message = format!("the variant {:?} is defined twice", name.text);
                self.error(key, Code::VariantDuplicate, name.index, message, None);
            }
            // The last one counts, as in flagd, if the flag has no earlier definition to keep.
            seen.clear();
            members.reverse();
            members.retain(|(name, _)| seen.insert(name.text));
            members.reverse();
        }
        for (name, value) in &members {
            if value.is_cut() {
                let message = format!("the variant {:?} nests too deeply", name.text);
                self.error(key, Code::TooDeep, name.index, message, None);
            }
        }
        Some(members)
    }

    /// The default variant's name and place; `(None, None)` if there is none.
    #[allow(clippy::type_complexity, reason = "a pair of what is found, if the member is sound")]
    fn default_variant(
        &mut self,
        key: Name<'t>,
        default: Option<Node<'t>>,
        variants: Option<&[(Name<'t>, Node<'t>)]>,
    ) -> Option<(Option<&'t str>, Option<usize>)> {
        let (node, name) = match default.map(|node| (node, node.kind())) {
            None | Some((_, Kind::Null | Kind::Text(""))) => return Some((None, None)),
            Some((node, Kind::Text(name))) => (node, name),
            Some((node, _)) => {
                let message = format!("\"defaultVariant\" is a text, this is {}", node.kind_name());
                let hint = Some("in YAML, put quotes around true and false".to_owned());
                self.error(key, Code::DefaultVariantInvalid, node.index(), message, hint);
                return None;
            }
        };
        let variants = variants?;
        let place = variants.iter().position(|(variant, _)| variant.text == name);
        if place.is_none() {
            let known = || variants.iter().map(|(variant, _)| variant.text);
            let hint = match closest(name, known()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("it has {}", advise::listed(known())),
            };
            let message = format!("\"defaultVariant\" {name:?} is not among its variants");
            self.error(key, Code::DefaultVariantUnknown, node.index(), message, Some(hint));
        }
        Some((Some(name), Some(place?)))
    }

    /// Writes the definition into `text`; false if it is too large.
    fn write_definition(&mut self, key: Name<'t>, draft: &Draft<'t>, metadata: &Object) -> bool {
        let written = write::definition(draft, metadata, self.evaluators, &mut self.text);
        if written.is_err() {
            let message = format!("with its references the flag is over {FLAG_BYTES_MAX} bytes");
            self.error(key, Code::FlagTooLarge, key.index, message, None);
        }
        written.is_ok()
    }

    fn body(&mut self, key: Name<'t>, draft: &Draft<'t>) -> Body {
        let generation = self.options.generation;
        let before = self.report.flag_findings().kept;
        let targeting = draft.targeting.map(|node| {
            let flag = Some(key.text);
            let mut rules = RuleCompiler::new(flag, generation, self.evaluators, self.report);
            let rule = rules.compile(node);
            advise::results(node, key, &draft.variants, self.report);
            rule
        });
        let variants = draft
            .variants
            .iter()
            .map(|(name, node)| Variant { name: name.text.into(), value: node.to_value() });
        Body {
            is_enabled: draft.is_enabled,
            variants: variants.collect(),
            default: draft.default,
            targeting,
            is_damaged: self.report.flag_findings().kept && !before,
        }
    }

    fn error(
        &mut self,
        key: Name<'_>,
        code: Code,
        node: usize,
        message: String,
        hint: Option<String>,
    ) {
        self.report.add(code, node, Some(key.text), message, hint);
    }
}

impl Flag {
    /// Whether its definition can be evaluated throughout.
    fn is_sound(&self) -> bool {
        self.body.as_ref().is_some_and(|body| !body.is_damaged)
    }
}

/// The members of a metadata object that may be served. A list or an object is reported, because
/// strict clients refuse a whole payload for one, and counts as null. A null is not served; a flag's
/// own also hides what its document says under that name, as in flagd.
pub(crate) fn read_metadata(
    node: Option<Node<'_>>,
    flag: Option<&str>,
    report: &mut Report<'_>,
) -> Object {
    let Some(node) = node else { return Object::default() };
    let members = match node.kind() {
        Kind::Object(members) => members,
        Kind::Null => return Object::default(),
        _ => {
            // The document's own metadata is checked, and refused, with the document.
            if flag.is_some() {
                let message = format!("\"metadata\" is an object, this is {}", node.kind_name());
                report.add(Code::MetadataInvalid, node.index(), flag, message, None);
            }
            return Object::default();
        }
    };
    let mut kept = Vec::new();
    for (name, value) in members {
        match value.kind() {
            Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => {
                kept.push((Box::from(name.text), value.to_value()));
            }
            Kind::Null => kept.push((Box::from(name.text), Value::Null)),
            _ => {
                let found = value.kind_name();
                let message = format!("the metadata {:?} is {found}, and is left out", name.text);
                report.add(Code::MetadataValueInvalid, name.index, flag, message, None);
                kept.push((Box::from(name.text), Value::Null));
            }
        }
    }
    crate::json::last_of_each(kept)
}

/// The flag set that a flag says it belongs to.
pub(crate) fn set_of<'m>(flag: Node<'m>, set_metadata: &'m Object) -> Option<&'m str> {
    let own = || match flag.kind() {
        Kind::Object(mut members) => {
            match members.find(|(name, _)| name.text == "metadata")?.1.kind() {
                Kind::Object(mut metadata) => metadata.find(|(name, _)| name.text == FLAG_SET_ID),
                _ => None,
            }
        }
        _ => None,
    };
    non_empty(match own() {
        Some((_, set)) => set.as_text(),
        None => set_metadata.get(FLAG_SET_ID).and_then(Value::as_str),
    })
}

fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn is_empty_object(node: Node<'_>) -> bool {
    matches!(node.kind(), Kind::Object(members) if members.count() == 0)
}
