//! Collecting problems while compiling, with their places found in the end.

use crate::diagnose::{Code, Diagnostic, Effect};
use crate::limits::DIAGNOSTICS_MAX;
use crate::tape::Tape;

/// The problems of one document.
pub(crate) struct Report<'t> {
    tape: &'t Tape<'t>,
    findings: Vec<(usize, Diagnostic)>,
    /// How many findings concern the flag at hand, and whether one of them is worse than advice.
    flag: FlagFindings,
    left_out: usize,
}

/// What was found about one flag.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FlagFindings {
    pub(crate) any: bool,
    /// The flag cannot be evaluated as written.
    pub(crate) kept: bool,
}

impl<'t> Report<'t> {
    pub(crate) const fn new(tape: &'t Tape<'t>) -> Self {
        let flag = FlagFindings { any: false, kept: false };
        Self { tape, findings: Vec::new(), flag, left_out: 0 }
    }

    /// Starts counting for the next flag.
    pub(crate) fn begin_flag(&mut self) {
        self.flag = FlagFindings::default();
    }

    /// Goes on counting where an interruption began; what it found counts too.
    pub(crate) fn continue_flag(&mut self, outer: FlagFindings) {
        self.flag.any |= outer.any;
        self.flag.kept |= outer.kept;
    }

    /// What was found since the flag began.
    pub(crate) const fn flag_findings(&self) -> FlagFindings {
        self.flag
    }

    pub(crate) fn document(&mut self, code: Code, node: usize, message: String) {
        self.add(code, node, None, message, None);
    }

    pub(crate) fn add(
        &mut self,
        code: Code,
        node: usize,
        flag: Option<&str>,
        message: String,
        hint: Option<String>,
    ) {
        self.flag.any = true;
        self.flag.kept |= code.effect() == Effect::FlagKept;
        if self.findings.len() >= DIAGNOSTICS_MAX {
            self.left_out += 1;
            return;
        }
        let flag = flag.map(Box::from);
        self.findings.push((node, Diagnostic { code, flag, message, hint, position: None }));
    }

    /// Everything found, in reading order.
    pub(crate) fn take(&mut self) -> Vec<Diagnostic> {
        let mut findings = std::mem::take(&mut self.findings);
        findings.sort_by_key(|(node, _)| *node);
        let mut places = self.tape.places();
        let mut diagnostics: Vec<Diagnostic> = findings
            .into_iter()
            .map(|(node, diagnostic)| Diagnostic { position: places.of(node), ..diagnostic })
            .collect();
        if let (Some(last), 1..) = (diagnostics.last_mut(), self.left_out) {
            let more = format!("and {} more problems that are not listed", self.left_out);
            last.hint =
                Some(last.hint.take().map_or(more.clone(), |hint| format!("{hint}; {more}")));
        }
        diagnostics
    }
}
