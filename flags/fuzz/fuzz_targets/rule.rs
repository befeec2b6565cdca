//! Any JSON as a rule over any JSON as a context: never a panic, always within the budget, and the
//! explanation resolves to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use outrigger_flags::{
    EvaluationContext, Format, Generation, LoadOptions, SourceName, UnixSeconds, Value, json, load,
};

fuzz_target!(|input: (&str, &str, bool)| {
    let (rule, context, is_v3) = input;
    let document = format!(
        r#"{{"flags":{{"f":{{"state":"ENABLED","variants":{{"a":1,"b":2,"true":3}},"defaultVariant":"a","targeting":{rule}}}}}}}"#
    );
    let generation = if is_v3 { Generation::V3 } else { Generation::V2 };
    let options = LoadOptions { source: SourceName::new("fuzz"), generation };
    let Ok(loaded) = load(document.as_bytes(), Format::Json, &options, None) else { return };
    let mut subject = EvaluationContext::new();
    if let Ok(Value::Object(members)) = json::read(context.as_bytes(), 16) {
        if let Ok(context) = EvaluationContext::from_object(members) {
            subject = context;
        }
    }
    for flag in loaded.layer.flags() {
        let now = UnixSeconds(1_700_000_000);
        let plain = flag.resolve(&subject, now);
        let explained = flag.explain(&subject, now);
        let variant = |answer: &Result<outrigger_flags::Resolution<'_>, _>| match answer {
            Ok(found) => Ok(found.variant.map(str::to_owned)),
            Err(error) => Err(format!("{error:?}")),
        };
        assert_eq!(variant(&plain), variant(&explained.resolution));
        let _ = explained.rule.map(|rule| rule.to_string());
    }
});
