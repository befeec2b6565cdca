//! Conditions, which are most of a rule: only their truth matters, and most of them ask something of
//! an attribute and a literal. Those are answered where they stand, without building operands.

use super::compare::{cost, holds};
use super::{Data, Fault, Observer, Scope, Walk};
use crate::operand::NULL;
use crate::rule::{Operands, Operator, Rule};
use crate::value::Value;

impl<'a, O: Observer> Walk<'a, O> {
    /// Whether a rule is true. Takes the same steps as evaluating it.
    pub(super) fn test(&mut self, rule: &'a Rule, scope: &Scope<'a, '_>) -> Result<bool, Fault> {
        match rule {
            // Whoever watches wants to see every node.
            Rule::Apply(operator, Operands::Many(rules)) if !O::WATCHES => {
                self.test_operator(rule, *operator, rules, scope)
            }
            _ => Ok(self.eval(rule, scope)?.is_true()),
        }
    }

    fn test_operator(
        &mut self,
        rule: &'a Rule,
        operator: Operator,
        rules: &'a [Rule],
        scope: &Scope<'a, '_>,
    ) -> Result<bool, Fault> {
        match (operator, rules) {
            (Operator::And | Operator::Or, [_, ..]) => {
                self.burn(1)?;
                let decisive = operator == Operator::Or;
                for rule in rules {
                    if self.test(rule, scope)? == decisive {
                        return Ok(decisive);
                    }
                }
                return Ok(!decisive);
            }
            (_, [a, b]) => {
                let answer = match (self.at_hand(a, scope), self.at_hand(b, scope)) {
                    (Some(a), Some(b)) => answer(operator, a, b),
                    _ => None,
                };
                if let Some((answer, cost)) = answer {
                    // The operator, its two operands, and what they are.
                    self.burn(3 + cost)?;
                    return Ok(answer);
                }
            }
            _ => {}
        }
        Ok(self.eval(rule, scope)?.is_true())
    }

    /// The value of a literal, or of an attribute of the context.
    #[inline]
    fn at_hand(&self, rule: &'a Rule, scope: &Scope<'a, '_>) -> Option<&'a Value> {
        match (rule, &scope.data) {
            (Rule::Literal(value), _) => Some(value),
            (Rule::Variable(variable), Data::Context) => {
                let name = variable.attribute()?;
                let found = self.subject.context.get_precomputed(name.fingerprint, &name.name);
                Some(found.unwrap_or(&NULL))
            }
            _ => None,
        }
    }
}

/// What an operator answers to two values, and its cost in fuel; `None` for whatever is not usual.
#[inline]
fn answer(operator: Operator, a: &Value, b: &Value) -> Option<(bool, usize)> {
    use Operator as Op;
    match (operator, a, b) {
        (Op::In, Value::String(needle), Value::Array(items)) => {
            let mut found = false;
            for item in items {
                match item {
                    Value::String(text) if text == needle => {
                        found = true;
                        break;
                    }
                    // A range.
                    Value::Array(_) => return None,
                    _ => {}
                }
            }
            Some((found, items.len() / 4))
        }
        (Op::StartsWith, Value::String(text), Value::String(affix)) => {
            Some((text.starts_with(&**affix), affix.len() / 64))
        }
        (Op::EndsWith, Value::String(text), Value::String(affix)) => {
            Some((text.ends_with(&**affix), affix.len() / 64))
        }
        (
            Op::Equal
            | Op::NotEqual
            | Op::StrictEqual
            | Op::StrictNotEqual
            | Op::Less
            | Op::LessOrEqual
            | Op::Greater
            | Op::GreaterOrEqual,
            a,
            b,
        ) => Some((holds(operator, Some(a), Some(b)), cost(Some(a), Some(b)))),
        _ => None,
    }
}
