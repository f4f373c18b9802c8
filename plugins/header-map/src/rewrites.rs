//! Values that the upstream sends and that must make sense to the client: locations and
//! cookies. nginx: `proxy_redirect`, `proxy_cookie_domain`, `proxy_cookie_path`.

use regex_lite::{Regex, RegexBuilder};
use tidegate_plugin::{ConfigError, Template};

/// Where the values of variables come from.
pub(crate) type Variable<'v> = &'v dyn Fn(&str) -> Option<String>;

/// How what is compared stands to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compares {
    /// The value begins with it.
    Start,
    /// It is the whole value, in any case and whatever dot the value begins with.
    Domain,
}

/// One rule: what is found, and what is put in its place.
#[derive(Debug)]
pub(crate) struct Rule {
    from: From,
    to: Template,
}

#[derive(Debug)]
enum From {
    Start(Template),
    Domain(Template),
    /// `~re`, `~*re`: the whole value is replaced.
    Pattern(Regex),
}

impl Rule {
    /// Prepare rules; `pointer` is where they stand.
    pub(crate) fn all(pairs: &[(String, String)], compares: Compares, pointer: &str) -> Result<Vec<Self>, ConfigError> {
        let one = |(index, (from, to)): (usize, &(String, String))| {
            let at = |place: usize, what| ConfigError::new(format!("{pointer}/{index}/{place}"), what);
            let from = From::new(from, compares).map_err(|what| at(0, what))?;
            let is_domain = compares == Compares::Domain;
            // nginx: a dot in front means nothing.
            let to = to.strip_prefix('.').filter(|_| is_domain).unwrap_or(to);
            Ok(Self { from, to: Template::parse(to).map_err(|what| at(1, what))? })
        };
        pairs.iter().enumerate().map(one).collect()
    }

    fn apply(&self, value: &str, variable: Variable<'_>) -> Option<String> {
        match &self.from {
            From::Start(start) => {
                let rest = value.strip_prefix(start.value(variable).as_str())?;
                Some(self.to.value(variable) + rest)
            }
            From::Domain(domain) => {
                let (dot, rest) = value.strip_prefix('.').map_or(("", value), |rest| (".", rest));
                let is_it = domain.value(variable).eq_ignore_ascii_case(rest);
                is_it.then(|| format!("{dot}{}", self.to.value(variable)))
            }
            From::Pattern(regex) => {
                let captures = regex.captures(value)?;
                Some(self.to.value(|name| {
                    let group = name.parse().map_or_else(|_| captures.name(name), |number| captures.get(number));
                    group.map(|group| group.as_str().to_owned()).or_else(|| variable(name))
                }))
            }
        }
    }
}

impl From {
    fn new(text: &str, compares: Compares) -> Result<Self, String> {
        let Some(pattern) = text.strip_prefix('~') else {
            return match compares {
                Compares::Start => Template::parse(text).map(Self::Start),
                Compares::Domain => Template::parse(text.strip_prefix('.').unwrap_or(text)).map(Self::Domain),
            };
        };
        let (pattern, any_case) = match pattern.strip_prefix('*') {
            Some(pattern) => (pattern, true),
            None => (pattern, compares == Compares::Domain),
        };
        self::pattern(pattern.trim_start(), any_case).map(Self::Pattern)
    }
}

/// Compile a pattern.
pub(crate) fn pattern(pattern: &str, any_case: bool) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).case_insensitive(any_case).build();
    built.map_err(|error| format!("`{pattern}` is not a pattern: {error}"))
}

/// What the first rule that fits makes of a value; none where none fits.
pub(crate) fn rewrite(rules: &[Rule], value: &str, variable: Variable<'_>) -> Option<String> {
    rules.iter().find_map(|rule| rule.apply(value, variable))
}

/// A Refresh header (`5; url=…`) with its URL rewritten.
pub(crate) fn refresh(rules: &[Rule], value: &str, variable: Variable<'_>) -> Option<String> {
    let at = value.to_ascii_lowercase().find("url=")? + "url=".len();
    let (before, url) = value.split_at_checked(at)?;
    rewrite(rules, url, variable).map(|url| format!("{before}{url}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(compares: Compares, pairs: &[(&str, &str)]) -> Vec<Rule> {
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Rule::all(&pairs, compares, "/x").unwrap()
    }

    fn variable(name: &str) -> Option<String> {
        (name == "host").then(|| "a.test".to_owned())
    }

    #[test]
    fn the_first_rule_that_fits_rewrites() {
        let rules = rules(
            Compares::Start,
            &[
                ("http://b/two/", "/one/"),
                ("http://$host/", "https://$host/"),
                (r"~^http://([^:]+):\d+(?<rest>/.*)$", "http://$1$rest@$host"),
            ],
        );
        for (value, expected) in [
            ("http://b/two/x", Some("/one/x")),
            ("http://a.test/x", Some("https://a.test/x")),
            ("http://c:80/x", Some("http://c/x@a.test")),
            ("http://b/", None),
            ("HTTP://b/two/", None),
        ] {
            assert_eq!(rewrite(&rules, value, &variable).as_deref(), expected, "{value}");
        }
        assert_eq!(refresh(&rules, "5; URL=http://b/two/x", &variable).as_deref(), Some("5; URL=/one/x"));
        assert_eq!(refresh(&rules, "5", &variable), None);
    }

    #[test]
    fn domains_have_no_case_and_no_dot() {
        let rules = rules(Compares::Domain, &[(".B.test", ".a.test"), ("~^(.*)\\.old$", "$1.new")]);
        for (value, expected) in
            [("b.TEST", Some("a.test")), (".b.test", Some(".a.test")), ("x.b.test", None), ("X.OLD", Some("X.new"))]
        {
            assert_eq!(rewrite(&rules, value, &variable).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn wrong_rules_are_refused() {
        for ((from, to), place) in [(("~(", ""), "/x/0/0"), (("$", ""), "/x/0/0"), (("a", "$"), "/x/0/1")] {
            let pairs = [(from.to_owned(), to.to_owned())];
            assert_eq!(Rule::all(&pairs, Compares::Start, "/x").unwrap_err().pointer(), place);
        }
    }
}
