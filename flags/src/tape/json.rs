//! Filling a tape from any reader that speaks serde; JSON is read this way without a tree between.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Positions, Tape, Token, close, push};
use crate::limits::DEPTH_MAX;
use crate::value::Number;

impl<'de> Tape<'de> {
    /// Reads a JSON text.
    pub(crate) fn from_json(text: &'de str) -> Result<Self, serde_json::Error> {
        let mut nodes = Vec::with_capacity(text.len() / 16);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        NodeSeed { nodes: &mut nodes, depth: 0 }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(Self { nodes, positions: Positions::Recount(text) })
    }
}

struct NodeSeed<'a, 'de> {
    nodes: &'a mut Vec<Token<'de>>,
    depth: usize,
}

impl<'de> NodeSeed<'_, 'de> {
    fn push<E: de::Error>(self, token: Token<'de>) -> Result<(), E> {
        push(self.nodes, token)
    }
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.push(Token::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.push(Token::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.push(Token::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.push(Token::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        self.push(Token::Number(number))
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<(), E> {
        self.push(Token::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.push(Token::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { nodes, depth } = self;
        if depth >= DEPTH_MAX {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return push(nodes, Token::TooDeep);
        }
        let start = nodes.len();
        push(nodes, Token::Array { end: start })?;
        while items.next_element_seed(NodeSeed { nodes, depth: depth + 1 })?.is_some() {}
        close(nodes, start);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { nodes, depth } = self;
        if depth >= DEPTH_MAX {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return push(nodes, Token::TooDeep);
        }
        let start = nodes.len();
        push(nodes, Token::Object { end: start })?;
        while members.next_key_seed(NameSeed(nodes))?.is_some() {
            members.next_value_seed(NodeSeed { nodes, depth: depth + 1 })?;
        }
        close(nodes, start);
        Ok(())
    }
}

struct NameSeed<'a, 'de>(&'a mut Vec<Token<'de>>);

impl<'de> DeserializeSeed<'de> for NameSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(NodeSeed { nodes: self.0, depth: 0 })
    }
}
