//! Writing the answer to a `Resolve…` call, in either generation and either codec.

use outrigger_flags::{ErrorCode, Number, Object, Reason, Resolution, Selector, Value, json};
use outrigger_proto::flagd::evaluation::{v1, v2};
use prost::Message;
use prost_types::Struct;

use super::protocol::Codec;
use crate::transport::structs;

/// The generation of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// An answer always has a value: a disabled flag reads as zero, a code default is NOT_FOUND.
    V1,
    /// An absent value means "use the code default".
    V2,
}

/// The type that a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    String,
    Float,
    Int,
    Object,
}

/// A value of the asked type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Typed<'a> {
    Boolean(bool),
    String(&'a str),
    Float(f64),
    Int(i64),
    /// `None` is the empty object.
    Object(Option<&'a Object>),
}

/// An answer that still borrows the snapshot.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    generation: Generation,
    kind: Kind,
    value: Option<Typed<'a>>,
    variant: Option<&'a str>,
    reason: Reason,
    metadata: Metadata<'a>,
}

/// A flag's metadata with the selector laid over it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metadata<'a> {
    pub(super) flag: Option<&'a Object>,
    pub(super) selector: &'a Selector,
}

impl Kind {
    /// Reads a resolution as this type; `None` if it has no value.
    pub(super) fn read<'a>(
        self,
        resolution: &'a Resolution<'_>,
    ) -> Result<Option<Typed<'a>>, ErrorCode> {
        Ok(match self {
            Self::Boolean => resolution.as_bool()?.map(Typed::Boolean),
            Self::String => resolution.as_str()?.map(Typed::String),
            Self::Float => resolution.as_f64()?.map(Typed::Float),
            Self::Int => resolution.as_i64()?.map(Typed::Int),
            Self::Object => resolution.as_object()?.map(|object| Typed::Object(Some(object))),
        })
    }

    /// The value that stands for "no value" where there must be one.
    pub(super) const fn zero(self) -> Typed<'static> {
        match self {
            Self::Boolean => Typed::Boolean(false),
            Self::String => Typed::String(""),
            Self::Float => Typed::Float(0.0),
            Self::Int => Typed::Int(0),
            Self::Object => Typed::Object(None),
        }
    }
}

impl<'a> Answer<'a> {
    /// The answer to a resolution.
    pub(super) fn of(
        generation: Generation,
        kind: Kind,
        resolution: &'a Resolution<'_>,
        selector: &'a Selector,
    ) -> Result<Self, ErrorCode> {
        let metadata = Metadata { flag: Some(resolution.flag.metadata()), selector };
        let (mut value, mut variant) = (kind.read(resolution)?, resolution.variant);
        if value.is_none() && generation == Generation::V1 {
            if resolution.reason != Reason::Disabled {
                return Err(ErrorCode::FlagNotFound);
            }
            value = Some(kind.zero());
            variant = Some("");
        }
        Ok(Self { generation, kind, value, variant, reason: resolution.reason, metadata })
    }

    pub(super) fn encode(&self, codec: Codec) -> Vec<u8> {
        match codec {
            Codec::Proto => self.proto(),
            Codec::Json => self.json().into_bytes(),
        }
    }

    fn proto(&self) -> Vec<u8> {
        /// The message of one kind, in the generation's package.
        macro_rules! message {
            ($name:ident, $pattern:pat => $value:expr) => {{
                let value = match self.value {
                    Some($pattern) => Some($value),
                    _ => None,
                };
                match self.generation {
                    Generation::V1 => v1::$name {
                        value: value.unwrap_or_default(),
                        reason: self.reason.as_str().to_owned(),
                        variant: self.variant.unwrap_or_default().to_owned(),
                        metadata: Some(self.metadata.message()),
                    }
                    .encode_to_vec(),
                    Generation::V2 => v2::$name {
                        value,
                        reason: self.reason.as_str().to_owned(),
                        variant: self.variant.map(str::to_owned),
                        metadata: Some(self.metadata.message()),
                    }
                    .encode_to_vec(),
                }
            }};
        }
        match self.kind {
            Kind::Boolean => message!(ResolveBooleanResponse, Typed::Boolean(value) => value),
            Kind::String => message!(ResolveStringResponse, Typed::String(text) => text.to_owned()),
            Kind::Float => message!(ResolveFloatResponse, Typed::Float(value) => value),
            Kind::Int => message!(ResolveIntResponse, Typed::Int(value) => value),
            Kind::Object => self.object_message(),
        }
    }

    /// Messages have presence in both generations, so this one is alike in both but for the variant.
    fn object_message(&self) -> Vec<u8> {
        let value = self.value.map(Typed::into_object);
        let reason = self.reason.as_str().to_owned();
        let metadata = Some(self.metadata.message());
        match self.generation {
            Generation::V1 => {
                let variant = self.variant.unwrap_or_default().to_owned();
                v1::ResolveObjectResponse { value, reason, variant, metadata }.encode_to_vec()
            }
            Generation::V2 => {
                let variant = self.variant.map(str::to_owned);
                v2::ResolveObjectResponse { value, reason, variant, metadata }.encode_to_vec()
            }
        }
    }

    fn json(&self) -> String {
        let mut text = String::from("{");
        if let Some(value) = self.value {
            text.push_str("\"value\":");
            value.json(&mut text);
            text.push(',');
        }
        text.push_str("\"reason\":");
        json::quote(self.reason.as_str(), &mut text);
        if let Some(variant) = self.variant {
            text.push_str(",\"variant\":");
            json::quote(variant, &mut text);
        }
        text.push_str(",\"metadata\":");
        self.metadata.json(&mut text);
        text.push('}');
        text
    }
}

impl Typed<'_> {
    fn into_object(self) -> Struct {
        match self {
            Self::Object(Some(object)) => structs::write(object.iter()),
            _ => Struct::default(),
        }
    }

    pub(super) fn json(self, text: &mut String) {
        match self {
            Self::Boolean(value) => json::write(&Value::Bool(value), text),
            Self::String(value) => json::quote(value, text),
            Self::Float(value) => {
                let number = Number::from_f64(value).unwrap_or(Number::Int(0));
                json::write(&Value::Number(number), text);
            }
            // 64-bit integers are strings in protocol buffers' JSON form.
            Self::Int(value) => json::quote(&value.to_string(), text),
            Self::Object(object) => structs::json(object.iter().flat_map(|o| o.iter()), text),
        }
    }

    /// The value as a member of `AnyFlag`.
    pub(super) fn any(self) -> v1::any_flag::Value {
        use v1::any_flag::Value as Any;
        match self {
            Self::Boolean(value) => Any::BoolValue(value),
            Self::String(value) => Any::StringValue(value.to_owned()),
            Self::Float(value) => Any::DoubleValue(value),
            // `AnyFlag` knows one kind of number; nothing asks for integers in bulk.
            Self::Int(_) => Any::DoubleValue(0.0),
            Self::Object(_) => Any::ObjectValue(self.into_object()),
        }
    }

    /// The name of the member of `AnyFlag` that carries the value in JSON.
    pub(super) const fn any_name(self) -> &'static str {
        match self {
            Self::Boolean(_) => "boolValue",
            Self::String(_) => "stringValue",
            Self::Float(_) | Self::Int(_) => "doubleValue",
            Self::Object(_) => "objectValue",
        }
    }
}

impl Metadata<'_> {
    pub(super) fn message(&self) -> Struct {
        let mut message = structs::write(self.flag.iter().flat_map(|members| members.iter()));
        if let Some((name, text)) = self.selector.reflection() {
            message.fields.insert(name.to_owned(), structs::write_value(&Value::from(text)));
        }
        message
    }

    pub(super) fn json(&self, text: &mut String) {
        structs::metadata_json(self.flag, self.selector, text);
    }
}
