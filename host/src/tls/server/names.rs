//! From a server name to what holds for it, as `server_name` chooses in nginx.

use std::collections::HashMap;

use regex_lite::Regex;

/// What is found by name.
#[derive(Debug)]
pub struct Names<T> {
    exact: HashMap<Box<str>, T>,
    /// `*.example.com`, by `example.com`.
    leading: HashMap<Box<str>, T>,
    /// `www.*`, by `www`.
    trailing: HashMap<Box<str>, T>,
    patterns: Vec<(Regex, T)>,
    default: T,
}

/// A name of the configuration.
#[derive(Debug, Clone)]
pub enum Entry {
    /// `example.com`, `*.example.com` or `www.*`, in lower case.
    Name(Box<str>),
    /// A regular expression.
    Pattern(Regex),
}

impl<T> Names<T> {
    /// No names: `default` holds for all.
    pub fn new(default: T) -> Self {
        Self { exact: HashMap::new(), leading: HashMap::new(), trailing: HashMap::new(), patterns: Vec::new(), default }
    }

    /// Add a name; the first one that is added of equal names holds.
    pub fn insert(&mut self, name: &Entry, value: T) {
        let (map, name) = match name {
            Entry::Pattern(regex) => return self.patterns.push((regex.clone(), value)),
            Entry::Name(name) => match (name.strip_prefix("*."), name.strip_suffix(".*")) {
                (Some(rest), _) => (&mut self.leading, rest),
                (None, Some(rest)) => (&mut self.trailing, rest),
                (None, None) => (&mut self.exact, &**name),
            },
        };
        map.entry(name.into()).or_insert(value);
    }

    /// What holds for a name: exact, the longest `*.name`, the longest `name.*`, the first
    /// pattern, the default. A client that names nobody gets the default.
    pub fn find(&self, name: Option<&str>) -> &T {
        name.and_then(|name| self.named(&name.to_ascii_lowercase())).unwrap_or(&self.default)
    }

    fn named(&self, name: &str) -> Option<&T> {
        let name = name.strip_suffix('.').unwrap_or(name);
        self.exact
            .get(name)
            .or_else(|| dots(name).find_map(|at| self.leading.get(name.get(at + 1..)?)))
            .or_else(|| dots(name).rev().find_map(|at| self.trailing.get(name.get(..at)?)))
            .or_else(|| self.patterns.iter().find(|(regex, _)| regex.is_match(name)).map(|(_, value)| value))
    }

    /// Everything that can be found.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        let maps = [&self.exact, &self.leading, &self.trailing];
        maps.into_iter()
            .flat_map(HashMap::values)
            .chain(self.patterns.iter().map(|(_, value)| value))
            .chain([&self.default])
    }
}

fn dots(name: &str) -> impl DoubleEndedIterator<Item = usize> + '_ {
    name.match_indices('.').map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_is_nginx_s() {
        let mut names = Names::new("default");
        for name in ["example.com", "*.example.com", "*.a.example.com", "www.*", "www.b.*"] {
            names.insert(&Entry::Name(name.into()), name);
        }
        names.insert(&Entry::Pattern(Regex::new("^x\\d+\\.").unwrap()), "pattern");
        names.insert(&Entry::Name("example.com".into()), "second");
        for (asked, found) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com.", "example.com"),
            ("www.example.com", "*.example.com"),
            ("b.a.example.com", "*.a.example.com"),
            ("a.example.com", "*.example.com"),
            ("www.other", "www.*"),
            ("www.b.other", "www.b.*"),
            ("x12.org", "pattern"),
            ("nobody", "default"),
            ("", "default"),
        ] {
            assert_eq!(*names.find(Some(asked)), found, "{asked}");
        }
        assert_eq!(*names.find(None), "default");
        assert_eq!(names.values().count(), 7);
    }
}
