//! The forms of `match`, of site names and of templates: what the stock plugins will be
//! handed, checked while line and column are at hand.

use regex_lite::Regex;

use crate::hook::Template;
pub(super) use crate::hook::is_in_name as is_name;

/// A route's `match`. nginx: `location`.
#[derive(Debug)]
pub(super) enum Match<'a> {
    /// `= /x`
    Exact(&'a str),
    /// `/x` and `^~ /x`
    Prefix(&'a str),
    /// `~ re` and `~* re`
    Regex(Regex),
}

/// Why a text is not a `match`, a site's name or a template, and what to do.
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }
}

const MATCH_FORMS: &str = "one of `/x`, `= /x`, `^~ /x`, `~ re`, `~* re`";

/// Read a route's `match`.
pub(super) fn parse_match(text: &str) -> Result<Match<'_>, Fault> {
    // As in nginx the space after the modifier may be left out.
    let (modifier, rest) = ["=", "^~", "~*", "~"]
        .into_iter()
        .find_map(|modifier| Some((modifier, text.strip_prefix(modifier)?.trim_start())))
        .unwrap_or(("", text));
    let path = |path: &str| {
        if path.starts_with('/') {
            return Ok(());
        }
        let hint = match path.chars().next() {
            Some('@') => "a route that is found by name alone stands on its site".to_owned(),
            _ => MATCH_FORMS.to_owned(),
        };
        Err(Fault::hinted(format!("\"{path}\" is not a path: it does not begin with `/`"), hint))
    };
    match modifier {
        "=" => path(rest).map(|()| Match::Exact(rest)),
        "" | "^~" => path(rest).map(|()| Match::Prefix(rest)),
        _ if rest.is_empty() => Err(Fault::new("has no regular expression")),
        "~*" => regex(rest, true).map(Match::Regex),
        _ => regex(rest, false).map(Match::Regex),
    }
}

/// Compile a regular expression in the dialect of the stock plugins.
pub(super) fn regex(text: &str, ignore_case: bool) -> Result<Regex, Fault> {
    regex_lite::RegexBuilder::new(text).case_insensitive(ignore_case).build().map_err(|e| {
        let look = ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|l| text.contains(l));
        let message = format!("the regular expression `{text}` does not compile: {e}");
        if look { Fault::hinted(message, "look-around does not exist here") } else { Fault::new(message) }
    })
}

/// Compile what follows `~` or `~*`; none where the text is not marked as a regular
/// expression.
pub(super) fn marked_regex(text: &str) -> Option<Result<Regex, Fault>> {
    let rest = text.strip_prefix('~')?;
    Some(match rest.strip_prefix('*') {
        Some(rest) => regex(rest, true),
        None => regex(rest, false),
    })
}

/// Compile a site's name behind its `~`; host names have no case, so that `~*` does not
/// exist for them. None where the name is not marked as a regular expression.
pub(super) fn site_regex(name: &str) -> Option<Result<Regex, Fault>> {
    name.strip_prefix('~').map(|text| regex(text, false))
}

/// Check a site's name. nginx: `server_name`.
pub(super) fn check_site_name(name: &str) -> Result<(), Fault> {
    if let Some(regex) = site_regex(name) {
        return regex.map(|_| ());
    }
    if name.is_empty() {
        return Err(Fault::hinted("must not be empty", "for requests without Host, `default = true`"));
    }
    if name.contains("://") || name.contains('/') {
        return Err(Fault::hinted(format!("\"{name}\" is not a host name"), "the name alone, without scheme and path"));
    }
    let ipv6 = name.starts_with('[') && name.ends_with(']');
    if name.contains(':') && !ipv6 {
        return Err(Fault::hinted(format!("\"{name}\" has a port"), "the name alone: the port is the listener's"));
    }
    let inner =
        name.strip_prefix("*.").or_else(|| name.strip_prefix('.')).or_else(|| name.strip_suffix(".*")).unwrap_or(name);
    if inner.is_empty() && !name.contains('*') {
        return Err(Fault::new(format!("\"{name}\" is not a host name")));
    }
    if inner.contains('*') || inner.is_empty() {
        return Err(Fault::hinted(
            format!("\"{name}\" has its `*` in a wrong place"),
            "it is a whole first or last label: \"*.example.com\" or \"mail.*\"",
        ));
    }
    if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Fault::new(format!("\"{name}\" is not a host name")));
    }
    Ok(())
}

/// The variables of a template: `$name` and `${name}`; `$$` is a dollar sign.
pub(super) fn variables(template: &str) -> Result<Vec<&str>, Fault> {
    Template::names(template).map_err(|error| Fault {
        message: error.message,
        hint: (!error.hint.is_empty()).then(|| error.hint.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_told_apart() {
        assert!(matches!(parse_match("/ws"), Ok(Match::Prefix("/ws"))));
        assert!(matches!(parse_match("^~ /ws"), Ok(Match::Prefix("/ws"))));
        assert!(matches!(parse_match("= /a b"), Ok(Match::Exact("/a b"))));
        assert!(matches!(parse_match("/a b"), Ok(Match::Prefix("/a b"))));
        let Ok(Match::Regex(re)) = parse_match(r"~* ^/A(?<tail>.*)$") else { panic!("no regex") };
        assert!(re.is_match("/ab"));
        assert!(matches!(parse_match("=/ws"), Ok(Match::Exact("/ws"))));
        assert!(matches!(parse_match("^~/ws"), Ok(Match::Prefix("/ws"))));
        assert!(matches!(parse_match("~*\\.php$"), Ok(Match::Regex(_))));
        for wrong in ["ws", "=ws", "^/ws", "~*", "~ ", "@named", "", "= ws", "~ (", "~ (?=x)"] {
            assert!(parse_match(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn site_names_have_four_forms_and_regular_expressions() {
        for name in
            ["a.example.com", "*.example.com", ".example.com", "mail.*", "localhost", "_", "[::1]", "~^x\\d+\\.y$"]
        {
            assert!(check_site_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "a.*.com", "*", "*.", "x*.com", "a:80", "http://a", "a/b", "a b", "~(", "~*^x$"] {
            assert!(check_site_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn templates_name_their_variables() {
        assert_eq!(variables("a $b ${c}d $$e $f-g").ok(), Some(vec!["b", "c", "f"]));
        assert_eq!(variables("$10${10}$a1").ok(), Some(vec!["1", "10", "a1"]));
        assert_eq!(variables("").ok(), Some(vec![]));
        for wrong in ["$", "a$ b", "${a", "${}", "${a-b}", "$-"] {
            assert!(variables(wrong).is_err(), "{wrong}");
        }
    }
}
