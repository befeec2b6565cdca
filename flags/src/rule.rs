//! A compiled targeting rule: typed nodes, ready to run, that can still be read and explained.
//!
//! What the compiler cannot make sense of becomes [`Rule::Broken`], which answers PARSE_ERROR only
//! if an evaluation reaches it, as in flagd.

use std::sync::Arc;

use crate::context::Fingerprint;
use crate::split::Split;
use crate::value::Value;

/// One node of a rule.
#[derive(Debug)]
pub(crate) enum Rule {
    /// A value that stands for itself.
    Literal(Value),
    /// An array with rules among its items.
    List(Box<[Rule]>),
    /// `var` with a path that is known beforehand.
    Variable(Variable),
    /// Any other operator, `var` with a computed path included.
    Apply(Operator, Operands),
    /// `fractional` over literal entries.
    Split(Box<Split>),
    /// A member of `$evaluators`, shared by all that refer to it.
    Reference(Box<str>, Arc<Rule>),
    /// A node that cannot be evaluated.
    Broken(Box<str>),
}

/// The operands of an operator as they are written.
#[derive(Debug)]
pub(crate) enum Operands {
    /// An array.
    Many(Box<[Rule]>),
    /// Anything else; some operators accept it in place of an array.
    One(Box<Rule>),
}

/// A compiled `var`.
#[derive(Debug)]
pub(crate) struct Variable {
    /// The path as written.
    pub(crate) text: Box<str>,
    /// Its segments; none selects the whole data.
    pub(crate) path: Box<[Segment]>,
    /// What is answered when there is nothing at the path.
    pub(crate) default: Option<Box<Rule>>,
    /// Whether a loop may replace this variable by one of the data around it: all but a path that
    /// is written as a plain text and is empty or starts with a dot.
    pub(crate) sees_outer: bool,
}

/// The member of the rule's data that flagd adds to the context.
pub(crate) const FLAGD: &str = "$flagd";

impl Variable {
    /// The name of the context's attribute that this is, if it is no more than that.
    #[inline]
    pub(crate) fn attribute(&self) -> Option<&Segment> {
        const FINGERPRINT: Fingerprint = Fingerprint::of(FLAGD);
        match (&*self.path, &self.default) {
            ([name], None) if name.fingerprint != FINGERPRINT => Some(name),
            _ => None,
        }
    }
}

/// One step of a path, with what a lookup needs computed beforehand.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: Box<str>,
    pub(crate) fingerprint: Fingerprint,
    /// The place in an array; `None` if there can be none.
    pub(crate) array_index: Option<usize>,
}

impl Segment {
    /// The segments of a dotted path. Empty segments mean nothing.
    pub(crate) fn split(path: &str) -> impl Iterator<Item = Self> + '_ {
        path.split('.').filter(|name| !name.is_empty()).map(|name| Self {
            name: name.into(),
            fingerprint: Fingerprint::of(name),
            array_index: array_index(name),
        })
    }
}

/// The array index that a path segment stands for: flagd reads a text that is no number as 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be small")]
fn array_index(name: &str) -> Option<usize> {
    const INDEX_MAX: f64 = 1e9;
    let number = crate::coerce::number_of_text(name).unwrap_or(0.0);
    (number > -1.0 && number <= INDEX_MAX).then_some(number as usize)
}

macro_rules! operators {
    ($($name:ident $text:literal,)*) => {
        /// Everything a rule can do besides `var` with a fixed path.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Operator { $($name,)* }

        impl Operator {
            pub(crate) const NAMES: &'static [&'static str] = &[$($text,)*];

            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

operators! {
    Var "var",
    Missing "missing",
    MissingSome "missing_some",
    If "if",
    Ternary "?:",
    And "and",
    Or "or",
    Not "!",
    Truthy "!!",
    Equal "==",
    NotEqual "!=",
    StrictEqual "===",
    StrictNotEqual "!==",
    Less "<",
    LessOrEqual "<=",
    Greater ">",
    GreaterOrEqual ">=",
    Add "+",
    Subtract "-",
    Multiply "*",
    Divide "/",
    Remainder "%",
    Absolute "abs",
    Minimum "min",
    Maximum "max",
    Map "map",
    Filter "filter",
    Reduce "reduce",
    All "all",
    Some "some",
    None "none",
    Merge "merge",
    In "in",
    Concatenate "cat",
    Substring "substr",
    Set "set",
    ContainsAll "contains_all",
    ContainsAny "contains_any",
    ContainsNone "contains_none",
    StartsWith "starts_with",
    EndsWith "ends_with",
    SemanticVersion "sem_ver",
    Fractional "fractional",
}
