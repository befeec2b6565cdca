//! The evaluation context: what is known about the subject of an evaluation.

use std::fmt;

use crate::limits::{CONTEXT_ATTRIBUTES_MAX, CONTEXT_DEPTH_MAX};
use crate::value::{Object, Value};

/// The name under which the targeting key travels.
pub const TARGETING_KEY: &str = "targetingKey";

/// The attributes of one subject. Small and flat, so lookups scan; a fingerprint of each name,
/// computed once here and once when a rule is compiled, makes a miss one comparison.
#[derive(Debug, Clone, Default)]
pub struct EvaluationContext {
    attributes: Vec<Attribute>,
}

#[derive(Debug, Clone)]
struct Attribute {
    fingerprint: Fingerprint,
    name: Box<str>,
    value: Value,
}

impl EvaluationContext {
    /// An empty context.
    pub const fn new() -> Self {
        Self { attributes: Vec::new() }
    }

    /// A context with the members of an object as attributes.
    ///
    /// # Errors
    /// [`ContextError`] if there are too many attributes or one nests too deeply.
    pub fn from_object(object: Object) -> Result<Self, ContextError> {
        let mut context = Self { attributes: Vec::with_capacity(object.len().min(64)) };
        for (name, value) in object {
            context.set(&name, value)?;
        }
        Ok(context)
    }

    /// Sets an attribute, replacing one of the same name.
    ///
    /// # Errors
    /// [`ContextError`] if there would be too many attributes or this one nests too deeply.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), ContextError> {
        if value.depth() >= CONTEXT_DEPTH_MAX {
            return Err(ContextError::TooDeep { attribute: name.to_owned() });
        }
        let fingerprint = Fingerprint::of(name);
        let is_full = self.attributes.len() >= CONTEXT_ATTRIBUTES_MAX;
        match self.attributes.iter_mut().find(|a| a.is(fingerprint, name)) {
            Some(attribute) => attribute.value = value,
            None if is_full => return Err(ContextError::TooManyAttributes),
            None => self.attributes.push(Attribute { fingerprint, name: name.into(), value }),
        }
        Ok(())
    }

    /// The attribute of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.get_precomputed(Fingerprint::of(name), name)
    }

    /// The targeting key, if there is one and it is a text.
    pub fn targeting_key(&self) -> Option<&str> {
        const FINGERPRINT: Fingerprint = Fingerprint::of(TARGETING_KEY);
        self.get_precomputed(FINGERPRINT, TARGETING_KEY).and_then(Value::as_str)
    }

    /// The attributes in the order in which they were first set.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.attributes.iter().map(|attribute| (&*attribute.name, &attribute.value))
    }

    #[inline]
    pub(crate) fn get_precomputed(&self, fingerprint: Fingerprint, name: &str) -> Option<&Value> {
        self.attributes.iter().find(|a| a.is(fingerprint, name)).map(|a| &a.value)
    }
}

impl Attribute {
    #[inline]
    fn is(&self, fingerprint: Fingerprint, name: &str) -> bool {
        self.fingerprint == fingerprint
            && (name.len() <= Fingerprint::WHOLE_BYTES || *self.name == *name)
    }
}

/// Length, first four and last three bytes of a name: tells nearly all attribute names apart in one
/// comparison. Equal fingerprints make names equal only if they are short enough to be seen whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// Longest name of which every byte is in the fingerprint.
    const WHOLE_BYTES: usize = 7;

    #[inline]
    pub(crate) const fn of(name: &str) -> Self {
        let (mut head, mut tail) = (name.as_bytes(), name.as_bytes());
        let mut mix = if name.len() < 0xff { name.len() as u64 } else { 0xff };
        let mut taken = 0;
        while taken < 4
            && let [byte, rest @ ..] = head
        {
            (mix, head, taken) = (mix << 8 | *byte as u64, rest, taken + 1);
        }
        while taken < 7
            && let [rest @ .., byte] = tail
        {
            (mix, tail, taken) = (mix << 8 | *byte as u64, rest, taken + 1);
        }
        Self(mix)
    }
}

/// Why a context was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextError {
    /// More attributes than [`CONTEXT_ATTRIBUTES_MAX`].
    TooManyAttributes,
    /// An attribute that makes the context nest deeper than [`CONTEXT_DEPTH_MAX`].
    TooDeep {
        /// Its name.
        attribute: String,
    },
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyAttributes => {
                write!(f, "the context has more than {CONTEXT_ATTRIBUTES_MAX} attributes")
            }
            Self::TooDeep { attribute } => write!(
                f,
                "the context nests deeper than {CONTEXT_DEPTH_MAX} levels in attribute {attribute:?}"
            ),
        }
    }
}

impl std::error::Error for ContextError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn replaces_and_bounds() {
        let mut context = EvaluationContext::new();
        for index in 0..CONTEXT_ATTRIBUTES_MAX {
            context.set(&format!("a{index}"), Value::Null).unwrap();
        }
        assert_eq!(context.set("b", Value::Null), Err(ContextError::TooManyAttributes));
        context.set("a7", Value::from("x")).unwrap();
        assert_eq!(context.get("a7"), Some(&Value::from("x")));
        let deep = crate::json::read("[".repeat(16).as_bytes(), 99);
        assert!(deep.is_err());
        let deep = format!("{}{}", "[".repeat(16), "]".repeat(16));
        let deep = crate::json::read(deep.as_bytes(), 99).unwrap();
        assert!(matches!(context.set("a7", deep), Err(ContextError::TooDeep { .. })));
    }

    #[test]
    fn names_with_equal_fingerprints_stay_apart() {
        let (one, two) = ("abcd-1-xyz", "abcd-2-xyz");
        assert_eq!(Fingerprint::of(one), Fingerprint::of(two));
        let mut context = EvaluationContext::new();
        context.set(one, Value::Bool(true)).unwrap();
        assert_eq!(context.get(two), None);
    }

    proptest! {
        #[test]
        fn short_names_with_equal_fingerprints_are_equal(one in "[ab\\x00]{0,7}", two in "[ab\\x00]{0,7}") {
            prop_assert_eq!(Fingerprint::of(&one) == Fingerprint::of(&two), one == two);
        }
    }
}
