//! The door for JSON text: contexts come in, values go out.
//!
//! Flag documents have a door of their own, [`crate::load`], which keeps positions.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::value::{Number, Object, Value};

/// Reads one JSON value.
///
/// Of a member written twice the last one counts, as in flagd.
///
/// # Errors
/// [`ReadError`] if the text is not JSON, nests deeper than `depth_max`, or goes on after the value.
pub fn read(bytes: &[u8], depth_max: usize) -> Result<Value, ReadError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = ValueSeed { depth_left: depth_max }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Why a JSON text could not be read.
#[derive(Debug)]
pub struct ReadError(serde_json::Error);

impl ReadError {
    /// The line of the fault, from 1.
    pub fn line(&self) -> usize {
        self.0.line()
    }

    /// The column of the fault, from 1.
    pub fn column(&self) -> usize {
        self.0.column()
    }
}

impl From<serde_json::Error> for ReadError {
    fn from(error: serde_json::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ReadError {}

/// The message of an error without its place, which is reported in its own way.
pub(crate) fn message_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

/// Writes a value as compact JSON.
pub fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(*number, out),
        Value::String(text) => quote(text, out),
        Value::Array(items) => {
            let mut separator = '[';
            for item in items {
                out.push(separator);
                separator = ',';
                write(item, out);
            }
            out.push_str(if separator == '[' { "[]" } else { "]" });
        }
        Value::Object(object) => {
            let mut separator = '{';
            for (name, value) in object.iter() {
                out.push(separator);
                separator = ',';
                quote(name, out);
                out.push(':');
                write(value, out);
            }
            out.push_str(if separator == '{' { "{}" } else { "}" });
        }
    }
}

/// Writes a number: integers without a fraction, doubles in their shortest form that reads back
/// exactly, always with a fraction or an exponent.
pub(crate) fn write_number(number: Number, out: &mut String) {
    use std::fmt::Write;
    // Writing to a String cannot fail.
    let _ = match number {
        Number::Int(value) => write!(out, "{value}"),
        Number::UInt(value) => write!(out, "{value}"),
        Number::Float(value) => write!(out, "{value:?}"),
    };
}

/// Writes a text as a JSON string, with its quotes.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut clean_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        // Every byte that needs an escape is ASCII, so these cuts fall between characters.
        out.push_str(text.get(clean_from..at).unwrap_or_default());
        clean_from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            other => {
                use std::fmt::Write;
                let _ = write!(out, "\\u{other:04x}");
            }
        }
    }
    out.push_str(text.get(clean_from..).unwrap_or_default());
    out.push('"');
}

struct ValueSeed {
    depth_left: usize,
}

impl ValueSeed {
    fn deeper<E: de::Error>(&self) -> Result<Self, E> {
        match self.depth_left {
            0 | 1 => Err(E::custom("nested too deeply")),
            depth_left => Ok(Self { depth_left: depth_left - 1 }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self.deeper()?)? {
            values.push(value);
        }
        Ok(Value::Array(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object: Vec<(Box<str>, Value)> = Vec::new();
        while let Some(name) = members.next_key::<Box<str>>()? {
            let value = members.next_value_seed(self.deeper()?)?;
            object.push((name, value));
        }
        Ok(Value::Object(last_of_each(object)))
    }
}

/// Keeps the last member of each name, in the order of those last members.
pub(crate) fn last_of_each(mut members: Vec<(Box<str>, Value)>) -> Object {
    if has_duplicates(members.iter().map(|(name, _)| &**name)) {
        let mut seen = std::collections::HashSet::new();
        members.reverse();
        members.retain(|(name, _)| seen.insert(name.clone()));
        members.reverse();
    }
    members.into_iter().collect()
}

/// Whether a name occurs twice.
pub(crate) fn has_duplicates<'n>(names: impl ExactSizeIterator<Item = &'n str> + Clone) -> bool {
    const SCAN_MAX: usize = 16;
    if names.len() <= SCAN_MAX {
        let mut rest = names;
        while let Some(name) = rest.next() {
            if rest.clone().any(|other| other == name) {
                return true;
            }
        }
        return false;
    }
    let mut seen = std::collections::HashSet::with_capacity(names.len());
    !names.into_iter().all(|name| seen.insert(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_not_one_json_value() {
        for text in ["", "{", "[1,]", "nul", "1 2", "NaN", "1e999", "{\"a\":1}x", "\u{feff}1"] {
            assert!(read(text.as_bytes(), 16).is_err(), "{text}");
        }
        assert!(read(&[b'"', 0xff, b'"'], 16).is_err());
    }

    #[test]
    fn bounds_depth() {
        assert!(read(b"[[1]]", 3).is_ok());
        assert!(read(b"[[1]]", 2).is_err());
        let bomb = "[".repeat(100_000);
        assert!(read(bomb.as_bytes(), 16).is_err());
    }

    #[test]
    fn keeps_integers_exact_and_the_last_duplicate() {
        let value = read(br#"{"a":9007199254740993,"b":18446744073709551615,"a":1}"#, 4).unwrap();
        assert_eq!(value.to_string(), r#"{"b":18446744073709551615,"a":1}"#);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter_map("finite", |v| Number::from_f64(v).map(Value::Number)),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(|v| Value::Array(v.into())),
                prop::collection::btree_map(".{0,6}", inner, 0..5).prop_map(|m| {
                    Value::Object(m.into_iter().map(|(k, v)| (k.into_boxed_str(), v)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in any_value()) {
            prop_assert_eq!(read(value.to_string().as_bytes(), 16).unwrap(), value);
        }
    }
}
