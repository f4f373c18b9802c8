//! What is done to values that only the upstream sends: locations and cookies. Answers that
//! the proxy gives itself are left alone.

use serde::Deserialize;
use tidegate_header_lines::sound;
use tidegate_plugin::{ConfigError, Edit, EditOperation};

use crate::cookies::{Cookies, Flags};
use crate::rewrites::{Compares, Rule, Variable, refresh, rewrite};

/// The changes of such values.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// For Location and Refresh. nginx: `proxy_redirect`.
    #[serde(default)]
    pub location: Vec<(String, String)>,
    /// nginx: `proxy_cookie_domain`.
    #[serde(default)]
    pub cookie_domains: Vec<(String, String)>,
    /// nginx: `proxy_cookie_path`.
    #[serde(default)]
    pub cookie_paths: Vec<(String, String)>,
    /// nginx: `proxy_cookie_flags`.
    #[serde(default)]
    pub cookie_flags: Vec<(String, String)>,
    /// How a rewritten Location that begins with `/` is completed; none leaves it.
    #[serde(default)]
    pub absolute: Option<AbsoluteConfig>,
}

/// How a Location is completed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbsoluteConfig {
    /// By this name instead of the request's host. nginx: `server_name_in_redirect`.
    #[serde(default)]
    pub host: Option<String>,
    /// With the listener's port. nginx: `port_in_redirect`.
    pub port: bool,
}

/// An answer to a request.
pub trait Answer {
    /// The status.
    fn status(&self) -> u16;
    /// The values of a header, in order.
    fn values(&self, name: &str) -> Vec<String>;
    /// Whether the proxy gives it itself.
    fn is_local(&self) -> bool;
    /// What stands before a path in an absolute URL.
    fn base_url(&self, host: Option<&str>, with_port: bool) -> String;
}

/// The changes, prepared.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    location: Vec<Rule>,
    cookies: Cookies,
    absolute: Option<AbsoluteConfig>,
}

impl Upstream {
    /// Check and prepare.
    pub(crate) fn new(config: &UpstreamConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            location: Rule::all(&config.location, Compares::Start, "/upstream/location")?,
            cookies: Cookies {
                domains: Rule::all(&config.cookie_domains, Compares::Domain, "/upstream/cookie_domains")?,
                paths: Rule::all(&config.cookie_paths, Compares::Start, "/upstream/cookie_paths")?,
                flags: Flags::all(&config.cookie_flags, "/upstream/cookie_flags")?,
            },
            absolute: config.absolute.clone(),
        })
    }

    /// The edits of an answer.
    pub(crate) fn edits(&self, answer: &dyn Answer, variable: Variable<'_>) -> Vec<Edit> {
        let mut edits = Vec::new();
        if (self.location.is_empty() && self.cookies.is_empty()) || answer.is_local() {
            return edits;
        }
        if !self.location.is_empty() {
            self.locations(answer, variable, &mut edits);
        }
        if !self.cookies.is_empty() {
            self.set_cookies(answer, variable, &mut edits);
        }
        edits
    }

    fn locations(&self, answer: &dyn Answer, variable: Variable<'_>, edits: &mut Vec<Edit>) {
        if let [location] = answer.values("location").as_slice()
            && let Some(location) = rewrite(&self.location, location, variable)
        {
            let location = match &self.absolute {
                Some(absolute) if location.starts_with('/') => {
                    format!("{}{location}", answer.base_url(absolute.host.as_deref(), absolute.port))
                }
                _ => location,
            };
            edits.push(Edit::set("Location", sound(location)));
        }
        if let [value] = answer.values("refresh").as_slice()
            && let Some(value) = refresh(&self.location, value, variable)
        {
            edits.push(Edit::set("Refresh", sound(value)));
        }
    }

    fn set_cookies(&self, answer: &dyn Answer, variable: Variable<'_>, edits: &mut Vec<Edit>) {
        let sent = answer.values("set-cookie");
        let changed: Vec<_> = sent.iter().map(|value| self.cookies.rewrite(value, variable)).collect();
        if changed.iter().all(Option::is_none) {
            return;
        }
        // The first sets and so keeps the place of them all.
        for (at, (sent, changed)) in sent.into_iter().zip(changed).enumerate() {
            let operation = if at == 0 { EditOperation::Set } else { EditOperation::Append };
            edits.push(Edit { operation, name: "Set-Cookie".to_owned(), value: sound(changed.unwrap_or(sent)) });
        }
    }
}
