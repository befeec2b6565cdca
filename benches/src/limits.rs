//! The least code that could answer: what the machine itself takes.
//!
//! No types of values, no errors, no reasons, no rules as data: each limit is what somebody would
//! write who has this one workload, knows it beforehand and will never change it.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::workload::{ON_WEIGHT, Subject, is_on, keys};

/// What a limit knows of a flag.
#[derive(Debug, Clone, Copy)]
pub struct BareFlag {
    /// The answer of W1.
    pub is_on: bool,
    /// The answer of W2 if the rule matches.
    pub then: bool,
    /// Where the hash of W3 goes on from, after the flag key.
    pub seed: Seed,
}

/// The flags by place.
pub fn by_place() -> Vec<BareFlag> {
    let flag = |(index, key): (usize, &String)| BareFlag {
        is_on: is_on(index),
        then: true,
        seed: Seed::of(key.as_bytes()),
    };
    keys().iter().enumerate().map(flag).collect()
}

/// The flags by key.
pub fn by_key() -> HashMap<Box<str>, BareFlag, FixedState> {
    keys().into_iter().map(String::into_boxed_str).zip(by_place()).collect()
}

/// A context whose attributes are found by name.
#[derive(Debug)]
pub struct NamedContext(Vec<(Box<str>, Box<str>)>);

impl NamedContext {
    /// The context of a subject.
    pub fn of(subject: &Subject) -> Self {
        let attributes: [(&str, &str); 4] = [
            ("targetingKey", &subject.user),
            ("country", subject.country),
            ("email", &subject.email),
            ("plan", "gold"),
        ];
        Self(attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    #[inline]
    fn get(&self, wanted: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| **name == *wanted).map(|(_, value)| &**value)
    }

    /// The rule of W2.
    #[inline]
    pub fn matches(&self) -> bool {
        self.get("country").is_some_and(is_near) && self.get("email").is_some_and(is_ours)
    }
}

impl Subject {
    /// The rule of W2 over typed attributes.
    #[inline]
    pub fn matches(&self) -> bool {
        is_near(self.country) && is_ours(&self.email)
    }
}

#[inline]
fn is_near(country: &str) -> bool {
    matches!(country, "NL" | "BE" | "DE")
}

#[inline]
fn is_ours(email: &str) -> bool {
    email.ends_with("@example.com")
}

/// The answer of W3 to a hash.
#[inline]
pub fn is_below_weight(hash: u32) -> bool {
    (u64::from(hash) * 100) >> 32 < u64::from(ON_WEIGHT)
}

/// MurmurHash3 x86 32 after a first text, at any byte.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    state: u32,
    /// The bytes after the last whole block, the first lowest.
    tail: u32,
    length: u32,
}

impl Seed {
    /// Where every hash starts.
    pub const START: Self = Self { state: 0, tail: 0, length: 0 };

    /// After a text.
    pub fn of(text: &[u8]) -> Self {
        let (blocks, rest) = text.as_chunks::<4>();
        let state = blocks.iter().fold(0, |state, block| mix(state, u32::from_le_bytes(*block)));
        Self { state, tail: little_endian(rest), length: length_of(text) }
    }

    /// The hash of the first text with another one after it.
    #[inline]
    pub fn hash_with(self, text: &[u8]) -> u32 {
        let Self { mut state, tail, length } = self;
        // Each block starts with the bytes left over from the one before.
        let mut carried = u64::from(tail);
        let mut bits = 8 * (length % 4);
        let (blocks, rest) = text.as_chunks::<4>();
        for block in blocks {
            carried |= u64::from(u32::from_le_bytes(*block)) << bits;
            state = mix(state, low(carried));
            carried >>= 32;
        }
        carried |= u64::from(little_endian(rest)) << bits;
        bits += 8 * length_of(rest);
        if bits >= 32 {
            state = mix(state, low(carried));
            carried >>= 32;
        }
        finish(state ^ scramble(low(carried)) ^ (length + length_of(text)))
    }
}

#[inline]
fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

#[allow(clippy::cast_possible_truncation, reason = "the texts here are short")]
#[inline]
fn length_of(text: &[u8]) -> u32 {
    text.len() as u32
}

#[allow(clippy::cast_possible_truncation, reason = "the low half is meant")]
#[inline]
fn low(word: u64) -> u32 {
    word as u32
}

#[inline]
fn scramble(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

#[inline]
fn mix(state: u32, block: u32) -> u32 {
    (state ^ scramble(block)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

#[inline]
fn finish(mut hash: u32) -> u32 {
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}
