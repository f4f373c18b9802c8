//! The output: TOML that people read, in a stable order.

use std::fmt::Write as _;

/// A line is not made longer than this by tables in it.
const WIDTH: usize = 110;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Count(u64),
    Flag(bool),
    List(Vec<Value>),
    Table(Vec<(String, Value)>),
}

impl Value {
    /// A text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A list of texts.
    pub(super) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::Text(text.into())).collect())
    }

    /// In one line.
    fn inline(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Count(count) => count.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::List(list) => format!("[{}]", list.iter().map(Self::inline).collect::<Vec<_>>().join(", ")),
            Self::Table(table) if table.is_empty() => "{}".to_owned(),
            Self::Table(table) => {
                let pairs: Vec<_> =
                    table.iter().map(|(key, value)| format!("{} = {}", bare(key), value.inline())).collect();
                format!("{{ {} }}", pairs.join(", "))
            }
        }
    }
}

/// The keys of a table, in order; a dot in a key leads into a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Keys(pub(super) Vec<(String, Value)>);

impl Keys {
    /// Set a key, in the place that it has or else at the end.
    pub(super) fn set(&mut self, key: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, place)) => *place = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Take a key out.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(at).1)
    }

    /// Put an entry into a table of texts.
    pub(super) fn put(&mut self, key: &str, name: &str, value: &str) {
        if !self.has(key) {
            self.set(key, Value::Table(Vec::new()));
        }
        if let Some((_, Value::Table(table))) = self.0.iter_mut().find(|(known, _)| known == key) {
            match table.iter_mut().find(|(known, _)| known == name) {
                Some((_, place)) => *place = Value::text(value),
                None => table.push((name.to_owned(), Value::text(value))),
            }
        }
    }

    /// Add to a list.
    pub(super) fn push(&mut self, key: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, Value::List(list))) => list.push(value),
            _ => self.set(key, Value::List(vec![value])),
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys with dotted ones gathered into tables, each where its first stands.
    fn gathered(&self) -> Vec<(String, Value)> {
        let mut all: Vec<(String, Value)> = Vec::new();
        for (key, value) in &self.0 {
            let Some((table, inner)) = key.split_once('.') else {
                all.push((key.clone(), value.clone()));
                continue;
            };
            match all.iter_mut().find(|(known, _)| known == table) {
                Some((_, Value::Table(keys))) => keys.push((inner.to_owned(), value.clone())),
                _ => all.push((table.to_owned(), Value::Table(vec![(inner.to_owned(), value.clone())]))),
            }
        }
        all
    }
}

/// A table with its header, such as `[[sites]]`.
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    /// The path of the table, such as `sites.routes`.
    pub(super) path: String,
    /// Whether it is one of a list.
    pub(super) is_item: bool,
    pub(super) comments: Vec<String>,
    pub(super) keys: Keys,
}

impl Section {
    /// `[path]`
    pub(super) fn table(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// `[[path]]`
    pub(super) fn item(path: impl Into<String>) -> Self {
        Self { path: path.into(), is_item: true, ..Self::default() }
    }

    /// With a comment.
    pub(super) fn comment(mut self, text: impl Into<String>) -> Self {
        self.comments.push(text.into());
        self
    }

    fn render(&self, out: &mut String) {
        for comment in &self.comments {
            for line in comment.lines() {
                let _ = writeln!(out, "# {line}");
            }
        }
        let (open, close) = if self.is_item { ("[[", "]]") } else { ("[", "]") };
        let _ = writeln!(out, "{open}{}{close}", self.path);
        let mut tables = Vec::new();
        for (key, value) in self.keys.gathered() {
            let line = format!("{} = {}", bare(&key), value.inline());
            match value {
                _ if line.chars().count() <= WIDTH => out.push_str(&format!("{line}\n")),
                Value::Table(inner) => tables.push((key, inner)),
                Value::List(list) => {
                    let _ = writeln!(out, "{} = [", bare(&key));
                    wrapped(&list, out);
                    out.push_str("]\n");
                }
                _ => out.push_str(&format!("{line}\n")),
            }
        }
        for (key, inner) in tables {
            let _ = writeln!(out, "\n[{}.{}]", self.path, bare(&key));
            for (name, value) in inner {
                let _ = writeln!(out, "{} = {}", bare(&name), value.inline());
            }
        }
    }
}

/// The members of a list, tables each in a line of its own.
fn wrapped(list: &[Value], out: &mut String) {
    let mut line = String::new();
    for value in list {
        let text = value.inline();
        let is_table = matches!(value, Value::Table(_));
        if !line.is_empty() && (is_table || line.chars().count() + text.chars().count() + 4 > WIDTH) {
            let _ = writeln!(out, "  {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&text);
        line.push(',');
    }
    let _ = writeln!(out, "  {line}");
}

/// The file.
pub(super) fn render(head: &[String], sections: &[Section]) -> String {
    let mut out = String::new();
    for line in head {
        let _ = writeln!(out, "# {line}");
    }
    for section in sections {
        out.push('\n');
        section.render(&mut out);
    }
    out
}

/// A key.
pub(super) fn bare(key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if plain { key.to_owned() } else { quoted(key) }
}

/// A string.
fn quoted(text: &str) -> String {
    let escapes = text.contains(['"', '\\']);
    if escapes && !text.contains('\'') && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut section = Section::item("sites").comment("nginx.conf:1");
        let odd = "a\"b\\c'd\n\t\u{1}é";
        section.keys.set("names", Value::texts(["a", "b"]));
        section.keys.set("timeouts.read", Value::text("1h"));
        section.keys.put("set_headers", "X-A.b", odd);
        section.keys.set("timeouts.send", Value::text(r"^\d"));
        section.keys.set("long", Value::texts((0..40).map(|n| format!("text/{n}"))));
        section.keys.set("wide", Value::Table((0..40).map(|n| (format!("k{n}"), Value::Count(n))).collect()));
        section.keys.set("flag", Value::Flag(true));
        let text = render(&["head".to_owned()], &[section]);
        let read = toml::de::DeTable::parse(&text).unwrap();
        let site = &read.get_ref()["sites"].get_ref()[0].get_ref();
        assert_eq!(site["timeouts"].get_ref()["read"].get_ref().as_str(), Some("1h"));
        assert_eq!(site["timeouts"].get_ref()["send"].get_ref().as_str(), Some(r"^\d"));
        assert_eq!(site["set_headers"].get_ref()["X-A.b"].get_ref().as_str(), Some(odd));
        assert_eq!(site["long"].get_ref().as_array().unwrap().len(), 40);
        assert!(site["wide"].get_ref().get("k39").is_some());
        assert!(
            text.starts_with("# head\n\n# nginx.conf:1\n[[sites]]\nnames = [\"a\", \"b\"]\ntimeouts = { "),
            "{text}"
        );
    }
}
