//! The header lines of a head: one text, and where in it the lines are.
//!
//! A parsed head keeps the buffer that it was read into; an edit adds its text at the end.
//! Heads have a dozen lines, so that a look at each is cheaper than a hash table's making.

use std::fmt;

/// Header lines, in order and with the case of their names.
#[derive(Clone, Default)]
pub struct Fields {
    text: Vec<u8>,
    lines: Vec<Line>,
}

/// Where a line's name and value are in the text.
#[derive(Debug, Clone, Copy)]
struct Line {
    name: u32,
    value: u32,
    value_len: u32,
    name_len: u16,
}

/// Room for the lines that the proxy adds.
const SPARE: usize = 6;

impl Fields {
    /// No lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// A head's text and where its lines are in it.
    pub(crate) fn of_text(text: Vec<u8>, lines: Lines) -> Self {
        Self { text, lines: lines.0 }
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The value of the first line of this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.lines.iter().find(|line| self.is(line, name)).map(|line| self.value(line))
    }

    /// The value of the first line of this name, where it is text.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of all lines of this name, in order.
    pub fn get_all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f [u8]> {
        self.lines.iter().filter(move |line| self.is(line, name)).map(|line| self.value(line))
    }

    /// The comma-separated tokens of all lines of this name (RFC 9110 §5.6.1).
    pub fn tokens<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        let lines = self.get_all(name).filter_map(|value| std::str::from_utf8(value).ok());
        lines.flat_map(|line| line.split(',')).map(str::trim).filter(|token| !token.is_empty())
    }

    /// Whether one of the tokens is this one, without regard to case.
    pub fn has_token(&self, name: &str, wanted: &str) -> bool {
        self.tokens(name).any(|token| token.eq_ignore_ascii_case(wanted))
    }

    /// Whether there is a line of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.lines.iter().any(|line| self.is(line, name))
    }

    /// All lines: names in their case, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines.iter().map(|line| (self.name(line), self.value(line)))
    }

    /// Add a line at the end. Name and value must have been checked.
    pub fn append(&mut self, name: &str, value: &[u8]) {
        if let Some(line) = self.write(name, value) {
            self.lines.push(line);
        }
    }

    /// Replace the lines of this name by one, where the first of them was; at the end where
    /// there was none.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        let Some(new) = self.write(name, value) else { return };
        let mut new = Some(new);
        let text = &self.text;
        self.lines.retain_mut(|line| {
            if !is(text, line, name) {
                return true;
            }
            match new.take() {
                Some(new) => {
                    *line = new;
                    true
                }
                None => false,
            }
        });
        self.lines.extend(new);
    }

    /// Add a line at the end where there is none of its name.
    pub fn set_default(&mut self, name: &str, value: &[u8]) {
        if !self.contains(name) {
            self.append(name, value);
        }
    }

    /// Remove all lines of this name.
    pub fn remove(&mut self, name: &str) {
        self.retain(|kept| !kept.eq_ignore_ascii_case(name.as_bytes()));
    }

    /// Keep the lines whose name `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let text = &self.text;
        self.lines.retain(|line| keep(part(text, line.name, u32::from(line.name_len))));
    }

    /// The lines as they are sent, each with its line end.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for line in &self.lines {
            out.extend_from_slice(part(&self.text, line.name, u32::from(line.name_len)));
            out.extend_from_slice(b": ");
            out.extend_from_slice(self.value(line));
            out.extend_from_slice(b"\r\n");
        }
    }

    /// About how many bytes [`Fields::write_to`] will write.
    pub fn size(&self) -> usize {
        self.text.len() + 4 * self.lines.len()
    }

    fn write(&mut self, name: &str, value: &[u8]) -> Option<Line> {
        let at = u32::try_from(self.text.len()).ok()?;
        let name_len = u16::try_from(name.len()).ok()?;
        let value_len = u32::try_from(value.len()).ok()?;
        let value_at = at.checked_add(u32::from(name_len))?;
        value_at.checked_add(value_len)?;
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(value);
        Some(Line { name: at, name_len, value: value_at, value_len })
    }

    fn is(&self, line: &Line, name: &str) -> bool {
        is(&self.text, line, name)
    }

    fn name(&self, line: &Line) -> &str {
        name(&self.text, line)
    }

    fn value(&self, line: &Line) -> &[u8] {
        part(&self.text, line.value, line.value_len)
    }
}

/// Where the lines of a head are in its text.
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    /// Find where names and values, which are slices of `text`, are in it.
    pub(crate) fn locate<'t>(text: &'t [u8], lines: impl ExactSizeIterator<Item = (&'t str, &'t [u8])>) -> Self {
        let start = text.as_ptr() as usize;
        let at = |part: &[u8]| u32::try_from((part.as_ptr() as usize).wrapping_sub(start)).ok();
        let mut found = Vec::with_capacity(lines.len() + SPARE);
        found.extend(lines.filter_map(|(name, value)| {
            let (name_len, value_len) = (u16::try_from(name.len()).ok()?, u32::try_from(value.len()).ok()?);
            // An empty value may be a slice of nothing in particular.
            let value_at = if value.is_empty() { 0 } else { at(value)? };
            Some(Line { name: at(name.as_bytes())?, name_len, value: value_at, value_len })
        }));
        Self(found)
    }
}

fn is(text: &[u8], line: &Line, name: &str) -> bool {
    usize::from(line.name_len) == name.len()
        && part(text, line.name, u32::from(line.name_len)).eq_ignore_ascii_case(name.as_bytes())
}

fn name<'t>(text: &'t [u8], line: &Line) -> &'t str {
    // Names are tokens, which are ASCII.
    std::str::from_utf8(part(text, line.name, u32::from(line.name_len))).unwrap_or_default()
}

fn part(text: &[u8], at: u32, len: u32) -> &[u8] {
    let at = at as usize;
    text.get(at..at.saturating_add(len as usize)).unwrap_or_default()
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, value.escape_ascii().to_string()))).finish()
    }
}

/// The same lines in the same order, names without regard to case.
impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().zip(other.iter()).all(|((a, x), (b, y))| a.eq_ignore_ascii_case(b) && x == y)
    }
}

impl Eq for Fields {}

impl<'a> FromIterator<(&'a str, &'a str)> for Fields {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(lines: I) -> Self {
        let mut fields = Self::new();
        for (name, value) in lines {
            fields.append(name, value.as_bytes());
        }
        fields
    }
}

/// Lines of HTTP/2 or HTTP/3: names in lower case, those of one name together.
impl From<&http::HeaderMap> for Fields {
    fn from(lines: &http::HeaderMap) -> Self {
        let mut fields = Self::new();
        for (name, value) in lines {
            fields.append(name.as_str(), value.as_bytes());
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(fields: &Fields) -> String {
        let mut out = Vec::new();
        fields.write_to(&mut out);
        String::from_utf8(out).unwrap().replace("\r\n", "|")
    }

    #[test]
    fn order_and_case_are_kept() {
        let fields: Fields = [("X-A", "1"), ("x-b", "2"), ("X-a", "3")].into_iter().collect();
        assert_eq!(lines(&fields), "X-A: 1|x-b: 2|X-a: 3|");
        assert_eq!(fields.get("x-a"), Some(&b"1"[..]));
        assert_eq!(fields.get_all("X-A").collect::<Vec<_>>(), [b"1", b"3"]);
        assert!(fields.contains("X-B") && !fields.contains("X"));
    }

    #[test]
    fn tokens_of_all_lines() {
        let fields: Fields = [("Connection", "a, ,B"), ("connection", "Keep-Alive ")].into_iter().collect();
        assert_eq!(fields.tokens("connection").collect::<Vec<_>>(), ["a", "B", "Keep-Alive"]);
        assert!(fields.has_token("connection", "keep-alive") && !fields.has_token("connection", "keep"));
    }

    #[test]
    fn edits() {
        let mut fields: Fields = [("A", "1"), ("B", "2"), ("a", "3")].into_iter().collect();
        fields.set("a", b"4");
        assert_eq!(lines(&fields), "a: 4|B: 2|");
        fields.set("C", b"");
        fields.set_default("b", b"x");
        fields.append("B", b"5");
        assert_eq!(lines(&fields), "a: 4|B: 2|C: |B: 5|");
        fields.remove("b");
        assert_eq!(lines(&fields), "a: 4|C: |");
    }
}
