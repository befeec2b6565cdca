//! A document as a flat list of nodes in reading order, borrowing its texts from the input.
//!
//! Compiling wants one pass over small, warm memory, and diagnostics want positions. A tape gives
//! both: nodes need no allocation of their own, and the n-th node of the tape is the n-th token of
//! the text, so a position is found by counting tokens again, and only when there is a problem.

mod json;
#[cfg(feature = "yaml")]
mod yaml;

use std::borrow::Cow;

use serde::de;

use crate::diagnose::Position;
use crate::limits::{DEPTH_MAX, DOCUMENT_NODES_MAX};
use crate::tokens::TokenScan;
use crate::value::{Number, Object, Value};

/// The nodes of a document. Never empty.
#[derive(Debug)]
pub(crate) struct Tape<'de> {
    nodes: Vec<Token<'de>>,
    positions: Positions<'de>,
}

#[derive(Debug)]
enum Token<'de> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'de, str>),
    /// Items follow up to the node `end`.
    Array {
        end: usize,
    },
    /// Names and values follow in turn up to the node `end`.
    Object {
        end: usize,
    },
    /// Something nested deeper than [`DEPTH_MAX`], left out.
    TooDeep,
}

/// Where the positions of nodes come from.
#[derive(Debug)]
enum Positions<'de> {
    /// JSON: count the tokens of the text again.
    Recount(&'de str),
    /// Written down while reading.
    #[cfg(feature = "yaml")]
    Kept(Vec<Position>),
}

impl Tape<'_> {
    pub(crate) fn root(&self) -> Node<'_> {
        Node { tape: &self.nodes, index: 0 }
    }

    /// The positions of nodes, to be asked for in ascending order.
    pub(crate) fn places(&self) -> Places<'_> {
        match &self.positions {
            Positions::Recount(text) => Places::Recount {
                text,
                scan: TokenScan::new(text, DEPTH_MAX),
                last: Position { line: 1, column: 1 },
                last_offset: 0,
            },
            #[cfg(feature = "yaml")]
            Positions::Kept(positions) => Places::Kept(positions),
        }
    }
}

/// Finds the positions of nodes in one pass.
pub(crate) enum Places<'t> {
    Recount {
        text: &'t str,
        scan: TokenScan<'t>,
        last: Position,
        last_offset: usize,
    },
    #[cfg(feature = "yaml")]
    Kept(&'t [Position]),
}

impl Places<'_> {
    pub(crate) fn of(&mut self, index: usize) -> Option<Position> {
        match self {
            Self::Recount { text, scan, last, last_offset } => {
                let offset = scan.offset_of(index)?;
                *last = advance(*last, text.get(*last_offset..offset)?);
                *last_offset = offset;
                Some(*last)
            }
            #[cfg(feature = "yaml")]
            Self::Kept(positions) => positions.get(index).copied(),
        }
    }
}

/// The position after a text.
fn advance(from: Position, text: &str) -> Position {
    match text.rsplit_once('\n') {
        None => Position { line: from.line, column: from.column + text.chars().count() },
        Some((lines, rest)) => Position {
            line: from.line + 1 + lines.bytes().filter(|byte| *byte == b'\n').count(),
            column: 1 + rest.chars().count(),
        },
    }
}

/// The line and column of a byte offset.
pub(crate) fn position_at(text: &str, offset: usize) -> Option<Position> {
    Some(advance(Position { line: 1, column: 1 }, text.get(..offset)?))
}

/// A node of a tape, with what is below it.
#[derive(Clone, Copy)]
pub(crate) struct Node<'t> {
    tape: &'t [Token<'t>],
    index: usize,
}

/// What a node is.
pub(crate) enum Kind<'t> {
    Null,
    Bool(bool),
    Number(Number),
    Text(&'t str),
    Array(Items<'t>),
    Object(Members<'t>),
    TooDeep,
}

impl<'t> Node<'t> {
    /// The place of this node on its tape.
    pub(crate) const fn index(self) -> usize {
        self.index
    }

    pub(crate) fn kind(self) -> Kind<'t> {
        let first = self.index + 1;
        match self.tape.get(self.index) {
            Some(Token::Null) | None => Kind::Null,
            Some(Token::Bool(value)) => Kind::Bool(*value),
            Some(Token::Number(number)) => Kind::Number(*number),
            Some(Token::Text(text)) => Kind::Text(text),
            Some(Token::Array { end }) => {
                Kind::Array(Items { tape: self.tape, next: first, end: *end })
            }
            Some(Token::Object { end }) => {
                Kind::Object(Members(Items { tape: self.tape, next: first, end: *end }))
            }
            Some(Token::TooDeep) => Kind::TooDeep,
        }
    }

    pub(crate) fn as_text(self) -> Option<&'t str> {
        match self.kind() {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The name of the node's JSON type, for messages.
    pub(crate) fn kind_name(self) -> &'static str {
        match self.kind() {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a string",
            Kind::Array(_) => "an array",
            Kind::Object(_) => "an object",
            Kind::TooDeep => "too deep",
        }
    }

    /// The first node after everything below this one.
    fn end(self) -> usize {
        match self.tape.get(self.index) {
            Some(Token::Array { end } | Token::Object { end }) => *end,
            _ => self.index + 1,
        }
    }

    /// Whether something below this node was nested too deeply to be read.
    pub(crate) fn is_cut(self) -> bool {
        let below = self.tape.get(self.index..self.end()).unwrap_or_default();
        below.iter().any(|token| matches!(token, Token::TooDeep))
    }

    /// An owned copy. Of a member written twice the last one counts.
    pub(crate) fn to_value(self) -> Value {
        match self.kind() {
            Kind::Null | Kind::TooDeep => Value::Null,
            Kind::Bool(value) => Value::Bool(value),
            Kind::Number(number) => Value::Number(number),
            Kind::Text(text) => Value::String(text.into()),
            Kind::Array(items) => Value::Array(items.map(Self::to_value).collect()),
            Kind::Object(members) => Value::Object(Self::to_object(members)),
        }
    }

    fn to_object(members: Members<'t>) -> Object {
        crate::json::last_of_each(
            members.map(|(name, value)| (Box::from(name.text), value.to_value())).collect(),
        )
    }
}

/// The name of a member, with its place.
#[derive(Clone, Copy)]
pub(crate) struct Name<'t> {
    pub(crate) text: &'t str,
    pub(crate) index: usize,
}

/// The items of an array.
#[derive(Clone, Copy)]
pub(crate) struct Items<'t> {
    tape: &'t [Token<'t>],
    next: usize,
    end: usize,
}

impl<'t> Iterator for Items<'t> {
    type Item = Node<'t>;

    fn next(&mut self) -> Option<Node<'t>> {
        if self.next >= self.end {
            return None;
        }
        let node = Node { tape: self.tape, index: self.next };
        self.next = node.end();
        Some(node)
    }
}

/// The members of an object, in written order, duplicates included.
#[derive(Clone, Copy)]
pub(crate) struct Members<'t>(Items<'t>);

impl<'t> Iterator for Members<'t> {
    type Item = (Name<'t>, Node<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.0.next()?;
        let value = self.0.next()?;
        Some((Name { text: name.as_text().unwrap_or_default(), index: name.index }, value))
    }
}

impl<'t> Members<'t> {
    /// The only member, if there is exactly one. Written several times, the last one counts.
    pub(crate) fn only(mut self) -> Option<(Name<'t>, Node<'t>)> {
        let first = self.next()?;
        self.try_fold(first, |last, next| (last.0.text == next.0.text).then_some(next))
    }
}

/// Adds a node, within the limit of a document.
fn push<'de, E: de::Error>(nodes: &mut Vec<Token<'de>>, token: Token<'de>) -> Result<(), E> {
    if nodes.len() >= DOCUMENT_NODES_MAX {
        return Err(E::custom(format_args!("more than {DOCUMENT_NODES_MAX} values")));
    }
    nodes.push(token);
    Ok(())
}

/// Closes the array or object that began at `start`.
fn close(nodes: &mut [Token<'_>], start: usize) {
    let len = nodes.len();
    if let Some(Token::Array { end } | Token::Object { end }) = nodes.get_mut(start) {
        *end = len;
    }
}
