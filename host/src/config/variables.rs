//! The names of built-in variables, to tell a slip from a variable. Their values are made
//! by `proxy/variables.rs`.

use super::suggest::nearest;

/// Names of nginx and our own, without the `$`: those of `proxy/variables.rs`, and
/// `remote_user`, which the stock plugin auth-basic sets.
pub const BUILTIN: &[&str] = &[
    "args",
    "content_length",
    "content_type",
    "document_uri",
    "host",
    "https",
    "is_args",
    "limit_conn_status",
    "limit_req_status",
    "local_answer",
    "msec",
    "pid",
    "proxy_add_x_forwarded_for",
    "query_string",
    "realip_remote_addr",
    "realip_remote_port",
    "remote_addr",
    "remote_port",
    "remote_user",
    "request",
    "request_id",
    "request_method",
    "request_uri",
    "route",
    "scheme",
    "server_addr",
    "server_name",
    "server_port",
    "server_protocol",
    "site",
    "time_iso8601",
    "time_local",
    "uri",
];

/// What begins so is a family: `$http_NAME`.
pub const BUILTIN_FAMILIES: &[&str] = &["arg_", "cookie_", "http_"];

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
            return Some((
                message,
                "only beside the expression that captures it; else name it `(?<name>…)` and write `$name`".to_owned(),
            ));
        }
        let known = BUILTIN.iter().copied().chain(self.defined.iter().map(String::as_str));
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean `${near}`?"),
            None => format!("define it in [maps.{name}]"),
        };
        Some((message, hint))
    }
}
