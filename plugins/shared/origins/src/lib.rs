//! Which origins (RFC 6454) a list names: what the stock plugins origin-check and cors have in
//! common.

use std::collections::HashSet;

use regex_lite::{Regex, RegexBuilder};

/// A list of origins, ready to be asked.
#[derive(Debug, Default)]
pub struct Origins {
    every: bool,
    null: bool,
    exact: HashSet<Box<[u8]>>,
    wildcards: Vec<Wildcard>,
    patterns: Vec<Regex>,
}

/// `https://*.example.com`: any host below a domain.
#[derive(Debug)]
struct Wildcard {
    /// With the `://`.
    scheme: Box<[u8]>,
    /// `.example.com`, and the port if it is not the scheme's own.
    suffix: Box<[u8]>,
}

impl Origins {
    /// Check and prepare a list: origins, `https://*.example.com`, `~re`, `~*re`, `null`, or
    /// `*` for every one.
    ///
    /// # Errors
    /// The index of the first entry that is no origin or pattern, and why.
    pub fn new(entries: &[String]) -> Result<Self, (usize, String)> {
        let mut origins = Self::default();
        for (index, entry) in entries.iter().enumerate() {
            origins.add(entry).map_err(|what| (index, what))?;
        }
        Ok(origins)
    }

    fn add(&mut self, entry: &str) -> Result<(), String> {
        if let Some(pattern) = entry.strip_prefix('~') {
            self.patterns.push(regex(pattern)?);
            return Ok(());
        }
        match entry {
            "*" => self.every = true,
            "null" => self.null = true,
            _ => {
                let text = normalise(entry.as_bytes().to_vec());
                let (scheme, host) = split(&text).ok_or_else(|| not_an_origin(entry))?;
                match host.strip_prefix(b"*") {
                    Some(suffix) if suffix.starts_with(b".") && is_authority(suffix) && suffix.len() > 1 => {
                        self.wildcards.push(Wildcard { scheme: scheme.into(), suffix: suffix.into() });
                    }
                    None if is_authority(host) => _ = self.exact.insert(text.into_boxed_slice()),
                    _ if host.contains(&b'*') => return Err(wrong_wildcard(entry)),
                    _ => return Err(not_an_origin(entry)),
                }
            }
        }
        Ok(())
    }

    /// Whether the list names every origin.
    pub fn is_every(&self) -> bool {
        self.every
    }

    /// Whether the list names the origin that an Origin header holds.
    pub fn contain(&self, raw: Vec<u8>) -> bool {
        if self.every {
            return true;
        }
        if raw == b"null" {
            return self.null || self.matches_pattern(&raw);
        }
        if self.matches_pattern(&raw) {
            return true;
        }
        let origin = normalise(raw);
        self.exact.contains(origin.as_slice()) || self.wildcards.iter().any(|wildcard| wildcard.matches(&origin))
    }

    fn matches_pattern(&self, raw: &[u8]) -> bool {
        !self.patterns.is_empty()
            && std::str::from_utf8(raw).is_ok_and(|text| self.patterns.iter().any(|pattern| pattern.is_match(text)))
    }
}

fn not_an_origin(entry: &str) -> String {
    format!("`{entry}` is not an origin: write it as `https://app.example.com`, without a path")
}

fn wrong_wildcard(entry: &str) -> String {
    format!("`{entry}`: a `*` stands for whole labels at the start: `https://*.example.com`")
}

impl Wildcard {
    fn matches(&self, origin: &[u8]) -> bool {
        let labels = origin.strip_prefix(&*self.scheme).and_then(|host| host.strip_suffix(&*self.suffix));
        // Only what can stand in a host name, so that no path, port or user hides in it.
        labels.is_some_and(|labels| {
            !labels.is_empty()
                && labels.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        })
    }
}

/// The text behind the first `~` of an entry, as a pattern; a `*` first: any case.
fn regex(pattern: &str) -> Result<Regex, String> {
    let (pattern, any_case) = match pattern.strip_prefix('*') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let built = RegexBuilder::new(pattern.trim_start()).case_insensitive(any_case).build();
    built.map_err(|error| format!("`{pattern}` is not a pattern: {error}"))
}

/// Lower case, and without the port that the scheme implies.
fn normalise(mut origin: Vec<u8>) -> Vec<u8> {
    origin.make_ascii_lowercase();
    let implied: &[u8] = if origin.starts_with(b"https:") || origin.starts_with(b"wss:") { b":443" } else { b":80" };
    let has_known_scheme = origin.starts_with(b"http") || origin.starts_with(b"ws");
    if has_known_scheme && origin.ends_with(implied) {
        origin.truncate(origin.len() - implied.len());
    }
    origin
}

/// The scheme with its `://`, and what follows.
fn split(origin: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = origin.windows(3).position(|window| window == b"://")? + 3;
    let (scheme, host) = origin.split_at_checked(end)?;
    let name = scheme.strip_suffix(b"://")?;
    let is_name = name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_name.then_some((scheme, host))
}

/// Whether this can be a host with an optional port: no path, user or space in it.
fn is_authority(host: &[u8]) -> bool {
    let name =
        host.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'[' | b']'));
    !host.is_empty() && name
}
