//! Any bytes as an evaluation context: never a panic, and what is read is written back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use outrigger_flags::{EvaluationContext, Value, json, limits};

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = json::read(bytes, limits::CONTEXT_DEPTH_MAX) else { return };
    let written = value.to_string();
    let again = json::read(written.as_bytes(), limits::CONTEXT_DEPTH_MAX).expect("what was written");
    assert_eq!(value, again);
    let Value::Object(members) = value else { return };
    let Ok(context) = EvaluationContext::from_object(members) else { return };
    for (name, value) in context.iter() {
        assert_eq!(context.get(name), Some(value));
    }
});
