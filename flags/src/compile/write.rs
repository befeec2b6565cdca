//! Writing a flag's definition for other evaluators: the members of a flagd flag in a fixed order,
//! references written out, nothing that a strict reader would refuse.

use super::evaluators::Evaluators;
use super::flag::Draft;
use crate::json::{quote, write, write_number};
use crate::limits::{FLAG_BYTES_MAX, REFERENCE_DEPTH_MAX};
use crate::tape::{Kind, Node};
use crate::value::Object;

/// The text grew over [`FLAG_BYTES_MAX`], or the references do not end.
#[derive(Debug)]
pub(crate) struct TooLarge;

/// Makes `text` the definition, as a JSON object.
pub(crate) fn definition(
    draft: &Draft<'_>,
    metadata: &Object,
    evaluators: &Evaluators<'_>,
    text: &mut String,
) -> Result<(), TooLarge> {
    text.clear();
    text.push_str(if draft.is_enabled { r#"{"state":"ENABLED"# } else { r#"{"state":"DISABLED"# });
    text.push_str(r#"","defaultVariant":"#);
    quote(draft.default_name.unwrap_or_default(), text);
    text.push_str(r#","variants":{"#);
    for (index, (name, node)) in draft.variants.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        quote(name.text, text);
        text.push(':');
        append(*node, None, 0, text)?;
    }
    text.push('}');
    if let Some(targeting) = draft.targeting {
        text.push_str(r#","targeting":"#);
        append(targeting, Some(evaluators), 0, text)?;
    }
    if !metadata.is_empty() {
        text.push_str(r#","metadata":{"#);
        for (index, (name, value)) in metadata.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            quote(name, text);
            text.push(':');
            write(value, text);
        }
        text.push('}');
    }
    text.push('}');
    Ok(())
}

fn append(
    node: Node<'_>,
    evaluators: Option<&Evaluators<'_>>,
    references: usize,
    text: &mut String,
) -> Result<(), TooLarge> {
    if text.len() > FLAG_BYTES_MAX || references > REFERENCE_DEPTH_MAX {
        return Err(TooLarge);
    }
    match node.kind() {
        Kind::Null | Kind::TooDeep => text.push_str("null"),
        Kind::Bool(value) => text.push_str(if value { "true" } else { "false" }),
        Kind::Number(number) => write_number(number, text),
        Kind::Text(value) => quote(value, text),
        Kind::Array(items) => {
            text.push('[');
            for (index, item) in items.enumerate() {
                if index > 0 {
                    text.push(',');
                }
                append(item, evaluators, references, text)?;
            }
            text.push(']');
        }
        Kind::Object(members) => {
            let target = evaluators.and_then(|evaluators| match members.only() {
                Some((name, target)) if name.text == "$ref" => evaluators.node(target.as_text()?),
                _ => None,
            });
            if let Some(target) = target {
                return append(target, evaluators, references + 1, text);
            }
            text.push('{');
            for (index, (name, value)) in members.enumerate() {
                if index > 0 {
                    text.push(',');
                }
                quote(name.text, text);
                text.push(':');
                append(value, evaluators, references, text)?;
            }
            text.push('}');
        }
    }
    Ok(())
}
