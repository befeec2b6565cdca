//! Comparisons.

use super::{Fault, Observer, Outcome, Scope, Walk};
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
            self.burn(comparison_cost(&a, &b))?;
            return Ok(Operand::bool(holds(operator, &a, &b)));
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
        Ok(Operand::bool(match items.as_slice() {
            // Three operands ask whether the second lies between the others.
            [a, b, c] if is_order => holds(operator, a, b) && holds(operator, b, c),
            [a, b, ..] => holds(operator, a, b),
            _ => matches!(operator, Operator::NotEqual | Operator::StrictNotEqual),
        }))
    }
}

fn holds(operator: Operator, a: &Operand<'_>, b: &Operand<'_>) -> bool {
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
fn equal(a: &Operand<'_>, b: &Operand<'_>) -> bool {
    match (a.value(), b.value()) {
        (Some(Value::Null), Some(Value::Null)) => true,
        (Some(Value::Null), _) | (_, Some(Value::Null)) => false,
        (Some(Value::String(a)), Some(Value::String(b))) => a == b,
        _ => a.to_comparison() == b.to_comparison(),
    }
}

fn strictly_equal(a: &Operand<'_>, b: &Operand<'_>) -> bool {
    match (a.value(), b.value()) {
        (Some(Value::Null), Some(Value::Null)) => true,
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a == b,
        (Some(Value::String(a)), Some(Value::String(b))) => a == b,
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64() == b.as_f64(),
        // Lists and objects equal nothing, not even themselves.
        _ => false,
    }
}

/// Two texts by their bytes, which is the order of their code points; anything else as numbers.
fn less(a: &Operand<'_>, b: &Operand<'_>) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a < b,
        _ => a.to_comparison() < b.to_comparison(),
    }
}

fn comparison_cost(a: &Operand<'_>, b: &Operand<'_>) -> usize {
    let bytes = |operand: &Operand<'_>| operand.as_str().map_or(0, str::len);
    bytes(a).min(bytes(b)) / 64
}
