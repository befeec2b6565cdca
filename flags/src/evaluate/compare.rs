//! Comparisons.

use super::{Fault, Observer, Outcome, Scope, Walk};
use crate::coerce::comparison_number;
use crate::operand::Operand;
use crate::rule::{Operands, Operator};
use crate::value::Value;

impl<'a, O: Observer> Walk<'a, O> {
    #[inline(never)]
    pub(super) fn compare(
        &mut self,
        operator: Operator,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        if let Some((a, b)) = self.pair(operands, scope)? {
            let (a, b) = (a.value(), b.value());
            self.burn(cost(a, b))?;
            return Ok(Operand::bool(holds(operator, a, b)));
        }
        let items = match self.operands(operands, scope)? {
            Ok(items) => items,
            Err(_) if operator == Operator::StrictEqual => return Ok(Operand::bool(false)),
            Err(_) if operator == Operator::StrictNotEqual => return Ok(Operand::bool(true)),
            Err(_) => return Err(Fault::operand(operator, "a list of operands")),
        };
        let is_order = matches!(
            operator,
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual
        );
        for pair in items.windows(2).take(2) {
            if let [a, b] = pair {
                self.burn(cost(a.value(), b.value()))?;
            }
        }
        Ok(Operand::bool(match items.as_slice() {
            // Three operands ask whether the second lies between the others.
            [a, b, c] if is_order => {
                holds(operator, a.value(), b.value()) && holds(operator, b.value(), c.value())
            }
            [a, b, ..] => holds(operator, a.value(), b.value()),
            _ => matches!(operator, Operator::NotEqual | Operator::StrictNotEqual),
        }))
    }
}

/// Whether two values stand in this relation; `None` is a list that the rule has computed.
pub(super) fn holds(operator: Operator, a: Option<&Value>, b: Option<&Value>) -> bool {
    match operator {
        Operator::Equal => equal(a, b),
        Operator::NotEqual => !equal(a, b),
        Operator::StrictEqual => strictly_equal(a, b),
        Operator::StrictNotEqual => !strictly_equal(a, b),
        Operator::Less => less(a, b),
        Operator::LessOrEqual => less(a, b) || equal(a, b),
        Operator::Greater => less(b, a),
        Operator::GreaterOrEqual => less(b, a) || equal(a, b),
        _ => false,
    }
}

/// Null equals only null; two texts compare as they are; anything else as numbers.
fn equal(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(Value::Null), Some(Value::Null)) => true,
        (Some(Value::Null), _) | (_, Some(Value::Null)) => false,
        (Some(Value::String(a)), Some(Value::String(b))) => a == b,
        _ => number_of(a) == number_of(b),
    }
}

fn strictly_equal(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(Value::Null), Some(Value::Null)) => true,
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a == b,
        (Some(Value::String(a)), Some(Value::String(b))) => a == b,
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64() == b.as_f64(),
        // Lists and objects equal nothing, not even themselves.
        _ => false,
    }
}

/// Two texts by their bytes, which is the order of their code points; anything else as numbers.
fn less(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(Value::String(a)), Some(Value::String(b))) => a < b,
        _ => number_of(a) < number_of(b),
    }
}

/// The number that comparisons see; possibly not a number.
fn number_of(value: Option<&Value>) -> f64 {
    match value {
        Some(Value::Null) => 0.0,
        Some(Value::Bool(value)) => f64::from(u8::from(*value)),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => comparison_number(text),
        Some(Value::Array(_) | Value::Object(_)) | None => f64::NAN,
    }
}

/// What comparing costs in fuel, beyond the step for the operator: two texts are read as far as the
/// shorter one goes, and a text that has to be a number to its end.
pub(super) fn cost(a: Option<&Value>, b: Option<&Value>) -> usize {
    let bytes = match (a, b) {
        (Some(Value::String(a)), Some(Value::String(b))) => a.len().min(b.len()),
        (Some(Value::String(text)), _) | (_, Some(Value::String(text))) => text.len(),
        _ => 0,
    };
    bytes / 64
}
