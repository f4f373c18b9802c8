//! The second pass reads through this: a table of the document with typed getters, which
//! know only keys of the key table and give its defaults. What the first pass refused
//! reads as absent.

use std::time::Duration;

use super::context::{Context, join};
use super::document::{EMPTY, Entry, Node, Table};
use super::key::{Default, Key, Kind, Section};
use super::units::{parse_duration, parse_size};

/// A table of the document, and around it the one whose keys it inherits (a site's, for a
/// route).
#[derive(Clone)]
pub(super) struct Reader<'a> {
    pub(super) cx: &'a Context,
    /// The key path.
    pub(super) path: String,
    /// Where the table begins.
    pub(super) at: usize,
    section: Section,
    table: &'a Table,
    outer: Option<Box<Self>>,
}

/// A value and its key path.
#[derive(Clone)]
pub(super) struct Item<'a> {
    pub(super) node: &'a Node,
    pub(super) path: String,
}

impl<'a> Item<'a> {
    pub(super) fn at(&self) -> usize {
        self.node.at
    }
}

/// A string of the document and its place.
#[derive(Clone)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) path: String,
    pub(super) at: usize,
}

/// An entry of a table of strings, or a table with a name.
#[derive(Clone)]
pub(super) struct Named<'a, T> {
    pub(super) name: &'a str,
    /// Where the name stands.
    pub(super) name_at: usize,
    pub(super) value: T,
}

impl<'a> Reader<'a> {
    /// The document's top level.
    pub(super) fn new(cx: &'a Context, root: &'a Table) -> Self {
        Self { cx, path: String::new(), at: 0, section: Section::Top, table: root, outer: None }
    }

    /// The same table, with another one around it.
    pub(super) fn within(mut self, outer: &Self) -> Self {
        self.outer = Some(Box::new(outer.clone()));
        self
    }

    /// Whether another table is around it.
    pub(super) fn is_route(&self) -> bool {
        self.outer.is_some()
    }

    /// The route around this one; none for a route of the site's own.
    pub(super) fn around(&self) -> Option<&Self> {
        self.outer.as_deref().filter(|outer| outer.section == Section::Route)
    }

    /// The first name of the site that this table is or stands in.
    pub(super) fn site_name(&self) -> Option<&'a str> {
        match &self.outer {
            Some(outer) => outer.site_name(),
            None => self.own_texts(&super::keys::NAMES).first().map(|name| name.text),
        }
    }

    /// The key path of one of the table's keys.
    pub(super) fn path_of(&self, key: &Key) -> String {
        join(&self.path, key.name)
    }

    /// The value in this very table.
    pub(super) fn own(&self, key: &Key) -> Option<Item<'a>> {
        debug_assert!(key.stands_in(self.section), "{} is no key of {:?}", key.name, self.section);
        let entry = self.table.get(key.name)?;
        Some(Item { node: &entry.node, path: self.path_of(key) })
    }

    /// The value in this table, or else in the one around it.
    pub(super) fn find(&self, key: &Key) -> Option<Item<'a>> {
        self.own(key).or_else(|| match &self.outer {
            Some(outer) if key.stands_in(outer.section) => outer.find(key),
            _ => None,
        })
    }

    /// Of this table and those around it the nearest that has one of the keys.
    pub(super) fn holder(&self, keys: &[&Key]) -> Option<&Self> {
        if keys.iter().any(|key| key.stands_in(self.section) && self.own(key).is_some()) {
            return Some(self);
        }
        self.outer.as_deref().and_then(|outer| outer.holder(keys))
    }

    pub(super) fn flag(&self, key: &Key) -> bool {
        debug_assert!(matches!(key.kind, Kind::Flag), "{}", key.name);
        let read = self.find(key).and_then(|i| match i.node.value {
            super::document::Value::Flag(flag) => Some(flag),
            _ => None,
        });
        read.unwrap_or(matches!(key.default, Default::Flag(true)))
    }

    /// None where the key is absent and has no default.
    pub(super) fn count(&self, key: &Key) -> Option<u64> {
        debug_assert!(matches!(key.kind, Kind::Count { .. }), "{}", key.name);
        let read = self.find(key).and_then(|i| match i.node.value {
            super::document::Value::Integer(n) => u64::try_from(n).ok(),
            _ => None,
        });
        read.or(match key.default {
            Default::Count(count) => Some(count),
            _ => None,
        })
    }

    /// None where the key is absent and has no default.
    pub(super) fn duration(&self, key: &Key) -> Option<Duration> {
        debug_assert!(matches!(key.kind, Kind::Duration { .. }), "{}", key.name);
        let read = self.find(key).and_then(|i| parse_duration(i.node.text()?).ok());
        read.or(match key.default {
            Default::Duration(duration) => Some(duration),
            _ => None,
        })
    }

    /// None where the key is absent and has no default.
    pub(super) fn size(&self, key: &Key) -> Option<u64> {
        debug_assert!(matches!(key.kind, Kind::Size { .. }), "{}", key.name);
        let read = self.find(key).and_then(|i| match &i.node.value {
            super::document::Value::Text(text) => parse_size(text).ok(),
            super::document::Value::Integer(n) => u64::try_from(*n).ok(),
            _ => None,
        });
        read.or(match key.default {
            Default::Size(size) => Some(size),
            _ => None,
        })
    }

    /// None where the key is absent and has no default.
    pub(super) fn text(&self, key: &Key) -> Option<&'a str> {
        debug_assert!(
            matches!(key.kind, Kind::Text | Kind::AnyText | Kind::Address | Kind::Choice { .. }),
            "{}",
            key.name
        );
        self.find(key).and_then(|i| i.node.text()).or(match key.default {
            Default::Text(text) => Some(text),
            _ => None,
        })
    }

    /// The string with its place; none where it is not in the text.
    pub(super) fn placed(&self, key: &Key) -> Option<Text<'a>> {
        let item = self.find(key)?;
        Some(Text { text: item.node.text()?, at: item.at(), path: item.path })
    }

    /// The string of this very table with its place.
    pub(super) fn own_placed(&self, key: &Key) -> Option<Text<'a>> {
        let item = self.own(key)?;
        Some(Text { text: item.node.text()?, at: item.at(), path: item.path })
    }

    /// The strings of a list; none where the key is absent (its default, if it has one, is
    /// [`Default::Texts`]).
    pub(super) fn texts(&self, key: &Key) -> Option<Vec<Text<'a>>> {
        debug_assert!(matches!(key.kind, Kind::Texts), "{}", key.name);
        Some(texts(&self.find(key)?))
    }

    /// The strings of a list in this very table; empty where the key is absent.
    pub(super) fn own_texts(&self, key: &Key) -> Vec<Text<'a>> {
        debug_assert!(matches!(key.kind, Kind::Texts), "{}", key.name);
        self.own(key).map(|item| texts(&item)).unwrap_or_default()
    }

    /// The entries of a table of strings in this very table.
    pub(super) fn own_map(&self, key: &Key) -> Vec<Named<'a, Text<'a>>> {
        debug_assert!(matches!(key.kind, Kind::TextMap), "{}", key.name);
        self.own(key).map(|item| entries(&item)).unwrap_or_default()
    }

    /// The entries of a table of strings in this table, or else in the one around it; none
    /// where the key is absent.
    pub(super) fn map(&self, key: &Key) -> Option<Vec<Named<'a, Text<'a>>>> {
        debug_assert!(matches!(key.kind, Kind::TextMap), "{}", key.name);
        self.find(key).map(|item| entries(&item))
    }

    /// Every value of a key that counts for this table: from the outermost table inwards, its own
    /// the last.
    pub(super) fn all(&self, key: &Key) -> Vec<Item<'a>> {
        let outer = self.outer.as_ref().filter(|outer| key.stands_in(outer.section));
        let mut all = outer.map(|outer| outer.all(key)).unwrap_or_default();
        all.extend(self.own(key));
        all
    }

    /// The table of the site that this one is or stands in.
    pub(super) fn site(&self) -> &Self {
        self.outer.as_ref().map_or(self, |outer| outer.site())
    }

    /// The table under a key; an empty one where the key is absent. It inherits from the
    /// table under the same key of the table around this one.
    pub(super) fn table(&self, key: &Key) -> Self {
        let (Kind::Table(section) | Kind::TableOrFalse(section) | Kind::TableOrFlag(section)) = key.kind else {
            debug_assert!(false, "{}", key.name);
            return self.clone();
        };
        let found = self.own(key).and_then(|i| Some((i.node.at, i.node.table()?)));
        let (at, table) = found.unwrap_or((self.at, &EMPTY));
        let outer = self.outer.as_ref().filter(|o| key.stands_in(o.section)).map(|o| Box::new(o.table(key)));
        Self { cx: self.cx, path: self.path_of(key), at, section, table, outer }
    }

    /// A table that stands at `item`.
    pub(super) fn table_at(&self, item: &Item<'a>, section: Section) -> Option<Self> {
        let table = item.node.table()?;
        Some(Self { cx: self.cx, path: item.path.clone(), at: item.at(), section, table, outer: None })
    }

    /// The tables of a list.
    pub(super) fn tables(&self, key: &Key) -> Vec<Self> {
        let Kind::Tables(section) = key.kind else {
            debug_assert!(false, "{}", key.name);
            return Vec::new();
        };
        self.items(key).iter().filter_map(|item| self.table_at(item, section)).collect()
    }

    /// The tables of a list, or the one table, in this very table; empty for `false`, none where
    /// the key is absent.
    pub(super) fn tables_or_false(&self, key: &Key) -> Option<Vec<Self>> {
        let Kind::TablesOrFalse(section) = key.kind else {
            debug_assert!(false, "{}", key.name);
            return None;
        };
        let found = self.own(key)?;
        if found.node.table().is_some() {
            return Some(self.table_at(&found, section).into_iter().collect());
        }
        Some(self.items(key).iter().filter_map(|item| self.table_at(item, section)).collect())
    }

    /// The items of a list.
    pub(super) fn items(&self, key: &Key) -> Vec<Item<'a>> {
        let Some(list) = self.own(key) else { return Vec::new() };
        let path = |i: usize| format!("{}[{i}]", list.path);
        list.node.items().iter().enumerate().map(|(i, node)| Item { node, path: path(i) }).collect()
    }

    /// The tables of a table, by name.
    pub(super) fn named(&self, key: &Key) -> Vec<Named<'a, Self>> {
        let (Kind::Named(section), Some(item)) = (key.kind, self.own(key)) else { return Vec::new() };
        let Some(table) = item.node.table() else { return Vec::new() };
        let named = |e: &'a Entry| {
            let inner = Item { node: &e.node, path: join(&item.path, &e.key) };
            Some(Named { name: &e.key, name_at: e.key_at, value: self.table_at(&inner, section)? })
        };
        table.entries.iter().filter_map(named).collect()
    }
}

fn texts<'a>(item: &Item<'a>) -> Vec<Text<'a>> {
    let text = |(i, node): (usize, &'a Node)| {
        Some(Text { text: node.text()?, path: format!("{}[{i}]", item.path), at: node.at })
    };
    item.node.items().iter().enumerate().filter_map(text).collect()
}

/// The entries of a table of strings.
pub(super) fn entries<'a>(item: &Item<'a>) -> Vec<Named<'a, Text<'a>>> {
    let Some(table) = item.node.table() else { return Vec::new() };
    let named = |e: &'a Entry| {
        let value = Text { text: e.node.text()?, path: join(&item.path, &e.key), at: e.node.at };
        Some(Named { name: &e.key, name_at: e.key_at, value })
    };
    table.entries.iter().filter_map(named).collect()
}
