//! `[maps.NAME]`: variables made of others.

use tidegate_cidr::Cidr;

use super::note;
use crate::config::keys as k;
use crate::config::pattern;
use crate::config::reader::{Named, Reader, Text};
use crate::config::variables::{BUILTIN, OUTCOME, Variables};
use crate::hook::{self, Maps, Ranges, Template as Compiled};

/// One map.
pub(super) struct Map<'a> {
    pub(super) name: &'a str,
    table: Reader<'a>,
    values: Vec<Named<'a, Text<'a>>>,
    /// The variables that it reads.
    reads: Vec<&'a str>,
}

/// A template, and the captures that it may use like variables.
type Template<'a> = (Text<'a>, Groups);

/// The captures of the regular expression before a map's value.
#[derive(Default)]
struct Groups {
    names: Vec<String>,
    /// How many there are; none without a regular expression.
    count: Option<usize>,
}

impl Groups {
    fn of(key: &str) -> Self {
        let Some(Ok(regex)) = pattern::marked_regex(key) else { return Self::default() };
        let names = regex.capture_names().flatten().map(str::to_owned).collect();
        Self { names, count: Some(regex.captures_len()) }
    }

    fn contains(&self, name: &str) -> bool {
        let number = || name.parse::<usize>().ok().zip(self.count).is_some_and(|(number, count)| number < count);
        self.names.iter().any(|n| n == name) || number()
    }
}

impl<'a> Map<'a> {
    /// `from`, `default`, and the values.
    fn templates(&self) -> Vec<Template<'a>> {
        let single = [self.table.placed(&k::MAP_FROM), self.table.placed(&k::MAP_DEFAULT)];
        let values = self.values.iter().map(|v| (v.value.clone(), Groups::of(v.name)));
        single.into_iter().flatten().map(|text| (text, Groups::default())).chain(values).collect()
    }
}

/// `[maps.*]`.
pub(super) fn read<'a>(root: &Reader<'a>) -> Vec<Map<'a>> {
    root.named(&k::MAPS).into_iter().map(|named| map(root, named)).collect()
}

fn map<'a>(root: &Reader<'a>, named: Named<'a, Reader<'a>>) -> Map<'a> {
    let Named { name, name_at, value: table } = named;
    if name.is_empty() || !name.chars().all(pattern::is_name) {
        let message = format!("\"{name}\" is not a variable's name");
        root.cx.hinted(name_at, &table.path, message, "letters, digits and `_`");
    } else if BUILTIN.contains(&name) || OUTCOME.contains(&name) {
        root.cx.problem(name_at, &table.path, format!("`${name}` is a built-in variable"));
    }
    let mut map = Map { name, values: table.own_map(&k::MAP_VALUES), table, reads: Vec::new() };
    for value in &map.values {
        if let Some(Err(fault)) = pattern::marked_regex(value.name) {
            note(root.cx, value.name_at, &value.value.path, fault);
        }
    }
    let templates = map.templates();
    for (text, groups) in &templates {
        match pattern::variables(text.text) {
            Ok(names) => map.reads.extend(names.into_iter().filter(|n| !groups.contains(n))),
            Err(fault) => note(root.cx, text.at, &text.path, fault),
        }
    }
    map
}

/// Report maps that read themselves, and variables that nobody sets.
pub(super) fn check(maps: &[Map<'_>], variables: &Variables) {
    for map in maps {
        for (text, groups) in map.templates() {
            let names = pattern::variables(text.text).unwrap_or_default();
            for name in names.into_iter().filter(|n| !groups.contains(n)) {
                check_variable(&map.table, &text, name, variables);
            }
        }
        if reachable(maps, map.reads.iter().copied()).contains(&map.name) {
            map.table.cx.problem(map.table.at, &map.table.path, format!("`${}` is made from itself", map.name));
        }
    }
}

/// Report the variables of a template that nobody sets.
pub(super) fn check_variables(reader: &Reader<'_>, text: &Text<'_>, variables: &Variables) {
    for name in pattern::variables(text.text).unwrap_or_default() {
        check_variable(reader, text, name, variables);
    }
}

/// Report a variable that nobody sets.
pub(super) fn check_variable(reader: &Reader<'_>, text: &Text<'_>, name: &str, variables: &Variables) {
    if let Some((message, hint)) = variables.fault(name) {
        reader.cx.hinted(text.at, &text.path, message, hint);
    }
}

/// The names of the maps that these variables are, and of those that they are made from.
fn reachable<'a>(maps: &[Map<'a>], variables: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut todo: Vec<&str> = variables.collect();
    let mut found: Vec<&str> = Vec::new();
    while let Some(name) = todo.pop() {
        if let Some(map) = maps.iter().find(|m| m.name == name && !found.contains(&m.name)) {
            found.push(map.name);
            todo.extend(&map.reads);
        }
    }
    found
}

/// The map that the guides write for every proxy of WebSockets, there unless the file has
/// one of its name.
pub(super) const CONNECTION_UPGRADE: &str = "connection_upgrade";

/// All maps, ready to be asked. Entries that cannot be are reported or have been.
pub(super) fn compile(maps: &[Map<'_>]) -> Maps {
    let mut made: Vec<(String, hook::Map)> = maps.iter().map(|map| (map.name.to_owned(), one(map))).collect();
    if !maps.iter().any(|map| map.name == CONNECTION_UPGRADE) {
        let mut map = hook::Map::new(template("$http_upgrade"), template("upgrade"));
        // A new map has no entry twice.
        let _new = map.add("", template("close"));
        made.push((CONNECTION_UPGRADE.to_owned(), map));
    }
    Maps::new(made)
}

fn one(map: &Map<'_>) -> hook::Map {
    let table = &map.table;
    let text = |key| template(table.text(key).unwrap_or_default());
    let mut made = hook::Map::new(text(&k::MAP_FROM), text(&k::MAP_DEFAULT))
        .hostnames(table.flag(&k::MAP_HOSTNAMES))
        .volatile(table.flag(&k::MAP_VOLATILE));
    if let Some(ranges) = ranges(map) {
        return made.ranges(ranges);
    }
    for entry in &map.values {
        let value = template(entry.value.text);
        match pattern::marked_regex(entry.name) {
            Some(Ok(regex)) => made.add_pattern(regex, value),
            Some(Err(_reported)) => {}
            None if made.add(entry.name, value).is_err() => {
                let message = format!("\"{}\" is there already: letters in any case are the same", entry.name);
                table.cx.problem(entry.name_at, &entry.value.path, message);
            }
            None => {}
        }
    }
    made
}

/// `networks` and `shares`; none for a map of texts.
fn ranges(map: &Map<'_>) -> Option<Ranges> {
    let table = &map.table;
    let (networks, shares) = (table.flag(&k::MAP_NETWORKS), table.flag(&k::MAP_SHARES));
    let others = [&k::MAP_NETWORKS, &k::MAP_SHARES, &k::MAP_HOSTNAMES].into_iter().filter(|key| table.flag(key));
    if others.count() > 1 {
        table.cx.problem(table.at, &table.path, "`networks`, `shares` and `hostnames` do not go together");
    }
    if networks {
        let mut entries = Vec::new();
        for entry in &map.values {
            match Cidr::parse(entry.name) {
                Ok(network) => entries.push((network, template(entry.value.text))),
                Err(error) => {
                    let message = format!("\"{}\" {error}", entry.name);
                    table.cx.hinted(entry.name_at, &entry.value.path, message, "such as \"10.0.0.0/8\"");
                }
            }
        }
        return Some(Ranges::networks(entries));
    }
    if !shares {
        return None;
    }
    let entries = map.values.iter().map(|entry| (entry.name, template(entry.value.text))).collect();
    Some(Ranges::shares(entries).unwrap_or_else(|(number, error)| {
        if let Some(entry) = map.values.get(number) {
            table.cx.problem(entry.name_at, &entry.value.path, format!("\"{}\" {error}", entry.name));
        }
        Ranges::networks(Vec::new())
    }))
}

/// One that cannot be taken apart has been reported.
fn template(text: &str) -> Compiled {
    Compiled::parse(text).unwrap_or_default()
}
