//! JSON Schema as far as configurations of plugins need it: a subset of the draft 2020-12 that is
//! documented as such in `docs/plugins/config-schema.md`. What is not in it refuses the schema, so that
//! nobody believes in a check that is not made.

mod judge;

use std::fmt;

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::error::PluginError;

/// Keywords that say something about values.
const KEYWORDS: [&str; 27] = [
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "minProperties",
    "maxProperties",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "$ref",
];

/// Keywords that say something to people, or hold schemas for `$ref`.
const NOTES: [&str; 13] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "format",
    "readOnly",
    "writeOnly",
];

/// How deep schemas may lie in each other, and `$ref` may lead on.
const DEEPEST: usize = 64;

/// A schema that can be judged by.
#[derive(Debug, Clone)]
pub struct Schema(Value);

/// A value that is not as the schema says. The text never shows the value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The value's JSON pointer; empty for the whole.
    pub pointer: String,
    /// What it must be.
    pub what: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() { f.write_str(&self.what) } else { write!(f, "{}: {}", self.pointer, self.what) }
    }
}

impl Schema {
    /// Read a schema.
    ///
    /// # Errors
    /// [`PluginError::BadSchema`]: it is not JSON, has a keyword that is not known, or one with a value
    /// that it cannot have.
    pub fn read(text: &str) -> Result<Self, PluginError> {
        let bad = |detail: String| PluginError::BadSchema { detail };
        let document: Value = serde_json::from_str(text).map_err(|error| bad(format!("it is not JSON: {error}")))?;
        check(&document, &document, "", 0).map_err(bad)?;
        Ok(Self(document))
    }

    /// The schema itself.
    pub fn document(&self) -> &Value {
        &self.0
    }

    /// Judge a configuration.
    ///
    /// # Errors
    /// Every value that does not fit, in the order of the document.
    pub fn judge(&self, config: &Value) -> Result<(), Vec<Misfit>> {
        let misfits = judge::misfits(&self.0, config);
        if misfits.is_empty() { Ok(()) } else { Err(misfits) }
    }
}

/// What a `$ref` leads to: a place in the same document.
fn target<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// Look through a schema and all that lie in it.
fn check(root: &Value, schema: &Value, place: &str, depth: usize) -> Result<(), String> {
    let here = if place.is_empty() { "/" } else { place };
    if depth > DEEPEST {
        return Err(format!("{here}: more than {DEEPEST} schemas lie in each other"));
    }
    let table = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(table) => table,
        _ => return Err(format!("{here}: a schema is an object, true or false")),
    };
    for (keyword, value) in table {
        let place = format!("{place}/{keyword}");
        let is_known = KEYWORDS.contains(&keyword.as_str()) || NOTES.contains(&keyword.as_str());
        if !is_known && !keyword.starts_with("x-") {
            return Err(format!("{place}: this keyword is not known (docs/plugins/config-schema.md)"));
        }
        if !is_well_formed(root, keyword, value) {
            return Err(format!("{place}: it cannot have this value"));
        }
        for (name, schema) in within(keyword, value) {
            check(root, schema, &format!("{place}{name}"), depth + 1)?;
        }
    }
    Ok(())
}

/// The schemas that a keyword holds, each with what its pointer goes on with.
fn within<'a>(keyword: &str, value: &'a Value) -> Vec<(String, &'a Value)> {
    match (keyword, value) {
        ("additionalProperties" | "items" | "not", schema) => vec![(String::new(), schema)],
        ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(table)) => {
            table.iter().map(|(name, schema)| (format!("/{name}"), schema)).collect()
        }
        ("prefixItems" | "allOf" | "anyOf" | "oneOf", Value::Array(list)) => {
            list.iter().enumerate().map(|(number, schema)| (format!("/{number}"), schema)).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a keyword can have this value; schemas in it are looked at on their own.
fn is_well_formed(root: &Value, keyword: &str, value: &Value) -> bool {
    let is_text = |value: &Value| value.is_string();
    match keyword {
        "type" => match value {
            Value::String(name) => judge::is_type(name),
            Value::Array(names) => {
                !names.is_empty() && names.iter().all(|name| name.as_str().is_some_and(judge::is_type))
            }
            _ => false,
        },
        "enum" => value.as_array().is_some_and(|list| !list.is_empty()),
        "required" => value.as_array().is_some_and(|list| list.iter().all(is_text)),
        "properties" | "$defs" | "definitions" => value.is_object(),
        "patternProperties" => value
            .as_object()
            .is_some_and(|table: &Map<String, Value>| table.keys().all(|pattern| Regex::new(pattern).is_ok())),
        "prefixItems" | "allOf" | "anyOf" | "oneOf" => value.as_array().is_some_and(|list| !list.is_empty()),
        "minProperties" | "maxProperties" | "minItems" | "maxItems" | "minLength" | "maxLength" => value.is_u64(),
        "uniqueItems" => value.is_boolean(),
        "pattern" => value.as_str().is_some_and(|pattern| Regex::new(pattern).is_ok()),
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
        "multipleOf" => value.as_f64().is_some_and(|number| number > 0.0),
        "$ref" => value.as_str().is_some_and(|reference| target(root, reference).is_some()),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
