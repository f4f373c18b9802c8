//! TOML text as a tree in which every value knows where it stands. Tables keep the order
//! of the text.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and the byte at which it begins. No `Debug`: it may hold secrets.
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) at: usize,
}

/// What TOML knows.
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Flag(bool),
    /// As TOML writes it.
    Datetime(String),
    List(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What it is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Flag(_) => "a boolean",
            Self::Datetime(_) => "a date or time",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Whether it is a list without items.
    pub(super) fn is_empty_list(&self) -> bool {
        matches!(&self.value, Value::List(items) if items.is_empty())
    }

    /// The items of a list; none for another value.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }
}

/// A table: its entries in the order of the text.
#[derive(Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
}

/// A table without entries, for one that is not in the text.
pub(super) static EMPTY: Table = Table { entries: Vec::new() };

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.key == key)
    }
}

/// A key and its value.
pub(super) struct Entry {
    pub(super) key: String,
    /// The byte at which the key begins.
    pub(super) key_at: usize,
    pub(super) node: Node,
}

/// A place where the text is not TOML.
pub(super) struct SyntaxError {
    pub(super) at: usize,
    pub(super) message: String,
    /// Whether it is just a key that is there twice, which leaves the document readable.
    pub(super) twice: bool,
}

/// Read the text, as much of it as can be read.
pub(super) fn parse(text: &str) -> (Table, Vec<SyntaxError>) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut errors: Vec<SyntaxError> = errors
        .into_iter()
        .map(|e| {
            let span = e.span().unwrap_or(text.len()..text.len());
            let twice = e.message() == "duplicate key";
            let key = text.get(span.clone()).unwrap_or_default();
            let message = if twice { format!("the key `{key}` is here twice") } else { e.message().to_owned() };
            SyntaxError { at: span.start, message, twice }
        })
        .collect();
    let root = table(root.get_ref(), &mut errors);
    (root, errors)
}

fn table(source: &DeTable<'_>, errors: &mut Vec<SyntaxError>) -> Table {
    let mut entries: Vec<Entry> = source
        .iter()
        .filter_map(|(key, value)| {
            let node = node(value, errors)?;
            Some(Entry { key: key.get_ref().to_string(), key_at: key.span().start, node })
        })
        .collect();
    entries.sort_by_key(|e| e.key_at);
    Table { entries }
}

/// None for a value that could not be read: `errors` then has the reason.
fn node(source: &Spanned<DeValue<'_>>, errors: &mut Vec<SyntaxError>) -> Option<Node> {
    let at = source.span().start;
    // The parser puts an integer of no length where a value is missing.
    if source.span().is_empty() {
        return None;
    }
    let mut number_error = |what: &str| errors.push(SyntaxError { at, message: what.to_owned(), twice: false });
    let value = match source.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(datetime) => Value::Datetime(datetime.to_string()),
        DeValue::Integer(i) => match i64::from_str_radix(i.as_str(), i.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                number_error("integer does not fit in 64 bits");
                return None;
            }
        },
        DeValue::Float(float) => match float.as_str().parse() {
            Ok(number) => Value::Float(number),
            Err(_) => {
                number_error("not a number");
                return None;
            }
        },
        DeValue::Array(items) => Value::List(items.iter().filter_map(|n| node(n, errors)).collect()),
        DeValue::Table(entries) => Value::Table(table(entries, errors)),
    };
    Some(Node { value, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_the_order_of_the_text() {
        let (root, errors) = parse("z = 1\na = 2\n[m.b]\n[m.a]\nq = { y = 1, b = 2 }\n[c]\n");
        assert!(errors.is_empty());
        let keys = |t: &Table| t.entries.iter().map(|e| e.key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(&root), ["z", "a", "m", "c"]);
        let m = root.get("m").unwrap().node.table().unwrap();
        assert_eq!(keys(m), ["b", "a"]);
        let q = m.get("a").unwrap().node.table().unwrap().get("q").unwrap();
        assert_eq!(keys(q.node.table().unwrap()), ["y", "b"]);
    }

    #[test]
    fn all_syntax_errors_come_at_once_with_what_could_be_read() {
        let (root, errors) = parse("a = \nb = 2\nc = [1,\nd = 99999999999999999999\n");
        assert!(errors.len() >= 2, "{}", errors.len());
        assert!(root.get("a").is_none());
        assert!(matches!(root.get("b").unwrap().node.value, Value::Integer(2)));
    }
}
