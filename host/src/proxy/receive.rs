//! Phase 1: the head becomes an exchange, and is checked.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, Version};

use super::exchange::Exchange;
use super::handshake::{self, Upgrade};
use super::variables::Nginx;
use super::{Connection, Refusal, Request, headers, path, real_ip};
use crate::body::Body;
use crate::error::{Error, Kind};
use crate::hook::{Arrival, Kept, Outcome, Own, View};
use crate::http1::{BadLength, Malformed};
use crate::message::{Fields, RequestHead};
use crate::observe::Record;

/// Make an exchange of a request. Never fails: what is wrong is found by [`check`], so that
/// a bad request is recorded like any other.
pub(super) fn begin(connection: &Connection, request: Request) -> (Exchange, Body) {
    let Request { head, body, unframed } = request;
    let mut exchange = make(connection, head);
    exchange.unframed = unframed;
    (exchange, body)
}

/// Tell who looks closely what has come.
pub(super) fn tell(exchange: &Exchange) {
    let view = &exchange.view;
    let (client, connection, host) = (view.client, view.arrival.connection, &view.authority);
    tracing::debug!(%client, connection, method = %view.method, target = %view.path_with_query, %host, "request");
}

/// The exchange of something that is not a request: only to be refused and recorded.
pub(super) fn unreadable(connection: &Connection) -> Exchange {
    let (method, version) = (Method::GET, Version::HTTP_11);
    make(connection, RequestHead { method, target: String::new(), version, fields: Fields::new() })
}

fn make(connection: &Connection, head: RequestHead) -> Exchange {
    let RequestHead { method, target, version, fields } = head;
    let snapshot = connection.proxy.snapshot.load_full();
    let (authority, path_with_query) = split(target, &fields);
    let target_path = path_with_query.clone();
    let peer = canonical(connection.client.address);
    // Before anything reads it: limits, access lists, logs and plugins see the real one.
    let client = match &snapshot.real_ip {
        Some(config) => real_ip::client(config, connection.address(), &fields),
        None => connection.address(),
    };
    let view = View {
        serial: next_serial(),
        method,
        version,
        path_with_query,
        original: None,
        path: String::new(),
        host: host_of(&authority),
        authority,
        scheme: connection.scheme,
        is_websocket: false,
        headers: fields,
        client,
        peer,
        local: canonical(connection.local),
        arrival: Arrival {
            connection: connection.client.number,
            request: connection.client.request(),
            since: Some(connection.client.since),
            tls: connection.tls.clone(),
            proxied: connection.proxied,
        },
        variables: Vec::new(),
        route: Arc::default(),
        site: Arc::default(),
        limit_req_status: "",
        limit_conn_status: "",
        is_renewal: false,
        upstream: Arc::default(),
        outcome: Outcome::default(),
        maps: Arc::clone(&snapshot.maps),
        kept: Kept::default(),
        own: Own::new(snapshot.isolates),
        builtins: &Nginx,
    };
    let record = Box::new(Record::new(Arc::clone(&connection.proxy.metrics)));
    Exchange {
        snapshot,
        view: Arc::new(view),
        target_path,
        misplaced: connection.misplaced,
        unframed: None,
        upgrade: Upgrade::None,
        target: None,
        answered: false,
        local: false,
        turns: 0,
        deflate: None,
        next_route: None,
        coding: None,
        sent: None,
        spared: false,
        page: None,
        sticky: None,
        replied: None,
        access: None,
        record: Some(record),
    }
}

/// Authority, and path with query. RFC 9112 §3.2.2: the authority of an absolute target wins
/// over the Host header.
pub(super) fn split(target: String, fields: &Fields) -> (String, String) {
    if !target.starts_with('/')
        && let Some((_scheme, rest)) = target.split_once("://")
    {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        return (authority.to_owned(), path);
    }
    let host = fields.get("host").map(|host| String::from_utf8_lossy(host).into_owned());
    (host.unwrap_or_default(), target)
}

/// What is wrong with a head that could not be read.
pub(super) fn complaint(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Malformed(malformed) => malformation(malformed),
        Refusal::Slow => Kind::ClientTimeout.into(),
    }
}

fn malformation(malformed: Malformed) -> Error {
    let kind = match malformed {
        Malformed::Grammar(_) => Kind::BadRequest,
        Malformed::Version => Kind::Version,
        Malformed::LineTooLong => Kind::TargetTooLong,
        Malformed::TooManyLines | Malformed::TooLarge => Kind::HeadTooLarge,
    };
    Error::new(kind, malformed.to_string())
}

/// Refuse what must not be routed, and work out the path and the wish to upgrade.
///
/// # Errors
/// Downstream kinds only.
pub(super) fn check(exchange: &mut Exchange) -> Result<(), Error> {
    let unframed = exchange.unframed;
    let limits = exchange.snapshot.downstream.head_limits();
    let view = exchange.view_mut();
    // Of HTTP/1.1 they were asked of the bytes, before all of them had come.
    if view.version > Version::HTTP_11 {
        limits.check(&view.method, &view.path_with_query, &view.headers).map_err(malformation)?;
    }
    if view.method == Method::CONNECT {
        return Err(Kind::MethodNotAllowed.into());
    }
    if let Some(bad) = unframed {
        let kind = if bad == BadLength::Coding { Kind::TransferCoding } else { Kind::BadRequest };
        return Err(Error::new(kind, bad.to_string()));
    }
    let hosts = view.headers.get_all("host").count();
    // RFC 9112 §3.2: exactly one Host in HTTP/1.1, at most one before.
    if hosts > 1 || (hosts == 0 && view.version == Version::HTTP_11) {
        return Err(Error::new(Kind::BadRequest, format!("{hosts} Host headers")));
    }
    if view.headers.get_all("host").any(|host| !is_host(host)) {
        return Err(Error::new(Kind::BadRequest, "the Host header is not a host"));
    }
    // RFC 9112 §3.2: a path, or `*` for the server as a whole.
    let asks_server = view.path_with_query == "*" && view.method == Method::OPTIONS;
    if !asks_server && !view.path_with_query.starts_with('/') {
        return Err(Error::new(Kind::BadRequest, "the target is not a path"));
    }
    headers::remove_nominated(&mut view.headers);
    let raw = view.path_with_query.split(['?', '#']).next().unwrap_or("/");
    view.path = path::normalize(raw).ok_or_else(|| Error::new(Kind::BadRequest, "the path leaves the root"))?;
    let upgrade = handshake::wish(view)?;
    view.is_websocket = matches!(upgrade, Upgrade::WebSocket(_));
    exchange.upgrade = upgrade;
    Ok(())
}

/// The name alone, as nginx's `$host`: lower case, without port, user and final dot.
pub(super) fn host_of(authority: &str) -> String {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        // An IPv6 address keeps its brackets, as in nginx.
        Some((address, _)) => return format!("[{}]", address.to_ascii_lowercase()),
        None => host.split(':').next().unwrap_or(host),
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Bytes that can stand in a host or port. What nginx refuses (a slash, a space, a control
/// character) is refused.
fn is_host(host: &[u8]) -> bool {
    host.iter()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'\\' | b'?' | b'#' | b'"' | b'<' | b'>') || *b >= 128)
}

/// A dual-stack listener shows IPv4 clients as `::ffff:a.b.c.d`; logs and headers say `a.b.c.d`.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Numbers are handed out to workers in blocks, so that the shared counter stays cold.
pub(super) fn next_serial() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    const BLOCK: u64 = 1 << 16;
    static BLOCKS: AtomicU64 = AtomicU64::new(0);
    thread_local!(static NEXT: Cell<u64> = const { Cell::new(0) });
    let mut serial = NEXT.get();
    if serial.is_multiple_of(BLOCK) {
        serial = BLOCKS.fetch_add(1, Ordering::Relaxed) * BLOCK + 1;
    }
    NEXT.set(serial + 1);
    serial
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_the_name_alone() {
        for (authority, host) in [
            ("Example.COM:8080", "example.com"),
            ("example.com.", "example.com"),
            ("[2001:DB8::1]:80", "[2001:db8::1]"),
            ("user@example.com", "example.com"),
            ("", ""),
        ] {
            assert_eq!(host_of(authority), host, "{authority}");
        }
    }

    #[test]
    fn hosts_that_nginx_refuses() {
        assert!(is_host(b"example.com:80") && is_host(b"[::1]:80") && is_host(b"a_b"));
        assert!(!is_host(b"a/b") && !is_host(b"a b") && !is_host(b"a\tb"));
    }

    #[test]
    fn serials_differ() {
        assert_ne!(next_serial(), next_serial());
    }

    #[test]
    fn mapped_addresses_are_shown_as_ipv4() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:80".parse().unwrap();
        assert_eq!(canonical(mapped).to_string(), "192.0.2.1:80");
    }
}
