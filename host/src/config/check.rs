//! The first pass: every table against the table of keys. After it, a value that has the
//! wrong type or form has been reported, and the reader may treat it as absent.

use std::fmt::Display;
use std::net::SocketAddr;

use super::context::{Context, join};
use super::document::{Entry, Node, Table, Value};
use super::key::{Default, Key, Kind, Section};
use super::keys;
use super::suggest::{hint, nearest};
use super::units::{ShownDuration, ShownSize, UnitError, parse_duration, parse_size};

/// Check the whole document. `whole` is false where the text is not TOML in places: then
/// nothing can be said to be missing.
pub(super) fn check(cx: &Context, root: &Table, whole: bool) {
    Check { cx, whole }.table(root, Section::Top, "", 0);
}

struct Check<'a> {
    cx: &'a Context,
    whole: bool,
}

impl Check<'_> {
    fn table(&self, table: &Table, section: Section, path: &str, at: usize) {
        for entry in &table.entries {
            let path = join(path, &entry.key);
            match keys::of(section).find(|k| k.name == entry.key) {
                None => self.unknown(entry, section, &path),
                Some(key) if !key.supported() => {
                    let message = format!("`{}` is not supported yet", key.name);
                    self.cx.hinted(entry.key_at, &path, message, key.doc.trim_end_matches('.'));
                }
                Some(key) => self.value(&entry.node, key.kind, &path),
            }
        }
        let required = keys::of(section).filter(|k| matches!(k.default, Default::Required));
        for key in required.filter(|k| self.whole && table.get(k.name).is_none()) {
            self.cx.hinted(at, &join(path, key.name), "is missing", format!("it is required {}", section.place()));
        }
    }

    fn unknown(&self, entry: &Entry, section: Section, path: &str) {
        let name = entry.key.as_str();
        let message = format!("unknown key `{name}` {}", section.place());
        match unknown_hint(name, section) {
            Some(hint) => self.cx.hinted(entry.key_at, path, message, hint),
            None => self.cx.problem(entry.key_at, path, message),
        }
    }

    fn value(&self, node: &Node, kind: Kind, path: &str) {
        match (kind, &node.value) {
            (Kind::Flag, Value::Flag(_)) => {}
            (Kind::Count { least, most }, Value::Integer(n)) => {
                if u64::try_from(*n).map_or(true, |n| n < least || n > most) {
                    self.cx.problem(node.at, path, format!("must be {least} to {most}, not {n}"));
                }
            }
            (Kind::Duration { .. }, _) => self.duration(node, kind, path),
            (Kind::Size { .. }, _) => self.size(node, kind, path),
            (Kind::Text, Value::Text(text)) if text.is_empty() => self.cx.problem(node.at, path, "must not be empty"),
            (Kind::Text | Kind::AnyText | Kind::Secret, Value::Text(_)) => {}
            (Kind::Address, Value::Text(text)) => self.address(node, text, path),
            (Kind::Choice { now, later }, Value::Text(text)) => self.choice(node, text, now, later, path),
            (Kind::Texts, Value::List(items)) => {
                self.each(items, path, |item, path| self.value(item, Kind::AnyText, path));
            }
            (Kind::TextMap | Kind::TextMapOrFlag, Value::Table(table)) => {
                for entry in &table.entries {
                    self.value(&entry.node, Kind::AnyText, &join(path, &entry.key));
                }
            }
            (Kind::SecretMap, Value::Table(table)) => {
                for entry in &table.entries {
                    self.value(&entry.node, Kind::Secret, &join(path, &entry.key));
                }
            }
            (Kind::Free, Value::Table(_)) => {}
            (Kind::Secret, Value::Table(table)) => self.reference(node, table, path),
            (
                Kind::Table(section)
                | Kind::TableOrFalse(section)
                | Kind::TableOrFlag(section)
                | Kind::TablesOrFalse(section),
                Value::Table(table),
            ) => {
                self.table(table, section, path, node.at);
            }
            (Kind::TableOrFalse(_) | Kind::TablesOrFalse(_), Value::Flag(false))
            | (Kind::TableOrFlag(_) | Kind::TextMapOrFlag, Value::Flag(_)) => {}
            (Kind::Tables(section) | Kind::TablesOrFalse(section), Value::List(items)) => {
                self.each(items, path, |item, path| self.value(item, Kind::Table(section), path));
            }
            (Kind::Named(section), Value::Table(table)) => {
                for entry in &table.entries {
                    self.value(&entry.node, Kind::Table(section), &join(path, &entry.key));
                }
            }
            (Kind::TextsOrTables(section), Value::List(items)) => {
                self.each(items, path, |item, path| match &item.value {
                    Value::Text(_) => self.value(item, Kind::Text, path),
                    Value::Table(_) => self.value(item, Kind::Table(section), path),
                    other => {
                        let message = format!("must be a string or a table, not {}", other.kind());
                        let example = if section == Section::Peer { "127.0.0.1:9000" } else { "per_client" };
                        self.cx.hinted(item.at, path, message, format!("such as \"{example}\""));
                    }
                })
            }
            (kind, _) => self.wrong_type(node, kind, path),
        }
    }

    fn each(&self, items: &[Node], path: &str, check: impl Fn(&Node, &str)) {
        for (i, item) in items.iter().enumerate() {
            check(item, &format!("{path}[{i}]"));
        }
    }

    fn wrong_type(&self, node: &Node, kind: Kind, path: &str) {
        let (expected, example) = expected(kind);
        self.cx.hinted(node.at, path, format!("must be {expected}, not {}", node.value.kind()), example);
    }

    fn duration(&self, node: &Node, kind: Kind, path: &str) {
        let Kind::Duration { least, most } = kind else { return };
        match &node.value {
            Value::Text(text) => {
                self.unit(node, parse_duration(text), least..=most, ShownDuration, "10ms, 60s, 1m30s", path);
            }
            Value::Integer(n) => self.cx.hinted(
                node.at,
                path,
                "must be a string with a unit, not an integer",
                format!("write \"{n}s\" for seconds"),
            ),
            _ => self.wrong_type(node, kind, path),
        }
    }

    fn size(&self, node: &Node, kind: Kind, path: &str) {
        let Kind::Size { least, most } = kind else { return };
        let size = match &node.value {
            Value::Text(text) => parse_size(text),
            Value::Integer(n) => match u64::try_from(*n) {
                Ok(bytes) => Ok(bytes),
                Err(_) => return self.cx.problem(node.at, path, format!("must not be negative: {n}")),
            },
            _ => return self.wrong_type(node, kind, path),
        };
        self.unit(node, size, least..=most, ShownSize, "64KiB, 16MiB, 1g, or a number of bytes", path);
    }

    /// A duration or size that parsed, or did not, and its bounds.
    fn unit<T: PartialOrd + Copy, S: Display>(
        &self,
        node: &Node,
        parsed: Result<T, UnitError>,
        bounds: std::ops::RangeInclusive<T>,
        shown: impl Fn(T) -> S,
        examples: &str,
        path: &str,
    ) {
        match parsed {
            Err(e) => {
                let text = node.text().unwrap_or_default();
                self.cx.hinted(node.at, path, format!("\"{text}\" {e}"), format!("such as {examples}"));
            }
            Ok(value) if !bounds.contains(&value) => {
                let (least, most) = (shown(*bounds.start()), shown(*bounds.end()));
                self.cx.problem(node.at, path, format!("must be {least} to {most}, not {}", shown(value)));
            }
            Ok(_) => {}
        }
    }

    fn address(&self, node: &Node, text: &str, path: &str) {
        if text.parse::<SocketAddr>().is_ok() {
            return;
        }
        let port = text.rsplit(':').next().filter(|p| p.parse::<u16>().is_ok());
        let hint = match port {
            Some(port) if text.starts_with("localhost:") => format!("write \"127.0.0.1:{port}\""),
            Some(port) if text.parse::<std::net::IpAddr>().is_err() => {
                format!("every IPv4 address: \"0.0.0.0:{port}\"; every address: \"[::]:{port}\"")
            }
            _ => "such as \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned(),
        };
        self.cx.hinted(node.at, path, format!("\"{text}\" is not an IP address and port"), hint);
    }

    fn choice(&self, node: &Node, text: &str, now: &[&'static str], later: &[&'static str], path: &str) {
        if later.contains(&text) {
            let all: Vec<String> = now.iter().map(|w| format!("\"{w}\"")).collect();
            self.cx.hinted(
                node.at,
                path,
                format!("\"{text}\" is not supported yet"),
                format!("there is {}", all.join(", ")),
            );
        } else if !now.contains(&text) {
            let hint = hint(text, now.iter().copied(), "");
            self.cx.hinted(node.at, path, format!("\"{text}\" is not one of its values"), hint);
        }
    }

    /// `{ from_file = … }` or `{ from_env = … }`, where nothing else than text would do.
    fn reference(&self, node: &Node, table: &Table, path: &str) {
        let ok = matches!(table.entries.as_slice(),
            [Entry { key, node, .. }] if (key == "from_file" || key == "from_env") && node.text().is_some());
        if !ok {
            self.wrong_type(node, Kind::Secret, path);
        }
    }
}

/// What a key of this kind takes, and an example.
fn expected(kind: Kind) -> (&'static str, String) {
    let (what, example) = match kind {
        Kind::Flag => ("true or false", "without quotes"),
        Kind::Count { .. } => ("an integer", "without quotes"),
        Kind::Duration { .. } => ("a duration", "such as \"60s\""),
        Kind::Size { .. } => ("a size", "such as \"64KiB\""),
        Kind::Text | Kind::AnyText => ("a string", "in quotes"),
        Kind::Address => ("an address in a string", "such as \"127.0.0.1:8080\""),
        Kind::Choice { now, .. } => {
            let all: Vec<String> = now.iter().map(|w| format!("\"{w}\"")).collect();
            return ("a string", all.join(" or "));
        }
        Kind::Texts => ("a list of strings", "such as [\"one\", \"two\"]"),
        Kind::TextMap => ("a table of strings", "such as { Name = \"value\" }"),
        Kind::TextMapOrFlag => ("a table of strings, true or false", "such as { Name = \"value\" }"),
        Kind::SecretMap => ("a table of strings or references", "such as { name = { from_env = \"NAME\" } }"),
        Kind::Secret => ("a string or a reference", "such as { from_file = \"path\" } or { from_env = \"NAME\" }"),
        Kind::TextsOrTables(Section::Peer) => ("a list", "such as [\"127.0.0.1:9000\"]"),
        Kind::TextsOrTables(section) => return ("a list", section.heading().to_owned()),
        Kind::TablesOrFalse(section) => return ("a table, a list of tables or false", section.heading().to_owned()),
        Kind::TableOrFalse(section) => return ("a table or false", section.heading().to_owned()),
        Kind::TableOrFlag(section) => return ("a table, true or false", section.heading().to_owned()),
        Kind::Table(section) | Kind::Named(section) => return ("a table", section.heading().to_owned()),
        Kind::Tables(section) => return ("a list of tables", section.heading().to_owned()),
        Kind::Free | Kind::Later => ("a table", "such as { key = \"value\" }"),
    };
    (what, example.to_owned())
}

/// What may have been meant by an unknown key: nginx's word for one that is here, one that
/// is spelled nearly so, or one that stands elsewhere.
fn unknown_hint(name: &str, section: Section) -> Option<String> {
    let here = |k: &Key| k.stands_in(section);
    let place = |k: &Key| {
        let all: Vec<String> = k.sections.iter().map(|s| s.place()).collect();
        all.join(" or ")
    };
    let by_directive = |k: &&&Key| k.directives().any(|d| d == name);
    if let Some(key) = keys::ALL.iter().filter(|k| here(k)).find(by_directive) {
        let later = if key.supported() { "" } else { ", and is not supported yet" };
        return Some(format!("nginx's `{name}` is `{}` here{later}", key.name));
    }
    if let Some(near) = nearest(name, keys::of(section).filter(|k| k.supported()).map(|k| k.name)) {
        return Some(format!("did you mean `{near}`?"));
    }
    if let Some(key) = keys::ALL.iter().find(|k| k.name == name) {
        return Some(format!("`{name}` stands {}", place(key)));
    }
    let key = keys::ALL.iter().find(by_directive)?;
    Some(format!("nginx's `{name}` is `{}` {}", key.name, place(key)))
}
