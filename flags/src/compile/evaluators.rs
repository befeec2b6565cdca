//! `$evaluators`: named rules that flags share by reference.
//!
//! References are resolved on the nodes of the document, never in its text. The evaluators form a
//! directed graph; it has to be free of circles, and its longest path is bounded.

use std::collections::HashMap;
use std::sync::Arc;

use super::report::Report;
use super::rule::{RuleCompiler, Size};
use crate::bucket::Generation;
use crate::diagnose::{Code, closest};
use crate::limits::REFERENCE_DEPTH_MAX;
use crate::rule::Rule;
use crate::tape::{Kind, Name, Node};

/// The evaluators of one document, each compiled when a flag first refers to it.
pub(crate) struct Evaluators<'t> {
    by_name: HashMap<&'t str, Slot<'t>>,
    /// The names being compiled, outermost first.
    chain: Vec<&'t str>,
}

struct Slot<'t> {
    node: Node<'t>,
    state: State,
}

#[derive(Clone)]
enum State {
    Waiting,
    Compiled(Compiled),
    Broken,
}

/// An evaluator that can be shared.
#[derive(Clone)]
pub(crate) struct Compiled {
    pub(crate) rule: Arc<Rule>,
    pub(crate) size: Size,
}

impl<'t> Evaluators<'t> {
    pub(crate) fn read(section: Option<Node<'t>>, report: &mut Report<'_>) -> Self {
        let mut by_name = HashMap::new();
        if let Some(Kind::Object(members)) = section.map(Node::kind) {
            for (name, node) in members {
                let mut slot = Slot { node, state: State::Waiting };
                if by_name.contains_key(name.text) {
                    let message = format!("the evaluator {:?} is defined twice", name.text);
                    report.add(Code::EvaluatorDuplicate, name.index, None, message, None);
                    slot.state = State::Broken;
                }
                by_name.insert(name.text, slot);
            }
        }
        Self { by_name, chain: Vec::new() }
    }

    /// The document's own text of an evaluator.
    pub(crate) fn node(&self, name: &str) -> Option<Node<'t>> {
        self.by_name.get(name).map(|slot| slot.node)
    }

    /// The evaluator that a `$ref` names. `None` if there is none that works, which is reported.
    pub(crate) fn resolve(
        &mut self,
        name: Name<'t>,
        flag: Option<&str>,
        generation: Generation,
        report: &mut Report<'_>,
    ) -> Option<Compiled> {
        let mut refuse = |code, message: String, hint| {
            report.add(code, name.index, flag, message, hint);
            None
        };
        let text = name.text;
        let Some(slot) = self.by_name.get(text) else {
            let hint = closest(text, self.by_name.keys().copied());
            let hint = hint.map(|known| format!("did you mean {known:?}?"));
            return refuse(Code::ReferenceUnknown, format!("there is no evaluator {text:?}"), hint);
        };
        if let Some(start) = self.chain.iter().position(|link| *link == text) {
            let circle: Vec<&str> = self.chain.iter().skip(start).copied().chain([text]).collect();
            let message = format!("the evaluators refer in a circle: {}", circle.join(" → "));
            return refuse(Code::ReferenceCycle, message, None);
        }
        if self.chain.len() >= REFERENCE_DEPTH_MAX {
            let message = format!("more than {REFERENCE_DEPTH_MAX} references in a chain");
            return refuse(Code::ReferenceTooDeep, message, None);
        }
        match slot.state.clone() {
            State::Compiled(compiled) => Some(compiled),
            State::Broken => {
                let message = format!("the evaluator {text:?} has errors");
                refuse(Code::ReferenceBroken, message, None)
            }
            State::Waiting => {
                let node = slot.node;
                self.compile(text, node, flag, generation, report)
            }
        }
    }

    fn compile(
        &mut self,
        name: &'t str,
        node: Node<'t>,
        flag: Option<&str>,
        generation: Generation,
        report: &mut Report<'_>,
    ) -> Option<Compiled> {
        self.chain.push(name);
        let outer_findings = report.flag_findings();
        report.begin_flag();
        let mut compiler = RuleCompiler::new(flag, generation, self, report);
        let rule = compiler.compile(node);
        let size = compiler.size();
        let is_broken = report.flag_findings().kept;
        report.continue_flag(outer_findings);
        self.chain.pop();
        let state = if is_broken {
            State::Broken
        } else {
            State::Compiled(Compiled { rule: Arc::new(rule), size })
        };
        if let Some(slot) = self.by_name.get_mut(name) {
            slot.state = state.clone();
        }
        match state {
            State::Compiled(compiled) => Some(compiled),
            State::Waiting | State::Broken => None,
        }
    }
}
