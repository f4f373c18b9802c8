//! What was expected beside what was answered.

use std::fmt;

use regex_lite::Regex;
use serde_json::{Map, Value, json};

/// One place in which an answer is not what was expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    /// Where: `deny.headers.x-a`.
    pub path: String,
    /// What was expected.
    pub expected: Value,
    /// What came; none where nothing did.
    pub actual: Option<Value>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the answer" } else { &self.path };
        let expected = match &self.expected {
            Value::Bool(true) => "something".to_owned(),
            Value::Bool(false) => "nothing".to_owned(),
            other => other.to_string(),
        };
        let actual = self.actual.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        write!(f, "{path}\n  expected {expected}\n  got      {actual}")
    }
}

/// Where `actual` is not as expected. What is expected need not be all: of a table, only the keys that it
/// names are compared; lists are compared whole. `true` fits anything that is there, `false` what is
/// not; a text that begins with `~` is a pattern. At the top, a text names the kind of the answer.
pub(super) fn compare(expected: &Value, actual: &Value) -> Vec<Mismatch> {
    let mut found = Vec::new();
    match expected {
        Value::String(kind) => both(&json!({ kind: true }), Some(actual), String::new(), &mut found),
        expected => both(&lower_names(expected, false), Some(actual), String::new(), &mut found),
    }
    // The kind is not there: all of the answer says more than one key that is missing.
    for mismatch in &mut found {
        if mismatch.actual.is_none() && !mismatch.path.contains(['.', '[']) && mismatch.expected != json!(false) {
            let path = std::mem::take(&mut mismatch.path);
            mismatch.expected = json!({ path: mismatch.expected.take() });
            mismatch.actual = Some(actual.clone());
        }
    }
    found
}

fn both(expected: &Value, actual: Option<&Value>, path: String, found: &mut Vec<Mismatch>) {
    let fits = match (expected, actual) {
        (Value::Bool(false), None | Some(Value::Null | Value::Bool(false))) => true,
        (Value::Bool(true), Some(value)) => !matches!(value, Value::Null | Value::Bool(false)),
        (Value::Object(expected), Some(Value::Object(actual))) => {
            for (key, value) in expected {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                both(value, actual.get(key), path, found);
            }
            true
        }
        (Value::Array(expected), Some(Value::Array(actual))) if expected.len() == actual.len() => {
            for (number, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                both(expected, Some(actual), format!("{path}[{number}]"), found);
            }
            true
        }
        (Value::String(expected), Some(Value::String(actual))) => is_text(expected, actual),
        (Value::Number(expected), Some(Value::Number(actual))) => expected.as_f64() == actual.as_f64(),
        (expected, Some(actual)) => expected == actual,
        (_, None) => false,
    };
    if !fits {
        found.push(Mismatch { path, expected: expected.clone(), actual: actual.cloned() });
    }
}

/// Whether a text is as expected: the same, or with `~` before it a pattern that finds something.
pub(super) fn is_text(expected: &str, actual: &str) -> bool {
    match expected.strip_prefix('~') {
        Some(pattern) => Regex::new(pattern.trim_start()).is_ok_and(|pattern| pattern.is_match(actual)),
        None => expected == actual,
    }
}

/// Names of headers in lower case, as answers have them.
fn lower_names(value: &Value, is_headers: bool) -> Value {
    match value {
        Value::Object(table) => {
            let entry = |(key, value): (&String, &Value)| {
                let name = if is_headers { key.to_ascii_lowercase() } else { key.clone() };
                (name, lower_names(value, !is_headers && key == "headers"))
            };
            Value::Object(table.iter().map(entry).collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().map(|value| lower_names(value, false)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(expected: &Value, actual: &Value) -> Vec<String> {
        compare(expected, actual).into_iter().map(|mismatch| mismatch.path).collect()
    }

    #[test]
    fn only_what_is_named_is_compared() {
        let actual = json!({ "deny": { "status": 403, "headers": { "x-a": "1" }, "body": "no" }, "log": [] });
        for good in [
            json!("deny"),
            json!({ "deny": {} }),
            json!({ "deny": { "status": 403 } }),
            json!({ "deny": { "status": 403.0, "headers": { "X-A": "1", "x-b": false } } }),
            json!({ "deny": { "body": "~^n", "headers": { "X-A": true } }, "log": [] }),
        ] {
            assert_eq!(compare(&good, &actual), [], "{good}");
        }
        assert_eq!(paths(&json!({ "deny": { "status": 401, "body": "~x" } }), &actual), ["deny.status", "deny.body"]);
        assert_eq!(paths(&json!({ "deny": { "statsu": 403 } }), &actual), ["deny.statsu"], "a slip is no success");
        assert_eq!(paths(&json!({ "deny": { "headers": { "x-a": false } } }), &actual), ["deny.headers.x-a"]);
        assert_eq!(paths(&json!({ "log": ["x"] }), &actual), ["log"], "lists are compared whole");
    }

    #[test]
    fn another_kind_is_shown_as_a_whole() {
        let found = compare(&json!("allow"), &json!({ "next": {} }));
        assert_eq!(found.len(), 1);
        let text = found[0].to_string();
        assert!(text.contains("allow") && text.contains("next"), "{text}");
        assert_eq!(compare(&json!({ "alow": {} }), &json!({ "allow": {} })).len(), 1);
    }
}
