//! From the nodes of a document to a rule.

use super::advise;
use super::evaluators::{Compiled, Evaluators};
use super::report::Report;
use crate::bucket::Generation;
use crate::diagnose::{Code, closest};
use crate::limits::{FLAG_NODES_MAX, RULE_DEPTH_MAX};
use crate::rule::{Operands, Operator, Rule, Segment, Variable};
use crate::split::{Entry, Split, total_weight};
use crate::tape::{Items, Kind, Name, Node};
use crate::value::Value;

/// How large a rule is, what it refers to included.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub(crate) nodes: usize,
    pub(crate) depth: usize,
}

/// Compiles the rule of one flag, or of one evaluator.
pub(crate) struct RuleCompiler<'c, 't, 'r> {
    pub(crate) flag: Option<&'c str>,
    generation: Generation,
    evaluators: &'c mut Evaluators<'t>,
    pub(crate) report: &'c mut Report<'r>,
    size: Size,
    depth: usize,
}

impl<'c, 't, 'r> RuleCompiler<'c, 't, 'r> {
    pub(crate) fn new(
        flag: Option<&'c str>,
        generation: Generation,
        evaluators: &'c mut Evaluators<'t>,
        report: &'c mut Report<'r>,
    ) -> Self {
        Self { flag, generation, evaluators, report, size: Size::default(), depth: 0 }
    }

    pub(crate) const fn size(&self) -> Size {
        self.size
    }

    pub(crate) fn compile(&mut self, node: Node<'t>) -> Rule {
        self.depth += 1;
        self.size.nodes += 1;
        self.size.depth = self.size.depth.max(self.depth);
        let rule = match node.kind() {
            _ if self.size.nodes > FLAG_NODES_MAX => self.too_large(node),
            Kind::Array(items) => self.list(items),
            Kind::Object(members) => match members.only() {
                Some((name, operands)) => self.operation(name, operands),
                // Without a single member it is not an operation but a value.
                None => Rule::Literal(node.to_value()),
            },
            Kind::TooDeep => {
                self.error(
                    Code::TooDeep,
                    node.index(),
                    "the rule nests too deeply".to_owned(),
                    None,
                );
                broken("the rule nests too deeply")
            }
            _ => Rule::Literal(node.to_value()),
        };
        self.depth -= 1;
        rule
    }

    fn too_large(&mut self, node: Node<'t>) -> Rule {
        // Reported once: the count stays over the limit from here on.
        if self.size.nodes == FLAG_NODES_MAX + 1 {
            let message = format!("the rule has more than {FLAG_NODES_MAX} nodes");
            self.error(Code::FlagTooLarge, node.index(), message, None);
        }
        broken("the rule is too large")
    }

    /// An array: a literal if nothing in it has to be evaluated.
    fn list(&mut self, items: Items<'t>) -> Rule {
        let rules: Vec<Rule> = items.map(|item| self.compile(item)).collect();
        if rules.iter().all(|rule| matches!(rule, Rule::Literal(_))) {
            let values = rules.into_iter().filter_map(|rule| match rule {
                Rule::Literal(value) => Some(value),
                _ => None,
            });
            return Rule::Literal(Value::Array(values.collect()));
        }
        Rule::List(rules.into())
    }

    fn operation(&mut self, name: Name<'t>, operands: Node<'t>) -> Rule {
        if name.text == "$ref" {
            return self.reference(name, operands);
        }
        let Some(operator) = Operator::from_name(name.text) else {
            return self.unknown_operator(name);
        };
        advise::operands(operator, name, operands, self);
        match operator {
            Operator::Var => self.variable(operands),
            Operator::Fractional => self.fractional(operands),
            Operator::Map
            | Operator::Filter
            | Operator::Reduce
            | Operator::All
            | Operator::Some
            | Operator::None => self.iteration(operator, operands),
            _ => Rule::Apply(operator, self.operands(operands)),
        }
    }

    fn unknown_operator(&mut self, name: Name<'t>) -> Rule {
        let hint = closest(name.text, Operator::NAMES.iter().copied());
        let hint = hint.map(|known| format!("did you mean {known:?}?"));
        let message = format!("there is no operator {:?}", name.text);
        self.error(Code::OperatorUnknown, name.index, message.clone(), hint);
        broken(&message)
    }

    fn reference(&mut self, name: Name<'t>, target: Node<'t>) -> Rule {
        let Some(text) = target.as_text() else {
            return self.unknown_operator(name);
        };
        let target = Name { text, index: target.index() };
        let resolved = self.evaluators.resolve(target, self.flag, self.generation, self.report);
        let Some(Compiled { rule, size }) = resolved else {
            return broken(&format!("the reference to {text:?} leads nowhere"));
        };
        self.size.nodes += size.nodes;
        self.size.depth = self.size.depth.max(self.depth + size.depth);
        if self.size.depth > RULE_DEPTH_MAX {
            let message =
                format!("the rule nests deeper than {RULE_DEPTH_MAX} with its references");
            self.error(Code::TooDeep, target.index, message, None);
            return broken("the rule nests too deeply");
        }
        Rule::Reference(text.into(), rule)
    }

    fn operands(&mut self, node: Node<'t>) -> Operands {
        match node.kind() {
            Kind::Array(items) => Operands::Many(items.map(|item| self.compile(item)).collect()),
            _ => Operands::One(Box::new(self.compile(node))),
        }
    }

    /// `var`, with its path taken apart if it is a literal.
    fn variable(&mut self, node: Node<'t>) -> Rule {
        let (path, default) = match node.kind() {
            Kind::Text(path) => {
                let sees_outer = !path.is_empty() && !path.starts_with('.');
                return Rule::Variable(Variable { sees_outer, ..Variable::new(path, None) });
            }
            Kind::Array(mut items) => match (items.next(), items.next(), items.next()) {
                (Some(path), None, _) => (path.as_text(), None),
                (Some(path), Some(default), None) => (path.as_text(), Some(default)),
                _ => (None, None),
            },
            Kind::Number(number) => {
                let text = crate::coerce::text_of_number(number.as_f64());
                return Rule::Variable(Variable::new(&text, None));
            }
            _ => (None, None),
        };
        match path {
            None => Rule::Apply(Operator::Var, self.operands(node)),
            Some(path) => {
                let default = default.map(|default| Box::new(self.compile(default)));
                Rule::Variable(Variable::new(path, default))
            }
        }
    }

    /// A loop. What it loops over is either computed or taken as it is written, and anything but a
    /// list counts as nothing.
    fn iteration(&mut self, operator: Operator, node: Node<'t>) -> Rule {
        let Kind::Array(mut items) = node.kind() else {
            return Rule::Apply(operator, self.operands(node));
        };
        let subject = items.next().map(|subject| match subject.kind() {
            Kind::Object(_) => self.compile(subject),
            Kind::Array(_) => Rule::Literal(subject.to_value()),
            _ => Rule::Literal(Value::Null),
        });
        let rest = items.map(|item| self.compile(item));
        Rule::Apply(operator, Operands::Many(subject.into_iter().chain(rest).collect()))
    }

    /// `fractional`, prepared if all of its entries are sound literals.
    fn fractional(&mut self, node: Node<'t>) -> Rule {
        let operands = self.operands(node);
        let Operands::Many(rules) = operands else {
            return Rule::Apply(Operator::Fractional, operands);
        };
        let names_unit = rules
            .first()
            .is_some_and(|rule| !matches!(rule, Rule::Literal(Value::Array(_)) | Rule::List(_)));
        let entries: Option<Box<[Entry]>> = rules
            .iter()
            .skip(usize::from(names_unit))
            .map(|rule| match rule {
                Rule::Literal(value) => Entry::of_value(value, self.generation),
                _ => None,
            })
            .collect();
        let prepared = entries.and_then(|entries| Some((total_weight(&entries)?, entries)));
        match prepared {
            None => Rule::Apply(Operator::Fractional, Operands::Many(rules)),
            Some((total, entries)) => {
                let bucket_by = names_unit.then(|| rules.into_iter().next()).flatten();
                Rule::Split(Box::new(Split { bucket_by, entries, total }))
            }
        }
    }

    pub(crate) fn error(&mut self, code: Code, node: usize, message: String, hint: Option<String>) {
        self.report.add(code, node, self.flag, message, hint);
    }
}

impl Variable {
    fn new(path: &str, default: Option<Box<Rule>>) -> Self {
        let segments = Segment::split(path).collect();
        Self { text: path.into(), path: segments, default, sees_outer: true }
    }
}

fn broken(why: &str) -> Rule {
    Rule::Broken(why.into())
}
