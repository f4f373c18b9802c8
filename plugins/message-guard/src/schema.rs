//! JSON Schema (draft 2020-12), as much of it as judges messages. A keyword that is not understood
//! is an error of the configuration: nothing is passed over in silence. What only describes
//! (`title`, `description`, `default`, `examples`, `$comment`, `format`, …) is taken and has no
//! effect.

mod compile;

use std::cell::Cell;
use std::fmt::Write;

use regex_lite::Regex;
use serde_json::Value;

/// How deep a message may make the schema follow itself; what is deeper does not satisfy it.
const DEEPEST: usize = 200;

/// A schema, ready to be asked.
#[derive(Debug)]
pub struct Schema {
    /// Each subschema once; others refer to them by place. The first is the whole.
    nodes: Vec<Node>,
}

/// The place of a subschema.
type Place = usize;

/// How deep the schema has followed itself.
#[derive(Clone, Copy)]
struct Depth<'a> {
    level: usize,
    /// Whether it was deeper than [`DEEPEST`] somewhere: what was answered there is no answer, and `not` would
    /// turn it round.
    exceeded: &'a Cell<bool>,
}

impl Depth<'_> {
    fn deeper(self) -> Self {
        Self { level: self.level + 1, ..self }
    }
}

/// A subschema.
#[derive(Debug)]
enum Node {
    /// `true` and `false`.
    Always(bool),
    Rules(Box<Rules>),
}

/// The types of JSON Schema, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Types(u8);

impl Types {
    const NAMES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];
    const INTEGER: u8 = 6;
    const NUMBER: u8 = 4;

    fn has(self, value: &Value) -> bool {
        let bit = match value {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Object(_) => 2,
            Value::Array(_) => 3,
            Value::Number(number) => {
                let is_whole = !number.is_f64() || number.as_f64().is_some_and(|number| number.fract() == 0.0);
                let of_integers = is_whole && self.0 & 1 << Self::INTEGER != 0;
                return of_integers || self.0 & 1 << Self::NUMBER != 0;
            }
            Value::String(_) => 5,
        };
        self.0 & 1 << bit != 0
    }
}

/// What a subschema says.
#[derive(Debug, Default)]
struct Rules {
    types: Option<Types>,
    /// As [`canonical`] writes them; `const` is an `enum` of one.
    one_of_values: Option<Vec<String>>,
    constant: Option<String>,
    // Numbers.
    minimum: Option<f64>,
    maximum: Option<f64>,
    exclusive_minimum: Option<f64>,
    exclusive_maximum: Option<f64>,
    multiple_of: Option<f64>,
    // Strings.
    min_length: Option<u64>,
    max_length: Option<u64>,
    pattern: Option<Regex>,
    // Arrays.
    prefix: Vec<Place>,
    items: Option<Place>,
    contains: Option<Place>,
    min_contains: Option<u64>,
    max_contains: Option<u64>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    unique: bool,
    // Objects.
    properties: Vec<(String, Place)>,
    pattern_properties: Vec<(Regex, Place)>,
    additional: Option<Place>,
    names: Option<Place>,
    required: Vec<String>,
    dependent: Vec<(String, Vec<String>)>,
    min_properties: Option<u64>,
    max_properties: Option<u64>,
    // Others.
    all: Vec<Place>,
    any: Option<Vec<Place>>,
    one: Option<Vec<Place>>,
    not: Option<Place>,
    condition: Option<Place>,
    then: Option<Place>,
    otherwise: Option<Place>,
}

impl Schema {
    /// Check and prepare a schema.
    ///
    /// # Errors
    /// The JSON pointer of the first keyword that is wrong or not understood, and why.
    pub fn new(schema: &Value) -> Result<Self, (String, String)> {
        compile::compile(schema).map(|nodes| Self { nodes })
    }

    /// Whether a value is as the schema wants it.
    pub fn is_satisfied_by(&self, value: &Value) -> bool {
        let exceeded = Cell::new(false);
        self.satisfied(0, value, Depth { level: 0, exceeded: &exceeded }) && !exceeded.get()
    }

    fn satisfied(&self, place: Place, value: &Value, depth: Depth<'_>) -> bool {
        if depth.level > DEEPEST {
            depth.exceeded.set(true);
        }
        // Nothing that is found from here on changes the answer.
        if depth.exceeded.get() {
            return false;
        }
        match self.nodes.get(place) {
            None => false,
            Some(Node::Always(answer)) => *answer,
            Some(Node::Rules(rules)) => {
                let by_type = match value {
                    Value::Number(number) => number.as_f64().is_some_and(|number| rules.number(number)),
                    Value::String(text) => rules.string(text),
                    Value::Array(items) => self.array(rules, items, depth),
                    Value::Object(object) => self.object(rules, object, depth),
                    Value::Null | Value::Bool(_) => true,
                };
                by_type && rules.value(value) && self.combined(rules, value, depth)
            }
        }
    }

    fn array(&self, rules: &Rules, items: &[Value], depth: Depth<'_>) -> bool {
        let within = is_within(items.len(), rules.min_items, rules.max_items);
        let of = |place: Place, item: &Value| self.satisfied(place, item, depth.deeper());
        let prefix = rules.prefix.iter().zip(items).all(|(place, item)| of(*place, item));
        let rest = items.get(rules.prefix.len()..).unwrap_or_default();
        let rest = rules.items.is_none_or(|place| rest.iter().all(|item| of(place, item)));
        let contains = rules.contains.is_none_or(|place| {
            let found = items.iter().filter(|item| of(place, item)).count();
            is_within(found, rules.min_contains.or(Some(1)), rules.max_contains)
        });
        within && prefix && rest && contains && (!rules.unique || are_unique(items))
    }

    fn object(&self, rules: &Rules, object: &serde_json::Map<String, Value>, depth: Depth<'_>) -> bool {
        if !is_within(object.len(), rules.min_properties, rules.max_properties)
            || !rules.required.iter().all(|name| object.contains_key(name))
        {
            return false;
        }
        let mut dependent = rules.dependent.iter().filter(|(name, _)| object.contains_key(name));
        if !dependent.all(|(_, others)| others.iter().all(|other| object.contains_key(other))) {
            return false;
        }
        object.iter().all(|(name, value)| {
            let mut is_known = false;
            let of = |place: Place| self.satisfied(place, value, depth.deeper());
            for (_, place) in rules.properties.iter().filter(|(known, _)| known == name) {
                is_known = true;
                if !of(*place) {
                    return false;
                }
            }
            for (_, place) in rules.pattern_properties.iter().filter(|(pattern, _)| pattern.is_match(name)) {
                is_known = true;
                if !of(*place) {
                    return false;
                }
            }
            let additional = is_known || rules.additional.is_none_or(of);
            let named =
                rules.names.is_none_or(|place| self.satisfied(place, &Value::String(name.clone()), depth.deeper()));
            additional && named
        })
    }

    fn combined(&self, rules: &Rules, value: &Value, depth: Depth<'_>) -> bool {
        let of = |place: Place| self.satisfied(place, value, depth.deeper());
        let all = rules.all.iter().all(|place| of(*place));
        let any = rules.any.as_ref().is_none_or(|places| places.iter().any(|place| of(*place)));
        let one = rules.one.as_ref().is_none_or(|places| places.iter().filter(|place| of(**place)).count() == 1);
        if !(all && any && one) || rules.not.is_some_and(of) {
            return false;
        }
        let branch = match rules.condition {
            Some(condition) if of(condition) => rules.then,
            Some(_) => rules.otherwise,
            None => None,
        };
        branch.is_none_or(of)
    }
}

impl Rules {
    fn number(&self, number: f64) -> bool {
        let is_multiple = |of: f64| {
            let times = number / of;
            // What cannot be written in binary (0.3 of 0.1) is a multiple all the same.
            (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
        };
        self.minimum.is_none_or(|least| number >= least)
            && self.maximum.is_none_or(|most| number <= most)
            && self.exclusive_minimum.is_none_or(|least| number > least)
            && self.exclusive_maximum.is_none_or(|most| number < most)
            && self.multiple_of.is_none_or(is_multiple)
    }

    fn string(&self, text: &str) -> bool {
        let counts = self.min_length.is_some() || self.max_length.is_some();
        (!counts || is_within(text.chars().count(), self.min_length, self.max_length))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
    }

    fn value(&self, value: &Value) -> bool {
        if !self.types.is_none_or(|types| types.has(value)) {
            return false;
        }
        if self.one_of_values.is_none() && self.constant.is_none() {
            return true;
        }
        let written = canonical(value);
        self.one_of_values.as_ref().is_none_or(|values| values.contains(&written))
            && self.constant.as_ref().is_none_or(|constant| *constant == written)
    }
}

fn is_within(count: usize, least: Option<u64>, most: Option<u64>) -> bool {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    least.is_none_or(|least| count >= least) && most.is_none_or(|most| count <= most)
}

fn are_unique(items: &[Value]) -> bool {
    let mut written: Vec<String> = items.iter().map(canonical).collect();
    written.sort_unstable();
    written.windows(2).all(|pair| pair.first() != pair.get(1))
}

/// A value as text that is the same for equal values: members in order, `1.0` as `1`.
fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(object) => {
            let mut members: Vec<(&String, &Value)> = object.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in members {
                write_canonical(&Value::String(name.clone()), out);
                out.push(':');
                write_canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15);
            let _infallible = match whole {
                Some(whole) => write!(out, "{whole:.0}"),
                None => write!(out, "{number}"),
            };
        }
        // Quoted, and with escapes of the library's choice.
        Value::Null | Value::Bool(_) | Value::String(_) => {
            let _infallible = write!(out, "{value}");
        }
    }
}

#[cfg(test)]
mod tests;
