//! Running a compiled rule: a walk over typed nodes that borrows from the rule and the context.
//!
//! The same code answers requests and explains them: an [`Observer`] sees each node, and the one
//! that sees nothing costs nothing. Where flagd's engine panics on a value of the wrong type, and
//! so answers PARSE_ERROR, this one returns a [`Fault`] of the same code.
//!
//! Every walk has [`FUEL_STEPS`] steps; a rule that needs more (nested loops over large lists)
//! fails with GENERAL rather than holding up its caller.

mod compare;
mod condition;
mod data;
mod fractional;
mod list;
mod number;
mod text;

use std::borrow::Cow;
use std::fmt;

use crate::context::EvaluationContext;
use crate::flag::{Flag, ResolutionError};
use crate::limits::{BUILT_TEXT_BYTES_MAX, FUEL_STEPS};
use crate::operand::Operand;
use crate::reason::ErrorCode;
use crate::rule::{Operands, Operator, Rule};

pub(crate) use fractional::Draw;

/// Seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub i64);

/// What a rule is evaluated for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) flag: &'a Flag,
    pub(crate) context: &'a EvaluationContext,
    pub(crate) now: UnixSeconds,
}

/// Why a rule could not be evaluated. Boxed, because faults are rare and every node returns one or
/// an operand.
#[derive(Debug)]
pub(crate) struct Fault(Box<ResolutionError>);

impl Fault {
    #[cold]
    fn operand(operator: Operator, expected: &str) -> Self {
        Self::parse(format!("{:?} needs {expected}", operator.as_str()))
    }

    #[cold]
    fn parse(message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(ResolutionError::new(ErrorCode::ParseError, message)))
    }

    #[cold]
    fn general(message: &'static str) -> Self {
        Self(Box::new(ResolutionError::new(ErrorCode::General, message)))
    }
}

impl From<Fault> for ResolutionError {
    fn from(Fault(error): Fault) -> Self {
        *error
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(crate) type Outcome<'a> = Result<Operand<'a>, Fault>;

/// Sees a walk from inside.
pub(crate) trait Observer {
    /// Whether anything is seen; draws are only written down for one that does.
    const WATCHES: bool = true;
    fn enter(&mut self);
    fn leave(&mut self, rule: &Rule, outcome: &Outcome<'_>);
    fn draw(&mut self, draw: Draw);
}

/// Sees nothing.
pub(crate) struct Unobserved;

impl Observer for Unobserved {
    const WATCHES: bool = false;
    #[inline]
    fn enter(&mut self) {}
    #[inline]
    fn leave(&mut self, _: &Rule, _: &Outcome<'_>) {}
    #[inline]
    fn draw(&mut self, _: Draw) {}
}

/// What `var` looks into.
enum Data<'a> {
    /// The evaluation context.
    Context,
    /// An element of a list.
    Element(Operand<'a>),
    /// The state of a `reduce`.
    Reduction { current: Operand<'a>, accumulator: Operand<'a>, kind: &'static str },
}

/// Where `var` looks: first, where flagd does so, into the data around a loop; then into the data
/// of the innermost loop.
struct Scope<'a, 's> {
    data: Data<'a>,
    outer: Option<&'s Scope<'a, 's>>,
    /// Whether every loop below sees this data as data around it: in `all` and `some` flagd puts an
    /// item's values in place of the variables, those of inner loops included.
    is_seen_below: bool,
}

impl<'a> Scope<'a, '_> {
    /// What a loop in this scope sees as the data around it, if it does not ask for this scope.
    fn around(&self) -> Option<&Scope<'a, '_>> {
        if self.is_seen_below { Some(self) } else { self.outer }
    }
}

/// One walk over one rule.
pub(crate) struct Walk<'a, O> {
    subject: Subject<'a>,
    fuel: u32,
    split: bool,
    pub(crate) observer: O,
}

impl<'a, O: Observer> Walk<'a, O> {
    pub(crate) fn new(subject: Subject<'a>, observer: O) -> Self {
        Self { subject, fuel: FUEL_STEPS, split: false, observer }
    }

    /// Whether `fractional` has drawn a bucket during the walk.
    pub(crate) fn has_split(&self) -> bool {
        self.split
    }

    /// Evaluates the rule over the context.
    pub(crate) fn run(&mut self, rule: &'a Rule) -> Outcome<'a> {
        self.eval(rule, &Scope { data: Data::Context, outer: None, is_seen_below: false })
    }

    /// Inline as far as the leaves go, which are most of a rule.
    #[inline]
    fn eval(&mut self, rule: &'a Rule, scope: &Scope<'a, '_>) -> Outcome<'a> {
        self.observer.enter();
        let outcome = match (self.burn(1), rule) {
            (Err(fault), _) => Err(fault),
            (Ok(()), Rule::Literal(value)) => Ok(Operand::Borrowed(value)),
            (Ok(()), Rule::Variable(variable)) => self.variable(variable, scope),
            (Ok(()), _) => self.dispatch(rule, scope),
        };
        self.observer.leave(rule, &outcome);
        outcome
    }

    fn dispatch(&mut self, rule: &'a Rule, scope: &Scope<'a, '_>) -> Outcome<'a> {
        match rule {
            Rule::Literal(value) => Ok(Operand::Borrowed(value)),
            Rule::Variable(variable) => self.variable(variable, scope),
            Rule::Apply(operator, operands) => self.apply(*operator, operands, scope),
            Rule::Split(split) => self.split(split, scope),
            Rule::List(rules) => self.eval_all(rules, scope).map(Operand::list),
            Rule::Reference(_, rule) => self.eval(rule, scope),
            Rule::Broken(why) => Err(Fault::parse(why.to_string())),
        }
    }

    fn apply(
        &mut self,
        operator: Operator,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        use Operator as Op;
        match operator {
            Op::If | Op::Ternary => self.conditional(operands, scope),
            Op::And => self.junction(Op::And, operands, false, scope),
            Op::Or => self.junction(Op::Or, operands, true, scope),
            Op::In => self.membership(operands, scope),
            Op::StartsWith | Op::EndsWith => self.affix(operator, operands, scope),
            Op::Equal
            | Op::NotEqual
            | Op::StrictEqual
            | Op::StrictNotEqual
            | Op::Less
            | Op::LessOrEqual
            | Op::Greater
            | Op::GreaterOrEqual => self.compare(operator, operands, scope),
            Op::Not => Ok(Operand::bool(!self.truth(operands, scope)?)),
            Op::Truthy => Ok(Operand::bool(self.truth(operands, scope)?)),
            Op::Var => self.computed_variable(operands, scope),
            Op::Add
            | Op::Subtract
            | Op::Multiply
            | Op::Divide
            | Op::Remainder
            | Op::Absolute
            | Op::Minimum
            | Op::Maximum => self.calculate(operator, operands, scope),
            Op::Map | Op::Filter | Op::Reduce | Op::All | Op::Some | Op::None => {
                self.iterate(operator, operands, scope)
            }
            Op::Missing => self.missing(operands, scope),
            Op::MissingSome => self.missing_some(operands, scope),
            Op::Merge => self.merge(operands, scope),
            Op::Set => self.set(operands, scope),
            Op::ContainsAll | Op::ContainsAny | Op::ContainsNone => {
                self.contains(operator, operands, scope)
            }
            Op::Concatenate => self.concatenate(operands, scope),
            Op::Substring => self.substring(operands, scope),
            Op::SemanticVersion => self.semantic_version(operands, scope),
            Op::Fractional => self.fractional(operands, scope),
        }
    }

    // === logic ===

    #[inline(never)]
    fn conditional(&mut self, operands: &'a Operands, scope: &Scope<'a, '_>) -> Outcome<'a> {
        let mut clauses = many(Operator::If, operands)?;
        loop {
            match clauses {
                [] => return Ok(Operand::NULL),
                [last] => return self.eval(last, scope),
                [condition, then, rest @ ..] => {
                    if self.test(condition, scope)? {
                        return self.eval(then, scope);
                    }
                    clauses = rest;
                }
            }
        }
    }

    /// `and` and `or`: the first operand whose truth is `decisive`, else the last one.
    #[inline(never)]
    fn junction(
        &mut self,
        operator: Operator,
        operands: &'a Operands,
        decisive: bool,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        let mut last = Operand::NULL;
        for rule in many(operator, operands)? {
            last = self.eval(rule, scope)?;
            if last.is_true() == decisive {
                break;
            }
        }
        Ok(last)
    }

    /// The truth of the first item of a list, or of anything else as it is.
    fn truth(&mut self, operands: &'a Operands, scope: &Scope<'a, '_>) -> Result<bool, Fault> {
        Ok(match self.operands(operands, scope)? {
            Ok(items) => items.first().is_some_and(Operand::is_true),
            Err(scalar) => scalar.is_true(),
        })
    }

    // === operands ===

    fn eval_all(
        &mut self,
        rules: &'a [Rule],
        scope: &Scope<'a, '_>,
    ) -> Result<Vec<Operand<'a>>, Fault> {
        rules.iter().map(|rule| self.eval(rule, scope)).collect()
    }

    /// The evaluated operands: a list, or the scalar that stands in its place.
    fn operands(
        &mut self,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Result<Result<Vec<Operand<'a>>, Operand<'a>>, Fault> {
        match operands {
            Operands::Many(rules) => self.eval_all(rules, scope).map(Ok),
            Operands::One(rule) => match self.eval(rule, scope)?.into_items() {
                Ok(items) => {
                    self.burn(items.size_hint().0 / 4)?;
                    Ok(Ok(items.collect()))
                }
                Err(scalar) => Ok(Err(scalar)),
            },
        }
    }

    /// The evaluated operands of an operator that must have a list.
    fn operand_list(
        &mut self,
        operator: Operator,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Result<Vec<Operand<'a>>, Fault> {
        self.operands(operands, scope)?.map_err(|_| Fault::operand(operator, "a list of operands"))
    }

    /// The first two of exactly `[a, b]`, evaluated without a list; else `None`.
    #[inline]
    fn pair(
        &mut self,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Result<Option<(Operand<'a>, Operand<'a>)>, Fault> {
        match operands {
            Operands::Many(rules) => match &**rules {
                [a, b] => Ok(Some((self.eval(a, scope)?, self.eval(b, scope)?))),
                _ => Ok(None),
            },
            Operands::One(_) => Ok(None),
        }
    }

    // === limits ===

    #[inline]
    fn burn(&mut self, steps: usize) -> Result<(), Fault> {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        match self.fuel.checked_sub(steps) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => {
                self.fuel = 0;
                Err(Fault::general("the rule takes more steps than an evaluation may"))
            }
        }
    }

    /// Accounts for handling a text of this length.
    fn burn_text(&mut self, bytes: usize) -> Result<(), Fault> {
        if bytes > BUILT_TEXT_BYTES_MAX {
            return Err(Fault::general("the rule builds a text that is too long"));
        }
        self.burn(bytes / 64)
    }
}

/// The operands of an operator that must be written as an array.
fn many(operator: Operator, operands: &Operands) -> Result<&[Rule], Fault> {
    match operands {
        Operands::Many(rules) => Ok(rules),
        Operands::One(_) => Err(Fault::operand(operator, "an array of operands")),
    }
}
