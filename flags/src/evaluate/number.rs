//! Arithmetic, in double precision.

use super::{Fault, Observer, Outcome, Scope, Walk};
use crate::operand::Operand;
use crate::rule::{Operands, Operator};

impl<'a, O: Observer> Walk<'a, O> {
    pub(super) fn calculate(
        &mut self,
        operator: Operator,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        let numbers = match self.operands(operands, scope)? {
            Ok(items) => {
                // Operands that mean nothing may be anything.
                let read = match operator {
                    Operator::Absolute => 1,
                    Operator::Remainder => 2,
                    _ => items.len(),
                };
                let items = items.iter().take(read);
                items.map(|item| self.number(operator, item)).collect::<Result<_, _>>()?
            }
            // A lone operand may stand without its array.
            Err(scalar) if matches!(operator, Operator::Add | Operator::Absolute) => {
                vec![self.number(operator, &scalar)?]
            }
            Err(_) => return Err(Fault::operand(operator, "a list of operands")),
        };
        calculate(operator, &numbers)
    }

    /// The number that arithmetic reads an operand as.
    pub(super) fn number(
        &mut self,
        operator: Operator,
        operand: &Operand<'_>,
    ) -> Result<f64, Fault> {
        self.burn(operand.text_cost())?;
        operand.to_arithmetic().ok_or_else(|| Fault::operand(operator, "numbers"))
    }
}

fn calculate<'a>(operator: Operator, numbers: &[f64]) -> Outcome<'a> {
    let too_few = || Fault::operand(operator, "more operands");
    let result = match (operator, numbers) {
        (Operator::Minimum | Operator::Maximum, []) => return Ok(Operand::NULL),
        // Not f64::min and max: those skip what is not a number.
        (Operator::Minimum, [first, rest @ ..]) => {
            rest.iter().fold(*first, |least, n| if least > *n { *n } else { least })
        }
        (Operator::Maximum, [first, rest @ ..]) => {
            rest.iter().fold(*first, |most, n| if *n > most { *n } else { most })
        }
        (Operator::Add, [only]) => *only,
        (Operator::Add, numbers) => numbers.iter().fold(0.0, |sum, n| sum + n),
        (Operator::Multiply, numbers) => numbers.iter().product(),
        (Operator::Subtract | Operator::Divide, []) => 0.0,
        (Operator::Subtract, [only]) => -only,
        (Operator::Subtract, [first, rest @ ..]) => rest.iter().fold(*first, |sum, n| sum - n),
        (Operator::Divide, [first, rest @ ..]) => rest.iter().fold(*first, |sum, n| sum / n),
        (Operator::Remainder, [a, b, ..]) => a % b,
        (Operator::Absolute, [first, ..]) => first.abs(),
        _ => return Err(too_few()),
    };
    Ok(Operand::number(result))
}
