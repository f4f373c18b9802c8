//! What an import has to say: what has no equal, what differs, what is wrong.

use std::fmt;

use super::syntax::{Directive, Span};
use crate::config::Problem;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It means the same, but for a difference that is named.
    Note,
    /// It was left out, as `--lenient` allows.
    Warning,
    /// There is no configuration that means the same.
    Error,
}

/// Something that the operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Where, what, and what to do; the key is the directive's name.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{word}: {}", self.problem)
    }
}

/// Findings, as they are made.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
    lenient: bool,
}

impl Report {
    pub(super) fn new(lenient: bool) -> Self {
        Self { findings: Vec::new(), lenient }
    }

    /// The text is no configuration of nginx's.
    pub(super) fn broken(&mut self, problem: Problem) {
        self.add(Severity::Error, problem);
    }

    /// A directive has no equal, or not with these arguments.
    pub(super) fn lacks(&mut self, directive: &Directive, message: impl Into<String>, instead: impl Into<String>) {
        self.lacks_at(&directive.name.span, directive.name(), message, instead);
    }

    /// As [`Self::lacks`], at another place.
    pub(super) fn lacks_at(&mut self, span: &Span, name: &str, message: impl Into<String>, instead: impl Into<String>) {
        let severity = if self.lenient { Severity::Warning } else { Severity::Error };
        let instead = instead.into();
        self.add(severity, span.problem(name, message, (!instead.is_empty()).then_some(instead)));
    }

    /// A directive means the same but for this.
    pub(super) fn differs(&mut self, directive: &Directive, message: impl Into<String>) {
        self.add(Severity::Note, directive.name.span.problem(directive.name(), message, None));
    }

    fn add(&mut self, severity: Severity, problem: Problem) {
        // A server that is at two places, or a directive that several routes inherit, is one.
        let finding = Finding { severity, problem };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// What was left out of these directives, as comments.
    pub(super) fn left_out(&self, directives: &[Directive]) -> Vec<String> {
        let stands_here = |problem: &Problem| {
            directives.iter().any(|directive| {
                let span = &directive.name.span;
                *span.file == *problem.file && span.line == problem.line && span.column == problem.column
            })
        };
        let left = self.findings.iter().filter(|f| f.severity == Severity::Warning && stands_here(&f.problem));
        left.map(|finding| format!("not imported: {}", finding.problem)).collect()
    }

    /// All, in the order of files and lines.
    pub(super) fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by(|a, b| {
            let place = |f: &Finding| (f.problem.file.to_string(), f.problem.line, f.problem.column);
            place(a).cmp(&place(b))
        });
        self.findings
    }
}
