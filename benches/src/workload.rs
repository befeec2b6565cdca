//! What is evaluated: 1,000 flags under 27-byte keys, 1,000 subjects of four attributes.
//!
//! A chain of evaluations rotates through both, and where it goes next depends on each answer, so
//! that what is measured is latency: no evaluation can begin before the one before it has ended.

use std::fmt::Write;
use std::sync::Arc;

use outrigger_flags::{
    ContextError, EvaluationContext, Format, Generation, InvalidDocument, Layer, LoadOptions,
    Loaded, Revision, Snapshot, SourceName, Value, load,
};

/// Flags in a snapshot.
pub const FLAGS: usize = 1_000;
/// Subjects that are asked for.
pub const SUBJECTS: usize = 1_000;
/// The weight of `on` in W3; that of `off` fills up to 100.
pub const ON_WEIGHT: u32 = 25;

/// One of the three kinds of flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// W1: a static boolean.
    Static,
    /// W2: one rule, `country` in a list and `email` with an ending.
    Rule,
    /// W3: a split of 25 to 75 by the targeting key of 36 bytes.
    Split,
}

impl Workload {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Static, Self::Rule, Self::Split];

    /// Its short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "W1",
            Self::Rule => "W2",
            Self::Split => "W3",
        }
    }

    /// The members of a flag of this kind.
    fn members(self, index: usize) -> String {
        let rule = match self {
            Self::Static => String::new(),
            Self::Rule => r#", "targeting": {"if": [{"and": [
                {"in": [{"var": "country"}, ["NL", "BE", "DE"]]},
                {"ends_with": [{"var": "email"}, "@example.com"]}]}, "on", "off"]}"#
                .to_owned(),
            Self::Split => {
                let rest = 100 - ON_WEIGHT;
                format!(
                    r#", "targeting": {{"fractional": [["on", {ON_WEIGHT}], ["off", {rest}]]}}"#
                )
            }
        };
        let default = if self == Self::Static && is_on(index) { "on" } else { "off" };
        format!(
            r#""state": "ENABLED", "variants": {{"on": true, "off": false}}, "defaultVariant": "{default}"{rule}"#
        )
    }

    /// A document of flags of this kind.
    pub fn document(self) -> String {
        document_of(FLAGS, |index| self.members(index))
    }
}

/// Whether a static flag is on: half of them are, in no order that could be guessed.
pub fn is_on(index: usize) -> bool {
    scramble(index as u64).is_multiple_of(2)
}

/// The key of a flag: 27 bytes.
pub fn key(index: usize) -> String {
    format!("checkout.new-payment-{index:06}")
}

/// The keys of all flags.
pub fn keys() -> Vec<String> {
    (0..FLAGS).map(key).collect()
}

/// A document of so many flags with these members.
fn document_of(flags: usize, members: impl Fn(usize) -> String) -> String {
    let mut document = String::from("{\"flags\": {\n");
    for index in 0..flags {
        let comma = if index + 1 < flags { "," } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(document, "\"{}\": {{{}}}{comma}", key(index), members(index));
    }
    document.push_str("}}\n");
    document
}

/// A document to load: half of its flags have a rule, half a split, 300 bytes each. Every
/// `edition` is another document.
pub fn mixed_document(flags: usize, edition: usize) -> String {
    document_of(flags, |index| {
        let workload = if index.is_multiple_of(2) { Workload::Rule } else { Workload::Split };
        let metadata = format!(r#", "metadata": {{"owner": "payments", "edition": {edition}}}"#);
        workload.members(index).replace("\n                ", "") + &metadata
    })
}

/// One subject.
#[derive(Debug)]
pub struct Subject {
    /// Who: 36 bytes.
    pub user: String,
    /// Where.
    pub country: &'static str,
    /// How to write to them.
    pub email: String,
}

/// All subjects. Half of them match each condition of W2, in no order that could be guessed.
pub fn subjects() -> Vec<Subject> {
    (0..SUBJECTS)
        .map(|index| {
            let noise = scramble(index as u64);
            let user = format!(
                "{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}",
                noise >> 32,
                noise >> 16 & 0xffff,
                noise >> 8 & 0xfff,
                noise & 0xfff,
                scramble(noise) & 0xffff_ffff_ffff,
            );
            let country = if noise & 1 == 0 { "BE" } else { "US" };
            let host = if noise & 2 == 0 { "example.com" } else { "example.org" };
            Subject { user, country, email: format!("user{index}@{host}") }
        })
        .collect()
}

/// The finaliser of splitmix64: enough to look random, the same on every run.
fn scramble(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// The evaluation contexts of all subjects.
///
/// # Errors
/// None: the attributes are few and flat.
pub fn contexts() -> Result<Vec<EvaluationContext>, ContextError> {
    let context = |subject: Subject| {
        let mut context = EvaluationContext::new();
        context.set("targetingKey", Value::from(subject.user))?;
        context.set("country", Value::from(subject.country))?;
        context.set("email", Value::from(subject.email))?;
        context.set("plan", Value::from("gold"))?;
        Ok(context)
    };
    subjects().into_iter().map(context).collect()
}

/// How the documents here are compiled.
pub fn options() -> LoadOptions {
    LoadOptions { source: SourceName::new("bench.json"), generation: Generation::V2 }
}

/// Compiles a document.
///
/// # Errors
/// None, for the documents made here.
pub fn compile(document: &str, previous: Option<&Layer>) -> Result<Loaded, InvalidDocument> {
    load(document.as_bytes(), Format::Json, &options(), previous)
}

/// Composes a snapshot of one layer.
pub fn compose(seq: u64, layer: Arc<Layer>) -> Snapshot {
    Snapshot::compose(Revision { epoch: 1, seq }, &[layer])
}

/// Where a chain of evaluations is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    noise: u64,
    /// The flag to evaluate next.
    pub flag: usize,
    /// The subject to evaluate it for.
    pub subject: usize,
}

impl Place {
    /// Where a chain starts.
    pub const START: Self = Self { noise: 1, flag: 0, subject: 0 };

    /// The place after an answer, a few steps on. How many depends on the answer, so that nothing
    /// can be evaluated ahead; and on noise, because the branch predictor learns a plain rotation
    /// within a few rounds and then does evaluate ahead. The noise itself waits for nobody.
    #[inline]
    fn after(self, answer: bool) -> Self {
        const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
        let steps = |noise: u64| 1 + usize::from(noise & 1 == 1);
        Self {
            noise: self.noise.wrapping_mul(MULTIPLIER).wrapping_add(1),
            flag: wrapped(self.flag + steps(self.noise >> 63) + usize::from(answer), FLAGS),
            subject: wrapped(
                self.subject + steps(self.noise >> 62) + usize::from(answer),
                SUBJECTS,
            ),
        }
    }
}

#[inline]
fn wrapped(index: usize, end: usize) -> usize {
    if index >= end { index - end } else { index }
}

/// Evaluates so many times from a place on, each time where the last answer led to.
#[inline]
pub fn chain(from: Place, steps: usize, mut evaluate: impl FnMut(Place) -> bool) -> Place {
    (0..steps).fold(from, |place, _| place.after(evaluate(place)))
}
