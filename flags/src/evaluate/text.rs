//! Texts and versions.

use super::{Fault, Observer, Outcome, Scope, Walk};
use crate::coerce::version_text_of_number;
use crate::operand::Operand;
use crate::rule::{Operands, Operator};
use crate::value::Value;
use crate::version::{Version, satisfies};

impl<'a, O: Observer> Walk<'a, O> {
    /// `cat`: joins, and trims blanks off the whole when there are two operands or more.
    pub(super) fn concatenate(
        &mut self,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        let items = match self.operands(operands, scope)? {
            Ok(items) => items,
            Err(scalar) if scalar.as_str().is_some() => return Ok(scalar),
            Err(_) => return Err(Fault::operand(Operator::Concatenate, "a text or a list")),
        };
        let mut joined = String::new();
        for item in &items {
            let text = item.to_text();
            joined.push_str(
                &text.ok_or_else(|| Fault::operand(Operator::Concatenate, "texts and numbers"))?,
            );
            self.burn_text(joined.len())?;
        }
        if items.len() >= 2 && joined.trim().len() != joined.len() {
            joined = joined.trim().to_owned();
        }
        Ok(Operand::text(joined))
    }

    /// `substr` with a start and an optional length, in code points; negative ones count from the end.
    #[allow(clippy::cast_possible_truncation, reason = "a saturated offset lies outside any text")]
    pub(super) fn substring(
        &mut self,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        const OP: Operator = Operator::Substring;
        let items = self.operand_list(OP, operands, scope)?;
        let (Some(text), Some(start)) = (items.first(), items.get(1)) else {
            return Err(Fault::operand(OP, "a text and a start"));
        };
        let text = text.to_text().ok_or_else(|| Fault::operand(OP, "a text"))?;
        self.burn_text(text.len())?;
        let start = self.number(OP, start)? as i64;
        let characters = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        let from = if start < 0 { characters.saturating_add(start) } else { start };
        if !(0..=characters).contains(&from) {
            return Ok(Operand::text(text.into_owned()));
        }
        let to = match items.as_slice() {
            [_, _, length] => match self.number(OP, length)? as i64 {
                length if length < 0 => characters.saturating_add(length),
                length => from.saturating_add(length).min(characters),
            },
            _ => characters,
        };
        let length = usize::try_from(to.saturating_sub(from))
            .map_err(|_| Fault::operand(OP, "an end that is not before its start"))?;
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(Operand::text(text.chars().skip(from).take(length).collect()))
    }

    /// `starts_with` and `ends_with`: null unless there are exactly two texts.
    #[inline(never)]
    pub(super) fn affix(
        &mut self,
        operator: Operator,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        let pair = match self.pair(operands, scope)? {
            Some(pair) => Some(pair),
            None => match self.operands(operands, scope)? {
                Ok(items) => <[Operand<'a>; 2]>::try_from(items).ok().map(|[a, b]| (a, b)),
                Err(_) => None,
            },
        };
        let Some((text, affix)) = pair else { return Ok(Operand::NULL) };
        let (Some(text), Some(affix)) = (text.as_str(), affix.as_str()) else {
            return Ok(Operand::NULL);
        };
        self.burn(affix.len() / 64)?;
        Ok(Operand::bool(match operator {
            Operator::StartsWith => text.starts_with(affix),
            _ => text.ends_with(affix),
        }))
    }

    /// `sem_ver`: null unless there are two versions with an operator between them.
    pub(super) fn semantic_version(
        &mut self,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        let Ok(items) = self.operands(operands, scope)? else { return Ok(Operand::NULL) };
        let [version, operator, target] = items.as_slice() else { return Ok(Operand::NULL) };
        let texts = (version_text(version), operator.as_str(), version_text(target));
        let (Some(version), Some(operator), Some(target)) = texts else {
            return Ok(Operand::NULL);
        };
        // Versions are short; reading one goes by single characters.
        self.burn((version.len() + target.len()) / 16)?;
        let result = match (Version::parse(&version), Version::parse(&target)) {
            (Some(version), Some(target)) => satisfies(&version, operator, &target),
            _ => None,
        };
        Ok(result.map_or(Operand::NULL, Operand::bool))
    }
}

fn version_text<'v>(operand: &'v Operand<'_>) -> Option<std::borrow::Cow<'v, str>> {
    match operand.value()? {
        Value::String(text) => Some((&**text).into()),
        Value::Number(number) => Some(version_text_of_number(number.as_f64()).into()),
        _ => None,
    }
}
