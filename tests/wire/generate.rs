//! Requests of every kind of wrong, and some that are right. The same seed gives the same requests.

use outrigger_tests::random::Random;
use prost::Message;
use serde_json::{Value as Json, json};

/// Flags that read the contexts which are generated here, with every operator.
pub fn flags() -> String {
    let switch = |targeting: Json| {
        json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
            "targeting": targeting})
    };
    let var = |name: &str| json!({"var": name});
    let constant = |value: Json| json!({"state": "ENABLED", "variants": {"it": value}, "defaultVariant": "it"});
    json!({"flags": {
        "boolean": constant(json!(true)),
        "string": constant(json!("text \"quoted\"")),
        "int": constant(json!(i64::MAX)),
        "float": constant(json!(0.5)),
        "object": constant(json!({"a": [1, {"b": null}]})),
        "list": constant(json!([1, 2])),
        "disabled": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
        "no-default": {"state": "ENABLED", "variants": {"on": true}},
        "split": switch(json!({"fractional": [var("a"), ["on", 50], ["off", 50]]})),
        "compare": switch(json!({"if": [{"<": [var("a"), var("b")]}, "on", "off"]})),
        "arithmetic": switch(json!({"if": [{"==": [{"%": [{"+": [var("a"), var("b")]}, 7]},
            {"-": [{"*": [var("c"), 2]}, {"/": [var("d"), var("e")]}]}]}, "on", "off"]})),
        "text": switch(json!({"if": [{"or": [{"starts_with": [var("a"), "x"]},
            {"ends_with": [var("b"), "y"]}, {"in": [var("c"), var("d")]},
            {"==": [{"substr": [var("a"), var("b"), var("c")]}, "z"]}]}, "on", "off"]})),
        "version": switch(json!({"if": [{"sem_ver": [var("a"), ">=", "1.2.3"]}, "on", "off"]})),
        "loop": switch(json!({"if": [{"some": [var("a"), {"==": [{"reduce": [var("b"),
            {"+": [var("current"), var("accumulator")]}, 0]}, 3]}]}, "on", "off"]})),
        "astray": switch(json!({"cat": [var("a"), var("b")]})),
        "deep": switch(json!({"var": ["a.b.c.0.d", {"missing": ["a", "b"]}]})),
        "in/set": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
            "metadata": {"flagSetId": "s1"}},
    }})
    .to_string()
}

const KEYS: [&str; 20] = [
    "boolean",
    "string",
    "int",
    "float",
    "object",
    "list",
    "disabled",
    "no-default",
    "split",
    "compare",
    "arithmetic",
    "text",
    "version",
    "loop",
    "astray",
    "deep",
    "in/set",
    "no-such-flag",
    "",
    "\u{0}",
];
/// Bytes that mean something to some reader.
const PIECES: [&[u8]; 26] = [
    b"null",
    b"true",
    b"NaN",
    b"-0",
    b"1e999",
    b"-1e-999",
    b"9223372036854775808",
    b"0x1",
    b"\"\\ud800\"",
    b"\"\\u0000\"",
    b"\xff\xfe",
    b"\xc0\x80",
    b"\0",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"\\",
    b"{\"context\":",
    b"\"flagKey\":",
    b"\"flag_key\":1",
    b"/**/",
    b"\xef\xbb\xbf",
];
/// Where to send it on the evaluation port.
pub const METHODS: [&str; 7] = [
    "ResolveBoolean",
    "ResolveString",
    "ResolveInt",
    "ResolveFloat",
    "ResolveObject",
    "ResolveAll",
    "EventStream",
];
/// Levels of a document that is nothing but nested.
const NESTING_MAX: usize = 5_000;

pub fn key(random: &mut Random) -> String {
    match random.below(50) {
        0 => "k".repeat(random.below(4_000)),
        1 => format!("{}\u{1f6f6}", random.bits()),
        _ => (*random.pick(&KEYS)).to_owned(),
    }
}

/// A value of any shape for a context.
pub fn value(random: &mut Random, depth: usize) -> Json {
    const TEXTS: [&str; 8] = ["", "x", "1.2.3", "v2", "user-1", "\u{0}", "é\u{1f6f6}", "-1e400"];
    match random.below(if depth == 0 { 6 } else { 8 }) {
        0 => Json::Null,
        1 => Json::from(random.once_in(2)),
        2 => Json::from(random.bits() as i64 >> random.below(64)),
        3 => Json::from(random.bits()),
        4 => serde_json::Number::from_f64(f64::from_bits(random.bits()))
            .map_or(Json::Null, Json::Number),
        5 => Json::from(*random.pick(&TEXTS)),
        6 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        _ => object(random, depth - 1),
    }
}

fn object(random: &mut Random, depth: usize) -> Json {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "targetingKey", "$flagd", ""];
    let count = random.below(6);
    let members = (0..count).map(|_| {
        let name = (*random.pick(&NAMES)).to_owned();
        (name, value(random, depth))
    });
    Json::Object(members.collect())
}

/// A JSON request as it should be.
fn json_request(random: &mut Random) -> Vec<u8> {
    let context = object(random, 3);
    json!({"flagKey": key(random), "context": context}).to_string().into_bytes()
}

/// The body of a JSON request, right or wrong.
pub fn json_body(random: &mut Random) -> Vec<u8> {
    match random.below(40) {
        0 => Vec::new(),
        1 => noise(random),
        2 => b"[{\"a\":".repeat(random.below(NESTING_MAX)),
        3 => {
            let depth = random.below(NESTING_MAX);
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!("{{\"flagKey\":\"boolean\",\"context\":{{\"a\":{open}{close}}}}}").into_bytes()
        }
        4 => value(random, 2).to_string().into_bytes(),
        5 => json!({"flagKey": value(random, 1), "context": value(random, 1)})
            .to_string()
            .into_bytes(),
        6 => {
            let members = (0..random.below(1_000)).map(|i| (format!("a{i}"), Json::from(i)));
            json!({"flagKey": "compare", "context": Json::Object(members.collect())})
                .to_string()
                .into_bytes()
        }
        7..20 => json_request(random),
        _ => {
            let mut body = json_request(random);
            damage(random, &mut body);
            body
        }
    }
}

/// The message of a gRPC request, right or wrong.
pub fn message(random: &mut Random) -> Vec<u8> {
    use outrigger_proto::flagd::evaluation::v1::ResolveBooleanRequest;
    let mut message = match random.below(12) {
        0 => return noise(random),
        1 => return Vec::new(),
        2 => return nested_struct(random.below(NESTING_MAX)),
        _ => ResolveBooleanRequest { flag_key: key(random), context: Some(struct_of(random)) },
    }
    .encode_to_vec();
    if random.once_in(2) {
        damage(random, &mut message);
    }
    message
}

fn struct_of(random: &mut Random) -> prost_types::Struct {
    match prost_value(&object(random, 3), random).kind {
        Some(prost_types::value::Kind::StructValue(it)) => it,
        _ => prost_types::Struct::default(),
    }
}

fn prost_value(json: &Json, random: &mut Random) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match json {
        // Values without a kind, and numbers that JSON cannot say.
        Json::Null if random.once_in(3) => return prost_types::Value { kind: None },
        Json::Null => Kind::NullValue(random.below(3) as i32),
        Json::Bool(value) => Kind::BoolValue(*value),
        Json::Number(_) if random.once_in(5) => {
            Kind::NumberValue(*random.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]))
        }
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => Kind::ListValue(prost_types::ListValue {
            values: items.iter().map(|item| prost_value(item, random)).collect(),
        }),
        Json::Object(members) => Kind::StructValue(prost_types::Struct {
            fields: members.iter().map(|(k, v)| (k.clone(), prost_value(v, random))).collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}

/// Lists in lists, as deep as asked for, as a context's attribute.
fn nested_struct(depth: usize) -> Vec<u8> {
    let wrap = |tag: u8, inner: Vec<u8>| {
        let mut outer = vec![tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    };
    let mut value = vec![0x20, 1];
    for _ in 0..depth.min(2_000) {
        value = wrap(0x32, wrap(0x0a, value));
    }
    let entry = [&[0x0a, 1, b'a'][..], &wrap(0x12, value)].concat();
    [wrap(0x0a, b"compare".to_vec()), wrap(0x12, wrap(0x0a, entry))].concat()
}

/// The body of a gRPC request: a message and its prefix, either of which may be wrong.
pub fn frame(random: &mut Random, message: &[u8]) -> Vec<u8> {
    let mut frame = outrigger_tests::http2::grpc_message(message);
    match random.below(24) {
        0 => frame[0] = random.bits() as u8,
        1 => frame[0] = 1,
        2 => frame[1..5].copy_from_slice(&(random.bits() as u32).to_be_bytes()),
        3 => frame[1..5].copy_from_slice(&(message.len() as u32 + 1).to_be_bytes()),
        4 => frame[1..5].copy_from_slice(&(message.len() as u32).saturating_sub(1).to_be_bytes()),
        5 => frame.truncate(random.below(frame.len())),
        6 => frame.extend(noise(random)),
        7 => frame.extend_from_within(..),
        8 => frame.clear(),
        _ => {}
    }
    frame
}

/// Changes a few bytes.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] = random.bits() as u8,
            2 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            3 => {
                let end = (at + random.below(20)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + random.below(20)).min(bytes.len());
                bytes.extend_from_within(at..end);
            }
            _ => {
                bytes.splice(at..at, random.pick(&PIECES).iter().copied());
            }
        }
    }
}

fn noise(random: &mut Random) -> Vec<u8> {
    (0..random.below(200)).map(|_| random.bits() as u8).collect()
}

/// One path segment, as a client that escapes too little or too much would write it.
pub fn segment(random: &mut Random) -> String {
    const STRANGE: [&str; 10] =
        ["%", "%zz", "%00", "%ff", "%2F", "%2e%2e", "..", "a%2", "%F0%9F%9B%B6", "*"];
    if random.once_in(6) {
        return (*random.pick(&STRANGE)).to_owned();
    }
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let key = key(random);
    key.bytes()
        .map(|b| if allowed(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
