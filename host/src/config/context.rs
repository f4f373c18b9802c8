//! What every part of the reader shares: the text, where relative paths begin, and the
//! problems found so far.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::problem::{Problem, Problems};
use super::types::Spot;

/// The state of one reading.
pub(super) struct Context {
    pub(super) file: Arc<str>,
    text: String,
    /// The byte at which each line begins.
    lines: Vec<usize>,
    base_dir: PathBuf,
    problems: RefCell<Vec<Problem>>,
}

impl Context {
    pub(super) fn new(text: &str, base_dir: &Path, file: &str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Self {
            file: file.into(),
            text: text.to_owned(),
            lines,
            base_dir: base_dir.to_owned(),
            problems: RefCell::default(),
        }
    }

    /// Line and column of a byte, 1-based; columns count characters.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count());
        (line, column + 1)
    }

    /// Note a problem at a byte of the text.
    pub(super) fn problem(&self, at: usize, key: &str, message: impl Into<String>) {
        self.note(at, key, message.into(), None);
    }

    /// Note a problem, and what to do about it.
    pub(super) fn hinted(&self, at: usize, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.note(at, key, message.into(), Some(hint.into()));
    }

    fn note(&self, at: usize, key: &str, message: String, hint: Option<String>) {
        let (line, column) = self.position(at);
        let key = key.to_owned();
        self.problems.borrow_mut().push(Problem { file: Arc::clone(&self.file), line, column, key, message, hint });
    }

    /// Forget what was found from the line of this byte on.
    pub(super) fn drop_after(&self, at: usize) {
        let (line, _) = self.position(at);
        self.problems.borrow_mut().retain(|p| p.line < line);
    }

    /// A value of a plugin's config and where its text stands.
    pub(super) fn spot(&self, pointer: String, path: &str, at: usize) -> Spot {
        let (line, column) = self.position(at);
        Spot { pointer, path: path.to_owned(), line, column }
    }

    /// A path of the file, which is relative to the file's folder.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.base_dir.join(text)
    }

    /// Everything found.
    pub(super) fn into_problems(self) -> Option<Problems> {
        Problems::new(self.problems.into_inner())
    }
}

/// The key path of `key` in the table at `path`; quoted where TOML asks for it.
pub(super) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let context = Context::new("a\nbü = 1\n", Path::new("."), "x");
        assert_eq!(context.position(0), (1, 1));
        assert_eq!(context.position(1), (1, 2));
        assert_eq!(context.position(2), (2, 1));
        assert_eq!(context.position("a\nbü".len()), (2, 3));
        assert_eq!(context.position("a\nbü = 1\n".len()), (3, 1));
    }

    #[test]
    fn key_paths_are_quoted_as_in_toml() {
        assert_eq!(join("", "sites"), "sites");
        assert_eq!(join("upstreams", "my chat"), "upstreams.\"my chat\"");
    }
}
