//! The names of built-in variables, to tell a slip from a variable. Their values are made
//! by `proxy/variables.rs` and `proxy/outcome.rs`.

use super::suggest::nearest;

/// Names of nginx and our own, without the `$`, that are known with the request: those of
/// `proxy/variables.rs`, and `remote_user`, which the stock plugin auth-basic sets.
pub(super) const BUILTIN: &[&str] = &[
    "args",
    "binary_remote_addr",
    "connection",
    "connection_requests",
    "connection_time",
    "content_length",
    "content_type",
    "document_uri",
    "grant_expires",
    "grant_subject",
    "grant_tags",
    "host",
    "hostname",
    "https",
    "is_args",
    "limit_conn_status",
    "limit_req_status",
    "local_answer",
    "pid",
    "proxy_add_x_forwarded_for",
    "proxy_host",
    "proxy_port",
    "protocol",
    "proxy_protocol_addr",
    "proxy_protocol_port",
    "proxy_protocol_server_addr",
    "proxy_protocol_server_port",
    "query_string",
    "realip_remote_addr",
    "realip_remote_port",
    "remote_addr",
    "remote_port",
    "remote_user",
    "request",
    "request_id",
    "request_length",
    "request_method",
    "request_uri",
    "route",
    "scheme",
    "server_addr",
    "server_name",
    "server_port",
    "server_protocol",
    "site",
    "ssl_alpn_protocol",
    "ssl_cipher",
    "ssl_client_cert",
    "ssl_client_escaped_cert",
    "ssl_client_fingerprint",
    "ssl_client_i_dn",
    "ssl_client_raw_cert",
    "ssl_client_s_dn",
    "ssl_client_serial",
    "ssl_client_v_end",
    "ssl_client_v_remain",
    "ssl_client_v_start",
    "ssl_client_verify",
    "ssl_curve",
    "ssl_preread_alpn_protocols",
    "ssl_preread_protocol",
    "ssl_preread_server_name",
    "ssl_protocol",
    "ssl_server_name",
    "ssl_session_id",
    "ssl_session_reused",
    "stream",
    "tidegate_version",
    "uri",
];

/// Names whose values come with the answer or the end, or change with time: those of
/// `proxy/outcome.rs`. Asked for too early, they are as in nginx: empty, or 0.
pub(super) const OUTCOME: &[&str] = &[
    "body_bytes_sent",
    "bytes_received",
    "bytes_sent",
    "cause",
    "closed_by",
    "msec",
    "request_completion",
    "request_time",
    "session_time",
    "status",
    "time_iso8601",
    "time_local",
    "tunnel",
    "tunnel_close_code",
    "tunnel_event",
    "tunnel_messages_in",
    "tunnel_messages_out",
    "upstream_addr",
    "upstream_bytes_received",
    "upstream_bytes_sent",
    "upstream_connect_time",
    "upstream_header_time",
    "upstream_response_time",
    "upstream_session_time",
    "upstream_status",
];

/// Those of [`BUILTIN`] and [`OUTCOME`] that streams have, `ssl_…` among them.
const OF_STREAMS: &[&str] = &[
    "binary_remote_addr",
    "bytes_received",
    "bytes_sent",
    "cause",
    "closed_by",
    "connection",
    "connection_time",
    "hostname",
    "msec",
    "pid",
    "protocol",
    "proxy_protocol_addr",
    "proxy_protocol_port",
    "proxy_protocol_server_addr",
    "proxy_protocol_server_port",
    "realip_remote_addr",
    "realip_remote_port",
    "remote_addr",
    "remote_port",
    "server_addr",
    "server_port",
    "session_time",
    "status",
    "stream",
    "tidegate_version",
    "time_iso8601",
    "time_local",
    "tunnel",
    "tunnel_event",
    "upstream_addr",
    "upstream_bytes_received",
    "upstream_bytes_sent",
    "upstream_connect_time",
    "upstream_session_time",
];

/// Whether streams have this built-in variable (without `$`).
pub fn is_stream_variable(name: &str) -> bool {
    OF_STREAMS.contains(&name) || name.starts_with("ssl_") && BUILTIN.contains(&name)
}

/// Those of [`BUILTIN`] that an authorizer's answer gives a value.
const SET: &[&str] = &["grant_expires", "grant_subject", "grant_tags", "remote_user"];

/// What begins so is a family: `$http_NAME`.
pub(super) const BUILTIN_FAMILIES: &[&str] = &["arg_", "cookie_", "http_"];
/// Headers of the answer, as the client gets it.
const SENT: &str = "sent_http_";
/// Headers of the answer, as the peer gave it.
const UPSTREAM: &str = "upstream_http_";

/// nginx's variables that do not exist here, and why.
const ABSENT: &[(&str, &str)] = &[
    ("request_body", "bodies are streamed and never held"),
    ("request_body_file", "bodies are streamed and never held"),
    ("nginx_version", "there is `$tidegate_version`"),
    ("document_root", "files are not served yet"),
    ("request_filename", "files are not served yet"),
];

/// Where a variable's value comes from, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableKind {
    /// It is known with the request.
    Request,
    /// It comes with the answer or the end, or changes with time.
    Outcome,
    /// A header of the answer as the client gets it.
    SentHeader,
    /// A header of the answer as the peer gave it.
    UpstreamHeader,
    /// A map, a capture, or a plugin makes it, or nobody.
    Other,
}

/// Where the value of the variable `name` (without `$`) comes from.
pub fn variable_kind(name: &str) -> VariableKind {
    if OUTCOME.contains(&name) {
        VariableKind::Outcome
    } else if SET.contains(&name) {
        VariableKind::Other
    } else if BUILTIN.contains(&name) || BUILTIN_FAMILIES.iter().any(|family| name.starts_with(family)) {
        VariableKind::Request
    } else if name.starts_with(SENT) {
        VariableKind::SentHeader
    } else if name.starts_with(UPSTREAM) {
        VariableKind::UpstreamHeader
    } else {
        VariableKind::Other
    }
}

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
        let builtin = SET.contains(&name) || variable_kind(name) != VariableKind::Other;
        if self.open || builtin || self.defined.iter().any(|d| d == name) {
            return None;
        }
        let message = format!("no variable or map named `${name}`");
        if name.chars().all(|c| c.is_ascii_digit()) {
            return Some((
                message,
                "only beside the expression that captures it; else name it `(?<name>…)` and write `$name`".to_owned(),
            ));
        }
        if let Some((_, why)) = ABSENT.iter().find(|(absent, _)| *absent == name) {
            return Some((message, (*why).to_owned()));
        }
        let known = BUILTIN.iter().chain(OUTCOME).copied().chain(self.defined.iter().map(String::as_str));
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean `${near}`?"),
            None => format!("define it in [maps.{name}]"),
        };
        Some((message, hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_documented_and_of_its_kind() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/variables.md");
        let text = std::fs::read_to_string(path).unwrap();
        for name in BUILTIN.iter().chain(OUTCOME) {
            assert!(text.contains(&format!("`${name}`")), "docs/variables.md has no ${name}");
        }
        for family in BUILTIN_FAMILIES.iter().chain(&[SENT, UPSTREAM]) {
            assert!(text.contains(&format!("`${family}NAME`")), "docs/variables.md has no ${family}NAME");
        }
        assert_eq!(variable_kind("http_x"), VariableKind::Request);
        assert_eq!(variable_kind("status"), VariableKind::Outcome);
        assert_eq!(variable_kind("upstream_http_x"), VariableKind::UpstreamHeader);
        assert_eq!(variable_kind("sent_http_x"), VariableKind::SentHeader);
        assert_eq!(variable_kind("remote_user"), VariableKind::Other);
    }
}
