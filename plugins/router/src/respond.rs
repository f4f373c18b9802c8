//! Fixed answers and redirects. nginx: `return`.

use serde::Deserialize;
use tidegate_plugin::{ConfigError, Reply, Template};

use crate::escape::for_header;
use crate::state::{Asked, State};

/// A fixed answer. nginx: `return`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RespondConfig {
    /// 200 to 599; without one 302 with a location, else 200. 444 closes the connection.
    #[serde(default)]
    pub status: Option<u16>,
    /// Where to redirect to, with variables.
    #[serde(default)]
    pub location: Option<String>,
    /// The body, with variables.
    #[serde(default)]
    pub body: Option<String>,
    /// The body's type.
    #[serde(default)]
    pub content_type: Option<String>,
}

/// How a Location without scheme and host is completed.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedirectConfig {
    /// Whether it is. nginx: `absolute_redirect`.
    pub absolute: bool,
    /// By the site's first name instead of the request's host. nginx: `server_name_in_redirect`.
    pub site_name: bool,
    /// With the listener's port. nginx: `port_in_redirect`.
    pub port: bool,
}

impl Default for RedirectConfig {
    fn default() -> Self {
        Self { absolute: true, site_name: false, port: true }
    }
}

/// A fixed answer, prepared.
#[derive(Debug)]
pub(crate) struct Respond {
    status: u16,
    location: Option<Template>,
    body: Template,
    content_type: Box<str>,
}

impl Respond {
    /// Prepare an answer; `pointer` is where it stands.
    pub(crate) fn new(config: &RespondConfig, pointer: &str) -> Result<Self, ConfigError> {
        let wrong = |key: &str, what: String| ConfigError::new(format!("{pointer}/{key}"), what);
        let status = config.status.unwrap_or(if config.location.is_some() { 302 } else { 200 });
        if !(200..600).contains(&status) {
            return Err(wrong("status", format!("{status} is not a status from 200 to 599")));
        }
        if config.location.is_some() != is_redirect(status) {
            return Err(wrong("location", "goes with 301, 302, 303, 307 and 308, and these with it".to_owned()));
        }
        let template = |key: &str, text: &Option<String>| {
            text.as_deref().map(Template::parse).transpose().map_err(|what| wrong(key, what))
        };
        let content_type = config.content_type.as_deref().unwrap_or("text/plain");
        if content_type.is_empty() || content_type.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(wrong("content_type", format!("`{}` is not a type", content_type.escape_debug())));
        }
        Ok(Self {
            status,
            location: template("location", &config.location)?,
            body: template("body", &config.body)?.unwrap_or_default(),
            content_type: content_type.into(),
        })
    }

    /// The answer to a request.
    pub(crate) fn reply(&self, state: &State<'_>, asked: &dyn Asked, redirects: RedirectConfig) -> Reply {
        if let Some(location) = &self.location {
            return redirect(self.status, location.value(|name| state.variable(name)), state.site, asked, redirects);
        }
        if self.body.is_empty() {
            return match self.status {
                ..400 | 444 => Reply::new(self.status),
                status => Reply::new(status).text(format!("{status} {}\n", reason(status))),
            };
        }
        let body = self.body.value(|name| state.variable(name));
        Reply::new(self.status).header("content-type", &*self.content_type).body(body)
    }
}

/// A redirect. nginx: `ngx_http_header_filter` completes a location that begins with `/`.
pub(crate) fn redirect(
    status: u16,
    location: String,
    site: &str,
    asked: &dyn Asked,
    redirects: RedirectConfig,
) -> Reply {
    let location = if redirects.absolute && location.starts_with('/') {
        format!("{}{location}", asked.base_url(redirects.site_name.then_some(site), redirects.port))
    } else {
        location
    };
    Reply::new(status).header("location", for_header(location)).text(format!("{status} {}\n", reason(status)))
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// What a status means (RFC 9110 §15), for those that are given as answers.
fn reason(status: u16) -> &'static str {
    match status {
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        410 => "Gone",
        429 => "Too Many Requests",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}
