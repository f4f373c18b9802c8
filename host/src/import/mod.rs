//! `tidegate import`: from `nginx.conf` to `tidegate.toml`.
//!
//! `syntax` reads the file and what it includes; `directives` is the one table of what becomes
//! of each directive; `convert` walks the blocks, works out what is in force in each location
//! by nginx's rules of inheritance, and asks the table for what that is here; `toml` writes it.
//! What has no equal is found with its place and what to do, never left out silently.

mod compare;
mod convert;
mod directives;
mod report;
mod syntax;
#[cfg(test)]
mod tests;
mod toml;
mod units;

use std::path::{Path, PathBuf};

pub use compare::{Comparison, Difference, Setting, compare};
pub use report::{Finding, Severity};

/// How a file is to be read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// nginx's `-p`: where relative paths begin. Without it they stay relative, to the folder
    /// of the file.
    pub prefix: Option<PathBuf>,
    /// nginx's `-g`: directives before those of the file.
    pub globals: String,
    /// Whether what has no equal is left out with a warning.
    pub lenient: bool,
}

/// What an import came to.
#[derive(Debug)]
pub struct Imported {
    /// The text of a `tidegate.toml`; what had no equal is not in it.
    pub text: String,
    /// What the operator should know, by file and line.
    pub findings: Vec<Finding>,
}

impl Imported {
    /// Whether the text means what the file does.
    pub fn is_whole(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}

/// Read an nginx configuration and write what means the same.
pub fn import(file: &Path, options: &Options) -> Imported {
    let folder = folder_of(file);
    let mut parser = syntax::Parser::new(folder);
    let mut directives = parser.text(&options.globals, "-g");
    directives.extend(parser.file(file));
    let mut report = report::Report::new(options.lenient);
    for problem in parser.into_problems() {
        report.broken(problem);
    }
    let paths = convert::Paths::new(folder, options.prefix.as_deref());
    let (text, report) = convert::convert(&directives, report, paths, &file.display().to_string());
    let mut imported = Imported { text, findings: report.into_findings() };
    if imported.is_whole() {
        imported.findings.extend(unsound(&imported.text, folder));
    }
    imported
}

/// What `tidegate check` would have against the text, but for files that are not there yet.
fn unsound(text: &str, folder: &Path) -> Vec<Finding> {
    let Err(problems) = crate::config::load_str(text, folder, "the result") else { return Vec::new() };
    let is_of_files = |message: &str| message.contains("(os error ");
    let found = problems.iter().filter(|problem| !is_of_files(&problem.message));
    found.map(|problem| Finding { severity: Severity::Error, problem: problem.clone() }).collect()
}

/// The folder at which relative paths of an imported text begin.
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub use directives::reference::reference;
