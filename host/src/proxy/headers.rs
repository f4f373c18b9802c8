//! The one place with hop-by-hop rules (RFC 9110 §7.6.1) and with changes of header maps.
//!
//! Nothing here reorders: `HeaderMap::remove` would move the last line into the gap.

use http::header::{CONNECTION, EXPECT, SERVER, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::handshake::{self, Upgrade};
use crate::hook::FieldEdit;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Headers of one connection, which end here in either direction.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    [&CONNECTION, &KEEP_ALIVE, &PROXY_CONNECTION, &TE, &TRANSFER_ENCODING, &UPGRADE, &HTTP2_SETTINGS]
        .into_iter()
        .any(|hop| hop == name)
}

/// Remove what a Connection header names as belonging to the connection. Done before any
/// hook runs, so that a client cannot name a header that the proxy is about to set.
pub(super) fn remove_nominated(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = handshake::tokens(headers, &CONNECTION)
        .filter(|token| !["close", "keep-alive", "upgrade"].iter().any(|known| token.eq_ignore_ascii_case(known)))
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        // The head's own framing and TE are not for the client to hide from the proxy.
        .filter(|name| !is_hop_by_hop(name) && *name != http::header::CONTENT_LENGTH && *name != http::header::HOST)
        .collect();
    if !nominated.is_empty() {
        retain(headers, |name| !nominated.contains(name));
    }
}

/// Make a request's headers those of the connection to the peer.
pub(super) fn for_upstream(headers: &mut HeaderMap, upgrade: &Upgrade) {
    let switching = handshake::upgrade_value(upgrade, headers);
    // RFC 9110 §10.1.4: the one meaning of TE that a proxy can pass on.
    let trailers = handshake::tokens(headers, &TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    retain(headers, |name| {
        // Kept for now, so that they keep their place.
        let replaced = switching.is_some() && (name == CONNECTION || name == UPGRADE);
        // hyper answers `Expect: 100-continue` itself when the body is first wanted.
        replaced || !(is_hop_by_hop(name) || name == EXPECT)
    });
    if let Some(value) = switching {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, value);
    } else if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("TE"));
    }
}

/// What an upstream says to its proxy, and so not to the client. nginx hides these too, and
/// Date, which goes on here: it says when the answer was made (RFC 9110 §6.6.1).
fn is_hidden(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-")
        && matches!(
            name,
            "x-pad"
                | "x-accel-buffering"
                | "x-accel-charset"
                | "x-accel-expires"
                | "x-accel-limit-rate"
                | "x-accel-redirect"
        )
}

/// Make a response's headers those of the connection to the client. `pass` are headers that
/// would be hidden, `server` what takes the place of the upstream's Server.
pub(super) fn for_downstream(
    headers: &mut HeaderMap,
    switching: bool,
    pass: &[HeaderName],
    server: Option<&HeaderValue>,
) {
    let upgrade = switching.then(|| headers.get(UPGRADE).cloned()).flatten();
    remove_nominated(headers);
    let keeps_server = pass.contains(&SERVER);
    retain(headers, |name| {
        let replaced = upgrade.is_some() && (name == CONNECTION || name == UPGRADE);
        let hidden = is_hidden(name) && !pass.contains(name);
        let nameless = server.is_none() && !keeps_server && name == SERVER;
        replaced || !(is_hop_by_hop(name) || hidden || nameless)
    });
    if let Some(server) = server.filter(|_| !keeps_server || !headers.contains_key(SERVER)) {
        headers.insert(SERVER, server.clone());
    }
    if let Some(value) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, value);
    }
}

/// Make a plugin's edits, in order.
pub(super) fn apply(headers: &mut HeaderMap, edits: Vec<FieldEdit>) {
    for edit in edits {
        match edit {
            FieldEdit::Set(name, value) => {
                headers.insert(name, value);
            }
            FieldEdit::Append(name, value) => {
                headers.append(name, value);
            }
            FieldEdit::SetDefault(name, value) => {
                headers.entry(name).or_insert(value);
            }
            FieldEdit::Remove(removed) => retain(headers, |name| *name != removed),
        }
    }
}

/// Keep the headers that `keep` wants, in their order. Costs nothing where it wants all.
fn retain(headers: &mut HeaderMap, keep: impl Fn(&HeaderName) -> bool) {
    if headers.keys().all(&keep) {
        return;
    }
    let all = std::mem::take(headers);
    headers.reserve(all.len());
    let mut current: Option<HeaderName> = None;
    for (name, value) in all {
        // The map's own iterator gives a name once, before the first of its values.
        if let Some(name) = name {
            current = keep(&name).then_some(name);
        }
        if let Some(name) = &current {
            headers.append(name.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn lines(headers: &HeaderMap) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn a_handshake_keeps_its_order() {
        let mut headers = head(&[
            ("host", "h"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("keep-alive", "timeout=5"),
            ("sec-websocket-key", "k"),
            ("te", "trailers"),
            ("cookie", "c"),
        ]);
        for_upstream(&mut headers, &Upgrade::WebSocket(String::new()));
        assert_eq!(
            lines(&headers),
            ["host: h", "connection: upgrade", "upgrade: WebSocket", "sec-websocket-key: k", "cookie: c"]
        );
    }

    #[test]
    fn a_plain_request_loses_what_is_the_connections() {
        let mut headers = head(&[
            ("connection", "close, x-mine"),
            ("x-mine", "1"),
            ("a", "1"),
            ("b", "2"),
            ("upgrade", "h2c"),
            ("a", "3"),
        ]);
        remove_nominated(&mut headers);
        for_upstream(&mut headers, &Upgrade::None);
        assert_eq!(lines(&headers), ["a: 1", "a: 3", "b: 2"]);
    }

    #[test]
    fn te_trailers_goes_on_with_its_connection_option() {
        let mut headers = head(&[("te", "gzip, trailers"), ("connection", "te"), ("a", "1")]);
        remove_nominated(&mut headers);
        for_upstream(&mut headers, &Upgrade::None);
        assert_eq!(lines(&headers), ["a: 1", "te: trailers", "connection: TE"]);
    }

    #[test]
    fn a_client_cannot_hide_host_or_length() {
        let mut headers = head(&[("connection", "host, content-length"), ("host", "h"), ("content-length", "1")]);
        remove_nominated(&mut headers);
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn what_is_for_the_proxy_is_hidden() {
        let sent = [("server", "s"), ("x-accel-buffering", "no"), ("x-pad", "p"), ("date", "d"), ("x-a", "1")];
        let shown = |pass: &[&'static str], server: Option<&'static str>| {
            let mut headers = head(&sent);
            let pass: Vec<_> = pass.iter().map(|name| HeaderName::from_static(name)).collect();
            for_downstream(&mut headers, false, &pass, server.map(HeaderValue::from_static).as_ref());
            lines(&headers)
        };
        assert_eq!(shown(&[], Some("t")), ["server: t", "date: d", "x-a: 1"]);
        assert_eq!(shown(&[], None), ["date: d", "x-a: 1"]);
        assert_eq!(shown(&["server", "x-pad"], Some("t")), ["server: s", "x-pad: p", "date: d", "x-a: 1"]);
        assert_eq!(shown(&["server"], None), ["server: s", "date: d", "x-a: 1"]);
    }

    #[test]
    fn edits_are_made_in_order() {
        let mut headers = head(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let (a, b, d) = (HeaderName::from_static("a"), HeaderName::from_static("b"), HeaderName::from_static("d"));
        let value = HeaderValue::from_static;
        apply(
            &mut headers,
            vec![
                FieldEdit::Remove(a.clone()),
                FieldEdit::SetDefault(b.clone(), value("x")),
                FieldEdit::SetDefault(d.clone(), value("4")),
                FieldEdit::Append(d, value("5")),
                FieldEdit::Set(b, value("6")),
                FieldEdit::Append(a, value("7")),
            ],
        );
        assert_eq!(lines(&headers), ["b: 6", "c: 3", "d: 4", "d: 5", "a: 7"]);
    }
}
