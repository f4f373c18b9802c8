//! A regex with the named groups that become variables.

use regex_lite::{Captures, Regex, RegexBuilder};

/// Names and values for `$name`.
pub(crate) type Variables = Vec<(String, String)>;

/// A regex, prepared.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    names: Vec<Box<str>>,
}

impl Pattern {
    /// Compile a pattern.
    pub(crate) fn new(pattern: &str, any_case: bool) -> Result<Self, String> {
        let built = RegexBuilder::new(pattern).case_insensitive(any_case).build();
        let regex = built.map_err(|error| format!("`{pattern}` is not a pattern: {error}"))?;
        let names = regex.capture_names().flatten().map(Box::from).collect();
        Ok(Self { regex, names })
    }

    /// Whether it has named groups.
    pub(crate) fn is_capturing(&self) -> bool {
        !self.names.is_empty()
    }

    /// The number of its groups, the whole match among them.
    pub(crate) fn groups(&self) -> usize {
        self.regex.captures_len()
    }

    /// The number of the group of this name.
    pub(crate) fn group(&self, name: &str) -> Option<usize> {
        self.regex.capture_names().position(|group| group == Some(name))
    }

    /// Whether it is found in a text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// What it captures of a text, if it is found there.
    pub(crate) fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.regex.captures(text)
    }

    /// The values of all groups by number; empty for one that took no part.
    pub(crate) fn values(&self, captures: &Captures<'_>) -> Vec<String> {
        captures.iter().map(|group| group.map(|group| group.as_str().to_owned()).unwrap_or_default()).collect()
    }

    /// The values of the named groups; empty for one that took no part.
    pub(crate) fn variables(&self, captures: &Captures<'_>) -> Variables {
        let value = |name: &str| captures.name(name).map(|group| group.as_str().to_owned()).unwrap_or_default();
        self.names.iter().map(|name| (name.to_string(), value(name))).collect()
    }
}
