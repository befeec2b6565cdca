//! Problems in a flag document: all of them at once, each with a stable code, a place and a hint.

use std::fmt;

/// One problem in a flag document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of problem this is; stable, for scripts and searches.
    pub code: Code,
    /// The flag it concerns, if it concerns one.
    pub flag: Option<Box<str>>,
    /// What is wrong, in a lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where it is, if the place could be found.
    pub position: Option<Position>,
}

impl Diagnostic {
    /// How bad it is.
    pub const fn severity(&self) -> Severity {
        self.code.severity()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(flag) = &self.flag {
            write!(f, "flag {flag:?}: ")?;
        }
        write!(f, "{}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        write!(f, " [{}]", self.code)
    }
}

/// A place in a text file, for people: both from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Allowed, and probably not meant.
    Warning,
    /// Wrong. What becomes of it: [`Effect`].
    Error,
}

impl Severity {
    /// A lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a problem does to what is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing: the flag is served as it is written, as flagd does.
    Served,
    /// The flag keeps its last good definition; its siblings go live.
    FlagKept,
    /// The whole document is refused; the last good one stays.
    DocumentRefused,
}

macro_rules! codes {
    ($($name:ident $text:literal $severity:ident $effect:ident $doc:literal,)*) => {
        /// What kind of problem a diagnostic reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $doc] $name,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// One sentence on what it means.
            pub const fn describe(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }

            /// How bad it is.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// What it does to what is served.
            pub const fn effect(self) -> Effect {
                match self { $(Self::$name => Effect::$effect,)* }
            }
        }
    };
}

codes! {
    NotUtf8 "not-utf8" Error DocumentRefused "The document is not UTF-8 text.",
    DocumentTooLarge "document-too-large" Error DocumentRefused "The document is over a size limit.",
    Syntax "syntax" Error DocumentRefused "The document is not well-formed JSON or YAML.",
    DocumentNotObject "document-not-object" Error DocumentRefused "A flag document is an object.",
    FlagsMissing "flags-missing" Error DocumentRefused "The document has no `flags` member.",
    FlagsNotObject "flags-not-object" Error DocumentRefused "`flags` is neither an object nor an array.",
    TooManyFlags "too-many-flags" Error DocumentRefused "The document has more flags than allowed.",
    EvaluatorsNotObject "evaluators-not-object" Error DocumentRefused "`$evaluators` is not an object.",
    SetMetadataNotObject "set-metadata-not-object" Error DocumentRefused "The document's `metadata` is not an object.",
    FlagNotObject "flag-not-object" Error FlagKept "A flag is an object.",
    FlagKeyInvalid "flag-key-invalid" Error FlagKept "The flag has no key, or one that is too long.",
    FlagKeyUnusual "flag-key-unusual" Warning Served "The flag key has characters that tools may not accept.",
    FlagDuplicate "flag-duplicate" Error FlagKept "The same key is defined twice in one document.",
    FlagTooLarge "flag-too-large" Error FlagKept "The flag is over a size limit.",
    TooDeep "too-deep" Error FlagKept "The flag nests too deeply.",
    MemberDuplicate "member-duplicate" Error FlagKept "A member of the flag is written twice.",
    MemberUnknown "member-unknown" Warning Served "The flag has a member that means nothing here.",
    StateInvalid "state-invalid" Error FlagKept "`state` is not a text.",
    StateUnknown "state-unknown" Error Served "`state` is missing, or neither ENABLED nor DISABLED; the flag counts as enabled.",
    VariantsInvalid "variants-invalid" Error FlagKept "`variants` is missing, empty or not an object.",
    VariantDuplicate "variant-duplicate" Error FlagKept "The same variant is defined twice.",
    VariantTypesDiffer "variant-types-differ" Error Served "The variants of one flag are of several types.",
    VariantTypeUnusual "variant-type-unusual" Warning Served "The variant is null or an array, which typed clients cannot read.",
    DefaultVariantInvalid "default-variant-invalid" Error FlagKept "`defaultVariant` is not a text.",
    DefaultVariantUnknown "default-variant-unknown" Error FlagKept "`defaultVariant` names no variant of the flag.",
    MetadataInvalid "metadata-invalid" Error FlagKept "`metadata` is not an object.",
    MetadataValueInvalid "metadata-value-invalid" Error Served "A metadata value is not a text, number or boolean; it is left out.",
    OperatorUnknown "operator-unknown" Error FlagKept "The rule uses an operator that does not exist.",
    OperatorArguments "operator-arguments" Error Served "The operator has too few or wrong arguments.",
    RuleVariantUnknown "rule-variant-unknown" Error Served "The rule can return a text that names no variant of the flag.",
    ReferenceUnknown "reference-unknown" Error FlagKept "`$ref` names no member of `$evaluators`.",
    ReferenceCycle "reference-cycle" Error FlagKept "The `$evaluators` refer to each other in a circle.",
    ReferenceTooDeep "reference-too-deep" Error FlagKept "The chain of `$ref`s is too long.",
    ReferenceBroken "reference-broken" Error FlagKept "`$ref` names an evaluator that has errors itself.",
    EvaluatorDuplicate "evaluator-duplicate" Error FlagKept "The same evaluator is defined twice.",
    FractionalEntry "fractional-entry" Error Served "An entry of `fractional` is not an array of variant and weight; the operator answers null.",
    FractionalWeight "fractional-weight" Error Served "The weights of `fractional` cannot work; the operator answers null.",
    OwnerMissing "owner-missing" Warning Served "House rule: `metadata.owner` says who answers for the flag.",
    ExpiryMissing "expiry-missing" Warning Served "House rule: `metadata.expires` says when the flag should be gone.",
    ExpiryInvalid "expiry-invalid" Warning Served "House rule: `metadata.expires` is a date such as 2026-12-31.",
    Expired "expired" Warning Served "House rule: the flag has outlived its `metadata.expires`.",
    SafeVariantMissing "safe-variant-missing" Warning Served "House rule: without a safe variant a kill can only serve code defaults.",
    SafeVariantUnknown "safe-variant-unknown" Warning Served "House rule: `metadata.safeVariant` names a variant of the flag.",
    DefaultOn "default-on" Warning Served "House rule: a boolean flag is off until a rule turns it on.",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A document that was refused whole, with every problem found in it. Whoever holds an earlier
/// layer of the same source keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidDocument(pub(crate) Vec<Diagnostic>);

impl InvalidDocument {
    /// The problems, the refusing ones first.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.0
    }
}

impl fmt::Display for InvalidDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.first() {
            Some(first) => {
                if let Some(position) = first.position {
                    write!(f, "{position}: ")?;
                }
                first.fmt(f)
            }
            None => f.write_str("the document was refused"),
        }
    }
}

impl std::error::Error for InvalidDocument {}

/// The closest of several names to a misspelt one, if one is close enough to be meant.
pub fn closest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (edit_distance(name, candidate, allowed), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance, ignoring ASCII case; `bound + 1` where it is surely larger.
fn edit_distance(a: &str, b: &str, bound: usize) -> usize {
    const CHARACTERS_MAX: usize = 64;
    let lower = |text: &str| -> Vec<char> {
        text.chars().take(CHARACTERS_MAX).map(|c| c.to_ascii_lowercase()).collect()
    };
    let (a, b) = (lower(a), lower(b));
    if a.len().abs_diff(b.len()) > bound {
        return bound + 1;
    }
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    let mut before_previous: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let substituted = at(&previous, j) + usize::from(from != to);
            let mut best = substituted.min(at(&previous, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from);
            if swapped {
                best = best.min(at(&before_previous, j - 1) + 1);
            }
            row.push(best);
        }
        before_previous = std::mem::replace(&mut previous, row);
    }
    at(&previous, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let operators = ["starts_with", "ends_with", "fractional", "if", "in"];
        assert_eq!(closest("start_with", operators), Some("starts_with"));
        assert_eq!(closest("fractoinal", operators), Some("fractional"));
        assert_eq!(closest("IF", operators), Some("if"));
        assert_eq!(closest("percentage", operators), None);
    }

    #[test]
    fn codes_are_distinct() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
