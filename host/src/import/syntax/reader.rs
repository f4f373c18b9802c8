//! From bytes to words, as nginx reads them (`ngx_conf_read_token`).

use std::sync::Arc;

use super::{MOST_WORD, Span, Word};
use crate::config::Problem;

/// What ends a directive's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// `;`
    Semicolon,
    /// `{`
    Open,
    /// `}`, before any word.
    Close,
    /// The end of the file, before any word.
    File,
}

/// A file that is being read.
pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
    file: Arc<str>,
    line: usize,
    column: usize,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, file: Arc<str>) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { text, at: 0, file, line: 1, column: 1 }
    }

    /// Where the next character stands.
    pub(super) fn span(&self) -> Span {
        Span { file: Arc::clone(&self.file), line: self.line, column: self.column }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn skip_space(&mut self) {
        while let Some(c) = self.peek() {
            if c == '#' {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.next();
                }
            } else if !is_space(c) {
                return;
            } else {
                self.next();
            }
        }
    }

    /// The words up to what ends them.
    ///
    /// # Errors
    /// What nginx refuses, with its place.
    pub(super) fn words(&mut self) -> Result<(Vec<Word>, End), Problem> {
        let mut words: Vec<Word> = Vec::new();
        loop {
            self.skip_space();
            let span = self.span();
            let Some(c) = self.peek() else {
                return match words.first() {
                    None => Ok((words, End::File)),
                    Some(first) => {
                        let hint = "close the directive with `;` or give it a `{ … }`";
                        Err(first.span.problem("", "unexpected end of file", Some(hint.to_owned())))
                    }
                };
            };
            let end = match c {
                ';' => End::Semicolon,
                '{' => End::Open,
                '}' => End::Close,
                _ => {
                    words.push(self.word()?);
                    continue;
                }
            };
            self.next();
            if words.is_empty() == (end == End::Close) {
                return Ok((words, end));
            }
            let missing = (end == End::Close).then(|| "a `;` is missing before it".to_owned());
            return Err(span.problem("", format!("unexpected `{c}`"), missing));
        }
    }

    fn word(&mut self) -> Result<Word, Problem> {
        let span = self.span();
        let text = match self.peek() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote, &span)?,
            _ => self.plain(&span)?,
        };
        if text.contains('\u{fffd}') {
            let hint = "save the file as UTF-8";
            return Err(span.problem("", "has bytes that are not UTF-8", Some(hint.to_owned())));
        }
        Ok(Word { text, span })
    }

    fn quoted(&mut self, quote: char, span: &Span) -> Result<String, Problem> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(span.problem("", format!("the quote `{quote}` is not closed"), None)),
                Some(c) if c == quote => break,
                Some('\\') => self.escape(&mut text),
                Some(c) => text.push(c),
            }
            check_length(&text, span)?;
        }
        // nginx: what follows a closing quote must not be a part of a word.
        match self.peek() {
            None | Some(';' | '{' | ')') => Ok(text),
            Some(c) if is_space(c) => Ok(text),
            Some(c) => Err(self.span().problem("", format!("unexpected `{c}` after a closing quote"), None)),
        }
    }

    fn plain(&mut self, span: &Span) -> Result<String, Problem> {
        let mut text = String::new();
        while let Some(c) = self.peek() {
            // `${name}` is a part of the word.
            let braced = c == '{' && text.ends_with('$');
            if is_space(c) || c == ';' || (c == '{' && !braced) {
                break;
            }
            self.next();
            if c == '\\' {
                self.escape(&mut text)
            } else {
                text.push(c)
            }
            check_length(&text, span)?;
        }
        Ok(text)
    }

    /// What stands behind a backslash: nginx takes it away before quotes and itself, makes
    /// control characters of `t`, `r` and `n`, and leaves all else as it is.
    fn escape(&mut self, text: &mut String) {
        match self.next() {
            Some(c @ ('"' | '\'' | '\\')) => text.push(c),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('n') => text.push('\n'),
            Some(c) => text.extend(['\\', c]),
            None => text.push('\\'),
        }
    }

    /// Pass over the rest of a block that is not of this grammar (Lua's), by counting braces.
    pub(super) fn skip_block(&mut self) {
        let mut depth = 1_usize;
        while let Some(c) = self.next() {
            match c {
                '"' | '\'' => self.skip_text(c),
                '-' if self.peek() == Some('-') => while self.next().is_some_and(|c| c != '\n') {},
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }
}

impl Reader<'_> {
    /// Pass over a text of Lua's, in which braces mean nothing.
    fn skip_text(&mut self, quote: char) {
        while let Some(c) = self.next() {
            match c {
                '\\' => {
                    self.next();
                }
                _ if c == quote || c == '\n' => return,
                _ => {}
            }
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn check_length(text: &str, span: &Span) -> Result<(), Problem> {
    if text.len() <= MOST_WORD {
        return Ok(());
    }
    let start: String = text.chars().take(20).collect();
    let hint = "a quote may not be closed".to_owned();
    Err(span.problem("", format!("the word that begins with `{}` is too long", start.escape_debug()), Some(hint)))
}
