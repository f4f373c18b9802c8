//! Variables made of others. nginx: `map`.
//!
//! They are data, so they are the host's: headers, logs, keys of limits and redirects all
//! read the same ones. A lookup costs a hash of the value, whatever the number of entries;
//! regular expressions are tried one by one after that, as in nginx.

use std::collections::HashMap;
use std::sync::OnceLock;

use regex_lite::Regex;

use super::ranges::Ranges;
use super::template::{Template, Values};

/// All maps of a configuration.
#[derive(Debug, Default)]
pub struct Maps {
    names: HashMap<Box<str>, usize>,
    maps: Vec<Map>,
}

/// One map. nginx: `map $from $name { … }`.
#[derive(Debug)]
pub struct Map {
    from: Template,
    default: Template,
    /// By what is compared, in lower case: nginx compares texts without case.
    exact: HashMap<Box<[u8]>, Template>,
    /// `*.x` by `x`.
    above: HashMap<Box<[u8]>, Template>,
    /// `x.*` by `x`.
    below: HashMap<Box<[u8]>, Template>,
    /// In the order of the file.
    patterns: Vec<(Regex, Template)>,
    hostnames: bool,
    volatile: bool,
    /// What entries are instead of texts.
    ranges: Option<Ranges>,
}

/// An entry that a map has already: texts are the same in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Twice;

/// The values of maps that one request has asked for: each is worked out once, unless the
/// map is `volatile`. Nothing is allocated before the first.
#[derive(Debug, Clone, Default)]
pub struct Kept(OnceLock<Box<[Value]>>);

/// The value of one map, once somebody has asked for it.
type Value = OnceLock<Box<[u8]>>;

impl Map {
    /// A map without entries.
    pub fn new(from: Template, default: Template) -> Self {
        Self {
            from,
            default,
            exact: HashMap::new(),
            above: HashMap::new(),
            below: HashMap::new(),
            patterns: Vec::new(),
            hostnames: false,
            volatile: false,
            ranges: None,
        }
    }

    /// With entries that are networks or shares. nginx: `geo`, `split_clients`.
    #[must_use]
    pub fn ranges(mut self, ranges: Ranges) -> Self {
        self.ranges = Some(ranges);
        self
    }

    /// Whether entries may be host names with wildcards. nginx: `hostnames`. To be said
    /// before entries are added.
    #[must_use]
    pub fn hostnames(mut self, hostnames: bool) -> Self {
        self.hostnames = hostnames;
        self
    }

    /// Whether the value is worked out each time it is asked for. nginx: `volatile`.
    #[must_use]
    pub fn volatile(mut self, volatile: bool) -> Self {
        self.volatile = volatile;
        self
    }

    /// Add an entry: a text that is compared without case, or with [`Map::hostnames`] also
    /// `*.x`, `x.*` and `.x` (which is `x` and `*.x`). A backslash at the start shields what
    /// would mean something.
    ///
    /// # Errors
    /// Where it is there already.
    pub fn add(&mut self, text: &str, value: Template) -> Result<(), Twice> {
        let lower = text.strip_prefix('\\').unwrap_or(text).to_ascii_lowercase();
        let shielded = text.starts_with('\\');
        let put = |table: &mut HashMap<Box<[u8]>, Template>, key: &str, value: Template| match table
            .insert(key.as_bytes().into(), value)
        {
            Some(_) => Err(Twice),
            None => Ok(()),
        };
        if self.hostnames && !shielded {
            if let Some(name) = lower.strip_prefix("*.") {
                return put(&mut self.above, name, value);
            }
            if let Some(name) = lower.strip_suffix(".*") {
                return put(&mut self.below, name, value);
            }
            if let Some(name) = lower.strip_prefix('.') {
                put(&mut self.above, name, value.clone())?;
                return put(&mut self.exact, name, value);
            }
        }
        put(&mut self.exact, &lower, value)
    }

    /// Add a regular expression; its captures are variables of the value: `$1`, `$name`.
    pub fn add_pattern(&mut self, pattern: Regex, value: Template) {
        self.patterns.push((pattern, value));
    }

    /// Append the value to `out`.
    fn put(&self, source: &dyn Values, out: &mut Vec<u8>) {
        let start = out.len();
        // What is looked up stands where its value will.
        self.from.render_from(source, out);
        if let Some(ranges) = &self.ranges {
            let value = ranges.find(out.get(start..).unwrap_or_default()).unwrap_or(&self.default);
            out.truncate(start);
            return value.render_from(source, out);
        }
        let found = self.find(out.get(start..).unwrap_or_default());
        if found.is_none() && !self.patterns.is_empty() {
            let key = String::from_utf8_lossy(out.get(start..).unwrap_or_default()).into_owned();
            out.truncate(start);
            return self.put_matched(&key, source, out);
        }
        out.truncate(start);
        found.unwrap_or(&self.default).render_from(source, out);
    }

    fn put_matched(&self, key: &str, source: &dyn Values, out: &mut Vec<u8>) {
        let matched = self.patterns.iter().find_map(|(regex, value)| Some((regex.captures(key)?, value)));
        match matched {
            Some((captures, value)) => value.render_from(&Captured { captures, source }, out),
            None => self.default.render_from(source, out),
        }
    }

    fn find(&self, key: &[u8]) -> Option<&Template> {
        let lower;
        let key = if key.iter().any(u8::is_ascii_uppercase) {
            lower = key.to_ascii_lowercase();
            lower.as_slice()
        } else {
            key
        };
        if !self.hostnames {
            return self.exact.get(key);
        }
        // nginx: a final dot is not part of the name.
        let key = key.strip_suffix(b".").unwrap_or(key);
        self.exact.get(key).or_else(|| self.wildcard(key))
    }

    /// The longest `*.x`, then the longest `x.*`.
    fn wildcard(&self, name: &[u8]) -> Option<&Template> {
        let dots = || name.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
        let above = || dots().find_map(|at| self.above.get(name.get(at + 1..)?));
        let below = || dots().collect::<Vec<_>>().into_iter().rev().find_map(|at| self.below.get(name.get(..at)?));
        (!self.above.is_empty()).then(above).flatten().or_else(|| (!self.below.is_empty()).then(below).flatten())
    }
}

/// The captures of the expression that chose a map's value, before other variables.
struct Captured<'a> {
    captures: regex_lite::Captures<'a>,
    source: &'a dyn Values,
}

impl Values for Captured<'_> {
    fn value(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let group = match name.parse::<usize>() {
            Ok(number) => self.captures.get(number),
            Err(_) => self.captures.name(name),
        };
        match group {
            Some(group) => {
                out.extend_from_slice(group.as_str().as_bytes());
                true
            }
            None => self.source.value(name, out),
        }
    }
}

impl Maps {
    /// Maps by their names, without `$`. That none needs its own value is for the reader of
    /// the configuration to see to.
    pub fn new(maps: Vec<(String, Map)>) -> Self {
        let names = maps.iter().enumerate().map(|(i, (name, _))| (name.as_str().into(), i)).collect();
        Self { names, maps: maps.into_iter().map(|(_, map)| map).collect() }
    }

    /// The number of the map that makes this variable.
    pub fn find(&self, name: &str) -> Option<usize> {
        if self.maps.is_empty() { None } else { self.names.get(name).copied() }
    }

    /// The names of the variables that a map reads, captures among them.
    pub fn reads(&self, number: usize) -> impl Iterator<Item = &str> {
        self.maps.get(number).into_iter().flat_map(|map| {
            let values = map.exact.values().chain(map.above.values()).chain(map.below.values());
            let values = values.chain(map.patterns.iter().map(|(_, value)| value));
            let values = values.chain(map.ranges.iter().flat_map(Ranges::values));
            [&map.from, &map.default].into_iter().chain(values).flat_map(Template::variables)
        })
    }

    /// Append the value of a map to `out`, its variables being those of `source`.
    pub fn put(&self, number: usize, source: &dyn Values, out: &mut Vec<u8>) {
        if let Some(map) = self.maps.get(number) {
            map.put(source, out);
        }
    }

    /// As [`Maps::put`], with the value kept for the rest of the request.
    pub fn put_kept(&self, number: usize, source: &dyn Values, kept: &Kept, out: &mut Vec<u8>) {
        let Some(map) = self.maps.get(number) else { return };
        if map.volatile {
            return map.put(source, out);
        }
        let all = kept.0.get_or_init(|| self.maps.iter().map(|_| OnceLock::new()).collect());
        let Some(slot) = all.get(number) else { return };
        if let Some(value) = slot.get() {
            out.extend_from_slice(value);
            return;
        }
        let start = out.len();
        map.put(source, out);
        // A map is worked out by one hook at a time, so nobody was faster.
        let _first = slot.set(out.get(start..).unwrap_or_default().into());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// `$v` is the text; `$count` counts how often it was asked.
    struct Source<'a>(&'a str, Cell<usize>);

    impl Values for Source<'_> {
        fn value(&self, name: &str, out: &mut Vec<u8>) -> bool {
            self.1.set(self.1.get() + 1);
            match name {
                "v" => out.extend_from_slice(self.0.as_bytes()),
                _ => return false,
            }
            true
        }
    }

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    fn map(entries: &[(&str, &str)], hostnames: bool) -> Map {
        let mut map = Map::new(template("$v"), template("none")).hostnames(hostnames);
        for (text, value) in entries {
            match text.strip_prefix('~') {
                Some(pattern) => map.add_pattern(Regex::new(pattern).unwrap(), template(value)),
                None => map.add(text, template(value)).unwrap(),
            }
        }
        map
    }

    fn value(map: &Map, text: &str) -> String {
        let mut out = b"<".to_vec();
        map.put(&Source(text, Cell::default()), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn texts_go_before_expressions_and_have_no_case() {
        let map =
            map(&[("~^a(?<rest>.*)$", "[$1|$rest|$v]"), ("Abc", "exact $v"), ("", "empty"), ("\\~x", "t")], false);
        for (text, expected) in [
            ("aBC", "<exact aBC"),
            ("abcd", "<[bcd|bcd|abcd]"),
            ("Abcd", "<none"),
            ("", "<empty"),
            ("~X", "<t"),
            ("*.x", "<none"),
        ] {
            assert_eq!(value(&map, text), expected, "{text}");
        }
    }

    #[test]
    fn host_names_as_in_nginx() {
        let entries = [
            ("*.a.test", "head"),
            ("*.b.a.test", "longer"),
            ("www.*", "tail"),
            (".c.test", "both"),
            ("x.a.test", "exact"),
        ];
        let map = map(&entries, true);
        for (text, expected) in [
            ("a.test", "<none"),
            ("y.a.test", "<head"),
            ("x.y.A.test", "<head"),
            ("x.b.a.test", "<longer"),
            ("x.a.test.", "<exact"),
            ("www.a.test", "<head"),
            ("www.other.net", "<tail"),
            ("www", "<none"),
            ("c.test", "<both"),
            ("y.z.c.test", "<both"),
            ("yc.test", "<none"),
        ] {
            assert_eq!(value(&map, text), expected, "{text}");
        }
    }

    #[test]
    fn without_hostnames_a_star_is_a_star() {
        let map = map(&[("*.a.test", "star")], false);
        assert_eq!((value(&map, "*.a.test"), value(&map, "x.a.test")), ("<star".into(), "<none".into()));
    }

    #[test]
    fn an_entry_stands_once() {
        let mut map = map(&[("a", "1"), ("*.b", "2")], true);
        assert_eq!(map.add("A", template("x")), Err(Twice));
        assert_eq!(map.add("*.B", template("x")), Err(Twice));
        assert_eq!(map.add(".b", template("x")), Err(Twice));
    }

    #[test]
    fn a_value_is_kept_unless_volatile() {
        for (volatile, asked) in [(false, 1), (true, 2)] {
            let maps = Maps::new(vec![("m".into(), map(&[], false).volatile(volatile))]);
            let (source, kept) = (Source("x", Cell::default()), Kept::default());
            let mut out = Vec::new();
            for _ in 0..2 {
                maps.put_kept(maps.find("m").unwrap(), &source, &kept, &mut out);
            }
            assert_eq!((out.as_slice(), source.1.get()), (b"nonenone".as_slice(), asked), "{volatile}");
        }
    }
}
