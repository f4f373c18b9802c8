//! Routes as a tree, each with all that is in force in it, written with what they share at the
//! outermost place that has it.

use crate::import::toml::{Keys, Section, Value};

/// A route.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// `match`
    pub(super) pattern: String,
    /// All that is in force.
    pub(super) keys: Keys,
    pub(super) comments: Vec<String>,
    pub(super) children: Vec<Node>,
}

/// Keys that are a route's own: those within it do not inherit them, or they read badly
/// elsewhere.
const OWN: [&str; 9] = [
    "upstream",
    "upstream_by",
    "replace_prefix",
    "rewrite",
    "rewrites",
    "respond",
    "alias",
    "try_files",
    "default_headers",
];
/// Tables of headers, which routes share as wholes or not at all: those of outer places are
/// joined with those of inner ones.
const JOINED: [&str; 6] = [
    "set_headers",
    "append_headers",
    "add_response_headers",
    "append_response_headers",
    "set_response_headers",
    "remove_response_headers",
];

impl Node {
    /// Keys and values that this and all within it have.
    fn shared(&self) -> Vec<(String, Value)> {
        let mut shared: Vec<(String, Value)> =
            self.keys.0.iter().filter(|(key, _)| !OWN.contains(&key.as_str())).cloned().collect();
        for child in &self.children {
            let theirs = child.shared();
            shared.retain(|pair| theirs.contains(pair));
        }
        shared
    }

    fn drop_keys(&mut self, gone: &[(String, Value)]) {
        self.keys.0.retain(|pair| !gone.contains(pair));
        for child in &mut self.children {
            child.drop_keys(gone);
        }
    }

    /// Whether something of this would be in force in a route within it that does not have it.
    fn leaks(&self) -> bool {
        let leaks = |child: &Node| {
            let inherited = self.keys.0.iter().filter(|(key, _)| {
                !matches!(key.as_str(), "upstream" | "replace_prefix" | "rewrite" | "rewrites" | "respond")
            });
            let mut leaking = inherited.filter(|(key, value)| match child.keys.get(key) {
                Some(theirs) => JOINED.contains(&key.as_str()) && !has_names(theirs, value),
                None => !(key == "root" && child.keys.has("upstream")),
            });
            leaking.next().is_some()
        };
        self.children.iter().any(leaks)
    }
}

/// Whether a table or list of headers has all names of another.
fn has_names(table: &Value, other: &Value) -> bool {
    match (table, other) {
        (Value::Table(table), Value::Table(other)) => {
            other.iter().all(|(name, _)| table.iter().any(|(known, _)| known == name))
        }
        (Value::List(list), Value::List(other)) => other.iter().all(|name| list.contains(name)),
        _ => false,
    }
}

/// What all routes of a site share, where there are several, and their tables.
pub(super) fn render(mut nodes: Vec<Node>, path: &str) -> (Keys, Vec<Section>) {
    let mut shared = Vec::new();
    if let [first, rest @ ..] = nodes.as_slice()
        && !rest.is_empty()
    {
        shared = first.shared();
        for node in rest {
            let theirs = node.shared();
            shared.retain(|pair| theirs.contains(pair));
        }
    }
    // A table of headers goes up alone only: another of the same name would be joined with it.
    shared.retain(|(key, _)| key != "root" || nodes.iter().all(|node| node.keys.has("root")));
    for node in &mut nodes {
        node.drop_keys(&shared);
    }
    let mut sections = Vec::new();
    for node in nodes {
        write(node, path, &mut sections);
    }
    (Keys(shared), sections)
}

fn write(mut node: Node, path: &str, sections: &mut Vec<Section>) {
    let children = std::mem::take(&mut node.children);
    let mut section = Section::item(path);
    section.comments = std::mem::take(&mut node.comments);
    section.keys.set("match", Value::text(node.pattern.clone()));
    if children.is_empty() {
        section.keys.0.extend(node.keys.0);
        return sections.push(section);
    }
    let inner_path = format!("{path}.routes");
    let node = Node { children, ..node };
    if !node.leaks() {
        let Node { keys, mut children, .. } = node;
        // What a route within has as well, it has by being within.
        let inherited: Vec<(String, Value)> = keys
            .0
            .iter()
            .filter(|(key, _)| !OWN.contains(&key.as_str()) || key == "default_headers")
            .cloned()
            .collect();
        for child in &mut children {
            child.drop_keys(&inherited);
        }
        section.keys.0.extend(keys.0);
        sections.push(section);
        for child in children {
            write(child, &inner_path, sections);
        }
        return;
    }
    // The outer route holds nothing but the paths; what it does stands within it, beside the
    // others, for the paths that they do not take.
    let Node { pattern, keys, mut children, .. } = node;
    section.keys.set("respond", Value::Table(vec![("status".to_owned(), Value::Count(404))]));
    let own =
        Node { pattern, keys, comments: vec!["what the location around does itself".to_owned()], children: Vec::new() };
    children.push(own);
    sections.push(section);
    for child in children {
        write(child, &inner_path, sections);
    }
}
