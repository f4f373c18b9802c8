//! From words to directives, with the files that they include.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::reader::{End, Reader};
use super::{Directive, MOST_ALTOGETHER, MOST_BYTES, MOST_DEPTH, MOST_INCLUDES, Span, Word, glob};
use crate::config::Problem;

/// Reads a file and those that it includes.
pub(in crate::import) struct Parser {
    /// The folder at which relative names of files to include begin: that of the first file.
    folder: PathBuf,
    /// The files that are being read, each included by the one before.
    open: Vec<PathBuf>,
    bytes: u64,
    problems: Vec<Problem>,
}

impl Parser {
    /// A parser for a file in this folder.
    pub(in crate::import) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), open: Vec::new(), bytes: 0, problems: Vec::new() }
    }

    /// The directives of a file. What is not in the grammar ends the file that it stands in and
    /// is one of [`Self::into_problems`].
    pub(in crate::import) fn file(&mut self, path: &Path) -> Vec<Directive> {
        self.include(path, &Span::of_file(path), 0)
    }

    /// The directives of a text that stands in no file, such as that of `-g`.
    pub(in crate::import) fn text(&mut self, text: &str, label: &str) -> Vec<Directive> {
        self.directives(&mut Reader::new(text, label.into()), 0)
    }

    /// What was wrong.
    pub(in crate::import) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    fn complain(&mut self, span: &Span, message: impl Into<String>, hint: Option<&str>) {
        self.problems.push(span.problem("include", message, hint.map(str::to_owned)));
    }

    fn include(&mut self, path: &Path, from: &Span, depth: usize) -> Vec<Directive> {
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.open.contains(&canonical) {
            let message = format!("{} includes itself", path.display());
            self.complain(from, message, Some("take the line out that leads back to it"));
            return Vec::new();
        }
        if self.open.len() >= MOST_INCLUDES {
            self.complain(from, format!("more than {MOST_INCLUDES} files include each other"), None);
            return Vec::new();
        }
        let text = match self.read(path) {
            Ok(text) => text,
            Err(why) => {
                self.complain(from, format!("{} {why}", path.display()), None);
                return Vec::new();
            }
        };
        self.open.push(canonical);
        let label: Arc<str> = path.display().to_string().into();
        let directives = self.directives(&mut Reader::new(&text, label), depth);
        self.open.pop();
        directives
    }

    fn read(&mut self, path: &Path) -> Result<String, String> {
        let cannot = |error: std::io::Error| format!("cannot be read: {error}");
        let file = File::open(path).map_err(cannot)?;
        let about = file.metadata().map_err(cannot)?;
        if !about.is_file() {
            return Err("is not a file".to_owned());
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
        self.bytes += bytes.len() as u64;
        if bytes.len() as u64 > MOST_BYTES || self.bytes > MOST_ALTOGETHER {
            return Err("is too large for a configuration".to_owned());
        }
        // Comments of old files are often in other encodings; words are checked one by one.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The directives up to the end of the text, which must not end a block.
    fn directives(&mut self, reader: &mut Reader<'_>, depth: usize) -> Vec<Directive> {
        let mut found = Vec::new();
        match self.block(reader, depth, &mut found) {
            Ok(End::Close) => {
                let hint = "a `}` too many, or a `{` that is missing before".to_owned();
                self.problems.push(reader.span().problem("", "unexpected `}`", Some(hint)));
            }
            Ok(_) => {}
            Err(problem) => self.problems.push(problem),
        }
        found
    }

    /// Directives up to what ends them.
    fn block(&mut self, reader: &mut Reader<'_>, depth: usize, found: &mut Vec<Directive>) -> Result<End, Problem> {
        loop {
            let (words, end) = reader.words()?;
            let mut words = words.into_iter();
            let Some(name) = words.next() else { return Ok(end) };
            let args: Vec<Word> = words.collect();
            let block = match end {
                End::Open => Some(self.inner(reader, depth, &name)?),
                _ => None,
            };
            if name.text == "include" && block.is_none() {
                self.included(&name, &args, depth, found);
            } else {
                found.push(Directive { name, args, block });
            }
        }
    }

    fn inner(&mut self, reader: &mut Reader<'_>, depth: usize, name: &Word) -> Result<Vec<Directive>, Problem> {
        if name.text.ends_with("_by_lua_block") {
            reader.skip_block();
            return Ok(Vec::new());
        }
        if depth + 1 >= MOST_DEPTH {
            return Err(name.span.problem("", format!("more than {MOST_DEPTH} blocks stand in each other"), None));
        }
        let mut inner = Vec::new();
        match self.block(reader, depth + 1, &mut inner)? {
            End::Close => Ok(inner),
            _ => Err(name.span.problem("", format!("the block of `{}` is not closed", name.text), None)),
        }
    }

    /// nginx: `include`.
    fn included(&mut self, name: &Word, args: &[Word], depth: usize, found: &mut Vec<Directive>) {
        let [pattern] = args else {
            self.complain(&name.span, "takes one file or pattern", None);
            return;
        };
        let path = self.folder.join(&pattern.text);
        if !glob::is_pattern(&pattern.text) {
            found.extend(self.include(&path, &pattern.span, depth));
            return;
        }
        match glob::files(&path) {
            Ok(files) => {
                for file in files {
                    found.extend(self.include(&file, &pattern.span, depth));
                }
            }
            Err(why) => self.complain(&pattern.span, why, None),
        }
    }
}
