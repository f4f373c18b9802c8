//! The grammar of nginx's configuration files: words, directives, blocks, includes.

mod glob;
mod parser;
mod reader;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use crate::config::Problem;

pub(super) use parser::Parser;

/// The deepest that blocks may stand in each other; nginx's own contexts need six.
const MOST_DEPTH: usize = 64;
/// The deepest that files may include each other.
const MOST_INCLUDES: usize = 32;
/// The largest file, in bytes.
const MOST_BYTES: u64 = 16 << 20;
/// The most bytes of all files together.
const MOST_ALTOGETHER: u64 = 64 << 20;
/// The longest word, in bytes. nginx has 4096.
const MOST_WORD: usize = 64 << 10;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// What the file is called.
    pub(super) file: Arc<str>,
    /// From 1; 0 for the file as a whole.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
}

impl Span {
    /// A file as a whole.
    pub(super) fn of_file(file: &Path) -> Self {
        Self { file: file.display().to_string().into(), line: 0, column: 0 }
    }

    /// Something that is wrong here.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem {
            file: Arc::clone(&self.file),
            line: self.line,
            column: self.column,
            key: key.to_owned(),
            message: message.into(),
            hint,
        }
    }
}

/// A word: its text without quotes and escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) span: Span,
}

/// A directive, with its block where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: Word,
    pub(super) args: Vec<Word>,
    /// What stands between its braces, with what is included there.
    pub(super) block: Option<Vec<Directive>>,
}

impl Directive {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name.text
    }

    /// The argument of this number, from 0; empty where there is none.
    pub(super) fn arg(&self, number: usize) -> &str {
        self.args.get(number).map_or("", |word| word.text.as_str())
    }

    /// All arguments as texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.args.iter().map(|word| word.text.as_str())
    }

    /// What stands in its block; nothing without one.
    pub(super) fn inner(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }

    /// The directives of this name in its block.
    pub(super) fn all<'d>(&'d self, name: &'d str) -> impl Iterator<Item = &'d Directive> {
        self.inner().iter().filter(move |directive| directive.name() == name)
    }
}
