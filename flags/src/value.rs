//! JSON-shaped values: variants, context attributes, and literals in rules.

use std::fmt;

/// A finite number. Integers keep their exact value as far as 64 bits reach; rules compute in
/// double precision as flagd does, so exactness matters for variants and for bucketing.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// An integer that fits `i64`.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// Any other number; always finite.
    Float(f64),
}

impl Number {
    /// A number from a double; `None` if it is infinite or not a number.
    pub fn from_f64(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self::Float(value))
    }

    /// As an integer: a fraction is cut off, and what is out of range takes the nearest integer.
    #[allow(clippy::cast_possible_truncation, reason = "a float-to-int cast saturates")]
    pub fn to_i64(self) -> i64 {
        match self {
            Self::Int(value) => value,
            Self::UInt(_) => i64::MAX,
            Self::Float(value) => value as i64,
        }
    }

    /// The nearest double.
    #[allow(clippy::cast_precision_loss, reason = "flagd's rules compute in doubles")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::UInt(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

impl PartialEq for Number {
    /// Exact between integers, otherwise as doubles.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::UInt(a), Self::UInt(b)) => a == b,
            (Self::Int(_), Self::UInt(_)) | (Self::UInt(_), Self::Int(_)) => false,
            _ => self.as_f64() == other.as_f64(),
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::UInt(value), Self::Int)
    }
}

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A finite number.
    Number(Number),
    /// A text.
    String(Box<str>),
    /// A list.
    Array(Box<[Self]>),
    /// Members in the order in which they were written.
    Object(Object),
}

impl Value {
    /// The name of the value's JSON type, for messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The nesting depth: 1 for a scalar.
    pub fn depth(&self) -> usize {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(object) => {
                1 + object.iter().map(|(_, value)| value.depth()).max().unwrap_or(0)
            }
            _ => 1,
        }
    }
}

impl fmt::Display for Value {
    /// JSON text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        crate::json::write(self, &mut text);
        f.write_str(&text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value.into())
    }
}

impl From<Object> for Value {
    fn from(value: Object) -> Self {
        Self::Object(value)
    }
}

/// The members of a JSON object, in written order. Lookups scan: objects in contexts, variants and
/// metadata are small.
#[derive(Debug, Clone, Default)]
pub struct Object(Box<[(Box<str>, Value)]>);

impl Object {
    /// The members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(member, _)| **member == *name).map(|(_, value)| value)
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This object with the members of `upper` added; `upper` wins where both have a member.
    #[must_use]
    pub fn overlaid_with(&self, upper: &Self) -> Self {
        let kept = self.0.iter().filter(|(name, _)| upper.get(name).is_none());
        kept.chain(upper.0.iter()).cloned().collect()
    }

    /// This object without the members that are null.
    #[must_use]
    pub(crate) fn without_nulls(self) -> Self {
        if self.iter().all(|(_, value)| *value != Value::Null) {
            return self;
        }
        self.into_iter().filter(|(_, value)| *value != Value::Null).collect()
    }
}

impl FromIterator<(Box<str>, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (Box<str>, Value)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl IntoIterator for Object {
    type Item = (Box<str>, Value);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

impl PartialEq for Object {
    /// Equal members, in any order.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}
