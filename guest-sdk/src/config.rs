//! A plugin's configuration: typed, and with errors that say where they are.

use std::fmt::{self, Write};

use serde::de::DeserializeOwned;

/// What is wrong with a plugin's configuration, and where.
///
/// ```
/// let error = tidegate_plugin::ConfigError::new("/realm", "must not be empty");
/// assert_eq!(error.to_string(), "/realm: must not be empty");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pointer: String,
    message: String,
}

impl ConfigError {
    /// `pointer` is the key's JSON pointer (RFC 6901) within the plugin's `config`;
    /// empty for the whole of it. By it the operator is shown the line.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }

    /// The JSON pointer.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// What is wrong there.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

impl std::error::Error for ConfigError {}

/// For a plugin that has nothing to configure: every key is an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Read a configuration from JSON.
///
/// # Errors
/// What serde found wrong, with the pointer to the key or value that it stopped at.
pub fn parse<C: DeserializeOwned>(document: &str) -> Result<C, ConfigError> {
    serde_json::from_str(document).map_err(|error| locate(document, &error))
}

/// Not generic, so that it is once in the component.
fn locate(document: &str, error: &serde_json::Error) -> ConfigError {
    let lines_before = error.line().saturating_sub(1);
    let line_start: usize = document.split_inclusive('\n').take(lines_before).map(str::len).sum();
    let pointer = pointer_at(document.as_bytes(), line_start + error.column());
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    ConfigError::new(pointer, message)
}

/// One open object or array on the way to a place in a document.
enum Level {
    /// The key that was read last; none before the first.
    Object(Option<String>),
    /// The index of the current element.
    Array(usize),
}

/// The JSON pointer of the token that ends at or after the byte `end` of a document
/// whose text before `end` is sound.
fn pointer_at(document: &[u8], end: usize) -> String {
    let mut levels: Vec<Level> = Vec::new();
    let mut key_next = false;
    let mut at = 0;
    while let Some(&byte) = document.get(at).filter(|_| at < end) {
        at += 1;
        match byte {
            b'{' => {
                levels.push(Level::Object(None));
                key_next = true;
            }
            b'[' => levels.push(Level::Array(0)),
            b'}' | b']' => {
                levels.pop();
                key_next = false;
            }
            b',' => match levels.last_mut() {
                Some(Level::Array(index)) => *index += 1,
                _ => key_next = true,
            },
            b'"' => {
                let start = at - 1;
                at = string_end(document, at);
                if key_next && let Some(Level::Object(key)) = levels.last_mut() {
                    *key = document.get(start..at).and_then(|text| serde_json::from_slice(text).ok());
                    key_next = false;
                }
            }
            _ => {}
        }
    }
    let mut pointer = String::new();
    for level in &levels {
        match level {
            Level::Object(Some(key)) => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Level::Object(None) => {}
            Level::Array(index) => _ = write!(pointer, "/{index}"),
        }
    }
    pointer
}

/// The place behind the closing quote of the string whose text begins at `at`.
fn string_end(document: &[u8], mut at: usize) -> usize {
    while let Some(byte) = document.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Inner {
        name: String,
        count: Option<u8>,
        pairs: Option<Vec<(String, String)>>,
        mode: Option<Mode>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        Deny,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Outer {
        list: Vec<Inner>,
        #[serde(rename = "a/b~c")]
        odd: Option<Inner>,
    }

    fn error(document: &str) -> String {
        parse::<Outer>(document).unwrap_err().to_string()
    }

    #[test]
    fn unknown_key_is_named() {
        assert_eq!(error(r#"{"list": [], "lst": 1}"#), "/lst: unknown field `lst`, expected `list` or `a/b~c`");
        let nested = error("{\n \"list\": [ {\"name\": \"a\"},\n {\"name\": \"b\", \"nam\": 1} ]}");
        assert!(nested.starts_with("/list/1/nam: unknown field `nam`, expected one of"), "{nested}");
    }

    #[test]
    fn wrong_type_is_named() {
        assert_eq!(error(r#"{"list": 5}"#), "/list: invalid type: integer `5`, expected a sequence");
        assert_eq!(error(r#"{"list": {}}"#), "/list: invalid type: map, expected a sequence");
        assert_eq!(
            error(r#"{"list": [{"name": "x"}, 7]}"#),
            "/list/1: invalid type: integer `7`, expected struct Inner"
        );
        assert_eq!(
            error(r#"{"list": [{"name": ["\"x"]}]}"#),
            "/list/0/name: invalid type: sequence, expected a string"
        );
        assert_eq!(
            error(r#"{"list": [{"name": "\"\\", "pairs": [["a", "b"], ["c", 1]]}]}"#),
            "/list/0/pairs/1/1: invalid type: integer `1`, expected a string"
        );
        assert_eq!(
            error(r#"{"list": [{"name": "n", "count": 300}]}"#),
            "/list/0/count: invalid value: integer `300`, expected u8"
        );
    }

    #[test]
    fn missing_key_points_at_its_object() {
        assert_eq!(error(r#"{"list": [{"name": "x"}, {"count": 1}]}"#), "/list/1: missing field `name`");
        assert_eq!(error("{}"), ": missing field `list`");
    }

    #[test]
    fn wrong_word_is_named() {
        assert_eq!(
            error(r#"{"list": [{"name": "x", "mode": "dny"}]}"#),
            "/list/0/mode: unknown variant `dny`, expected `deny`"
        );
    }

    #[test]
    fn pointers_are_escaped() {
        assert!(error(r#"{"list": [], "a/b~c": 1}"#).starts_with("/a~1b~0c: invalid type"));
    }

    #[test]
    fn broken_json_does_not_upset_it() {
        for document in ["", "{", "[", "\"", "{\"list\": [\"\\", "{]", "]]}}", "nul", "{\"a\\", "\u{fe0f}{"] {
            parse::<Outer>(document).unwrap_err();
        }
    }

    #[test]
    fn no_config_takes_nothing() {
        parse::<NoConfig>("{}").unwrap();
        assert!(parse::<NoConfig>(r#"{"x": 1}"#).unwrap_err().to_string().starts_with("/x: unknown field `x`"));
    }
}
