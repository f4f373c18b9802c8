//! The names of built-in variables, to tell a slip from a variable. Their values are made
//! by `proxy/variables.rs`.

use super::suggest::nearest;

/// Names of nginx and our own, without the `$`.
pub const BUILTIN: &[&str] = &[
    "args",
    "binary_remote_addr",
    "body_bytes_sent",
    "bytes_sent",
    "connection",
    "connection_requests",
    "content_length",
    "content_type",
    "document_uri",
    "host",
    "hostname",
    "http_host",
    "https",
    "is_args",
    "msec",
    "nginx_version",
    "pid",
    "proxy_add_x_forwarded_for",
    "proxy_host",
    "proxy_port",
    "query_string",
    "remote_addr",
    "remote_port",
    "remote_user",
    "request",
    "request_id",
    "request_length",
    "request_method",
    "request_time",
    "request_uri",
    "route",
    "scheme",
    "server_addr",
    "server_name",
    "server_port",
    "server_protocol",
    "site",
    "status",
    "time_iso8601",
    "time_local",
    "upstream_addr",
    "upstream_status",
    "uri",
];

/// What begins so is a family: `$http_NAME`.
pub const BUILTIN_FAMILIES: &[&str] = &["arg_", "cookie_", "http_", "sent_http_", "upstream_http_"];

/// The variables that a configuration can know.
pub(super) struct Variables {
    /// Maps and named captures.
    pub(super) defined: Vec<String>,
    /// Whether a plugin of the operator's may set others, so that none is surely unknown.
    pub(super) open: bool,
}

impl Variables {
    /// What is wrong with a name: message and hint; none for a known one.
    pub(super) fn fault(&self, name: &str) -> Option<(String, String)> {
        let family = BUILTIN_FAMILIES.iter().any(|f| name.starts_with(f));
        if self.open || family || BUILTIN.contains(&name) || self.defined.iter().any(|d| d == name) {
            return None;
        }
        let message = format!("no variable or map named `${name}`");
        if name.chars().all(|c| c.is_ascii_digit()) {
            return Some((message, "give the capture a name: `(?<name>…)`, and write `$name`".to_owned()));
        }
        let known = BUILTIN.iter().copied().chain(self.defined.iter().map(String::as_str));
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean `${near}`?"),
            None => format!("define it in [maps.{name}]"),
        };
        Some((message, hint))
    }
}
