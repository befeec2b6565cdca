//! `ResolveAll`: every selected flag of one snapshot, for clients that evaluate ahead of time.
//!
//! A flag's type is that of its default variant; a flag without one, or whose default is a list or
//! null, has no type and is left out. A flag that fails is present, with a zero value and ERROR.

use outrigger_flags::{Flag, Reason, Resolution, ResolutionError, Value, json};
use outrigger_proto::flagd::evaluation::v1;
use prost::Message;

use super::answer::{Kind, Metadata, Typed};
use super::protocol::Codec;
use crate::evaluation::{Evaluation, Scope, Subject};

/// The encoded answer.
pub(super) async fn resolve(evaluation: &Evaluation, subject: &Subject, codec: Codec) -> Vec<u8> {
    match codec {
        Codec::Proto => proto(evaluation, subject).await,
        Codec::Json => json_text(evaluation, subject).await.into_bytes(),
    }
}

struct Entry<'a> {
    value: Typed<'a>,
    reason: Reason,
    variant: &'a str,
    metadata: Metadata<'a>,
}

async fn proto(evaluation: &Evaluation, subject: &Subject) -> Vec<u8> {
    let mut response = v1::ResolveAllResponse {
        metadata: Some(Metadata { flag: None, selector: &subject.selector }.message()),
        ..Default::default()
    };
    let write = |flag: &Flag, resolved: Result<&Resolution<'_>, &ResolutionError>| {
        if let Some(entry) = entry(flag, &resolved, subject) {
            let any = v1::AnyFlag {
                reason: entry.reason.as_str().to_owned(),
                variant: entry.variant.to_owned(),
                metadata: Some(entry.metadata.message()),
                value: Some(entry.value.any()),
            };
            response.flags.insert(flag.key().to_owned(), any);
        }
    };
    evaluation.resolve_all(subject, Scope::Keys, write).await;
    response.encode_to_vec()
}

async fn json_text(evaluation: &Evaluation, subject: &Subject) -> String {
    let mut text = String::from("{\"flags\":{");
    let mut is_first = true;
    let write = |flag: &Flag, resolved: Result<&Resolution<'_>, &ResolutionError>| {
        let Some(entry) = entry(flag, &resolved, subject) else { return };
        if !is_first {
            text.push(',');
        }
        is_first = false;
        json::quote(flag.key(), &mut text);
        text.push_str(":{\"reason\":");
        json::quote(entry.reason.as_str(), &mut text);
        text.push_str(",\"variant\":");
        json::quote(entry.variant, &mut text);
        text.push_str(",\"");
        text.push_str(entry.value.any_name());
        text.push_str("\":");
        entry.value.json(&mut text);
        text.push_str(",\"metadata\":");
        entry.metadata.json(&mut text);
        text.push('}');
    };
    evaluation.resolve_all(subject, Scope::Keys, write).await;
    text.push_str("},\"metadata\":");
    Metadata { flag: None, selector: &subject.selector }.json(&mut text);
    text.push('}');
    text
}

fn entry<'a>(
    flag: &'a Flag,
    resolved: &'a Result<&'a Resolution<'_>, &ResolutionError>,
    subject: &'a Subject,
) -> Option<Entry<'a>> {
    let kind = kind_of(flag.default_variant()?.value())?;
    let metadata = Metadata { flag: Some(flag.metadata()), selector: &subject.selector };
    let failed = Entry { value: kind.zero(), reason: Reason::Error, variant: "", metadata };
    let Ok(resolution) = resolved else { return Some(failed) };
    let Ok(value) = kind.read(resolution) else { return Some(failed) };
    Some(Entry {
        value: value.unwrap_or_else(|| kind.zero()),
        reason: resolution.reason,
        variant: resolution.variant.unwrap_or_default(),
        metadata,
    })
}

fn kind_of(value: &Value) -> Option<Kind> {
    match value {
        Value::Bool(_) => Some(Kind::Boolean),
        Value::String(_) => Some(Kind::String),
        Value::Number(_) => Some(Kind::Float),
        Value::Object(_) => Some(Kind::Object),
        Value::Null | Value::Array(_) => None,
    }
}
