//! A value beside a schema that was looked through.

use std::cell::Cell;

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::{DEEPEST, Misfit, target};

/// Schemas that values of one configuration are held beside at most: forms within forms double them.
const MOST_STEPS: u32 = 10_000_000;

/// Misfits that are told.
const MOST_MISFITS: usize = 100;

/// Whether this is the name of a type.
pub(super) fn is_type(name: &str) -> bool {
    matches!(name, "null" | "boolean" | "integer" | "number" | "string" | "array" | "object")
}

/// What does not fit, in the order of the value.
pub(super) fn misfits(root: &Value, value: &Value) -> Vec<Misfit> {
    let steps = Cell::new(0);
    let mut judge = Judge { root, steps: &steps, found: Vec::new() };
    judge.judge(root, value, "", 0);
    judge.found
}

/// Whether a number keeps a limit.
type Rule = fn(f64, f64) -> bool;

struct Judge<'a> {
    root: &'a Value,
    /// Schemas that values were held beside so far, by all judges of one configuration.
    steps: &'a Cell<u32>,
    found: Vec<Misfit>,
}

impl Judge<'_> {
    fn judge(&mut self, schema: &Value, value: &Value, pointer: &str, depth: usize) {
        let table = match schema {
            Value::Bool(false) => return self.misfit(pointer, "must not be there"),
            Value::Object(table) => table,
            _ => return,
        };
        self.steps.set(self.steps.get().saturating_add(1));
        if self.steps.get() > MOST_STEPS {
            return self.misfit(pointer, "its schema takes too long to judge by");
        }
        if depth > DEEPEST {
            return self.misfit(pointer, "its schema leads on without an end");
        }
        if let Some(schema) = table.get("$ref").and_then(Value::as_str).and_then(|to| target(self.root, to)) {
            self.judge(schema, value, pointer, depth + 1);
        }
        if let Some(types) = table.get("type")
            && !fits_type(types, value)
        {
            // What else is said of it is about another type.
            return self.misfit(pointer, &format!("must be {}, and is {}", words(types), kind(value)));
        }
        if let Some(only) = table.get("const")
            && !is_equal(only, value)
        {
            self.misfit(pointer, &format!("must be {only}"));
        }
        if let Some(Value::Array(list)) = table.get("enum")
            && !list.iter().any(|one| is_equal(one, value))
        {
            let list: Vec<String> = list.iter().map(Value::to_string).collect();
            self.misfit(pointer, &format!("must be {}", either(&list)));
        }
        match value {
            Value::Object(members) => self.object(table, members, pointer, depth),
            Value::Array(list) => self.array(table, list, pointer, depth),
            Value::String(text) => self.text(table, text, pointer),
            Value::Number(number) => self.number(table, number.as_f64().unwrap_or(f64::NAN), pointer),
            Value::Null | Value::Bool(_) => {}
        }
        self.joined(table, value, pointer, depth);
    }

    fn misfit(&mut self, pointer: &str, what: &str) {
        if self.found.len() >= MOST_MISFITS {
            return;
        }
        self.found.push(Misfit { pointer: pointer.to_owned(), what: what.to_owned() });
    }

    /// Whether a value fits, without telling.
    fn fits(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        let mut judge = Judge { root: self.root, steps: self.steps, found: Vec::new() };
        judge.judge(schema, value, "", depth + 1);
        judge.found.is_empty()
    }

    fn object(&mut self, table: &Map<String, Value>, members: &Map<String, Value>, pointer: &str, depth: usize) {
        let none = Map::new();
        let known = table.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let patterns = table.get("patternProperties").and_then(Value::as_object).unwrap_or(&none);
        for name in table.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                self.misfit(pointer, &format!("`{name}` is missing"));
            }
        }
        for (name, value) in members {
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            let mut is_known = false;
            let fitting = patterns.iter().filter(|(pattern, _)| is_found(pattern, name)).map(|(_, schema)| schema);
            for schema in known.get(name).into_iter().chain(fitting) {
                is_known = true;
                self.judge(schema, value, &pointer, depth + 1);
            }
            match table.get("additionalProperties") {
                Some(Value::Bool(false)) if !is_known => self.misfit(&pointer, &unknown(name, known)),
                Some(schema) if !is_known => self.judge(schema, value, &pointer, depth + 1),
                _ => {}
            }
        }
        self.count(table, ("minProperties", "maxProperties"), members.len(), "keys", pointer);
    }

    fn array(&mut self, table: &Map<String, Value>, list: &[Value], pointer: &str, depth: usize) {
        let first = table.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (number, value) in list.iter().enumerate() {
            if let Some(schema) = first.get(number).or_else(|| table.get("items")) {
                self.judge(schema, value, &format!("{pointer}/{number}"), depth + 1);
            }
        }
        self.count(table, ("minItems", "maxItems"), list.len(), "items", pointer);
        let again = |(at, value): (usize, &Value)| list.iter().take(at).any(|before| is_equal(before, value));
        if table.get("uniqueItems") == Some(&Value::Bool(true))
            && let Some(at) = list.iter().enumerate().position(again)
        {
            self.misfit(&format!("{pointer}/{at}"), "is there twice");
        }
    }

    fn text(&mut self, table: &Map<String, Value>, text: &str, pointer: &str) {
        if table.get("minLength").and_then(Value::as_u64) == Some(1) && text.is_empty() {
            return self.misfit(pointer, "must not be empty");
        }
        self.count(table, ("minLength", "maxLength"), text.chars().count(), "characters", pointer);
        if let Some(pattern) = table.get("pattern").and_then(Value::as_str)
            && !is_found(pattern, text)
        {
            self.misfit(pointer, &format!("must match `{pattern}`"));
        }
    }

    fn number(&mut self, table: &Map<String, Value>, number: f64, pointer: &str) {
        let limit = |keyword: &str| table.get(keyword).and_then(Value::as_f64);
        let rules: [(&str, &str, Rule); 4] = [
            ("minimum", "at least", |number, limit| number >= limit),
            ("maximum", "at most", |number, limit| number <= limit),
            ("exclusiveMinimum", "more than", |number, limit| number > limit),
            ("exclusiveMaximum", "less than", |number, limit| number < limit),
        ];
        for (keyword, words, fits) in rules {
            if let Some(limit) = limit(keyword).filter(|limit| !fits(number, *limit)) {
                self.misfit(pointer, &format!("must be {words} {limit}"));
            }
        }
        if let Some(step) = limit("multipleOf").filter(|step| (number / step).fract() != 0.0) {
            self.misfit(pointer, &format!("must be a multiple of {step}"));
        }
    }

    /// `allOf`, `anyOf`, `oneOf`, `not`.
    fn joined(&mut self, table: &Map<String, Value>, value: &Value, pointer: &str, depth: usize) {
        let list = |keyword: &str| table.get(keyword).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for schema in list("allOf") {
            self.judge(schema, value, pointer, depth + 1);
        }
        for keyword in ["anyOf", "oneOf"] {
            let list = list(keyword);
            let fitting = list.iter().filter(|schema| self.fits(schema, value, depth)).count();
            if !list.is_empty() && fitting == 0 {
                self.none_fits(list, value, pointer, depth);
            } else if keyword == "oneOf" && fitting > 1 {
                self.misfit(pointer, "fits more than one of the forms that it can have");
            }
        }
        if let Some(schema) = table.get("not")
            && self.fits(schema, value, depth)
        {
            self.misfit(pointer, "must not be like this");
        }
    }

    /// Where only one of the forms is of the value's type, that one was meant.
    fn none_fits(&mut self, list: &[Value], value: &Value, pointer: &str, depth: usize) {
        let own = |schema: &&Value| schema.get("type").is_none_or(|types| fits_type(types, value));
        let mut meant = list.iter().filter(own);
        match (meant.next(), meant.next()) {
            (Some(schema), None) => self.judge(schema, value, pointer, depth + 1),
            _ => {
                let forms = list.iter().filter_map(|schema| {
                    Some(match (schema.get("const"), schema.get("type")) {
                        (Some(only), _) => only.to_string(),
                        (None, types) => words(types?),
                    })
                });
                let forms: Vec<String> = forms.collect();
                let what = if forms.is_empty() {
                    "fits none of its forms".into()
                } else {
                    format!("must be {}", either(&forms))
                };
                self.misfit(pointer, &what);
            }
        }
    }

    fn count(
        &mut self,
        table: &Map<String, Value>,
        (least, most): (&str, &str),
        count: usize,
        of: &str,
        pointer: &str,
    ) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let limit = |keyword: &str| table.get(keyword).and_then(Value::as_u64);
        if let Some(least) = limit(least).filter(|least| count < *least) {
            self.misfit(pointer, &format!("must have at least {least} {of}, and has {count}"));
        }
        if let Some(most) = limit(most).filter(|most| count > *most) {
            self.misfit(pointer, &format!("must have at most {most} {of}, and has {count}"));
        }
    }
}

fn unknown(name: &str, known: &Map<String, Value>) -> String {
    let near = known.keys().map(|key| (strsim::damerau_levenshtein(key, name), key)).min();
    match near {
        Some((distance, key)) if distance <= 2 => format!("unknown key `{name}`: is `{key}` meant?"),
        _ if known.is_empty() => format!("unknown key `{name}`: there are none"),
        _ => {
            let known: Vec<String> = known.keys().map(|key| format!("`{key}`")).collect();
            format!("unknown key `{name}`: it can be {}", either(&known))
        }
    }
}

fn fits_type(types: &Value, value: &Value) -> bool {
    match types {
        Value::Array(names) => names.iter().any(|name| fits_type(name, value)),
        Value::String(name) => match (name.as_str(), value) {
            ("null", Value::Null)
            | ("boolean", Value::Bool(_))
            | ("number", Value::Number(_))
            | ("string", Value::String(_))
            | ("array", Value::Array(_))
            | ("object", Value::Object(_)) => true,
            // Draft 2020-12: a number without a fraction is an integer, however it is written.
            ("integer", Value::Number(number)) => number.as_f64().is_some_and(|number| number.fract() == 0.0),
            _ => false,
        },
        _ => true,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// Types in words, as TOML calls them.
fn words(types: &Value) -> String {
    let word = |name: &Value| {
        match name.as_str().unwrap_or_default() {
            "integer" => "an integer",
            "array" => "a list",
            "object" => "a table",
            "boolean" => "a boolean",
            "number" => "a number",
            "string" => "a string",
            other => other,
        }
        .to_owned()
    };
    match types {
        Value::Array(names) => either(&names.iter().map(word).collect::<Vec<_>>()),
        name => word(name),
    }
}

fn either(list: &[String]) -> String {
    match list {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [some @ .., last] => format!("{} or {last}", some.join(", ")),
    }
}

/// As the schema's draft has it: numbers are equal by value.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| is_equal(value, other)))
        }
        (one, other) => one == other,
    }
}

/// The pattern was looked at when the schema was read.
fn is_found(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}
