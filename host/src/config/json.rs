//! A plugin's `config` table as JSON, with secrets put in and with the place of every
//! value.

use serde_json::{Map, Number, Value as Json};

use super::context::{Context, join};
use super::document::{Entry, Node, Table, Value};
use super::types::Spot;

/// Where a secret's text is.
enum Reference<'a> {
    File(&'a str),
    Environment(&'a str),
}

/// The table as a reference: exactly one key, `from_file` or `from_env`, with a string.
fn reference(table: &Table) -> Option<Reference<'_>> {
    let [Entry { key, node, .. }] = table.entries.as_slice() else { return None };
    match (key.as_str(), node.text()?) {
        ("from_file", path) => Some(Reference::File(path)),
        ("from_env", name) => Some(Reference::Environment(name)),
        _ => None,
    }
}

/// The text of a file, less one line end, or of an environment variable. Problems name
/// the source and never the text.
fn fetch(cx: &Context, reference: &Reference<'_>, at: usize, path: &str) -> Option<String> {
    match reference {
        Reference::File(file) => match std::fs::read_to_string(cx.path(file)) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                Some(text.strip_suffix('\r').unwrap_or(text).to_owned())
            }
            Err(e) => {
                let file = cx.path(file);
                cx.problem(at, path, format!("cannot read {}: {e}", file.display()));
                None
            }
        },
        Reference::Environment(name) => match std::env::var(name) {
            Ok(text) => Some(text),
            Err(std::env::VarError::NotPresent) => {
                cx.problem(at, path, format!("the environment variable {name} is not set"));
                None
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                cx.problem(at, path, format!("the environment variable {name} is not UTF-8"));
                None
            }
        },
    }
}

/// A string, or the text that a reference stands for.
pub(super) fn secret(cx: &Context, node: &Node, path: &str) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Table(table) => fetch(cx, &reference(table)?, node.at, path),
        _ => None,
    }
}

/// A table as a JSON object. `spots` gets the place of every value in it.
pub(super) fn object(
    cx: &Context,
    table: &Table,
    path: &str,
    pointer: &str,
    spots: &mut Vec<Spot>,
) -> Map<String, Json> {
    let mut object = Map::new();
    for entry in &table.entries {
        let path = join(path, &entry.key);
        let pointer = format!("{pointer}/{}", escape(&entry.key));
        object.insert(entry.key.clone(), value(cx, &entry.node, &path, &pointer, spots));
    }
    object
}

fn value(cx: &Context, node: &Node, path: &str, pointer: &str, spots: &mut Vec<Spot>) -> Json {
    spots.push(cx.spot(pointer.to_owned(), path, node.at));
    match &node.value {
        Value::Text(text) | Value::Datetime(text) => Json::String(text.clone()),
        Value::Integer(n) => Json::Number((*n).into()),
        Value::Float(n) => match Number::from_f64(*n) {
            Some(number) => Json::Number(number),
            None => {
                cx.problem(node.at, path, "JSON has no infinity and no NaN");
                Json::Null
            }
        },
        Value::Flag(flag) => Json::Bool(*flag),
        Value::List(items) => {
            let item = |(i, item)| value(cx, item, &format!("{path}[{i}]"), &format!("{pointer}/{i}"), spots);
            Json::Array(items.iter().enumerate().map(item).collect())
        }
        Value::Table(table) => match reference(table) {
            Some(reference) => fetch(cx, &reference, node.at, path).map_or(Json::Null, Json::String),
            None => Json::Object(object(cx, table, path, pointer, spots)),
        },
    }
}

/// A key as a part of a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
