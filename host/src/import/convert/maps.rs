//! Variables made of others: `map`, `geo`, `split_clients`, and those that conditions need.

use super::text::{Groups, Piece, Values, literal, pieces};
use super::{Import, place};
use crate::config::{VariableKind, variable_kind};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Section, Value, render};

/// The map that is always there.
const CONNECTION_UPGRADE: &str = "connection_upgrade";

/// One map.
#[derive(Debug)]
struct Map {
    /// Its name in nginx; empty for one that an import makes.
    of: String,
    name: String,
    keys: Keys,
    comment: String,
}

/// All maps.
#[derive(Debug, Default)]
pub(super) struct Maps {
    all: Vec<Map>,
}

impl Maps {
    /// What a map of nginx is called here.
    pub(super) fn named(&self, name: &str) -> Option<&str> {
        self.all.iter().find(|map| map.of == name).map(|map| map.name.as_str())
    }

    /// The texts that a map of nginx can give; none for an unknown one.
    pub(super) fn values_of(&self, name: &str) -> Option<Vec<&str>> {
        let map = self.all.iter().find(|map| map.of == name)?;
        let mut texts = Vec::new();
        if let Some(Value::Text(text)) = map.keys.get("default") {
            texts.push(text.as_str());
        }
        if let Some(Value::Table(table)) = map.keys.get("values") {
            texts.extend(table.iter().filter_map(|(_, value)| match value {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            }));
        }
        Some(texts)
    }

    /// A map of the import's own: one that is there already, or a new one whose name begins
    /// so.
    pub(super) fn own(&mut self, base: &str, keys: Keys, comment: String) -> String {
        if let Some(same) = self.all.iter().find(|map| map.of.is_empty() && map.keys == keys) {
            return same.name.clone();
        }
        let name = self.free(base);
        self.all.push(Map { of: String::new(), name: name.clone(), keys, comment });
        name
    }

    fn free(&self, base: &str) -> String {
        let taken = |name: &str| self.all.iter().any(|map| map.name == name || map.of == name);
        let mut name = base.to_owned();
        let mut number = 1;
        while taken(&name) {
            number += 1;
            name = format!("{base}_{number}");
        }
        name
    }

    /// The variable for a group of a condition's expression.
    pub(super) fn of_group(&mut self, from: &str, pattern: &str, line: usize, group: &str) -> String {
        let mut keys = Keys::default();
        keys.set("from", Value::text(from));
        keys.put("values", pattern, &format!("${group}"));
        self.own(&format!("if_{line}_{group}"), keys, format!("what the condition in line {line} captures"))
    }

    /// Those that somebody reads, directly or through another.
    pub(super) fn sections(&self, others: &[Section]) -> Vec<Section> {
        let section = |map: &Map| Section {
            keys: map.keys.clone(),
            ..Section::table(format!("maps.{}", map.name)).comment(map.comment.clone())
        };
        let mut texts = vec![render(&[], others)];
        let mut used = vec![false; self.all.len()];
        while let Some(text) = texts.pop() {
            let names: Vec<&str> = pieces(&text)
                .into_iter()
                .filter_map(|piece| match piece {
                    Piece::Variable(name) => Some(name),
                    Piece::Text(_) => None,
                })
                .collect();
            for (map, used) in self.all.iter().zip(&mut used) {
                if !*used && names.contains(&map.name.as_str()) {
                    *used = true;
                    texts.push(render(&[], &[section(map)]));
                }
            }
        }
        let read = self.all.iter().zip(used).filter(|(map, used)| *used && !is_built_in(map));
        read.map(|(map, _)| section(map)).collect()
    }
}

/// Whether a map is the one that is always there.
fn is_built_in(map: &Map) -> bool {
    let mut same = Keys::default();
    same.set("from", Value::text("$http_upgrade"));
    same.set("default", Value::text("upgrade"));
    same.put("values", "", "close");
    map.name == CONNECTION_UPGRADE
        && ["from", "default", "values"].iter().all(|key| map.keys.get(key) == same.get(key))
        && map.keys.0.len() == 3
}

/// Read the maps of `http`.
pub(super) fn read(import: &mut Import<'_>) {
    let (http, stream) = (import.http, import.stream);
    let is_map = |directive: &&Directive| matches!(directive.name(), "map" | "geo" | "split_clients");
    let blocks: Vec<&Directive> = http.iter().chain(stream).filter(is_map).collect();
    let mut names = Vec::new();
    for block in &blocks {
        let variable = block.args.last().map_or("", |word| word.text.as_str());
        let Some(of) = variable.strip_prefix('$').filter(|name| super::text::is_name(name)) else {
            import.report.lacks(block, format!("`{variable}` is not a variable"), "such as `map $http_x $name { … }`");
            names.push(String::new());
            continue;
        };
        if names.iter().any(|known| known == of) {
            let instead = "give one of them another name, or leave the first out: `http` and `stream` share them here";
            import.report.lacks(block, format!("`{variable}` is made twice"), instead);
            names.push(String::new());
            continue;
        }
        // Names of variables that are here and not in nginx.
        let taken = variable_kind(of) != VariableKind::Other;
        let name = import.maps.free(&if taken { format!("{of}_map") } else { of.to_owned() });
        import.maps.all.push(Map { of: of.to_owned(), name, keys: Keys::default(), comment: place(block) });
        names.push(of.to_owned());
    }
    // Maps read each other, in any order.
    for (block, of) in blocks.into_iter().zip(names).filter(|(_, of)| !of.is_empty()) {
        let keys = match block.name() {
            "map" => map(import, block),
            "geo" => geo(import, block),
            _ => split(import, block),
        };
        if let Some(map) = import.maps.all.iter_mut().find(|map| map.of == of) {
            map.keys = keys;
        }
    }
}

fn map(import: &mut Import<'_>, block: &Directive) -> Keys {
    let mut keys = Keys::default();
    let from = import.template(block, block.arg(0), &Values::default());
    keys.set("from", Value::text(from));
    let mut values = Keys::default();
    for entry in block.inner() {
        let (key, value) = (entry.name(), entry.arg(0));
        match (key, entry.args.len()) {
            ("hostnames" | "volatile", 0) => keys.set(key, Value::Flag(true)),
            ("default", 1) => {
                let value = import.template(entry, value, &Values::default());
                keys.set("default", Value::text(value));
            }
            (_, 1) => {
                let mut known = Values::default();
                if let Some(pattern) = key.strip_prefix('~') {
                    let (pattern, any_case) =
                        pattern.strip_prefix('*').map_or((pattern, false), |pattern| (pattern, true));
                    if !import.regex(entry, pattern, any_case) {
                        continue;
                    }
                    known.groups = Groups::Router;
                    let names = regex_lite::Regex::new(pattern).ok();
                    let names = names
                        .iter()
                        .flat_map(|regex| regex.capture_names().flatten().map(str::to_owned).collect::<Vec<_>>());
                    known.set = names.map(|name| (name.clone(), format!("${{{name}}}"))).collect();
                }
                let value = import.template(entry, value, &known);
                values.put("values", key, &value);
            }
            _ => import.report.lacks(entry, "is not an entry of a map", "an entry is a value and what it becomes"),
        }
    }
    keys.0.extend(values.0);
    keys
}

fn geo(import: &mut Import<'_>, block: &Directive) -> Keys {
    let mut keys = Keys::default();
    let from = if block.args.len() > 1 { block.arg(0) } else { "$remote_addr" };
    let from = import.template(block, from, &Values::default());
    keys.set("from", Value::text(from));
    keys.set("networks", Value::Flag(true));
    let mut values = Keys::default();
    for entry in block.inner() {
        match (entry.name(), entry.args.len()) {
            ("default", 1) => keys.set("default", Value::text(literal(entry.arg(0)))),
            ("ranges" | "proxy" | "proxy_recursive" | "delete", _) => {
                import.report.lacks(
                    entry,
                    "has no equal in a map of networks",
                    "write networks such as `10.0.0.0/8`; `set_real_ip_from` names proxies",
                );
            }
            (network, 1) if tidegate_cidr::Cidr::parse(network).is_ok() => {
                values.put("values", network, &literal(entry.arg(0)))
            }
            _ => import.report.lacks(entry, "is not a network", "such as `10.0.0.0/8`"),
        }
    }
    keys.0.extend(values.0);
    keys
}

fn split(import: &mut Import<'_>, block: &Directive) -> Keys {
    let mut keys = Keys::default();
    let from = import.template(block, block.arg(0), &Values::default());
    keys.set("from", Value::text(from));
    keys.set("shares", Value::Flag(true));
    let mut values = Keys::default();
    for entry in block.inner() {
        let value = import.template(entry, entry.arg(0), &Values::default());
        match (entry.name(), entry.args.len()) {
            ("*", 1) => keys.set("default", Value::text(value)),
            // Two shares of the same size are two entries in nginx, and one key here.
            (share, 1) if share.ends_with('%') => {
                let mut key = share.to_owned();
                while matches!(values.get("values"), Some(Value::Table(table)) if table.iter().any(|(known, _)| *known == key))
                {
                    key = format!("0{key}");
                }
                values.put("values", &key, &value);
            }
            _ => import.report.lacks(entry, "is not a share", "such as `10%`, or `*` for the rest"),
        }
    }
    keys.0.extend(values.0);
    keys
}
