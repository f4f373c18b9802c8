//! `[maps.NAME]`: variables that header-map makes.

use serde_json::{Value as Json, json};

use super::note;
use crate::config::keys as k;
use crate::config::pattern;
use crate::config::reader::{Named, Reader, Text};
use crate::config::types::Spot;
use crate::config::variables::{BUILTIN, Variables};

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
    } else if BUILTIN.contains(&name) {
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

fn check_variable(reader: &Reader<'_>, text: &Text<'_>, name: &str, variables: &Variables) {
    if let Some((message, hint)) = variables.fault(name) {
        reader.cx.hinted(text.at, &text.path, message, hint);
    }
}

/// The names of the maps that these variables are, and of those that they are made from.
pub(super) fn reachable<'a>(maps: &[Map<'a>], variables: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
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

/// The maps of these names as header-map takes them, in the order of the file.
pub(super) fn json<'a>(maps: &[Map<'a>], names: &[&'a str], spots: &mut Vec<Spot>) -> Json {
    let used = maps.iter().filter(|m| names.contains(&m.name));
    Json::Array(used.enumerate().map(|(i, map)| one(map, &format!("/maps/{i}"), spots)).collect())
}

fn one(map: &Map<'_>, pointer: &str, spots: &mut Vec<Spot>) -> Json {
    let cx = map.table.cx;
    spots.push(cx.spot(pointer.to_owned(), &map.table.path, map.table.at));
    for (key, part) in [(&k::MAP_FROM, "from"), (&k::MAP_DEFAULT, "default")] {
        if let Some(text) = map.table.placed(key) {
            spots.push(cx.spot(format!("{pointer}/{part}"), &text.path, text.at));
        }
    }
    for (i, entry) in map.values.iter().enumerate() {
        let at = format!("{pointer}/values/{i}");
        spots.push(cx.spot(format!("{at}/1"), &entry.value.path, entry.value.at));
        spots.push(cx.spot(at, &entry.value.path, entry.name_at));
    }
    let values: Vec<[&str; 2]> = map.values.iter().map(|v| [v.name, v.value.text]).collect();
    json!({
        "name": map.name,
        "from": map.table.text(&k::MAP_FROM).unwrap_or_default(),
        "default": map.table.text(&k::MAP_DEFAULT).unwrap_or_default(),
        "values": values,
    })
}
