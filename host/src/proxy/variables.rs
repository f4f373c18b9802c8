//! nginx's variables, by nginx's names: the one place that knows them.
//!
//! Header templates, plugins and redirects read them through [`View::variable`].

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::LazyLock;

use http::Version;

use crate::hook::{Builtins, View};
use crate::message::Fields;

/// nginx's variables over a [`View`].
#[derive(Debug)]
pub(super) struct Nginx;

impl Builtins for Nginx {
    fn resolve(&self, view: &View, name: &str, out: &mut Vec<u8>) -> bool {
        plain(view, name, out) || prefixed(view, name, out).unwrap_or(false)
    }
}

/// Variables that always have a value, if perhaps an empty one.
fn plain(view: &View, name: &str, out: &mut Vec<u8>) -> bool {
    match name {
        "host" => put(out, if view.host.is_empty() { &view.site } else { &view.host }),
        "remote_addr" => show(out, view.client.ip()),
        "remote_port" => show(out, view.client.port()),
        "server_addr" => show(out, view.local.ip()),
        "server_port" => show(out, view.local.port()),
        "server_name" | "site" => put(out, &view.site),
        "route" => put(out, &view.route),
        "scheme" => put(out, view.scheme),
        "https" => put(out, if view.scheme == "https" { "on" } else { "" }),
        "server_protocol" => put(out, protocol(view.version)),
        "request_method" => put(out, view.method.as_str()),
        "request_uri" => put(out, &view.path_with_query),
        "uri" | "document_uri" => put(out, &view.path),
        "args" | "query_string" => put(out, query(view).unwrap_or_default()),
        "is_args" => put(out, if query(view).is_some_and(|q| !q.is_empty()) { "?" } else { "" }),
        "request" => show(out, format_args!("{} {} {}", view.method, view.path_with_query, protocol(view.version))),
        "proxy_add_x_forwarded_for" => forwarded_for(view, out),
        "request_id" => show(out, format_args!("{:032x}", request_id(view.serial))),
        "msec" => {
            let now = chrono::Utc::now();
            show(out, format_args!("{}.{:03}", now.timestamp(), now.timestamp_subsec_millis()));
        }
        "time_iso8601" => show(out, chrono::Local::now().format("%Y-%m-%dT%H:%M:%S%:z")),
        "time_local" => show(out, chrono::Local::now().format("%d/%b/%Y:%H:%M:%S %z")),
        "pid" => show(out, std::process::id()),
        _ => return false,
    }
    true
}

/// Variables that name a part of the request, which may be absent: none then.
fn prefixed(view: &View, name: &str, out: &mut Vec<u8>) -> Option<bool> {
    let found = match name {
        "content_length" => header(&view.headers, "content-length", out),
        "content_type" => header(&view.headers, "content-type", out),
        _ => match name.split_once('_')? {
            ("http", name) => header(&view.headers, &name.replace('_', "-"), out),
            ("arg", name) => argument(query(view)?, name, out),
            ("cookie", name) => cookie(&view.headers, name, out),
            _ => false,
        },
    };
    Some(found)
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn show(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing to memory does not fail.
    let _infallible = write!(out, "{value}");
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

fn query(view: &View) -> Option<&str> {
    view.path_with_query.split_once('?').map(|(_, query)| query)
}

/// Several lines of one header are joined with `, ` as nginx ≥ 1.23 does.
fn header(headers: &Fields, name: &str, out: &mut Vec<u8>) -> bool {
    let mut values = headers.get_all(name);
    let Some(first) = values.next() else { return false };
    out.extend_from_slice(first);
    for value in values {
        put(out, ", ");
        out.extend_from_slice(value);
    }
    true
}

/// `X-Forwarded-For` with the client's address appended. nginx: `$proxy_add_x_forwarded_for`.
fn forwarded_for(view: &View, out: &mut Vec<u8>) {
    if header(&view.headers, "x-forwarded-for", out) {
        put(out, ", ");
    }
    show(out, view.client.ip());
}

fn argument(query: &str, name: &str, out: &mut Vec<u8>) -> bool {
    let found = query.split('&').find_map(|pair| match pair.split_once('=') {
        Some((key, value)) if key.eq_ignore_ascii_case(name) => Some(value),
        _ => None,
    });
    found.map(|value| put(out, value)).is_some()
}

fn cookie(headers: &Fields, name: &str, out: &mut Vec<u8>) -> bool {
    let pairs = headers.get_all("cookie").flat_map(|line| line.split(|b| *b == b';'));
    for pair in pairs {
        let pair = pair.trim_ascii();
        let rest = pair.split_at_checked(name.len()).filter(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
        if let Some(value) = rest.and_then(|(_, rest)| rest.strip_prefix(b"=")) {
            out.extend_from_slice(value);
            return true;
        }
    }
    false
}

/// 128 bits that differ between requests and cannot be guessed from one another: two keyed
/// hashes of the request's number, under keys made at start.
fn request_id(serial: u64) -> u128 {
    static KEYS: LazyLock<(RandomState, RandomState)> = LazyLock::new(|| (RandomState::new(), RandomState::new()));
    u128::from(KEYS.0.hash_one(serial)) << 64 | u128::from(KEYS.1.hash_one(serial))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Method;

    use super::*;
    use crate::hook::Kept;

    fn view() -> View {
        let headers = [
            ("x-forwarded-for", "10.0.0.9"),
            ("cookie", "a=1; Session=x=y"),
            ("cookie", "b=2"),
            ("user-agent", "t"),
            ("x-two", "1"),
            ("x-two", "2"),
        ];
        let headers = headers.into_iter().collect();
        View {
            serial: 1,
            method: Method::GET,
            version: Version::HTTP_11,
            path_with_query: "/a%20b?x=1&Y=2".into(),
            path: "/a b".into(),
            authority: "Example.com:80".into(),
            host: "example.com".into(),
            scheme: "http",
            is_websocket: false,
            headers,
            client: "192.0.2.1:1234".parse().unwrap(),
            local: "192.0.2.2:80".parse().unwrap(),
            variables: vec![("remote_user".into(), "ann".into())],
            route: Arc::from("r"),
            site: Arc::from("s"),
            maps: Arc::default(),
            kept: Kept::default(),
            builtins: &Nginx,
        }
    }

    #[test]
    fn values() {
        let view = view();
        for (name, value) in [
            ("host", Some("example.com")),
            ("remote_addr", Some("192.0.2.1")),
            ("server_port", Some("80")),
            ("request_uri", Some("/a%20b?x=1&Y=2")),
            ("uri", Some("/a b")),
            ("args", Some("x=1&Y=2")),
            ("is_args", Some("?")),
            ("request", Some("GET /a%20b?x=1&Y=2 HTTP/1.1")),
            ("proxy_add_x_forwarded_for", Some("10.0.0.9, 192.0.2.1")),
            ("http_user_agent", Some("t")),
            ("http_x_two", Some("1, 2")),
            ("http_absent", None),
            ("arg_x", Some("1")),
            ("arg_y", Some("2")),
            ("arg_z", None),
            ("cookie_session", Some("x=y")),
            ("cookie_b", Some("2")),
            ("cookie_s", None),
            ("remote_user", Some("ann")),
            ("https", Some("")),
            ("nonsense", None),
        ] {
            let mut out = Vec::new();
            let found = view.variable(name, &mut out).then(|| String::from_utf8(out).unwrap());
            assert_eq!(found.as_deref(), value, "{name}");
        }
    }

    #[test]
    fn request_ids_differ_and_are_stable() {
        assert_eq!(request_id(1), request_id(1));
        assert_ne!(request_id(1), request_id(2));
    }
}
