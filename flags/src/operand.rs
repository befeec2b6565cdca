//! What a rule computes with: values borrowed from the rule or the context, or built on the way.

use std::rc::Rc;

use crate::coerce::{arithmetic_number, text_of_number};
use crate::value::{Number, Object, Value};

/// An intermediate value: two words, which pass in registers. Few rules build anything; what is
/// built is shared when it is copied.
#[derive(Debug, Clone)]
pub(crate) enum Operand<'a> {
    /// A value of the rule or of the context.
    Borrowed(&'a Value),
    /// A value that the rule has computed.
    Built(Rc<Value>),
    /// A list that the rule has computed.
    List(Rc<Vec<Operand<'a>>>),
}

pub(crate) static NULL: Value = Value::Null;
static TRUE: Value = Value::Bool(true);
static FALSE: Value = Value::Bool(false);

impl<'a> Operand<'a> {
    pub(crate) const NULL: Self = Self::Borrowed(&NULL);

    pub(crate) fn bool(value: bool) -> Self {
        Self::Borrowed(if value { &TRUE } else { &FALSE })
    }

    /// A number; one that is not finite is kept as it is, and fails where it is used as a result.
    pub(crate) fn number(value: f64) -> Self {
        Self::built(Value::Number(Number::Float(value)))
    }

    pub(crate) fn text(value: String) -> Self {
        Self::built(Value::from(value))
    }

    pub(crate) fn built(value: Value) -> Self {
        Self::Built(Rc::new(value))
    }

    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(items))
    }

    /// The value, unless this is a computed list.
    pub(crate) fn value(&self) -> Option<&Value> {
        match self {
            Self::Borrowed(value) => Some(value),
            Self::Built(value) => Some(value),
            Self::List(_) => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value(), Some(Value::Null))
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        self.value().and_then(Value::as_str)
    }

    pub(crate) fn as_number(&self) -> Option<Number> {
        match self.value() {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Object> {
        match self.value() {
            Some(Value::Object(object)) => Some(object),
            _ => None,
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self, Self::List(_)) || matches!(self.value(), Some(Value::Array(_)))
    }

    /// The items of a list.
    pub(crate) fn into_items(self) -> Result<Items<'a>, Self> {
        match self {
            Self::Borrowed(Value::Array(items)) => Ok(Items::Borrowed(items.iter())),
            Self::Built(value) if matches!(*value, Value::Array(_)) => {
                match Rc::unwrap_or_clone(value) {
                    Value::Array(items) => Ok(Items::Built(items.into_vec().into_iter())),
                    scalar => Err(Self::built(scalar)),
                }
            }
            Self::List(items) => Ok(Items::List(Rc::unwrap_or_clone(items).into_iter())),
            scalar => Err(scalar),
        }
    }

    /// Truth as flagd sees it: false, 0, "", null, `[]` and `{}` are false.
    pub(crate) fn is_true(&self) -> bool {
        match self.value() {
            None => !matches!(self, Self::List(items) if items.is_empty()),
            Some(Value::Null) => false,
            Some(Value::Bool(value)) => *value,
            Some(Value::Number(number)) => number.as_f64() != 0.0,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(object)) => !object.is_empty(),
        }
    }

    /// The number that arithmetic sees; `None` if it refuses the value.
    pub(crate) fn to_arithmetic(&self) -> Option<f64> {
        match self.value()? {
            Value::Number(number) => Some(number.as_f64()),
            Value::String(text) => Some(arithmetic_number(text)),
            _ => None,
        }
    }

    /// The text that `cat` and `substr` see; `None` if they refuse the value.
    pub(crate) fn to_text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self.value()? {
            Value::Null => Some("".into()),
            Value::String(text) => Some((&**text).into()),
            Value::Number(number) => Some(text_of_number(number.as_f64()).into()),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// An owned copy.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Borrowed(value) => (*value).clone(),
            Self::Built(value) => Value::clone(value),
            Self::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
        }
    }

    /// The value at a member name or array index.
    pub(crate) fn step(&self, segment: &crate::rule::Segment) -> Option<Self> {
        match self {
            Self::Borrowed(value) => step(value, segment).map(Self::Borrowed),
            Self::Built(value) => step(value, segment).cloned().map(Self::built),
            Self::List(items) => items.get(segment.array_index?).cloned(),
        }
    }

    /// What reading this as a text costs in fuel: a step for each 64 bytes.
    pub(crate) fn text_cost(&self) -> usize {
        self.as_str().map_or(0, |text| text.len() / 64)
    }

    /// What looking for a member of this costs in fuel: a step for each 16 members.
    pub(crate) fn step_cost(&self) -> usize {
        self.as_object().map_or(0, |object| object.len() / 16)
    }

    /// What copying this costs in fuel: a step for each value and for each 64 bytes of text.
    pub(crate) fn copy_cost(&self) -> usize {
        match self {
            Self::Borrowed(_) => 1,
            Self::Built(value) => value_cost(value),
            Self::List(items) => 1 + items.iter().map(Self::copy_cost).sum::<usize>(),
        }
    }
}

fn value_cost(value: &Value) -> usize {
    1 + match value {
        Value::String(text) => text.len() / 64,
        Value::Array(items) => items.iter().map(value_cost).sum(),
        Value::Object(object) => object.iter().map(|(_, value)| 1 + value_cost(value)).sum(),
        _ => 0,
    }
}

fn step<'v>(value: &'v Value, segment: &crate::rule::Segment) -> Option<&'v Value> {
    match value {
        Value::Object(object) => object.get(&segment.name),
        Value::Array(items) => items.get(segment.array_index?),
        _ => None,
    }
}

/// The items of a list, wherever they live.
pub(crate) enum Items<'a> {
    Borrowed(std::slice::Iter<'a, Value>),
    Built(std::vec::IntoIter<Value>),
    List(std::vec::IntoIter<Operand<'a>>),
}

impl<'a> Iterator for Items<'a> {
    type Item = Operand<'a>;

    fn next(&mut self) -> Option<Operand<'a>> {
        match self {
            Self::Borrowed(items) => items.next().map(Operand::Borrowed),
            Self::Built(items) => items.next().map(Operand::built),
            Self::List(items) => items.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Borrowed(items) => items.size_hint(),
            Self::Built(items) => items.size_hint(),
            Self::List(items) => items.size_hint(),
        }
    }
}
