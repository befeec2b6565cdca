//! Bucketing: from a subject to a place in [0, total weight), the same on every machine for ever.
//!
//! Two generations are alive. Both hash with MurmurHash3 x86 32 (seed 0, read as unsigned) and take
//! `(hash * total) >> 32`. They differ in the bytes that are hashed: v2 hashes the UTF-8 text of the
//! bucketing value, v3 its deterministic CBOR encoding (RFC 8949 §4.2.1), which also gives numbers
//! and booleans a bucket. A change of generation re-buckets every subject, so it is a setting.

use std::fmt;

use crate::value::{Number, Value};

/// Which bytes are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Generation {
    /// The text itself: flagd 0.15 to 0.17, and the Node and Java in-process providers.
    #[default]
    V2,
    /// Deterministic CBOR: the Python and Rust in-process providers.
    V3,
}

impl Generation {
    /// `v2` or `v3`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Generation {
    type Err = UnknownGeneration;

    fn from_str(text: &str) -> Result<Self, UnknownGeneration> {
        match text {
            "v2" => Ok(Self::V2),
            "v3" => Ok(Self::V3),
            _ => Err(UnknownGeneration),
        }
    }
}

/// A generation other than `v2` and `v3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownGeneration;

impl fmt::Display for UnknownGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the generation of fractional is v2 or v3")
    }
}

impl std::error::Error for UnknownGeneration {}

/// Largest weight of one entry and of all entries together.
pub(crate) const WEIGHT_MAX: u32 = i32::MAX as u32;

/// The bucket of a hash: uniform over `0..total`.
pub(crate) fn bucket_of(hash: u32, total: u32) -> u32 {
    // The high half of a product of two 32-bit numbers fits 32 bits.
    u32::try_from((u64::from(hash) * u64::from(total)) >> 32).unwrap_or(u32::MAX)
}

/// MurmurHash3 x86 32 with seed 0, fed in pieces. (Austin Appleby, public domain; constants and
/// steps from the reference implementation.)
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Murmur3 {
    state: u32,
    /// The bytes that do not fill a block yet, the first lowest.
    tail: u32,
    length: u32,
}

impl Murmur3 {
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // A window over the text: first the bytes left over from the piece before, then this one.
        let mut window = u64::from(self.tail);
        let mut filled = 8 * (self.length % 4);
        let (blocks, rest) = bytes.as_chunks::<4>();
        for block in blocks {
            window |= u64::from(u32::from_le_bytes(*block)) << filled;
            window = self.mix_lowest(window);
        }
        for byte in rest {
            window |= u64::from(*byte) << filled;
            filled += 8;
        }
        if filled >= 32 {
            window = self.mix_lowest(window);
        }
        self.tail = lowest(window);
        // Lengths are hashed modulo 2^32, as in the reference.
        self.length = self.length.wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }

    #[inline]
    pub(crate) fn finish(self) -> u32 {
        let mut hash = self.state ^ Self::scramble(self.tail) ^ self.length;
        hash ^= hash >> 16;
        hash = hash.wrapping_mul(0x85eb_ca6b);
        hash ^= hash >> 13;
        hash = hash.wrapping_mul(0xc2b2_ae35);
        hash ^ (hash >> 16)
    }

    /// Mixes the first block of a window in; returns what is behind it.
    #[inline]
    fn mix_lowest(&mut self, window: u64) -> u64 {
        let mixed = (self.state ^ Self::scramble(lowest(window))).rotate_left(13);
        self.state = mixed.wrapping_mul(5).wrapping_add(0xe654_6b64);
        window >> 32
    }

    fn scramble(block: u32) -> u32 {
        block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the low half is meant")]
const fn lowest(window: u64) -> u32 {
    window as u32
}

/// The bytes of a flag key that come before the targeting key.
pub(crate) fn write_flag_key(generation: Generation, flag_key: &str, out: &mut impl FnMut(&[u8])) {
    match generation {
        Generation::V2 => out(flag_key.as_bytes()),
        Generation::V3 => {
            cbor_pair(out);
            cbor_text(flag_key, out);
        }
    }
}

/// The hash state after a flag key.
pub(crate) fn seed_of(generation: Generation, flag_key: &str) -> Murmur3 {
    let mut hasher = Murmur3::default();
    write_flag_key(generation, flag_key, &mut |piece| hasher.write(piece));
    hasher
}

const CBOR_UNSIGNED: u8 = 0 << 5;
const CBOR_NEGATIVE: u8 = 1 << 5;
const CBOR_TEXT: u8 = 3 << 5;
const CBOR_ARRAY: u8 = 4 << 5;
const CBOR_MAP: u8 = 5 << 5;

/// The head of a CBOR item: its major type and an argument in the fewest bytes.
#[allow(clippy::cast_possible_truncation, reason = "each arm checks the range")]
fn cbor_head(major: u8, argument: u64, out: &mut impl FnMut(&[u8])) {
    match argument {
        0..=23 => out(&[major | argument as u8]),
        24..=0xff => out(&[major | 24, argument as u8]),
        0x100..=0xffff => {
            let [a, b] = (argument as u16).to_be_bytes();
            out(&[major | 25, a, b]);
        }
        0x1_0000..=0xffff_ffff => {
            let [a, b, c, d] = (argument as u32).to_be_bytes();
            out(&[major | 26, a, b, c, d]);
        }
        _ => {
            let [a, b, c, d, e, f, g, h] = argument.to_be_bytes();
            out(&[major | 27, a, b, c, d, e, f, g, h]);
        }
    }
}

/// The head of a CBOR array of two, with which v3 joins flag key and targeting key.
fn cbor_pair(out: &mut impl FnMut(&[u8])) {
    cbor_head(CBOR_ARRAY, 2, out);
}

/// A text in CBOR.
pub(crate) fn cbor_text(text: &str, out: &mut impl FnMut(&[u8])) {
    cbor_head(CBOR_TEXT, text.len() as u64, out);
    out(text.as_bytes());
}

/// A value in deterministic CBOR: whole numbers as integers, other numbers as the shortest float
/// that keeps their value, the members of maps in the order of their encoded names.
pub(crate) fn cbor_value(value: &Value, out: &mut impl FnMut(&[u8])) {
    match value {
        Value::Null => out(&[0xf6]),
        Value::Bool(true) => out(&[0xf5]),
        Value::Bool(false) => out(&[0xf4]),
        Value::Number(number) => cbor_number(*number, out),
        Value::String(text) => cbor_text(text, out),
        Value::Array(items) => {
            cbor_head(CBOR_ARRAY, items.len() as u64, out);
            items.iter().for_each(|item| cbor_value(item, out));
        }
        Value::Object(object) => {
            cbor_head(CBOR_MAP, object.len() as u64, out);
            let mut members: Vec<_> = object.iter().collect();
            // Encoded names order by length, then by bytes: the head comes first.
            members.sort_unstable_by_key(|(name, _)| (name.len(), *name));
            for (name, value) in members {
                cbor_text(name, out);
                cbor_value(value, out);
            }
        }
    }
}

/// A number in deterministic CBOR.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "whole numbers are range-checked, and a shorter float is used only if it is exact"
)]
pub(crate) fn cbor_number(number: Number, out: &mut impl FnMut(&[u8])) {
    const I64_MIN: f64 = i64::MIN as f64;
    const U64_END: f64 = u64::MAX as f64;
    match number {
        Number::UInt(value) => cbor_head(CBOR_UNSIGNED, value, out),
        Number::Int(value) => match u64::try_from(value) {
            Ok(value) => cbor_head(CBOR_UNSIGNED, value, out),
            // CBOR writes a negative n as -1 - n, which is its bitwise complement.
            Err(_) => cbor_head(CBOR_NEGATIVE, !value as u64, out),
        },
        Number::Float(value) if value.fract() == 0.0 && (I64_MIN..U64_END).contains(&value) => {
            if value >= 0.0 {
                cbor_head(CBOR_UNSIGNED, value as u64, out);
            } else {
                cbor_head(CBOR_NEGATIVE, !(value as i64) as u64, out);
            }
        }
        Number::Float(value) => cbor_float(value, out),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the shorter float is used only if it is exact")]
fn cbor_float(value: f64, out: &mut impl FnMut(&[u8])) {
    let single = value as f32;
    if f64::from(single) != value {
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        return out(&[0xfb, a, b, c, d, e, f, g, h]);
    }
    match half_of(single) {
        Some(half) => {
            let [a, b] = half.to_be_bytes();
            out(&[0xf9, a, b]);
        }
        None => {
            let [a, b, c, d] = single.to_be_bytes();
            out(&[0xfa, a, b, c, d]);
        }
    }
}

/// The half-precision float of the same value, if there is one. (IEEE 754: 1 sign bit, 5 exponent
/// bits with bias 15, 10 fraction bits.)
fn half_of(single: f32) -> Option<u16> {
    let bits = single.to_bits();
    let sign = (bits >> 16) & 0x8000;
    let exponent = (bits >> 23) & 0xff;
    let fraction = bits & 0x007f_ffff;
    let half = match exponent {
        0 if fraction == 0 => sign,
        // Normal halves: 2^-14 to 2^15.
        113..=142 if fraction & 0x1fff == 0 => sign | ((exponent - 112) << 10) | (fraction >> 13),
        // Subnormal halves: 2^-24 to 2^-15, if no bit is lost.
        103..=112 => {
            let full = fraction | 0x0080_0000;
            let shift = 126 - exponent;
            if full & ((1 << shift) - 1) != 0 {
                return None;
            }
            sign | (full >> shift)
        }
        _ => return None,
    };
    u16::try_from(half).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn murmur3(bytes: &[u8]) -> u32 {
        let mut hasher = Murmur3::default();
        hasher.write(bytes);
        hasher.finish()
    }

    fn cbor(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        cbor_value(value, &mut |piece| bytes.extend_from_slice(piece));
        bytes
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn murmur3_agrees_with_published_vectors() {
        let vectors: [(&str, u32); 9] = [
            ("", 0),
            ("hello", 0x248b_fa47),
            ("hello, world", 0x149b_bb7f),
            ("ejOoVL", 0),
            ("The quick brown fox jumps over the lazy dog.", 0xd5c4_8bfc),
            ("flag-user", 2_410_693_464),
            ("fractional-flaguser-1", 1_944_616_739),
            ("rachel@faas.com", 1_534_354_502),
            ("héllo", 3_164_577_896),
        ];
        for (text, hash) in vectors {
            assert_eq!(murmur3(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn golden_buckets_of_both_generations() {
        let json = |text: &str| crate::json::read(text.as_bytes(), 9).unwrap();
        let vectors = [
            (r#""""#, "60", 661_569_231_u32, 15),
            (r#""flag-user""#, "69666c61672d75736572", 2_441_279_808, 56),
            (r#""héllo""#, "6668c3a96c6c6f", 350_440_914, 8),
            (r#"["my-flag","user-1"]"#, "82676d792d666c616766757365722d31", 1_080_746_867, 25),
            ("true", "f5", 836_216_331, 19),
            ("false", "f4", 116_478_471, 2),
            ("1", "01", 3_831_157_163, 89),
            ("1.0", "01", 3_831_157_163, 89),
            ("1.5", "f93e00", 346_941_878, 8),
            ("-1", "20", 2_129_959_832, 49),
            ("0", "00", 1_364_076_727, 31),
            ("-0.0", "00", 1_364_076_727, 31),
            ("18446744073709551615", "1bffffffffffffffff", 1_908_111_393, 44),
            (r#"{"b":1,"aa":2}"#, "a261620162616102", 279_017_145, 6),
        ];
        for (text, encoded, hash, bucket) in vectors {
            let bytes = cbor(&json(text));
            assert_eq!(hex(&bytes), encoded, "{text}");
            assert_eq!(murmur3(&bytes), hash, "{text}");
            assert_eq!(bucket_of(hash, 100), bucket, "{text}");
        }
        for (text, bucket) in [("", 0), ("flag-user", 56), ("rachel@faas.com", 35), ("héllo", 73)]
        {
            assert_eq!(bucket_of(murmur3(text.as_bytes()), 100), bucket, "{text}");
        }
    }

    #[test]
    fn floats_take_their_shortest_form() {
        // Vectors of RFC 8949, appendix A.
        for (number, encoded) in [
            (5.960_464_477_539_063e-8, "f90001"),
            (6.103_515_625e-5, "f90400"),
            (-4.1, "fbc010666666666666"),
            (3.402_823_466_385_288_6e38, "fa7f7fffff"),
            (1.1, "fb3ff199999999999a"),
            (65504.5, "fa477fe080"),
            (1e300, "fb7e37e43c8800759c"),
        ] {
            assert_eq!(hex(&cbor(&Value::Number(Number::Float(number)))), encoded, "{number}");
        }
    }

    proptest! {
        #[test]
        fn pieces_hash_like_the_whole(bytes in prop::collection::vec(any::<u8>(), 0..64), cuts in prop::collection::vec(0_usize..64, 0..4)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut hasher = Murmur3::default();
            let mut from = 0;
            for cut in cuts {
                hasher.write(&bytes[from..cut]);
                from = cut;
            }
            hasher.write(&bytes[from..]);
            prop_assert_eq!(hasher.finish(), murmur3(&bytes));
        }

        #[test]
        fn buckets_stay_below_the_total(hash in any::<u32>(), total in 1..=WEIGHT_MAX) {
            prop_assert!(bucket_of(hash, total) < total);
        }
    }
}
