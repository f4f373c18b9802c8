//! What to ask the upstream for instead of what the client asked for.

use crate::escape::{As, escape, was_escaped};
use crate::pattern::Pattern;

/// A new path and query, as `proxy_pass` makes them.
#[derive(Debug)]
pub(crate) enum Rewrite {
    /// nginx: `proxy_pass` with a URI. The first `taken` bytes of the path go.
    Prefix { new: Box<str>, taken: usize },
    /// nginx: `proxy_pass` with variables in its URI.
    Template { parts: Vec<Part>, keeps_query: bool },
}

/// A piece of a template.
#[derive(Debug)]
pub(crate) enum Part {
    /// As it stands.
    Text(Box<str>),
    /// A group of the pattern, by number.
    Group { number: usize, in_query: bool },
}

/// The path that is to be rewritten, and what the client sent.
pub(crate) struct From<'r> {
    /// Normalised.
    pub(crate) path: &'r str,
    /// What the route's pattern captured of it.
    pub(crate) groups: &'r [String],
    /// As sent, without the query.
    pub(crate) raw_path: &'r str,
    /// The query; empty for none.
    pub(crate) query: &'r str,
    /// Whether a rewrite rule has changed the path, so that it is escaped in any case.
    pub(crate) changed: bool,
}

impl From<'_> {
    /// Add a piece of the path. As in nginx it is escaped only if the client escaped
    /// something or a rule changed it: else it stands as the client sent it.
    fn add(&self, text: &str, how: As, out: &mut String) {
        if self.changed || was_escaped(self.raw_path, how) {
            escape(text, how, self.raw_path, out);
        } else {
            out.push_str(text);
        }
    }

    /// The whole path and query.
    pub(crate) fn as_it_is(&self) -> String {
        let mut out = String::with_capacity(self.path.len() + self.query.len() + 8);
        self.add(self.path, As::Path, &mut out);
        self.add_query(&mut out);
        out
    }

    fn add_query(&self, out: &mut String) {
        if !self.query.is_empty() {
            out.push('?');
            out.push_str(self.query);
        }
    }
}

impl Rewrite {
    /// For `replace_prefix`.
    pub(crate) fn prefix(new: &str, taken: usize) -> Result<Self, String> {
        check(new)?;
        if new.contains('?') {
            return Err(format!("`{new}`: a prefix has no `?`"));
        }
        Ok(Self::Prefix { new: new.into(), taken })
    }

    /// For `rewrite`: `$1`, `$name`, `${name}`, and `$$` for a dollar sign.
    pub(crate) fn template(template: &str, pattern: &Pattern) -> Result<Self, String> {
        check(template)?;
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut in_query = false;
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            in_query |= before.contains('?');
            if let Some(tail) = after.strip_prefix('$') {
                text.push('$');
                rest = tail;
                continue;
            }
            let (name, tail) = group_name(after).ok_or_else(|| format!("`{template}`: a `$` without a group"))?;
            let number = name.parse().ok().filter(|number| *number < pattern.groups());
            let number = number.or_else(|| pattern.group(name));
            let number = number.ok_or_else(|| format!("`{template}`: the pattern has no group `{name}`"))?;
            parts.push(Part::Text(std::mem::take(&mut text).into()));
            parts.push(Part::Group { number, in_query });
            rest = tail;
        }
        text.push_str(rest);
        let keeps_query = !template.contains('?');
        // nginx: a `?` at the end only drops the query.
        parts.push(Part::Text(text.strip_suffix('?').unwrap_or(&text).into()));
        Ok(Self::Template { parts, keeps_query })
    }

    /// The new path and query.
    pub(crate) fn apply(&self, from: &From<'_>) -> String {
        let mut out = String::with_capacity(from.raw_path.len() + from.query.len() + 32);
        match self {
            Self::Prefix { new, taken } => {
                out.push_str(new);
                from.add(from.path.get(*taken..).unwrap_or_default(), As::Path, &mut out);
                from.add_query(&mut out);
            }
            Self::Template { parts, keeps_query } => {
                for part in parts {
                    match part {
                        Part::Text(text) => out.push_str(text),
                        Part::Group { number, in_query } => {
                            let how = if *in_query { As::Query } else { As::Path };
                            from.add(from.groups.get(*number).map_or("", String::as_str), how, &mut out);
                        }
                    }
                }
                if *keeps_query {
                    from.add_query(&mut out);
                }
            }
        }
        out
    }
}

fn check(target: &str) -> Result<(), String> {
    if !target.starts_with('/') {
        return Err(format!("`{target}` does not begin with `/`"));
    }
    match target.bytes().find(|byte| byte.is_ascii_control() || matches!(byte, b' ' | b'#')) {
        Some(byte) => Err(format!("`{target}`: `{}` must be percent-encoded", byte.escape_ascii())),
        None => Ok(()),
    }
}

/// The name at the start of a text that stood behind a `$`, and what follows it.
fn group_name(text: &str) -> Option<(&str, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let is_number = text.starts_with(|first: char| first.is_ascii_digit());
    let goes_on = |c: char| if is_number { c.is_ascii_digit() } else { c.is_ascii_alphanumeric() || c == '_' };
    let end = text.find(|c: char| !goes_on(c)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(name, _)| !name.is_empty())
}
