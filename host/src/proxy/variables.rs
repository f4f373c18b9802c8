//! nginx's variables, by nginx's names: the one place that knows them.
//!
//! Header templates, plugins and redirects read them through [`View::variable`].

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::net::IpAddr;
use std::sync::LazyLock;

use http::{StatusCode, Version};

use super::outcome;
use crate::hook::{Builtins, Outcome, View};
use crate::message::Fields;
use crate::proxy_protocol::Ends;
use crate::upstream::authority;

/// nginx's variables over a [`View`].
#[derive(Debug)]
pub(super) struct Nginx;

impl Builtins for Nginx {
    fn resolve(&self, view: &View, name: &str, out: &mut Vec<u8>) -> bool {
        plain(view, name, out)
            || prefixed(view, name, out).unwrap_or(false)
            || outcome::resolve(&view.outcome, name, out)
    }

    fn outcome(&self, outcome: &Outcome, name: &str, out: &mut Vec<u8>) -> bool {
        outcome::resolve(outcome, name, out)
    }

    fn header(&self, headers: &Fields, name: &str, out: &mut Vec<u8>) -> bool {
        named_header(headers, name, out)
    }

    fn request_id(&self, serial: u64) -> Option<String> {
        Some(format!("{:032x}", request_id(serial)))
    }
}

/// Variables that always have a value, if perhaps an empty one.
fn plain(view: &View, name: &str, out: &mut Vec<u8>) -> bool {
    match name {
        "host" => put(out, if view.host.is_empty() { &view.site } else { &view.host }),
        "remote_addr" => address(out, view.client.ip()),
        "binary_remote_addr" => binary(view.client.ip(), out),
        // A real address from a header may come without one.
        "remote_port" if view.client.port() == 0 => {}
        "remote_port" => show(out, view.client.port()),
        "realip_remote_addr" => show(out, view.peer.ip()),
        "realip_remote_port" => show(out, view.peer.port()),
        // What nothing has counted has none, as in nginx.
        "limit_req_status" if !view.limit_req_status.is_empty() => put(out, view.limit_req_status),
        "limit_conn_status" if !view.limit_conn_status.is_empty() => put(out, view.limit_conn_status),
        "server_addr" => address(out, view.local.ip()),
        "server_port" => show(out, view.local.port()),
        "server_name" | "site" => put(out, &view.site),
        "route" => put(out, &view.route),
        "scheme" => put(out, view.scheme),
        "https" => put(out, if view.scheme == "https" { "on" } else { "" }),
        "server_protocol" => put(out, protocol(view.version)),
        "request_method" => put(out, view.method.as_str()),
        "request_uri" => put(out, sent(view)),
        "uri" | "document_uri" => put(out, &view.path),
        "args" | "query_string" => match query(view) {
            Some(query) => put(out, query),
            None => return false,
        },
        "is_args" => put(out, if query(view).is_some_and(|q| !q.is_empty()) { "?" } else { "" }),
        "request" => show(out, format_args!("{} {} {}", view.method, sent(view), protocol(view.version))),
        "proxy_add_x_forwarded_for" => forwarded_for(view, out),
        "request_id" => show(out, format_args!("{:032x}", request_id(view.serial))),
        "request_length" => show(out, request_length(view)),
        "connection" => show(out, view.arrival.connection),
        "connection_requests" => show(out, view.arrival.request),
        "connection_time" => {
            let time = view.arrival.since.map(|since| since.elapsed()).unwrap_or_default();
            show(out, format_args!("{}.{:03}", time.as_secs(), time.subsec_millis()));
        }
        "proxy_host" if !view.upstream.is_empty() => put(out, authority(&view.upstream).0),
        "proxy_port" if !view.upstream.is_empty() => {
            put(out, authority(&view.upstream).1);
        }
        "hostname" => put(out, &HOSTNAME),
        "tidegate_version" => put(out, env!("CARGO_PKG_VERSION")),
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
        _ if name.starts_with("proxy_protocol_") => proxied(view.arrival.proxied?, name, out),
        _ => match name.split_once('_')? {
            ("ssl", name) => match &view.arrival.tls {
                Some(facts) => super::tls::variable(facts, name, out),
                None => false,
            },
            ("http", name) => named_header(&view.headers, name, out),
            ("arg", name) => argument(query(view)?, name, out),
            ("cookie", name) => cookie(&view.headers, name, out),
            _ => false,
        },
    };
    Some(found)
}

/// What the PROXY protocol's header said. nginx: `$proxy_protocol_addr` and its like.
fn proxied(ends: Ends, name: &str, out: &mut Vec<u8>) -> bool {
    match name {
        "proxy_protocol_addr" => address(out, ends.source.ip()),
        "proxy_protocol_port" => show(out, ends.source.port()),
        "proxy_protocol_server_addr" => address(out, ends.destination.ip()),
        "proxy_protocol_server_port" => show(out, ends.destination.port()),
        _ => return false,
    }
    true
}

pub(super) fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn address(out: &mut Vec<u8>, ip: IpAddr) {
    let IpAddr::V4(ip) = ip else { return show(out, ip) };
    // Two headers of every request have it, and the formatter would take four times as long.
    for (number, octet) in ip.octets().into_iter().enumerate() {
        if number > 0 {
            out.push(b'.');
        }
        for (unit, most) in [(100, 99), (10, 9)] {
            if octet > most {
                out.push(b'0' + octet / unit % 10);
            }
        }
        out.push(b'0' + octet % 10);
    }
}

pub(super) fn show(out: &mut Vec<u8>, value: impl std::fmt::Display) {
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

/// The machine's name, in lower case as nginx has it.
static HOSTNAME: LazyLock<String> = LazyLock::new(|| {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_ascii_lowercase()
});

/// 4 or 16 bytes.
fn binary(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
    }
}

/// The bytes of a request's head, with one space behind each colon.
fn request_length(view: &View) -> u64 {
    // Spaces and line ends: `METHOD TARGET VERSION\r\n`, and the empty line.
    let line = view.method.as_str().len() + view.path_with_query.len() + protocol(view.version).len() + 6;
    line as u64 + fields_length(&view.headers)
}

/// The bytes of an answer's head, as the proxy made it; what the connection adds of its own
/// (Date, framing) is not in it.
pub(super) fn head_length(status: StatusCode, headers: &Fields) -> u64 {
    let reason = status.canonical_reason().unwrap_or_default().len();
    ("HTTP/1.1 200 \r\n\r\n".len() + reason) as u64 + fields_length(headers)
}

/// The bytes of header lines.
fn fields_length(headers: &Fields) -> u64 {
    headers.iter().map(|(name, value)| (name.len() + value.len() + ": \r\n".len()) as u64).sum()
}

fn query(view: &View) -> Option<&str> {
    view.path_with_query.split_once('?').map(|(_, query)| query)
}

/// A header by its name in a variable, which has `_` for `-`.
fn named_header(headers: &Fields, name: &str, out: &mut Vec<u8>) -> bool {
    let mut dashed = [0; 64];
    let Some(dashed) = dashed.get_mut(..name.len()) else {
        // Rare enough to take memory.
        return header(headers, &name.replace('_', "-"), out);
    };
    for (to, from) in dashed.iter_mut().zip(name.bytes()) {
        *to = if from == b'_' { b'-' } else { from };
    }
    std::str::from_utf8(dashed).is_ok_and(|name| header(headers, name, out))
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
    address(out, view.client.ip());
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

/// The request target as the client sent it.
fn sent(view: &View) -> &str {
    view.original.as_deref().unwrap_or(&view.path_with_query)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Method;

    use super::*;
    use crate::hook::{Arrival, Kept};

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
            original: None,
            path: "/a b".into(),
            authority: "Example.com:80".into(),
            host: "example.com".into(),
            scheme: "http",
            is_websocket: false,
            headers,
            client: "192.0.2.1:1234".parse().unwrap(),
            peer: "10.0.0.1:80".parse().unwrap(),
            limit_req_status: "DELAYED",
            limit_conn_status: "",
            is_renewal: false,
            local: "192.0.2.2:80".parse().unwrap(),
            variables: vec![("remote_user".into(), "ann".into())],
            route: Arc::from("r"),
            site: Arc::from("s"),
            arrival: Arrival { connection: 7, request: 2, since: None, proxied: None, tls: None },
            upstream: Arc::from("chat:81"),
            outcome: Outcome::default(),
            maps: Arc::default(),
            kept: Kept::default(),
            own: crate::hook::Own::default(),
            builtins: &Nginx,
        }
    }

    #[test]
    fn addresses_are_written_as_the_formatter_does() {
        for ip in ["0.0.0.0", "1.20.255.9", "100.10.101.99", "2001:db8::1"] {
            let mut out = Vec::new();
            address(&mut out, ip.parse().unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), ip);
        }
    }

    #[test]
    fn values() {
        let view = view();
        for (name, value) in [
            ("host", Some("example.com")),
            ("remote_addr", Some("192.0.2.1")),
            ("realip_remote_addr", Some("10.0.0.1")),
            ("realip_remote_port", Some("80")),
            ("limit_req_status", Some("DELAYED")),
            ("limit_conn_status", None),
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
            ("connection", Some("7")),
            ("connection_requests", Some("2")),
            ("proxy_host", Some("chat:81")),
            ("proxy_port", Some("81")),
            ("status", Some("000")),
            ("upstream_addr", None),
            ("ssl_protocol", None),
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
