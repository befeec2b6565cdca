//! What `var` sees: the context, and in loops the element or the state of a `reduce`.

use super::{Data, Fault, Observer, Outcome, Scope, Walk};
use crate::context::TARGETING_KEY;
use crate::operand::Operand;
use crate::rule::{FLAGD, Operands, Operator, Segment, Variable};
use crate::value::{Object, Value};

impl<'a, O: Observer> Walk<'a, O> {
    #[inline]
    pub(super) fn variable(
        &mut self,
        variable: &'a Variable,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        match (&scope.data, variable.attribute()) {
            // The usual case.
            (Data::Context, Some(name)) => {
                let found = self.subject.context.get_precomputed(name.fingerprint, &name.name);
                Ok(found.map_or(Operand::NULL, Operand::Borrowed))
            }
            _ => self.variable_anywhere(variable, scope),
        }
    }

    fn variable_anywhere(&mut self, variable: &'a Variable, scope: &Scope<'a, '_>) -> Outcome<'a> {
        if let (Some(outer), true) = (scope.outer, variable.sees_outer) {
            let seen = self.variable(variable, outer)?;
            if !seen.is_null() {
                return Ok(seen);
            }
        }
        let default = match &variable.default {
            None => Operand::NULL,
            Some(rule) => self.eval(rule, scope)?,
        };
        self.look_up(&variable.path, default, scope)
    }

    /// `var` whose operand has to be evaluated first.
    pub(super) fn computed_variable(
        &mut self,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        if let Some(outer) = scope.outer {
            let seen = self.computed_variable(operands, outer)?;
            if !seen.is_null() {
                return Ok(seen);
            }
        }
        let path = match operands {
            Operands::One(rule) => self.eval(rule, scope)?,
            Operands::Many(rules) => Operand::list(self.eval_all(rules, scope)?),
        };
        self.look_up_value(path, scope)
    }

    /// Looks up what a value names: a path, or a list of a path and a default.
    pub(super) fn look_up_value(
        &mut self,
        path: Operand<'a>,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        let (path, default) = match path.into_items() {
            Err(scalar) if scalar.is_null() => return Ok(self.scalar_data(scope)),
            Err(scalar) => match scalar.as_number() {
                Some(number) => {
                    let text = crate::coerce::text_of_number(number.as_f64());
                    (Operand::text(text), Operand::NULL)
                }
                None => (scalar, Operand::NULL),
            },
            Ok(mut items) => match (items.next(), items.next(), items.next()) {
                (None, ..) => (Operand::text(String::new()), Operand::NULL),
                (Some(path), Some(default), None) => (path, default),
                (Some(path), ..) => (path, Operand::NULL),
            },
        };
        let text =
            path.as_str().ok_or_else(|| Fault::operand(Operator::Var, "a text as its path"))?;
        self.burn(text.len() / 8)?;
        let segments: Vec<Segment> = Segment::split(text).collect();
        self.look_up(&segments, default, scope)
    }

    pub(super) fn look_up(
        &mut self,
        path: &[Segment],
        default: Operand<'a>,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        let Some((first, rest)) = path.split_first() else {
            return self.whole_data(scope);
        };
        let start = match &scope.data {
            Data::Context if *first.name == *FLAGD => Some(Operand::built(self.flagd_data())),
            Data::Context => {
                let context = self.subject.context;
                context.get_precomputed(first.fingerprint, &first.name).map(Operand::Borrowed)
            }
            Data::Element(element) => {
                self.burn(element.step_cost())?;
                element.step(first)
            }
            Data::Reduction { current, accumulator, kind } => match &*first.name {
                "current" => Some(current.clone()),
                "accumulator" => Some(accumulator.clone()),
                "valueType" => Some(Operand::built(Value::from(*kind))),
                _ => None,
            },
        };
        let mut found = start;
        for segment in rest {
            let Some(at) = found else { break };
            self.burn(at.step_cost())?;
            found = at.step(segment);
        }
        let found = found.filter(|value| !value.is_null()).unwrap_or(default);
        self.burn(found.copy_cost() - 1)?;
        Ok(found)
    }

    /// What `{"var": null}` answers: the data if it is a scalar.
    pub(super) fn scalar_data(&self, scope: &Scope<'a, '_>) -> Operand<'a> {
        match &scope.data {
            Data::Element(element) if !element.is_list() && element.as_object().is_none() => {
                element.clone()
            }
            _ => Operand::NULL,
        }
    }

    pub(super) fn whole_data(&mut self, scope: &Scope<'a, '_>) -> Outcome<'a> {
        let data = match &scope.data {
            Data::Element(element) => element.clone(),
            Data::Context => {
                let flagd = (Box::from(FLAGD), self.flagd_data());
                let attributes = self.subject.context.iter().filter(|(name, _)| *name != FLAGD);
                let members = attributes.map(|(name, value)| (Box::from(name), value.clone()));
                let object: Object = members.chain([flagd]).collect();
                Operand::built(Value::Object(object))
            }
            Data::Reduction { current, accumulator, kind } => {
                let members = [
                    (Box::from("current"), current.to_value()),
                    (Box::from("accumulator"), accumulator.to_value()),
                    (Box::from("valueType"), Value::from(*kind)),
                ];
                Operand::built(Value::Object(members.into_iter().collect()))
            }
        };
        self.burn(data.copy_cost())?;
        Ok(data)
    }

    pub(super) fn flagd_data(&self) -> Value {
        let members = [
            (Box::from("flagKey"), Value::from(self.subject.flag.key())),
            (Box::from("timestamp"), Value::from(self.subject.now.0)),
        ];
        Value::Object(members.into_iter().collect())
    }

    /// The targeting key of the data, if it is a text that is not empty.
    pub(super) fn targeting_key<'s>(&'s self, scope: &'s Scope<'a, '_>) -> Option<&'s str> {
        let key = match &scope.data {
            Data::Context => self.subject.context.targeting_key(),
            Data::Element(element) => element.as_object()?.get(TARGETING_KEY)?.as_str(),
            Data::Reduction { .. } => None,
        };
        key.filter(|key| !key.is_empty())
    }
}
