//! A schema's text into its rules.

use std::collections::HashMap;

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::{Node, Place, Rules, Types, canonical};

/// Why a schema cannot be used: the JSON pointer of what is wrong in it, and why.
type Fault = (String, String);

/// What only describes.
const DESCRIBES: [&str; 14] = [
    "$schema",
    "$id",
    "$comment",
    "$anchor",
    "title",
    "description",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "examples",
    "format",
    // Read where it is referred to.
    "$defs",
    "definitions",
];

struct Compiler<'a> {
    root: &'a Value,
    nodes: Vec<Node>,
    /// The places of those that were referred to, so that a schema may refer to itself.
    known: HashMap<String, Place>,
}

/// The rules of a schema, the whole first.
///
/// # Errors
/// The first keyword that is wrong or not understood.
pub(super) fn compile(root: &Value) -> Result<Vec<Node>, Fault> {
    let mut compiler = Compiler { root, nodes: Vec::new(), known: HashMap::new() };
    compiler.at("", root)?;
    // What nobody refers to is checked all the same.
    for key in ["$defs", "definitions"] {
        for name in root.get(key).and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            compiler.refer("", &format!("#/{key}/{}", escaped(name)))?;
        }
    }
    Ok(compiler.nodes)
}

impl Compiler<'_> {
    /// The subschema at this pointer: its place.
    fn at(&mut self, pointer: &str, schema: &Value) -> Result<Place, Fault> {
        if let Some(place) = self.known.get(pointer) {
            return Ok(*place);
        }
        let place = self.nodes.len();
        self.known.insert(pointer.to_owned(), place);
        self.nodes.push(Node::Always(false));
        let node = match schema {
            Value::Bool(answer) => Node::Always(*answer),
            Value::Object(object) => Node::Rules(Box::new(self.rules(pointer, object)?)),
            _ => return Err(fault(pointer, "a schema is an object, `true` or `false`")),
        };
        if let Some(slot) = self.nodes.get_mut(place) {
            *slot = node;
        }
        Ok(place)
    }

    fn rules(&mut self, pointer: &str, object: &Map<String, Value>) -> Result<Rules, Fault> {
        let mut rules = Rules::default();
        for (key, value) in object {
            let here = format!("{pointer}/{}", escaped(key));
            if !self.keyword(&mut rules, key, &here, value)? && !plain(&mut rules, key, &here, value)? {
                return Err(fault(&here, "is not understood"));
            }
        }
        Ok(rules)
    }

    /// A keyword that has schemas in it; false where it is none of them.
    fn keyword(&mut self, rules: &mut Rules, key: &str, here: &str, value: &Value) -> Result<bool, Fault> {
        match key {
            "$ref" => {
                let to = value.as_str().ok_or_else(|| fault(here, "must be a string"))?;
                let place = self.refer(here, to)?;
                rules.all.push(place);
            }
            "allOf" => {
                let places = self.list(here, value)?;
                rules.all.extend(places);
            }
            "anyOf" => rules.any = Some(self.list(here, value)?),
            "oneOf" => rules.one = Some(self.list(here, value)?),
            "prefixItems" => rules.prefix = self.list(here, value)?,
            "not" => rules.not = Some(self.at(here, value)?),
            "if" => rules.condition = Some(self.at(here, value)?),
            "then" => rules.then = Some(self.at(here, value)?),
            "else" => rules.otherwise = Some(self.at(here, value)?),
            "items" => rules.items = Some(self.at(here, value)?),
            "contains" => rules.contains = Some(self.at(here, value)?),
            "additionalProperties" => rules.additional = Some(self.at(here, value)?),
            "propertyNames" => rules.names = Some(self.at(here, value)?),
            "properties" => {
                for (name, schema) in members(here, value)? {
                    let place = self.at(&format!("{here}/{}", escaped(name)), schema)?;
                    rules.properties.push((name.clone(), place));
                }
            }
            "patternProperties" => {
                for (name, schema) in members(here, value)? {
                    let below = format!("{here}/{}", escaped(name));
                    let pattern = regex(&below, name)?;
                    rules.pattern_properties.push((pattern, self.at(&below, schema)?));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn list(&mut self, here: &str, value: &Value) -> Result<Vec<Place>, Fault> {
        let list = value.as_array().filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| fault(here, "must be a list of schemas, not empty"))?;
        list.iter().enumerate().map(|(index, schema)| self.at(&format!("{here}/{index}"), schema)).collect()
    }

    fn refer(&mut self, here: &str, to: &str) -> Result<Place, Fault> {
        let Some(pointer) = to.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
            return Err(fault(here, "only places in this very schema can be referred to: `#` or `#/…`"));
        };
        let root = self.root;
        let schema = root.pointer(pointer).ok_or_else(|| fault(here, &format!("there is no `{to}`")))?;
        self.at(pointer, schema)
    }
}

/// A keyword without schemas in it; false where it is none that is known.
fn plain(rules: &mut Rules, key: &str, here: &str, value: &Value) -> Result<bool, Fault> {
    let number = || value.as_f64().ok_or_else(|| fault(here, "must be a number"));
    let count = || value.as_u64().ok_or_else(|| fault(here, "must be a whole number of 0 or more"));
    match key {
        "type" => rules.types = Some(types(here, value)?),
        "enum" => {
            let values = value.as_array().ok_or_else(|| fault(here, "must be a list"))?;
            rules.one_of_values = Some(values.iter().map(canonical).collect());
        }
        "const" => rules.constant = Some(canonical(value)),
        "minimum" => rules.minimum = Some(number()?),
        "maximum" => rules.maximum = Some(number()?),
        "exclusiveMinimum" => rules.exclusive_minimum = Some(number()?),
        "exclusiveMaximum" => rules.exclusive_maximum = Some(number()?),
        "multipleOf" => {
            let of = Some(number()?).filter(|of| *of > 0.0);
            rules.multiple_of = Some(of.ok_or_else(|| fault(here, "must be above 0"))?);
        }
        "minLength" => rules.min_length = Some(count()?),
        "maxLength" => rules.max_length = Some(count()?),
        "minItems" => rules.min_items = Some(count()?),
        "maxItems" => rules.max_items = Some(count()?),
        "minContains" => rules.min_contains = Some(count()?),
        "maxContains" => rules.max_contains = Some(count()?),
        "minProperties" => rules.min_properties = Some(count()?),
        "maxProperties" => rules.max_properties = Some(count()?),
        "pattern" => {
            let pattern = value.as_str().ok_or_else(|| fault(here, "must be a string"))?;
            rules.pattern = Some(regex(here, pattern)?);
        }
        "uniqueItems" => rules.unique = value.as_bool().ok_or_else(|| fault(here, "must be true or false"))?,
        "required" => rules.required = names(here, value)?,
        "dependentRequired" => {
            for (name, others) in members(here, value)? {
                rules.dependent.push((name.clone(), names(&format!("{here}/{}", escaped(name)), others)?));
            }
        }
        _ => return Ok(DESCRIBES.contains(&key)),
    }
    Ok(true)
}

fn types(here: &str, value: &Value) -> Result<Types, Fault> {
    let one = |value: &Value| {
        let bit = Types::NAMES.iter().position(|name| Some(*name) == value.as_str());
        bit.map(|bit| 1_u8 << bit).ok_or_else(|| fault(here, &format!("is one of {}", Types::NAMES.join(", "))))
    };
    match value {
        Value::Array(list) if !list.is_empty() => {
            list.iter().try_fold(0, |bits, value| one(value).map(|bit| bits | bit)).map(Types)
        }
        value => one(value).map(Types),
    }
}

fn names(here: &str, value: &Value) -> Result<Vec<String>, Fault> {
    let list = value.as_array().ok_or_else(|| fault(here, "must be a list of names"))?;
    let name = |name: &Value| name.as_str().map(str::to_owned).ok_or_else(|| fault(here, "must be a list of names"));
    list.iter().map(name).collect()
}

fn members<'a>(here: &str, value: &'a Value) -> Result<&'a Map<String, Value>, Fault> {
    value.as_object().ok_or_else(|| fault(here, "must be an object"))
}

fn regex(here: &str, pattern: &str) -> Result<Regex, Fault> {
    Regex::new(pattern).map_err(|error| fault(here, &error.to_string()))
}

/// As a part of a JSON pointer (RFC 6901).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn fault(here: &str, what: &str) -> Fault {
    (here.to_owned(), what.to_owned())
}
