//! `tidegate plugin inspect`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{Failed, logging};
use crate::kit::Stand;
use crate::plugin::Lane;

/// What is to be shown.
#[derive(Debug, Args)]
pub(in crate::cli) struct Inspect {
    /// The component.
    component: PathBuf,
    /// A newer one: what is different in it is shown.
    newer: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Imports that do nothing without a grant in the configuration, and how it is written.
const GRANTS: [(&str, &str); 3] = [
    ("tidegate:plugin/http-client@", "http-client:URL or http-client:upstream:NAME"),
    ("tidegate:plugin/kv@", "kv:STORE"),
    ("tidegate:plugin/secrets@", "secret:NAME"),
];

/// Show what a component is, or what is different in another.
///
/// # Errors
/// What is no component for this version.
pub(super) fn inspect(what: &Inspect) -> Result<(), Failed> {
    let first = found(&what.component)?;
    let said = match &what.newer {
        None if what.json => first.to_string(),
        None => text(&first),
        Some(newer) => {
            let newer = found(newer)?;
            let changes = changes(&first, &newer);
            if what.json {
                json!({ "from": first, "to": newer, "changes": changes }).to_string()
            } else {
                difference(&first, &newer, &changes)
            }
        }
    };
    logging::say(&said);
    Ok(())
}

/// All that there is to say of a component.
fn found(path: &Path) -> Result<Value, Failed> {
    // Nothing is kept: what is looked at need not be run ever again.
    let stand = Stand::new(path, None)?;
    let found = stand.inspection();
    let imports: Vec<&String> = found.services.iter().collect();
    let needed = |(prefix, grant): &(&str, &'static str)| {
        imports.iter().any(|import| import.starts_with(prefix)).then_some(*grant)
    };
    let lane = match found.lane {
        Lane::Sync => "sync",
        Lane::Fiber => "fiber",
    };
    let producers = producers::of(&std::fs::read(path)?);
    Ok(json!({
        "component": path.display().to_string(),
        "size": found.size,
        "contract": found.contract,
        "hooks": found.hooks.iter().map(|hook| hook.name()).collect::<Vec<_>>(),
        "unknown_hooks": found.unknown_hooks,
        "configured": found.configurable,
        "imports": found.services,
        "grants": GRANTS.iter().filter_map(needed).collect::<Vec<_>>(),
        "wasi": found.wasi,
        "memory": found.memory,
        "lane": lane,
        "made_by": producers,
        "schema": stand.schema()?,
    }))
}

fn text(found: &Value) -> String {
    let mut text = String::new();
    for (name, key) in LINES {
        let _ = writeln!(text, "{:12}{}", format!("{name}:"), shown(key, found.get(key).unwrap_or(&Value::Null)));
    }
    if let Some(schema) = found.get("schema").filter(|schema| schema.is_object()) {
        text.push_str("\nits configuration:\n");
        keys(schema, schema, "", &mut text);
    }
    text.truncate(text.trim_end().len());
    text
}

/// What is shown, under which name.
const LINES: [(&str, &str); 11] = [
    ("component", "component"),
    ("size", "size"),
    ("contract", "contract"),
    ("hooks", "hooks"),
    ("configured", "configured"),
    ("imports", "imports"),
    ("grants", "grants"),
    ("wasi", "wasi"),
    ("memory", "memory"),
    ("lane", "lane"),
    ("made by", "made_by"),
];

fn shown(key: &str, value: &Value) -> String {
    match (key, value) {
        ("size", value) => format!("{value} bytes"),
        ("memory", Value::Number(bytes)) => format!("{} KiB to begin with", bytes.as_u64().unwrap_or_default() / 1024),
        ("contract", Value::String(version)) => format!("tidegate:plugin@{version}"),
        ("lane", Value::String(lane)) if lane == "sync" => "sync (called on the worker's stack)".to_owned(),
        ("lane", Value::String(_)) => "fiber (it can wait, so it is called on a stack of its own)".to_owned(),
        ("configured", Value::Bool(true)) => "yes (lifecycle.configure)".to_owned(),
        ("configured", _) => "no".to_owned(),
        (_, Value::Array(list)) if list.is_empty() => "none".to_owned(),
        (_, Value::Array(list)) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        (_, Value::String(text)) => text.clone(),
        (_, Value::Null) => "not known".to_owned(),
        (_, other) => other.to_string(),
    }
}

/// The keys of a schema, a line for each.
fn keys(root: &Value, schema: &Value, indent: &str, text: &mut String) {
    let schema = followed(root, schema);
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, key) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let key = followed(root, key);
        let kind = match (key.get("type"), key.get("enum")) {
            (_, Some(list)) => list.to_string(),
            (Some(Value::String(name)), _) => name.clone(),
            (Some(names), _) => names.to_string(),
            (None, None) => "of several forms".to_owned(),
        };
        let mut line = format!("{indent}  {name}: {kind}");
        if required.contains(&name.as_str()) {
            line.push_str(", required");
        }
        if let Some(default) = key.get("default") {
            let _ = write!(line, ", default {default}");
        }
        if let Some(description) = key.get("description").and_then(Value::as_str) {
            let _ = write!(line, ": {}", description.replace(['\n', '\r', '\x1b'], " "));
        }
        text.push_str(&line);
        text.push('\n');
        if indent.len() < 8 {
            keys(root, key, &format!("{indent}  "), text);
        }
    }
}

fn followed<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

/// What differs: for a list what is new and what is gone, for anything else both values.
fn changes(from: &Value, to: &Value) -> Value {
    let mut changes = serde_json::Map::new();
    for (key, new) in to.as_object().into_iter().flatten().filter(|(key, _)| *key != "component") {
        let old = from.get(key).unwrap_or(&Value::Null);
        if old == new {
            continue;
        }
        let change = match (old, new) {
            (Value::Array(old), Value::Array(new)) => {
                let without = |list: &[Value], other: &[Value]| {
                    list.iter().filter(|item| !other.contains(item)).cloned().collect::<Vec<_>>()
                };
                json!({ "added": without(new, old), "removed": without(old, new) })
            }
            (old, new) => json!({ "from": old, "to": new }),
        };
        changes.insert(key.clone(), change);
    }
    Value::Object(changes)
}

fn difference(from: &Value, to: &Value, changes: &Value) -> String {
    let name = |found: &Value| found.get("component").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut text = format!("from {}\nto   {}\n", name(from), name(to));
    for (label, key) in LINES {
        let Some(change) = changes.get(key) else { continue };
        let list = |what: &str| change.get(what).and_then(Value::as_array).into_iter().flatten();
        for (sign, what) in [("+", "added"), ("-", "removed")] {
            for item in list(what) {
                let _ = writeln!(text, "{sign} {label}: {}", item.as_str().unwrap_or_default());
            }
        }
        if let (Some(from), Some(to)) = (change.get("from"), change.get("to")) {
            let _ = writeln!(text, "  {label}: {} -> {}", shown(key, from), shown(key, to));
        }
    }
    if changes.get("schema").is_some() {
        text.push_str("  its configuration is described otherwise\n");
    }
    if changes.get("grants").and_then(|grants| grants.get("added")).is_some_and(|added| added != &json!([])) {
        text.push_str("! it can do more than before, where it is granted\n");
    }
    if changes == &json!({}) {
        text.push_str("no difference but in code\n");
    }
    text.truncate(text.trim_end().len());
    text
}

mod producers;
