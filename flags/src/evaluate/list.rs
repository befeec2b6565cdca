//! Lists: loops, membership, missing attributes.
//!
//! The quirks are flagd's: `filter`, `some` and `none` let a `var` see the data around the loop
//! before the element; `all`, `map` and `reduce` do not.

use super::{Data, Fault, Observer, Outcome, Scope, Walk};
use crate::operand::{Items, Operand};
use crate::rule::{Operands, Operator, Rule};
use crate::value::{Number, Object, Value};

impl<'a, O: Observer> Walk<'a, O> {
    pub(super) fn iterate(
        &mut self,
        operator: Operator,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        let rules = super::many(operator, operands)?;
        match (operator, rules) {
            (Operator::Reduce, [subject, step, initial, ..]) => {
                self.reduce(subject, step, initial, scope)
            }
            (Operator::Reduce, _) => Ok(Operand::number(0.0)),
            (Operator::Map | Operator::Filter, [subject, rule, ..]) => {
                match self.subject_of(operator, subject, scope)? {
                    None => Ok(Operand::list(Vec::new())),
                    Some(items) if operator == Operator::Map => self.map(items, rule, scope),
                    Some(items) => self.filter(items, rule, scope),
                }
            }
            (Operator::Map | Operator::Filter, _) => Ok(Operand::list(Vec::new())),
            (_, [subject, rest @ ..]) => self.quantify(operator, subject, rest.first(), scope),
            _ => Err(Fault::operand(operator, "a list")),
        }
    }

    /// The items to loop over; `None` if there is nothing to loop over.
    fn subject_of(
        &mut self,
        operator: Operator,
        rule: &'a Rule,
        scope: &Scope<'a, '_>,
    ) -> Result<Option<Items<'a>>, Fault> {
        let subject = self.eval(rule, scope)?;
        if subject.is_null() {
            return Ok(None);
        }
        self.items_of(operator, subject, rule, scope)
    }

    /// The items of an evaluated subject. One that is no list is an error, unless flagd has put it
    /// in place of its variable before the loop: then it counts as nothing.
    fn items_of(
        &mut self,
        operator: Operator,
        subject: Operand<'a>,
        rule: &'a Rule,
        scope: &Scope<'a, '_>,
    ) -> Result<Option<Items<'a>>, Fault> {
        match (subject.into_items(), rule, scope.around()) {
            (Ok(items), ..) => Ok(Some(items)),
            (Err(_), Rule::Variable(variable), Some(around))
                if variable.sees_outer && !self.variable(variable, around)?.is_null() =>
            {
                Ok(None)
            }
            _ => Err(Fault::operand(operator, "a list")),
        }
    }

    fn map(&mut self, items: Items<'a>, rule: &'a Rule, scope: &Scope<'a, '_>) -> Outcome<'a> {
        let mut mapped = Vec::with_capacity(items.size_hint().0);
        for item in items {
            let inner =
                Scope { data: Data::Element(item), outer: scope.around(), is_seen_below: false };
            mapped.push(self.eval(rule, &inner)?);
        }
        Ok(Operand::list(mapped))
    }

    fn filter(&mut self, items: Items<'a>, rule: &'a Rule, scope: &Scope<'a, '_>) -> Outcome<'a> {
        let mut kept = Vec::new();
        for item in items {
            let inner =
                Scope { data: Data::Element(item), outer: Some(scope), is_seen_below: false };
            let keep = self.eval(rule, &inner)?.is_true();
            if let (true, Data::Element(item)) = (keep, inner.data) {
                kept.push(item);
            }
        }
        Ok(Operand::list(kept))
    }

    /// `all`, `some` and `none`.
    fn quantify(
        &mut self,
        operator: Operator,
        subject: &'a Rule,
        rule: Option<&'a Rule>,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        let evaluated = self.eval(subject, scope)?;
        let items = match evaluated.is_true() {
            true => self.items_of(operator, evaluated, subject, scope)?,
            false => None,
        };
        let Some(items) = items else { return Ok(Operand::bool(operator == Operator::None)) };
        let rule = rule.ok_or_else(|| Fault::operand(operator, "a rule for the items"))?;
        let outer = if operator == Operator::All { scope.around() } else { Some(scope) };
        let is_seen_below = operator != Operator::None;
        // `all` is decided by a false item; `some` and `none` by a true one.
        let decisive = operator != Operator::All;
        for item in items {
            let inner = Scope { data: Data::Element(item), outer, is_seen_below };
            if self.eval(rule, &inner)?.is_true() == decisive {
                return Ok(Operand::bool(operator == Operator::Some));
            }
        }
        Ok(Operand::bool(operator != Operator::Some))
    }

    fn reduce(
        &mut self,
        subject: &'a Rule,
        step: &'a Rule,
        initial: &'a Rule,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        const OP: Operator = Operator::Reduce;
        let mut accumulator = self.eval(initial, scope)?;
        let kind = match accumulator.value() {
            Some(Value::Bool(_)) => "bool",
            Some(Value::Number(_)) => "number",
            Some(Value::String(_)) => "string",
            _ => return Err(Fault::operand(OP, "a text, number or boolean to start from")),
        };
        let Some(items) = self.subject_of(OP, subject, scope)? else {
            return Ok(Operand::number(0.0));
        };
        for current in items.filter(|item| !item.is_null()) {
            self.burn(accumulator.copy_cost())?;
            let data = Data::Reduction { current, accumulator, kind };
            let inner = Scope { data, outer: scope.around(), is_seen_below: false };
            let result = self.eval(step, &inner)?;
            // The accumulator keeps the type it started with.
            accumulator = match kind {
                "bool" => Operand::bool(result.is_true()),
                "number" => Operand::number(self.number(OP, &result)?),
                _ => {
                    let text = result.to_text().ok_or_else(|| Fault::operand(OP, "a text"))?;
                    self.burn_text(text.len())?;
                    Operand::text(text.into_owned())
                }
            };
        }
        Ok(accumulator)
    }

    /// `in`: a text in a text, or an item in a list; a list inside the list is a range.
    #[inline(never)]
    pub(super) fn membership(
        &mut self,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        const OP: Operator = Operator::In;
        let (needle, haystack) = match self.pair(operands, scope)? {
            Some(pair) => pair,
            None => {
                let mut items = self.operand_list(OP, operands, scope)?.into_iter();
                let needle = items.next().ok_or_else(|| Fault::operand(OP, "operands"))?;
                (needle, items.next().unwrap_or(Operand::NULL))
            }
        };
        if let Some(text) = haystack.as_str() {
            let needle = needle.as_str().ok_or_else(|| Fault::operand(OP, "a text to look for"))?;
            self.burn_text(text.len())?;
            return Ok(Operand::bool(text.contains(needle)));
        }
        Ok(Operand::bool(match haystack {
            // The usual case.
            Operand::Borrowed(Value::Array(items)) => {
                self.is_among(&needle, items.iter().map(Operand::Borrowed))?
            }
            haystack => match haystack.into_items() {
                Ok(items) => self.is_among(&needle, items)?,
                Err(_) => false,
            },
        }))
    }

    fn is_among(
        &mut self,
        needle: &Operand<'a>,
        items: impl Iterator<Item = Operand<'a>>,
    ) -> Result<bool, Fault> {
        self.burn(items.size_hint().0 / 4)?;
        for item in items {
            if self.is_member(needle, item)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an item of a list is what is looked for: a number converts the item, anything else has
    /// to be the same.
    #[inline]
    fn is_member(&mut self, needle: &Operand<'_>, item: Operand<'_>) -> Result<bool, Fault> {
        const OP: Operator = Operator::In;
        // The usual case.
        if let (Some(needle), Some(item)) = (needle.as_str(), item.as_str()) {
            return Ok(needle == item);
        }
        let item = match item.into_items() {
            Ok(mut range) => {
                let (Some(from), Some(to)) = (range.next(), range.next()) else {
                    return Err(Fault::operand(OP, "two ends for a range"));
                };
                // The upper end is looked at only if the lower one holds.
                let value = self.number(OP, needle)?;
                return Ok(self.number(OP, &from)? <= value && value <= self.number(OP, &to)?);
            }
            Err(item) => item,
        };
        match needle.as_number() {
            Some(wanted) => Ok(self.number(OP, &item)? == wanted.as_f64()),
            None => Ok(same(needle, &item)),
        }
    }

    pub(super) fn merge(&mut self, operands: &'a Operands, scope: &Scope<'a, '_>) -> Outcome<'a> {
        let items = match self.operands(operands, scope)? {
            Ok(items) => items,
            Err(scalar) if scalar.is_null() || scalar.as_object().is_some() => {
                return Err(Fault::operand(Operator::Merge, "a list"));
            }
            Err(scalar) => vec![scalar],
        };
        let mut merged = Vec::with_capacity(items.len());
        for item in items {
            match item.into_items() {
                Ok(items) => {
                    self.burn(items.size_hint().0)?;
                    merged.extend(items);
                }
                Err(scalar) => merged.push(scalar),
            }
        }
        Ok(Operand::list(merged))
    }

    pub(super) fn missing(&mut self, operands: &'a Operands, scope: &Scope<'a, '_>) -> Outcome<'a> {
        let names = match self.operands(operands, scope)? {
            Ok(names) => names,
            Err(scalar) if scalar.as_str().is_some() => vec![scalar],
            Err(_) => return Err(Fault::operand(Operator::Missing, "names")),
        };
        Ok(Operand::list(self.absent(names, scope)?.0))
    }

    /// `missing_some`: nothing if at least so many of the names are there, else the missing ones.
    pub(super) fn missing_some(
        &mut self,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        const OP: Operator = Operator::MissingSome;
        let mut items = self.operand_list(OP, operands, scope)?.into_iter();
        let (Some(wanted), Some(names)) = (items.next(), items.next()) else {
            return Err(Fault::operand(OP, "a number and names"));
        };
        let wanted = self.number(OP, &wanted)?.trunc();
        let names = names.into_items().map_err(|_| Fault::operand(OP, "a list of names"))?;
        let (absent, present) = self.absent(names.collect(), scope)?;
        let enough = u32::try_from(present).is_ok_and(|present| f64::from(present) >= wanted);
        Ok(Operand::list(if enough { Vec::new() } else { absent }))
    }

    /// The names that lead to nothing, and how many lead to something.
    fn absent(
        &mut self,
        names: Vec<Operand<'a>>,
        scope: &Scope<'a, '_>,
    ) -> Result<(Vec<Operand<'a>>, usize), Fault> {
        let count = names.len();
        let mut absent = Vec::new();
        for name in names {
            if self.look_up_value(name.clone(), scope)?.is_null() {
                absent.push(name);
            }
        }
        let present = count - absent.len();
        Ok((absent, present))
    }

    /// `set`: a copy of an object with one member changed.
    pub(super) fn set(&mut self, operands: &'a Operands, scope: &Scope<'a, '_>) -> Outcome<'a> {
        let items = self.operand_list(Operator::Set, operands, scope)?;
        let [object, name, value, ..] = items.as_slice() else {
            return Ok(items.into_iter().next().unwrap_or(Operand::NULL));
        };
        let Some(members) = object.as_object() else { return Ok(object.clone()) };
        let name = name.as_str().ok_or_else(|| Fault::operand(Operator::Set, "a member's name"))?;
        self.burn(Operand::built(object.to_value()).copy_cost() + value.copy_cost())?;
        let change: Object = [(Box::from(name), value.to_value())].into_iter().collect();
        Ok(Operand::built(Value::Object(members.overlaid_with(&change))))
    }

    /// `contains_all`, `contains_any` and `contains_none` of two lists.
    pub(super) fn contains(
        &mut self,
        operator: Operator,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        let refused = Operand::bool(operator == Operator::ContainsNone);
        let Ok(items) = self.operands(operands, scope)? else { return Ok(refused) };
        let Ok([list, wanted]) = <[Operand<'a>; 2]>::try_from(items) else { return Ok(refused) };
        let (Ok(list), Ok(wanted)) = (list.into_items(), wanted.into_items()) else {
            return Ok(refused);
        };
        let (list, wanted): (Vec<_>, Vec<_>) = (list.collect(), wanted.collect());
        self.burn(list.len().saturating_mul(wanted.len()) / 4)?;
        let mut found = wanted.iter().map(|item| list.iter().any(|other| same(item, other)));
        Ok(Operand::bool(match operator {
            Operator::ContainsAll => found.all(|found| found),
            Operator::ContainsAny => found.any(|found| found),
            _ => !found.any(|found| found),
        }))
    }
}

fn same(a: &Operand<'_>, b: &Operand<'_>) -> bool {
    match (a.value(), b.value()) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => Number::as_f64(*a) == b.as_f64(),
        (Some(Value::Array(_) | Value::Object(_)), _)
        | (_, Some(Value::Array(_) | Value::Object(_))) => false,
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}
