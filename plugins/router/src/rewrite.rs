//! What to ask the upstream for instead of what the client asked for.

use regex_lite::Captures;

use crate::pattern::Pattern;

/// A new path and query.
#[derive(Debug)]
pub(crate) enum Rewrite {
    /// nginx: `proxy_pass` with a URI. The first `taken` bytes of the path go.
    Prefix { new: Box<str>, taken: usize },
    /// nginx: `rewrite … break`.
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

    /// The new path and query for a normalised path, what the route's pattern captured
    /// of it, and the target as the client sent it.
    pub(crate) fn apply(&self, path: &str, captures: Option<&Captures<'_>>, raw: &str) -> String {
        let (raw_path, query) = raw.split_once('?').unwrap_or((raw, ""));
        let mut out = String::with_capacity(raw.len() + 32);
        let keeps_query = match self {
            Self::Prefix { new, taken } => {
                out.push_str(new);
                escape(path.get(*taken..).unwrap_or_default(), false, raw_path, &mut out);
                true
            }
            Self::Template { parts, keeps_query } => {
                for part in parts {
                    match part {
                        Part::Text(text) => out.push_str(text),
                        Part::Group { number, in_query } => {
                            let group = captures.and_then(|captures| captures.get(*number));
                            escape(group.map_or("", |group| group.as_str()), *in_query, raw_path, &mut out);
                        }
                    }
                }
                *keeps_query
            }
        };
        if keeps_query && !query.is_empty() {
            out.push('?');
            out.push_str(query);
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

/// Add a piece of the normalised path to a target. As in nginx it is escaped only if
/// the client escaped something: else it stands as the client sent it.
fn escape(text: &str, in_query: bool, raw_path: &str, out: &mut String) {
    let escapes = |byte: u8| must_escape(byte) || (in_query && matches!(byte, b'&' | b'+' | b';'));
    let was_escaped = raw_path.contains('%') || (in_query && raw_path.contains('+'));
    if !was_escaped || !text.bytes().any(escapes) {
        out.push_str(text);
        return;
    }
    // The contract leaves a decoded byte that is not UTF-8 as `%XX`: that is escaped
    // already, unless the client sent an escaped percent sign.
    let keeps_percent = !raw_path.contains("%25");
    for byte in text.bytes() {
        if !escapes(byte) || (byte == b'%' && keeps_percent) {
            out.push(char::from(byte));
        } else {
            push_escaped(byte, out);
        }
    }
}

/// A path of the configuration as the value of a Location header.
pub(crate) fn location(path: &str, raw: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if must_escape(byte) { push_escaped(byte, &mut out) } else { out.push(char::from(byte)) }
    }
    if let Some((_, query)) = raw.split_once('?').filter(|(_, query)| !query.is_empty()) {
        out.push('?');
        out.push_str(query);
    }
    out
}

fn push_escaped(byte: u8, out: &mut String) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    out.push('%');
    for half in [byte >> 4, byte & 15] {
        out.extend(DIGITS.get(usize::from(half)));
    }
}

/// What nginx (1.21.1 and later) escapes in a path: `ngx_escape_uri`, `NGX_ESCAPE_URI`.
fn must_escape(byte: u8) -> bool {
    !(b'!'..=b'~').contains(&byte)
        || matches!(byte, b'"' | b'#' | b'%' | b'<' | b'>' | b'?' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}
