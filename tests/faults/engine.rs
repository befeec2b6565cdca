//! Shorthand for the flag engine.

use std::sync::Arc;

use outrigger_flags::{
    Code, EvaluationContext, Format, Generation, Layer, LoadOptions, Loaded, ResolutionError,
    Revision, Selector, Snapshot, SourceName, UnixSeconds, Value, json, load,
};

/// Loads a document that is expected to load.
pub fn loaded(text: &str, format: Format) -> Loaded {
    try_load(text.as_bytes(), format, None).unwrap_or_else(|problem| panic!("{problem}\n{text}"))
}

/// Loads bytes over a layer.
pub fn try_load(
    bytes: &[u8],
    format: Format,
    previous: Option<&Layer>,
) -> Result<Loaded, outrigger_flags::InvalidDocument> {
    let options = LoadOptions { source: SourceName::new("flags"), generation: Generation::V2 };
    load(bytes, format, &options, previous)
}

/// Which problems were found, by code, in order.
pub fn codes(loaded: &Loaded) -> Vec<Code> {
    loaded.diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

/// What a flag of a layer gives in a context that is JSON text.
pub fn resolve(layer: Layer, key: &str, context: &str) -> Result<Value, ResolutionError> {
    let snapshot = Snapshot::compose(Revision { epoch: 1, seq: 1 }, &[Arc::new(layer)]);
    let Ok(Value::Object(members)) = json::read(context.as_bytes(), 16) else {
        panic!("a context is an object: {context}");
    };
    let context = EvaluationContext::from_object(members).expect("a context");
    let view = snapshot.view(&Selector::Any);
    let resolution = view.resolve(key, &context, UnixSeconds(0))?;
    Ok(resolution.value.cloned().unwrap_or(Value::Null))
}
