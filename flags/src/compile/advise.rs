//! Advice: what is legal, and what will not do what its author wants.

use super::report::Report;
use super::rule::RuleCompiler;
use crate::bucket::WEIGHT_MAX;
use crate::coerce::json_text_of_number;
use crate::diagnose::{Code, closest};
use crate::evaluate::UnixSeconds;
use crate::flag::Body;
use crate::house::{day_of, expiry_day, safe_variant};
use crate::rule::Operator;
use crate::tape::{Items, Kind, Name, Node};
use crate::value::{Object, Value};

/// A flag key outside the characters that every tool takes.
pub(crate) fn key(key: Name<'_>, report: &mut Report<'_>) {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    if !key.text.bytes().all(is_usual) {
        let message = "the key has characters outside A-Z a-z 0-9 . _ : / -".to_owned();
        report.add(Code::FlagKeyUnusual, key.index, Some(key.text), message, None);
    }
}

/// Variants of several types, or of a type that no typed client can read.
pub(crate) fn variants(key: Name<'_>, variants: &[(Name<'_>, Node<'_>)], report: &mut Report<'_>) {
    let Some((first_name, first)) = variants.first() else { return };
    for (name, value) in variants {
        if matches!(value.kind(), Kind::Null | Kind::Array(_)) {
            let message = format!("the variant {:?} is {}", name.text, value.kind_name());
            report.add(Code::VariantTypeUnusual, value.index(), Some(key.text), message, None);
        } else if value.kind_name() != first.kind_name() {
            let (found, expected) = (value.kind_name(), first.kind_name());
            let message = format!(
                "the variant {:?} is {found}, but {:?} is {expected}",
                name.text, first_name.text
            );
            let hint = Some("clients get TYPE_MISMATCH for one of them".to_owned());
            report.add(Code::VariantTypesDiffer, value.index(), Some(key.text), message, hint);
            return;
        }
    }
}

/// Operands that make an operator fail or answer null whatever the context is.
pub(crate) fn operands(
    operator: Operator,
    name: Name<'_>,
    node: Node<'_>,
    compiler: &mut RuleCompiler<'_, '_, '_>,
) {
    use Operator as Op;
    let count = match node.kind() {
        Kind::Array(items) => Some(items.count()),
        _ => None,
    };
    let expected = match (operator, count) {
        (Op::StartsWith | Op::EndsWith, count) if count != Some(2) => "exactly two texts",
        (Op::SemanticVersion, count) if count != Some(3) => "a version, an operator and a version",
        (Op::Remainder, Some(0 | 1)) => "two numbers",
        (Op::Substring, Some(0 | 1)) => "a text and a start",
        (Op::MissingSome, Some(0 | 1)) => "a number and a list of names",
        (Op::In, Some(0)) => "something to look for",
        (
            Op::If
            | Op::Ternary
            | Op::And
            | Op::Or
            | Op::Map
            | Op::Filter
            | Op::Reduce
            | Op::All
            | Op::Some
            | Op::None,
            None,
        ) => "an array of operands",
        _ => {
            match (operator, node.kind()) {
                (Op::SemanticVersion, Kind::Array(items)) => version_operator(items, compiler),
                (Op::Fractional, Kind::Array(items)) => entries(items, compiler),
                _ => {}
            }
            return;
        }
    };
    let message = format!("{:?} needs {expected}", operator.as_str());
    compiler.error(Code::OperatorArguments, name.index, message, None);
}

fn version_operator(mut items: Items<'_>, compiler: &mut RuleCompiler<'_, '_, '_>) {
    const KNOWN: [&str; 8] = ["=", "!=", "<", "<=", ">", ">=", "^", "~"];
    let Some(node) = items.nth(1) else { return };
    if let Some(text) = node.as_text().filter(|text| !KNOWN.contains(text)) {
        let message = format!("\"sem_ver\" has no operator {text:?}, and answers null");
        let hint = Some(format!("it has {}", listed(KNOWN)));
        compiler.error(Code::OperatorArguments, node.index(), message, hint);
    }
}

/// The literal entries of `fractional`, and their weights together.
fn entries(items: Items<'_>, compiler: &mut RuleCompiler<'_, '_, '_>) {
    let mut total = Some(0.0);
    let mut last = None;
    for (place, item) in items.enumerate() {
        last = Some(item);
        let weight = match item.kind() {
            Kind::Array(mut members) => match (members.next(), members.next()) {
                (None, _) => {
                    let message = "an entry of \"fractional\" is empty".to_owned();
                    compiler.error(Code::FractionalEntry, item.index(), message, None);
                    None
                }
                (Some(_), weight) => literal_weight(weight, compiler),
            },
            // Only the first operand may be something to bucket by, and rules are not known yet.
            Kind::Object(_) => None,
            _ if place == 0 => Some(0.0),
            _ => {
                let message = format!("an entry of \"fractional\" is {}", item.kind_name());
                let hint = Some("write [variant, weight]".to_owned());
                compiler.error(Code::FractionalEntry, item.index(), message, hint);
                None
            }
        };
        let is_unit = place == 0 && matches!(item.kind(), Kind::Object(_));
        if !is_unit {
            total = total.zip(weight).map(|(total, weight)| total + weight);
        }
    }
    let (Some(total), Some(last)) = (total, last) else { return };
    let message = match total {
        0.0 => "the weights of \"fractional\" add up to 0".to_owned(),
        total if total > f64::from(WEIGHT_MAX) => {
            format!("the weights of \"fractional\" add up to more than {WEIGHT_MAX}")
        }
        _ => return,
    };
    compiler.error(Code::FractionalWeight, last.index(), message, None);
}

/// What a weight counts, if it is a sound literal.
fn literal_weight(node: Option<Node<'_>>, compiler: &mut RuleCompiler<'_, '_, '_>) -> Option<f64> {
    let Some(node) = node else { return Some(1.0) };
    match node.kind() {
        Kind::Number(number) if number.as_f64().fract() == 0.0 => Some(number.as_f64().max(0.0)),
        Kind::Object(_) | Kind::Null => None,
        _ => {
            let message = "a weight of \"fractional\" is a whole number".to_owned();
            compiler.error(Code::FractionalWeight, node.index(), message, None);
            None
        }
    }
}

/// Texts that the rule can return and that name no variant.
pub(crate) fn results(
    rule: Node<'_>,
    key: Name<'_>,
    variants: &[(Name<'_>, Node<'_>)],
    report: &mut Report<'_>,
) {
    let name = match rule.kind() {
        Kind::Text(text) => text.to_owned(),
        Kind::Bool(value) => value.to_string(),
        Kind::Number(number) => json_text_of_number(number.as_f64()),
        Kind::Object(members) => {
            if let Some((operator, operands)) = members.only() {
                branches(operator.text, operands, |branch| results(branch, key, variants, report));
            }
            return;
        }
        Kind::Null | Kind::Array(_) | Kind::TooDeep => return,
    };
    let known = || variants.iter().map(|(variant, _)| variant.text);
    if known().any(|known| known == name) {
        return;
    }
    let hint = match closest(&name, known()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("it has {}", listed(known())),
    };
    let message = format!("the rule can return {name:?}, which names no variant");
    report.add(Code::RuleVariantUnknown, rule.index(), Some(key.text), message, Some(hint));
}

/// Calls `visit` with each operand that can become the result of the operator.
fn branches<'t>(operator: &str, operands: Node<'t>, mut visit: impl FnMut(Node<'t>)) {
    let Kind::Array(items) = operands.kind() else { return };
    match operator {
        "if" | "?:" => {
            let count = items.count();
            let is_result = |place: usize| place % 2 == 1 || place + 1 == count;
            items
                .enumerate()
                .filter(|(place, _)| is_result(*place))
                .for_each(|(_, node)| visit(node));
        }
        "fractional" => {
            for item in items {
                if let Kind::Array(mut entry) = item.kind() {
                    entry.next().into_iter().for_each(&mut visit);
                }
            }
        }
        _ => {}
    }
}

/// What the house asks of every flag beyond flagd.
pub(crate) fn house_rules(
    key: Name<'_>,
    metadata: &Object,
    body: &Body,
    today: UnixSeconds,
    report: &mut Report<'_>,
) {
    let mut advise = |code, message: &str, hint: &str| {
        report.add(code, key.index, Some(key.text), message.to_owned(), Some(hint.to_owned()));
    };
    if !matches!(metadata.get("owner"), Some(Value::String(owner)) if !owner.trim().is_empty()) {
        advise(Code::OwnerMissing, "nobody owns the flag", "add metadata.owner");
    }
    match metadata.get("expires").map(|date| date.as_str().and_then(expiry_day)) {
        None => advise(
            Code::ExpiryMissing,
            "the flag has no end",
            "add metadata.expires, such as \"2026-12-31\"",
        ),
        Some(None) => {
            advise(Code::ExpiryInvalid, "\"expires\" is not a date", "write it as \"2026-12-31\"");
        }
        Some(Some(day)) if day <= day_of(today) => {
            advise(Code::Expired, "the flag has expired", "remove it, or move metadata.expires");
        }
        Some(Some(_)) => {}
    }
    let variants = || body.variants.iter().map(|variant| (variant.name(), variant.value()));
    if safe_variant(metadata, variants()).is_none() {
        match metadata.get("safeVariant") {
            None => advise(
                Code::SafeVariantMissing,
                "no variant is safe to fall back to",
                "add metadata.safeVariant",
            ),
            Some(_) => advise(
                Code::SafeVariantUnknown,
                "\"safeVariant\" is not among the variants",
                &format!("it has {}", listed(variants().map(|(name, _)| name))),
            ),
        }
    }
    let default = body.default.and_then(|place| body.variants.get(place));
    if default.is_some_and(|default| default.value == Value::Bool(true)) {
        advise(Code::DefaultOn, "the flag is on by default", "make the false variant the default");
    }
}

/// A list for people: `"a", "b" and 3 more`.
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const SHOWN_MAX: usize = 8;
    let names: Vec<String> = names.into_iter().map(|name| format!("{name:?}")).collect();
    let shown = names.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
