//! Reading requests, in protocol buffers and in their JSON form.

use outrigger_flags::{Object, Value, json};
use outrigger_proto::flagd::evaluation::v1;
use prost::Message;

use super::protocol::Codec;
use crate::transport::failure::Failure;
use crate::transport::limits::REQUEST_DEPTH_MAX;
use crate::transport::structs;

/// What every `Resolve…` request says, in both generations and under the same field numbers.
#[derive(Debug)]
pub(super) struct ResolveRequest {
    pub(super) flag_key: String,
    pub(super) context: Object,
}

impl Codec {
    pub(super) fn resolve_request(self, message: &[u8]) -> Result<ResolveRequest, Failure> {
        match self {
            Self::Proto => {
                let message: v1::ResolveBooleanRequest = decode(message)?;
                let context = structs::read(message.context.unwrap_or_default())?;
                Ok(ResolveRequest { flag_key: message.flag_key, context })
            }
            Self::Json => {
                let mut members = JsonMembers::read(message)?;
                let flag_key = members.text("flagKey", "flag_key")?;
                Ok(ResolveRequest { flag_key, context: members.object("context")? })
            }
        }
    }

    pub(super) fn resolve_all_request(self, message: &[u8]) -> Result<Object, Failure> {
        match self {
            Self::Proto => {
                let message: v1::ResolveAllRequest = decode(message)?;
                structs::read(message.context.unwrap_or_default())
            }
            Self::Json => JsonMembers::read(message)?.object("context"),
        }
    }

    pub(super) fn event_stream_request(self, message: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Proto => decode::<v1::EventStreamRequest>(message).map(|_| ()),
            Self::Json => JsonMembers::read(message).map(|_| ()),
        }
    }
}

fn decode<M: Message + Default>(message: &[u8]) -> Result<M, Failure> {
    M::decode(message).map_err(|error| Failure::Malformed(error.to_string()))
}

/// The members of a JSON request. Unknown ones are ignored; null counts as absent.
struct JsonMembers(Vec<(Box<str>, Value)>);

impl JsonMembers {
    fn read(message: &[u8]) -> Result<Self, Failure> {
        if message.is_empty() {
            let problem = "zero-length payload is not a valid JSON object";
            return Err(Failure::Malformed(problem.to_owned()));
        }
        match json::read(message, REQUEST_DEPTH_MAX) {
            Ok(Value::Object(members)) => Ok(Self(members.into_iter().collect())),
            Ok(other) => Err(Failure::Malformed(format!(
                "the request must be a JSON object and is of type {}",
                other.kind()
            ))),
            Err(error) => Err(Failure::Malformed(format!("the request is not JSON: {error}"))),
        }
    }

    /// Takes the member of either name: protocol buffers' JSON allows the field's own.
    fn take(&mut self, name: &str, field_name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(n, _)| **n == *name || **n == *field_name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn text(&mut self, name: &str, field_name: &str) -> Result<String, Failure> {
        let value = self.take(name, field_name);
        if self.take(name, field_name).is_some() {
            return Err(Failure::Malformed(format!("{name} is given twice")));
        }
        match value {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.into_string()),
            Some(other) => Err(wrong_type(name, "string", &other)),
        }
    }

    fn object(&mut self, name: &str) -> Result<Object, Failure> {
        match self.take(name, name) {
            None | Some(Value::Null) => Ok(Object::default()),
            Some(Value::Object(object)) => Ok(structs::object_as_if_sent(object)),
            Some(other) => Err(wrong_type(name, "object", &other)),
        }
    }
}

fn wrong_type(name: &str, wanted: &str, found: &Value) -> Failure {
    Failure::Malformed(format!("{name} must be of type {wanted} and is of type {}", found.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_spellings_and_ignores_the_unknown() {
        for text in [
            r#"{"flagKey":"k","context":{"n":1},"later":[]}"#,
            r#"{"flag_key":"k","context":{"n":1.0}}"#,
        ] {
            let request = Codec::Json.resolve_request(text.as_bytes()).unwrap();
            assert_eq!(request.flag_key, "k");
            assert_eq!(request.context.get("n").unwrap().to_string(), "1.0");
        }
        let request = Codec::Json.resolve_request(br#"{"flagKey":null,"context":null}"#).unwrap();
        assert_eq!((request.flag_key.as_str(), request.context.len()), ("", 0));
    }

    #[test]
    fn says_what_is_wrong_with_a_request() {
        let fault = |text: &str| match Codec::Json.resolve_request(text.as_bytes()) {
            Err(Failure::Malformed(problem)) => problem,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(fault(""), "zero-length payload is not a valid JSON object");
        assert_eq!(fault("[]"), "the request must be a JSON object and is of type array");
        assert_eq!(
            fault(r#"{"flagKey":1}"#),
            "flagKey must be of type string and is of type number"
        );
        assert!(fault(r#"{"context":"#).starts_with("the request is not JSON"));
        assert_eq!(fault(r#"{"flagKey":"a","flag_key":"b"}"#), "flagKey is given twice");
        let bomb = format!("{{\"context\":{}", "[".repeat(10_000));
        assert!(fault(&bomb).starts_with("the request is not JSON"));
        assert!(matches!(Codec::Proto.resolve_request(&[0xff; 9]), Err(Failure::Malformed(_))));
    }
}
