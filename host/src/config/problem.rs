//! What is wrong with a configuration: all of it at once, each with its place.

use std::fmt;
use std::sync::Arc;

use super::types::Plugin;

/// One thing that is wrong. Shown as `FILE:LINE:COLUMN: KEY: MESSAGE (HINT)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's label.
    pub file: Arc<str>,
    /// 1-based; 0 where the problem has no line.
    pub line: usize,
    /// 1-based, in characters; 0 where the problem has no line.
    pub column: usize,
    /// The key path, such as `sites[0].routes[2].timeouts.read`; empty for the file.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem that a plugin reports about its configuration (`lifecycle.configure`).
    /// Where the message begins with a JSON pointer and a colon (`/realm: must not be
    /// empty`), the problem stands at the text that this value comes from, or else at the
    /// nearest value around it, or else at the plugin's own place.
    pub fn at_plugin(plugin: &Plugin, message: &str) -> Self {
        let place = &plugin.place;
        let mut problem = Self {
            file: Arc::clone(&place.file),
            line: place.line,
            column: place.column,
            key: place.path.clone(),
            message: format!("plugin `{}`: {message}", plugin.name),
            hint: None,
        };
        let Some((pointer, text)) = message.split_once(": ").filter(|(p, _)| p.is_empty() || p.starts_with('/')) else {
            return problem;
        };
        let mut around = pointer;
        while !around.is_empty() {
            if let Some(spot) = place.pointers.iter().find(|s| s.pointer == around) {
                // The pointer's rest says what the key path cannot.
                let rest = pointer.strip_prefix(around).filter(|r| !r.is_empty());
                problem.line = spot.line;
                problem.column = spot.column;
                problem.key.clone_from(&spot.path);
                problem.message = match rest {
                    Some(rest) => format!("plugin `{}`: {rest}: {text}", plugin.name),
                    None => format!("plugin `{}`: {text}", plugin.name),
                };
                break;
            }
            around = around.rsplit_once('/').map_or("", |(head, _)| head);
        }
        problem
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration, by line; at least one problem. Shown as
/// one line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// In order of line and column; none where there are no problems.
    pub fn new(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by_key(|p| (p.line, p.column));
        let mut seen: Vec<Problem> = Vec::with_capacity(problems.len());
        problems.retain(|p| {
            // What a site and its routes both find is one problem.
            let new = !seen.iter().rev().take_while(|s| s.line == p.line).any(|s| s == p);
            if new {
                seen.push(p.clone());
            }
            new
        });
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// One by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
