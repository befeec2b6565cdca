//! YAML keeps its positions while reading, because aliases and merge keys repeat tokens.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Visitor};
use serde_saphyr::{Location, Spanned};

use super::{Positions, Tape, Token, close, push};
use crate::diagnose::Position;
use crate::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_NODES_MAX};
use crate::value::Number;

impl Tape<'static> {
    /// Reads a YAML text: booleans are `true` and `false` only, as in flagd's reader.
    ///
    /// The error is a message and its place.
    pub(crate) fn from_yaml(text: &str) -> Result<Self, (String, Option<Position>)> {
        let describe = |error: serde_saphyr::Error| {
            let position = error.location().map(position_of);
            (message_of(&error), position)
        };
        let tree: Spanned<Tree> =
            serde_saphyr::from_str_with_options(text, options()).map_err(describe)?;
        let mut tape = Self { nodes: Vec::new(), positions: Positions::Kept(Vec::new()) };
        tape.append(tree, 0).map_err(describe)?;
        Ok(tape)
    }

    fn append(&mut self, tree: Spanned<Tree>, depth: usize) -> Result<(), serde_saphyr::Error> {
        let start = self.nodes.len();
        let too_deep = depth >= DEPTH_MAX;
        let token = match &tree.value {
            Tree::Array(_) | Tree::Object(_) if too_deep => Token::TooDeep,
            Tree::Array(_) => Token::Array { end: start },
            Tree::Object(_) => Token::Object { end: start },
            Tree::Scalar(scalar) => scalar.token(),
        };
        self.append_token(token, tree.referenced)?;
        match tree.value {
            _ if too_deep => {}
            Tree::Scalar(_) => {}
            Tree::Array(items) => {
                for item in items {
                    self.append(item, depth + 1)?;
                }
                close(&mut self.nodes, start);
            }
            Tree::Object(members) => {
                for (name, value) in members {
                    self.append_token(Token::Text(Cow::Owned(name.value)), name.referenced)?;
                    self.append(value, depth + 1)?;
                }
                close(&mut self.nodes, start);
            }
        }
        Ok(())
    }

    fn append_token(
        &mut self,
        token: Token<'static>,
        location: Location,
    ) -> Result<(), serde_saphyr::Error> {
        push(&mut self.nodes, token)?;
        if let Positions::Kept(positions) = &mut self.positions {
            positions.push(position_of(location));
        }
        Ok(())
    }
}

fn position_of(location: Location) -> Position {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Position { line: number(location.line()), column: number(location.column()) }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        legacy_octal_numbers: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: ALIAS_EVENTS_MAX,
        },
        budget: serde_saphyr::budget! {
            max_events: 2 * DOCUMENT_NODES_MAX,
            max_nodes: DOCUMENT_NODES_MAX,
            max_depth: 2 * DEPTH_MAX,
            max_documents: 1,
            max_total_scalar_bytes: DOCUMENT_BYTES_MAX,
        },
    }
}

/// The message without its place, which is reported in its own way.
fn message_of(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// What aliases may repeat, in parser events: far more than a document of shared fragments needs,
/// far less than a bomb.
const ALIAS_EVENTS_MAX: usize = 200_000;

/// A YAML document before it is flattened.
enum Tree {
    Scalar(Scalar),
    Array(Vec<Spanned<Tree>>),
    Object(Vec<(Spanned<String>, Spanned<Tree>)>),
}

enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
}

impl Scalar {
    fn token(&self) -> Token<'static> {
        match self {
            Self::Null => Token::Null,
            Self::Bool(value) => Token::Bool(*value),
            Self::Number(number) => Token::Number(*number),
            Self::Text(text) => Token::Text(Cow::Owned(text.clone())),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Number(value.into())))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Tree, E> {
        let number = Number::from_f64(value);
        number
            .map(|number| Tree::Scalar(Scalar::Number(number)))
            .ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Text(value.to_owned())))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Tree::Array(array))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Tree::Object(object))
    }
}
