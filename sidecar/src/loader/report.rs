//! What the log says about a document: one line for each problem, up to a number.

use outrigger_flags::{Diagnostic, InvalidDocument, Severity, SourceName};

/// Most problems of one document that are logged one by one.
const LINES_MAX: usize = 20;

/// Logs the problems of a document that was taken over.
pub(super) fn problems(source: &SourceName, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics.iter().take(LINES_MAX) {
        log(source, diagnostic);
    }
    let rest = diagnostics.len().saturating_sub(LINES_MAX);
    if rest > 0 {
        tracing::warn!(%source, rest, "more problems; `outrigger validate` shows all");
    }
}

/// Logs why a document was refused.
pub(super) fn refused(source: &SourceName, invalid: &InvalidDocument) {
    tracing::error!(%source, "document refused; the flags stay as they are");
    problems(source, invalid.diagnostics());
}

fn log(source: &SourceName, diagnostic: &Diagnostic) {
    let at = diagnostic.position.map(tracing::field::display);
    let problem = tracing::field::display(diagnostic);
    match diagnostic.severity() {
        Severity::Error => tracing::error!(%source, at, problem, "problem in a flag document"),
        Severity::Warning => tracing::warn!(%source, at, problem, "problem in a flag document"),
    }
}
