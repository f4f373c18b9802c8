//! The one place with hop-by-hop rules (RFC 9110 §7.6.1) and with plugins' edits of heads.

use http::{HeaderName, HeaderValue};

use super::handshake::{self, Upgrade};
use crate::hook::FieldEdit;
use crate::message::Fields;

/// Headers of one connection, which end here in either direction.
fn is_hop_by_hop(name: &[u8]) -> bool {
    is_one_of(
        name,
        &["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "http2-settings"],
    )
}

fn is_one_of(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|other| other.as_bytes().eq_ignore_ascii_case(name))
}

/// Remove what a Connection header names as belonging to the connection. Done before any
/// hook runs, so that a client cannot name a header that the proxy is about to set.
pub(super) fn remove_nominated(headers: &mut Fields) {
    let nominated: Vec<String> = headers
        .tokens("connection")
        .filter(|token| !["close", "keep-alive", "upgrade"].iter().any(|known| token.eq_ignore_ascii_case(known)))
        // The head's own framing and TE are not for the client to hide from the proxy.
        .filter(|token| !is_hop_by_hop(token.as_bytes()))
        .filter(|token| !is_one_of(token.as_bytes(), &["content-length", "host"]))
        .map(str::to_owned)
        .collect();
    if !nominated.is_empty() {
        headers.retain(|name| !nominated.iter().any(|gone| gone.as_bytes().eq_ignore_ascii_case(name)));
    }
}

/// Make a request's headers those of the connection to the peer.
pub(super) fn for_upstream(headers: &mut Fields, upgrade: &Upgrade) {
    let switching = handshake::upgrade_value(upgrade, headers);
    // RFC 9110 §10.1.4: the one meaning of TE that a proxy can pass on.
    let trailers = headers.has_token("te", "trailers");
    let keeps = switching.is_some();
    headers.retain(|name| {
        // Kept for now, so that they keep their place.
        let replaced = keeps && is_one_of(name, &["connection", "upgrade"]);
        // The client's connection answers `Expect: 100-continue` itself when the body is first wanted.
        replaced || !(is_hop_by_hop(name) || is_one_of(name, &["expect"]))
    });
    if let Some(value) = switching {
        headers.set("Connection", b"upgrade");
        headers.set("Upgrade", value.as_bytes());
    } else if trailers {
        headers.set("TE", b"trailers");
        headers.set("Connection", b"TE");
    }
}

/// What an upstream says to its proxy, and so not to the client. nginx hides these too, and
/// Date, which goes on here: it says when the answer was made (RFC 9110 §6.6.1).
fn is_hidden(name: &[u8]) -> bool {
    const NAMES: [&str; 6] =
        ["x-pad", "x-accel-buffering", "x-accel-charset", "x-accel-expires", "x-accel-limit-rate", "x-accel-redirect"];
    matches!(name, [b'x' | b'X', b'-', ..]) && is_one_of(name, &NAMES)
}

/// Make a response's headers those of the connection to the client. `pass` are headers that
/// would be hidden, `server` what takes the place of the upstream's Server.
pub(super) fn for_downstream(headers: &mut Fields, switching: bool, pass: &[HeaderName], server: Option<&HeaderValue>) {
    let upgrade = if switching { headers.get("upgrade").map(<[u8]>::to_vec) } else { None };
    remove_nominated(headers);
    let keeps = upgrade.is_some();
    let passes = |name: &[u8]| pass.iter().any(|passed| passed.as_str().as_bytes().eq_ignore_ascii_case(name));
    let keeps_server = passes(b"server");
    let drops_server = server.is_none() && !keeps_server;
    headers.retain(|name| {
        let replaced = keeps && is_one_of(name, &["connection", "upgrade"]);
        let hidden = is_hidden(name) && !passes(name);
        replaced || !(is_hop_by_hop(name) || hidden || (drops_server && is_one_of(name, &["server"])))
    });
    match server {
        Some(server) if keeps_server => headers.set_default("Server", server.as_bytes()),
        Some(server) => headers.set("Server", server.as_bytes()),
        None => {}
    }
    if let Some(value) = upgrade {
        headers.set("Connection", b"upgrade");
        headers.set("Upgrade", &value);
    }
}

/// Make a plugin's edits, in order.
pub(super) fn apply(headers: &mut Fields, edits: Vec<FieldEdit>) {
    for edit in edits {
        match edit {
            FieldEdit::Set(name, value) => headers.set(name.as_str(), value.as_bytes()),
            FieldEdit::Append(name, value) => headers.append(name.as_str(), value.as_bytes()),
            FieldEdit::SetDefault(name, value) => headers.set_default(name.as_str(), value.as_bytes()),
            FieldEdit::Remove(name) => headers.remove(name.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{FieldName, FieldValue};

    fn head(lines: &[(&str, &str)]) -> Fields {
        lines.iter().copied().collect()
    }

    fn lines(headers: &Fields) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {}", std::str::from_utf8(value).unwrap())).collect()
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
            ["host: h", "Connection: upgrade", "Upgrade: WebSocket", "sec-websocket-key: k", "cookie: c"]
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
        assert_eq!(lines(&headers), ["a: 1", "b: 2", "a: 3"]);
    }

    #[test]
    fn te_trailers_goes_on_with_its_connection_option() {
        let mut headers = head(&[("te", "gzip, trailers"), ("connection", "te"), ("a", "1")]);
        remove_nominated(&mut headers);
        for_upstream(&mut headers, &Upgrade::None);
        assert_eq!(lines(&headers), ["a: 1", "TE: trailers", "Connection: TE"]);
    }

    #[test]
    fn a_client_cannot_hide_host_or_length() {
        let mut headers = head(&[("connection", "host, content-length"), ("host", "h"), ("content-length", "1")]);
        remove_nominated(&mut headers);
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn what_is_for_the_proxy_is_hidden() {
        let sent = [("Server", "s"), ("X-Accel-Buffering", "no"), ("X-Pad", "p"), ("Date", "d"), ("X-A", "1")];
        let shown = |pass: &[&'static str], server: Option<&'static str>| {
            let mut headers = head(&sent);
            let pass: Vec<_> = pass.iter().map(|name| HeaderName::from_static(name)).collect();
            for_downstream(&mut headers, false, &pass, server.map(HeaderValue::from_static).as_ref());
            lines(&headers)
        };
        assert_eq!(shown(&[], Some("t")), ["Server: t", "Date: d", "X-A: 1"]);
        assert_eq!(shown(&[], None), ["Date: d", "X-A: 1"]);
        assert_eq!(shown(&["server", "x-pad"], Some("t")), ["Server: s", "X-Pad: p", "Date: d", "X-A: 1"]);
        assert_eq!(shown(&["server"], None), ["Server: s", "Date: d", "X-A: 1"]);
    }

    #[test]
    fn edits_are_made_in_order() {
        let mut headers = head(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let name = |name: &str| FieldName::new(name).unwrap();
        let (a, b, d) = (name("a"), name("B"), name("d"));
        let value = |value: &str| FieldValue::new(value).unwrap();
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
        assert_eq!(lines(&headers), ["B: 6", "c: 3", "d: 4", "d: 5", "a: 7"]);
    }
}
