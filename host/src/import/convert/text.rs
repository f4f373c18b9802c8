//! Texts with variables: what `set` gave them is put in their place, and each must exist.

use std::collections::{HashMap, HashSet};

use super::Import;
use crate::config::{VariableKind, variable_kind};
use crate::import::syntax::Directive;

/// What variables are at some place, besides those that are everywhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    /// What `set` made of them.
    pub(super) set: HashMap<String, String>,
    /// The groups of the latest regular expression, by number.
    pub(super) groups: Groups,
}

/// What `$1` means.
#[derive(Debug, Clone, Default)]
pub(super) enum Groups {
    /// Nothing.
    #[default]
    None,
    /// A group of the expression that the router applied last: it may be read by its number.
    Router,
    /// Groups of a condition: the text that it looked at, and the expression with its mark.
    Condition { from: String, pattern: String, line: usize },
    /// Groups of the location's expression, which get names: `group1`.
    Named,
}

/// Variables of nginx that never have a value where what they are of does not exist.
const EMPTY: &[&str] = &[
    "gzip_ratio",
    "upstream_cache_status",
    "pipe",
    "http2",
    "http3",
    "upstream_queue_time",
    "upstream_cache_last_modified",
    "ssl_early_data",
    "geoip_country_code",
    "geoip_city",
    "modern_browser",
    "ancient_browser",
    "msie",
    "uid_got",
    "uid_set",
    "invalid_referer",
    "session_log_id",
    "upstream_trailer",
    "sent_trailer",
    "slice_range",
    "secure_link",
];

/// Variables of nginx that have no equal, and what to do.
const LACKING: &[(&str, &str)] = &[
    ("request_body", "bodies are streamed; leave it out"),
    ("request_body_file", "bodies are streamed; leave it out"),
    ("request_filename", "write `try_files`"),
    ("document_root", "write the folder itself"),
    ("realpath_root", "write the folder itself"),
    ("nginx_version", "there is `$tidegate_version`"),
    ("limit_rate", "how fast an answer flows cannot be limited"),
    ("upstream_response_length", "there is `$body_bytes_sent`"),
    ("upstream_bytes_received", "there is `$bytes_sent`"),
    ("upstream_bytes_sent", "there is `$bytes_received`"),
    ("date_gmt", "there is `$time_iso8601`"),
    ("date_local", "there is `$time_local`"),
];

/// The names of groups in regular expressions of servers and locations, and of what
/// `auth_request_set` sets.
pub(super) fn defined(http: &[Directive]) -> HashSet<String> {
    let mut names = HashSet::new();
    each(http, &mut |directive| match directive.name() {
        "server_name" | "location" => names.extend(directive.texts().flat_map(groups)),
        "rewrite" => names.extend(groups(directive.arg(0))),
        "auth_request_set" => names.extend(directive.arg(0).strip_prefix('$').map(str::to_owned)),
        _ => {}
    });
    names
}

/// The names that `set` sets.
pub(super) fn set(http: &[Directive]) -> HashSet<String> {
    let mut names = HashSet::new();
    each(http, &mut |directive| {
        if directive.name() == "set" {
            names.extend(directive.arg(0).strip_prefix('$').map(str::to_owned));
        }
    });
    names
}

fn each(directives: &[Directive], meet: &mut dyn FnMut(&Directive)) {
    for directive in directives {
        meet(directive);
        each(directive.inner(), meet);
    }
}

/// The names of an expression's groups.
fn groups(text: &str) -> Vec<String> {
    text.match_indices("(?")
        .filter_map(|(at, _)| {
            let rest = text.get(at + 2..)?;
            let rest = rest.strip_prefix("P<").or_else(|| rest.strip_prefix('<'))?;
            let name = rest.split_once('>')?.0;
            (!name.is_empty() && !name.starts_with(['=', '!'])).then(|| name.to_owned())
        })
        .collect()
}

/// A piece of a text.
pub(super) enum Piece<'t> {
    Text(&'t str),
    Variable(&'t str),
}

/// A text taken apart. nginx: `ngx_http_script_compile`.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        pieces.push(Piece::Text(before));
        let (name, tail) = match after.strip_prefix('{') {
            Some(inner) => inner.split_once('}').unwrap_or(("", after)),
            None => {
                let digit = after.starts_with(|c: char| c.is_ascii_digit());
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                after.split_at_checked(if digit { 1 } else { end }).unwrap_or(("", after))
            }
        };
        pieces.push(if name.is_empty() { Piece::Text("$") } else { Piece::Variable(name) });
        rest = tail;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// A text as part of a template.
pub(super) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

impl Import<'_> {
    /// A text with variables as it is written here; what has no equal is reported at the
    /// directive.
    pub(super) fn template(&mut self, at: &Directive, text: &str, values: &Values) -> String {
        let mut out = String::new();
        let pieces = pieces(text);
        for (number, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Text(text) => out.push_str(&literal(text)),
                Piece::Variable(name) => {
                    let value = self.variable(at, name, values);
                    let followed = matches!(pieces.get(number + 1), Some(Piece::Text(next)) if next.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'));
                    // A name that text follows at once needs its braces.
                    match value
                        .strip_prefix('$')
                        .filter(|name| followed && is_name(name) && !name.chars().all(|c| c.is_ascii_digit()))
                    {
                        Some(name) => out.push_str(&format!("${{{name}}}")),
                        None => out.push_str(&value),
                    }
                }
            }
        }
        out
    }

    /// What stands for a variable.
    fn variable(&mut self, at: &Directive, name: &str, values: &Values) -> String {
        if let Some(value) = values.set.get(name) {
            return value.clone();
        }
        if let Ok(number) = name.parse::<usize>() {
            return self.group(at, number, &values.groups);
        }
        if let Some(named) = self.maps.named(name) {
            return format!("${named}");
        }
        if let Groups::Condition { from, pattern, line } = &values.groups
            && groups(pattern).iter().any(|group| group == name)
        {
            return format!("${}", self.maps.of_group(from, pattern, *line, name));
        }
        if self.set.contains(name) {
            // nginx: a variable that nothing has set on this way is empty.
            return String::new();
        }
        if name == "hostname"
            || name == "remote_user"
            || self.defined.contains(name)
            || variable_kind(name) != VariableKind::Other
        {
            return format!("${name}");
        }
        if EMPTY.iter().any(|empty| name.starts_with(empty)) {
            return if at.name() == "log_format" { "-".to_owned() } else { String::new() };
        }
        let instead =
            LACKING.iter().find(|(lacking, _)| *lacking == name).map_or("leave it out", |(_, instead)| instead);
        self.report.lacks(at, format!("there is no variable `${name}`"), instead);
        String::new()
    }

    fn group(&mut self, at: &Directive, number: usize, groups: &Groups) -> String {
        match groups {
            Groups::Router => format!("${number}"),
            Groups::Named => format!("$group{number}"),
            Groups::Condition { from, pattern, line } => {
                format!("${}", self.maps.of_group(from, pattern, *line, &number.to_string()))
            }
            Groups::None => {
                let instead = "name the group, `(?<name>…)`, and write `$name`";
                self.report.lacks(at, format!("`${number}` is read where no expression captures it"), instead);
                String::new()
            }
        }
    }

    /// A regular expression that is understood here too.
    pub(super) fn regex(&mut self, at: &Directive, text: &str, any_case: bool) -> bool {
        match regex_lite::RegexBuilder::new(text).case_insensitive(any_case).build() {
            Ok(_) => true,
            Err(error) => {
                let look = ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| text.contains(look));
                let instead = if look {
                    "look-around does not exist here: write two locations, or a map"
                } else {
                    "write it in the syntax of `regex-lite`"
                };
                self.report.lacks(at, format!("the regular expression `{text}` is not understood: {error}"), instead);
                false
            }
        }
    }
}

/// Whether a text is a variable's name.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// An expression whose groups without names are called `group1` and so on.
pub(super) fn with_names(regex: &str) -> String {
    let mut out = String::new();
    let (mut number, mut in_set, mut chars) = (0, false, regex.chars().peekable());
    while let Some(c) = chars.next() {
        out.push(c);
        match c {
            '\\' => out.extend(chars.next()),
            '[' => in_set = true,
            ']' => in_set = false,
            '(' if !in_set => {
                let mut ahead = chars.clone();
                let is_group = match (ahead.next(), ahead.next(), ahead.next()) {
                    (Some('?'), Some('<'), Some(c)) => c != '=' && c != '!',
                    (Some('?'), Some('P'), Some('<')) => true,
                    (Some('?'), ..) => false,
                    _ => {
                        number += 1;
                        out.push_str(&format!("?<group{number}>"));
                        continue;
                    }
                };
                number += usize::from(is_group);
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::with_names;

    #[test]
    fn groups_get_names() {
        assert_eq!(with_names(r"^/(a|b)/\((?:x)(?<y>[(])(.*)$"), r"^/(?<group1>a|b)/\((?:x)(?<y>[(])(?<group3>.*)$");
    }
}
