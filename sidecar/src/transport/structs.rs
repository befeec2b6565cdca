//! `google.protobuf.Struct` to the flag engine's values and back.

use outrigger_flags::{Number, Object, Selector, Value, json};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as Wire};

use super::failure::Failure;

/// An engine's object from a message. prost bounds its depth while decoding.
///
/// # Errors
/// If a number is infinite or not a number: JSON, and so the engine, knows no such value.
pub(crate) fn read(message: Struct) -> Result<Object, Failure> {
    message
        .fields
        .into_iter()
        .map(|(name, value)| Ok((name.into_boxed_str(), read_value(value)?)))
        .collect()
}

fn read_value(value: Wire) -> Result<Value, Failure> {
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(value)) => match Number::from_f64(value) {
            Some(number) => Value::Number(number),
            None => return Err(Failure::Malformed(format!("{value} is not a JSON number"))),
        },
        Some(Kind::StringValue(value)) => Value::String(value.into_boxed_str()),
        Some(Kind::StructValue(value)) => Value::Object(read(value)?),
        Some(Kind::ListValue(list)) => {
            let items: Result<Box<[Value]>, Failure> =
                list.values.into_iter().map(read_value).collect();
            Value::Array(items?)
        }
    })
}

/// A message from members.
pub(crate) fn write<'a>(members: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Struct {
    let fields =
        members.into_iter().map(|(name, value)| (name.to_owned(), write_value(value))).collect();
    Struct { fields }
}

/// A message of one value.
pub(crate) fn write_value(value: &Value) -> Wire {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(value) => Kind::NumberValue(value.as_f64()),
        Value::String(value) => Kind::StringValue(value.to_string()),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.iter().map(write_value).collect() })
        }
        Value::Object(object) => Kind::StructValue(write(object.iter())),
    };
    Wire { kind: Some(kind) }
}

/// A value as it would be had it come in a message: every number a double. flagd's contexts are like
/// that on every protocol, so a flag resolves alike on all of them.
pub(crate) fn as_if_sent(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(Number::from_f64(number.as_f64()).unwrap_or(number)),
        Value::Array(items) => Value::Array(items.into_vec().into_iter().map(as_if_sent).collect()),
        Value::Object(object) => Value::Object(object_as_if_sent(object)),
        other => other,
    }
}

/// The same for the members of an object.
pub(crate) fn object_as_if_sent(object: Object) -> Object {
    object.into_iter().map(|(name, value)| (name, as_if_sent(value))).collect()
}

/// Writes members as a JSON object.
pub(crate) fn json<'a>(members: impl IntoIterator<Item = (&'a str, &'a Value)>, text: &mut String) {
    let mut separator = '{';
    for (name, value) in members {
        text.push(separator);
        separator = ',';
        json::quote(name, text);
        text.push(':');
        json::write(value, text);
    }
    text.push_str(if separator == '{' { "{}" } else { "}" });
}

/// Writes the metadata of an answer: the flag's, with the selector laid over it.
pub(crate) fn metadata_json(flag: Option<&Object>, selector: &Selector, text: &mut String) {
    let reflection = selector.reflection().map(|(name, value)| (name, Value::from(value)));
    let reflected = |name: &str| reflection.as_ref().is_some_and(|(own, _)| *own == name);
    let of_flag = flag.into_iter().flat_map(Object::iter).filter(|(name, _)| !reflected(name));
    json(of_flag.chain(reflection.iter().map(|(name, value)| (*name, value))), text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

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
        fn what_is_sent_arrives(members in prop::collection::btree_map(".{0,6}", any_value(), 0..6)) {
            let object: Object =
                members.into_iter().map(|(k, v)| (k.into_boxed_str(), v)).collect();
            let bytes = write(object.iter()).encode_to_vec();
            let received = read(Struct::decode(&*bytes).unwrap()).unwrap();
            prop_assert_eq!(received, object_as_if_sent(object));
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(message) = Struct::decode(&*bytes) {
                let _ = read(message);
            }
        }
    }

    #[test]
    fn refuses_numbers_that_json_does_not_know() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let value = Wire { kind: Some(Kind::NumberValue(number)) };
            let message = Struct { fields: [("n".to_owned(), value)].into() };
            assert!(matches!(read(message), Err(Failure::Malformed(_))));
        }
    }

    #[test]
    fn a_nesting_bomb_is_refused_while_decoding() {
        let mut value = Wire { kind: Some(Kind::NullValue(0)) };
        for _ in 0..200 {
            value = Wire { kind: Some(Kind::ListValue(ListValue { values: vec![value] })) };
        }
        let message = Struct { fields: [("deep".to_owned(), value)].into() };
        assert!(Struct::decode(&*message.encode_to_vec()).is_err());
    }
}
