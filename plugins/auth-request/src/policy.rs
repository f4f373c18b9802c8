//! What is asked, and what the answer means: pure logic.

use std::time::Duration;

use serde::Deserialize;
use tidegate_plugin::http_client::{self, FetchError, Request, Response};
use tidegate_plugin::{ConfigError, Edit, Field, Grant, Reply, Template, Verdict};

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who is asked, as the grant names it: `upstream:auth`.
    pub destination: String,
    /// The path, and query, that is asked for. nginx: `auth_request`.
    pub path: String,
    /// How long the answer may take, milliseconds.
    pub timeout_ms: u64,
    /// Headers of the question and their templates, on top of [`DEFAULTS`].
    #[serde(default)]
    pub set: Vec<(String, String)>,
    /// Variables and the headers of the answer that they get. nginx: `auth_request_set`.
    #[serde(default)]
    pub variables: Vec<(String, String)>,
    /// Headers of the answer that go to the route's upstream.
    #[serde(default)]
    pub copy: Vec<String>,
    /// Headers of a refusal that go to the client.
    #[serde(default)]
    pub deny: Vec<String>,
}

/// What the question says of the request, unless `set` says otherwise: what every upstream is
/// told, and what nginx's documentation recommends for `auth_request`.
pub const DEFAULTS: [(&str, &str); 6] = [
    ("Host", "$host"),
    ("X-Real-IP", "$remote_addr"),
    ("X-Forwarded-For", "$proxy_add_x_forwarded_for"),
    ("X-Forwarded-Proto", "$scheme"),
    ("X-Original-URI", "$request_uri"),
    ("X-Original-Method", "$request_method"),
];

/// Headers of the client's connection and body, which the question has none of.
const LEFT_OUT: [&str; 10] = [
    "connection",
    "upgrade",
    "transfer-encoding",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "proxy-connection",
    "http2-settings",
    "expect",
];

/// The configuration, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    url: String,
    timeout: Duration,
    set: Vec<(String, Template)>,
    variables: Vec<(String, String)>,
    copy: Vec<String>,
    deny: Vec<String>,
}

impl Policy {
    /// Check and prepare a configuration.
    ///
    /// # Errors
    /// The first template or path that is none.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        if !config.path.starts_with('/') {
            return Err(ConfigError::new("/path", format!("`{}` does not begin with `/`", config.path)));
        }
        let mut set = Vec::with_capacity(DEFAULTS.len() + config.set.len());
        for (name, text) in DEFAULTS {
            if !config.set.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
                set.push((name.to_owned(), Template::parse(text).map_err(|what| ConfigError::new("", what))?));
            }
        }
        for (index, (name, text)) in config.set.into_iter().enumerate() {
            let template = Template::parse(&text).map_err(|what| ConfigError::new(format!("/set/{index}"), what))?;
            set.push((name, template));
        }
        Ok(Self {
            url: format!("{}{}", config.destination, config.path),
            timeout: Duration::from_millis(config.timeout_ms),
            set,
            variables: config.variables,
            copy: config.copy,
            deny: config.deny,
        })
    }

    /// The question about a request with these headers. As nginx's subrequest it is a GET
    /// without a body, whatever the request is.
    pub fn question(&self, headers: Vec<Field>, variable: impl Fn(&str) -> Option<String>) -> Request {
        let mut question = Request::get(self.url.as_str()).timeout(self.timeout);
        for (name, template) in &self.set {
            let value = template.value(&variable);
            // As nginx: a header whose value is empty is not sent.
            if !value.is_empty() {
                question = question.header(name.as_str(), sound(value));
            }
        }
        let is_set = |name: &str| self.set.iter().any(|(set, _)| set.eq_ignore_ascii_case(name));
        let passes = |field: &Field| !LEFT_OUT.contains(&field.name.as_str()) && !is_set(&field.name);
        question.fields.extend(headers.into_iter().filter(passes));
        question
    }

    /// What an answer means, and what to log of it. nginx: `ngx_http_auth_request_handler`.
    pub fn verdict(&self, answer: Result<Response, FetchError>) -> (Verdict, Option<String>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return failed(format!("auth request failed: {}", http_client::describe(&error))),
        };
        match answer.status {
            200..300 => (self.accept(&answer).into(), None),
            401 | 403 => (self.refuse(&answer).into(), None),
            // A redirect, too: who wants one answers 401 with Location and an error page.
            status => failed(format!("auth request unexpected status: {status}")),
        }
    }

    fn accept(&self, answer: &Response) -> Grant {
        let mut grant = Grant::new();
        for (name, header) in &self.variables {
            // Empty where the answer has none: nothing else may speak for it.
            let value = answer.header_all(header).collect::<Vec<_>>().join(&b", "[..]);
            grant = grant.variable(name.as_str(), String::from_utf8_lossy(&value));
        }
        for name in &self.copy {
            // What the client says under this name must not look like the answer's.
            grant = grant.edit(Edit::remove(name.as_str()));
            for value in answer.header_all(name) {
                grant = grant.edit(Edit::append(name.as_str(), value));
            }
        }
        grant
    }

    fn refuse(&self, answer: &Response) -> Reply {
        let mut reply = Reply::new(answer.status).text("access denied\n");
        let challenge = (answer.status == 401).then_some("WWW-Authenticate");
        let also = self.deny.iter().map(String::as_str).filter(|name| !name.eq_ignore_ascii_case("WWW-Authenticate"));
        for name in challenge.into_iter().chain(also) {
            for value in answer.header_all(name) {
                reply = reply.header(name, value);
            }
        }
        reply
    }
}

fn failed(complaint: String) -> (Verdict, Option<String>) {
    (Reply::new(500).text("500 Internal Server Error\n").into(), Some(complaint))
}

/// A value that can stand in a header: `$uri` is decoded and may have a control character,
/// which becomes a space (RFC 9110 §5.5).
fn sound(value: String) -> Vec<u8> {
    let mut bytes = value.into_bytes();
    for byte in &mut bytes {
        if (*byte < b' ' && *byte != b'\t') || *byte == 0x7f {
            *byte = b' ';
        }
    }
    bytes
}

#[cfg(test)]
mod tests;
