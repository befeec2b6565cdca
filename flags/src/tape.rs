//! A document as a flat list of nodes in reading order, borrowing its texts from the input.
//!
//! Compiling wants one pass over small, warm memory, and diagnostics want positions. A tape gives
//! both: nodes need no allocation of their own, and the n-th node of the tape is the n-th token of
//! the text, so a position is found by counting tokens again, and only when there is a problem.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

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

impl<'de> Tape<'de> {
    /// Reads a JSON text.
    pub(crate) fn from_json(text: &'de str) -> Result<Self, serde_json::Error> {
        let mut nodes = Vec::with_capacity(text.len() / 16);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        NodeSeed { nodes: &mut nodes, depth: 0 }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(Self { nodes, positions: Positions::Recount(text) })
    }

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
    /// The only member, if there is exactly one.
    pub(crate) fn only(mut self) -> Option<(Name<'t>, Node<'t>)> {
        let first = self.next()?;
        self.next().is_none().then_some(first)
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

fn push<'de, E: de::Error>(nodes: &mut Vec<Token<'de>>, token: Token<'de>) -> Result<(), E> {
    if nodes.len() >= DOCUMENT_NODES_MAX {
        return Err(E::custom(format_args!("more than {DOCUMENT_NODES_MAX} values")));
    }
    nodes.push(token);
    Ok(())
}

fn close(nodes: &mut [Token<'_>], start: usize) {
    let len = nodes.len();
    if let Some(Token::Array { end } | Token::Object { end }) = nodes.get_mut(start) {
        *end = len;
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

#[cfg(feature = "yaml")]
mod yaml {
    //! YAML keeps its positions while reading, because aliases and merge keys repeat tokens.

    use serde::Deserialize;
    use serde_saphyr::{Location, Spanned};

    use crate::limits::DOCUMENT_BYTES_MAX;

    use super::{
        Cow, DEPTH_MAX, DOCUMENT_NODES_MAX, Number, Position, Positions, Tape, Token, Visitor,
        close, de, fmt, push,
    };

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
        Position { line: number(location.line().into()), column: number(location.column().into()) }
    }

    fn options() -> serde_saphyr::Options {
        serde_saphyr::options! {
            strict_booleans: true,
            legacy_octal_numbers: true,
            with_snippet: false,
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
}
