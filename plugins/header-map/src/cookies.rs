//! Cookies of the upstream, changed for the client. nginx: `proxy_cookie_domain`,
//! `proxy_cookie_path`, `proxy_cookie_flags`.

use regex_lite::Regex;
use tidegate_plugin::{ConfigError, Template};

use crate::rewrites::{self, Rule, Variable, rewrite};

/// What is done to cookies.
#[derive(Debug, Default)]
pub(crate) struct Cookies {
    /// For `Domain`.
    pub(crate) domains: Vec<Rule>,
    /// For `Path`.
    pub(crate) paths: Vec<Rule>,
    /// For the flags.
    pub(crate) flags: Vec<Flags>,
}

/// The flags of some cookies. nginx: `proxy_cookie_flags COOKIE FLAG…`.
#[derive(Debug)]
pub(crate) struct Flags {
    cookie: Cookie,
    secure: Option<bool>,
    http_only: Option<bool>,
    /// Empty removes it.
    same_site: Option<&'static str>,
}

#[derive(Debug)]
enum Cookie {
    Name(Template),
    Pattern(Regex),
}

impl Flags {
    /// Prepare rules; `pointer` is where they stand.
    pub(crate) fn all(pairs: &[(String, String)], pointer: &str) -> Result<Vec<Self>, ConfigError> {
        let one = |(index, (cookie, flags)): (usize, &(String, String))| {
            Self::new(cookie, flags)
                .map_err(|(place, what)| ConfigError::new(format!("{pointer}/{index}/{place}"), what))
        };
        pairs.iter().enumerate().map(one).collect()
    }

    fn new(cookie: &str, words: &str) -> Result<Self, (usize, String)> {
        let cookie = match cookie.strip_prefix('~') {
            Some(pattern) => rewrites::pattern(pattern.trim_start(), true).map(Cookie::Pattern),
            None => Template::parse(cookie).map(Cookie::Name),
        };
        let cookie = cookie.map_err(|what| (0, what))?;
        let mut flags = Self { cookie, secure: None, http_only: None, same_site: None };
        for word in words.split_ascii_whitespace() {
            match word {
                "secure" => flags.secure = Some(true),
                "nosecure" => flags.secure = Some(false),
                "httponly" => flags.http_only = Some(true),
                "nohttponly" => flags.http_only = Some(false),
                "samesite=strict" => flags.same_site = Some("Strict"),
                "samesite=lax" => flags.same_site = Some("Lax"),
                "samesite=none" => flags.same_site = Some("None"),
                "nosamesite" => flags.same_site = Some(""),
                _ => {
                    let known = "secure, httponly, samesite=strict, samesite=lax, samesite=none, or one with `no`";
                    return Err((1, format!("`{word}` is not a flag: {known}")));
                }
            }
        }
        Ok(flags)
    }

    fn is_for(&self, name: &str, variable: Variable<'_>) -> bool {
        match &self.cookie {
            Cookie::Name(cookie) => cookie.value(variable).eq_ignore_ascii_case(name),
            Cookie::Pattern(pattern) => pattern.is_match(name),
        }
    }

    fn apply(&self, attributes: &mut Vec<Attribute>) {
        for (name, wanted, value) in [
            ("Secure", self.secure, None),
            ("HttpOnly", self.http_only, None),
            ("SameSite", self.same_site.map(|value| !value.is_empty()), self.same_site),
        ] {
            let Some(wanted) = wanted else { continue };
            let value = value.map(str::to_owned);
            let is_it = |attribute: &Attribute| attribute.name.eq_ignore_ascii_case(name);
            // The first part is the cookie itself, whatever it is called.
            let there = attributes.iter().skip(1).position(is_it).map(|at| at + 1);
            match (there, wanted) {
                (Some(at), false) => {
                    attributes.remove(at);
                }
                (Some(at), true) => {
                    if let Some(attribute) = attributes.get_mut(at).filter(|_| value.is_some()) {
                        *attribute = Attribute { name: name.to_owned(), value };
                    }
                }
                (None, true) => attributes.push(Attribute { name: name.to_owned(), value }),
                (None, false) => {}
            }
        }
    }
}

/// `name=value` or `name` of a Set-Cookie header.
struct Attribute {
    name: String,
    value: Option<String>,
}

impl Cookies {
    /// Whether nothing is done.
    pub(crate) fn is_empty(&self) -> bool {
        self.domains.is_empty() && self.paths.is_empty() && self.flags.is_empty()
    }

    /// A Set-Cookie value as the client shall have it; none where it stays as it is.
    pub(crate) fn rewrite(&self, value: &str, variable: Variable<'_>) -> Option<String> {
        let mut attributes: Vec<Attribute> = value.split(';').map(attribute).collect();
        attributes.first().filter(|cookie| cookie.value.is_some())?;
        let mut changed = false;
        for attribute in attributes.iter_mut().skip(1) {
            let rules = match attribute.name.to_ascii_lowercase().as_str() {
                "domain" => &self.domains,
                "path" => &self.paths,
                _ => continue,
            };
            if let Some(value) = attribute.value.as_deref().and_then(|value| rewrite(rules, value, variable)) {
                attribute.value = Some(value);
                changed = true;
            }
        }
        let name = attributes.first().map_or("", |cookie| cookie.name.as_str());
        if let Some(flags) = self.flags.iter().find(|flags| flags.is_for(name, variable)) {
            flags.apply(&mut attributes);
            changed = true;
        }
        let shown = |attribute: &Attribute| match &attribute.value {
            Some(value) => format!("{}={value}", attribute.name),
            None => attribute.name.clone(),
        };
        changed.then(|| attributes.iter().map(shown).collect::<Vec<_>>().join("; "))
    }
}

fn attribute(text: &str) -> Attribute {
    let text = text.trim_start();
    match text.split_once('=') {
        Some((name, value)) => Attribute { name: name.to_owned(), value: Some(value.to_owned()) },
        None => Attribute { name: text.to_owned(), value: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrites::Compares;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    fn cookies() -> Cookies {
        Cookies {
            domains: Rule::all(&pairs(&[("b.test", "$host")]), Compares::Domain, "").unwrap(),
            paths: Rule::all(&pairs(&[("/two/", "/"), ("~*^/USER/(.+)$", "/u/$1")]), Compares::Start, "").unwrap(),
            flags: Flags::all(
                &pairs(&[
                    ("one", "httponly samesite=strict"),
                    ("bare", "nosecure nohttponly nosamesite"),
                    ("~^s", "secure"),
                ]),
                "",
            )
            .unwrap(),
        }
    }

    #[test]
    fn cookies_are_rewritten() {
        let variable = |name: &str| (name == "host").then(|| "a.test".to_owned());
        for (value, expected) in [
            ("x=1", None),
            ("x=1; Path=/other", None),
            ("x; Path=/two/", None),
            ("x=1; path=/two/y; Max-Age=3", Some("x=1; path=/y; Max-Age=3")),
            ("x=1;Domain=.b.test;Path=/user/ann", Some("x=1; Domain=.a.test; Path=/u/ann")),
            ("one=1", Some("one=1; HttpOnly; SameSite=Strict")),
            ("one=1; samesite=Lax; httponly", Some("one=1; SameSite=Strict; httponly")),
            ("bare=1; Secure; HttpOnly; SameSite=Lax; Path=/", Some("bare=1; Path=/")),
            ("sid=a=b; secure", Some("sid=a=b; secure")),
            ("sid=secure", Some("sid=secure; Secure")),
        ] {
            assert_eq!(cookies().rewrite(value, &variable).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn unknown_flags_are_refused() {
        let error = Flags::all(&pairs(&[("a", "secure"), ("b", "secret")]), "/f").unwrap_err();
        assert!(error.to_string().starts_with("/f/1/1: `secret` is not a flag"), "{error}");
    }
}
