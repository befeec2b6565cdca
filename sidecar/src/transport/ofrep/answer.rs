//! Writing OFREP's answers. Values print as they were written: a double keeps its fraction, which
//! some clients need to tell a float from an integer.

use outrigger_flags::{Flag, Resolution, ResolutionError, Selector, json};

use crate::evaluation::EvaluationError;
use crate::transport::failure::Failure;
use crate::transport::structs;

/// A resolution; value and variant are absent when the client shall use its default.
pub(super) fn success(resolution: &Resolution<'_>, selector: &Selector, text: &mut String) {
    text.push_str("{\"key\":");
    json::quote(resolution.flag.key(), text);
    if let Some(value) = resolution.value {
        text.push_str(",\"value\":");
        json::write(value, text);
    }
    text.push_str(",\"reason\":");
    json::quote(resolution.reason.as_str(), text);
    if let Some(variant) = resolution.variant {
        text.push_str(",\"variant\":");
        json::quote(variant, text);
    }
    text.push_str(",\"metadata\":");
    structs::metadata_json(Some(resolution.flag.metadata()), selector, text);
    text.push('}');
}

/// A flag that failed among others.
pub(super) fn broken(flag: &Flag, error: &ResolutionError, selector: &Selector, text: &mut String) {
    let error = EvaluationError::of_flag(flag, error.code, error.to_string());
    failure(Some(flag.key()), &Failure::Evaluation(error), selector, text);
}

/// A failure, with the metadata of the flag that caused it, if one did.
pub(super) fn failure(
    key: Option<&str>,
    failure: &Failure,
    selector: &Selector,
    text: &mut String,
) {
    text.push('{');
    if let Some(key) = key {
        text.push_str("\"key\":");
        json::quote(key, text);
        text.push(',');
    }
    text.push_str("\"errorCode\":");
    json::quote(failure.ofrep_code().as_str(), text);
    text.push_str(",\"errorDetails\":");
    json::quote(&failure.ofrep_details(), text);
    text.push_str(",\"metadata\":");
    let metadata = match failure {
        Failure::Evaluation(EvaluationError::Flag { metadata, .. }) => Some(metadata),
        _ => None,
    };
    structs::metadata_json(metadata, selector, text);
    text.push('}');
}
