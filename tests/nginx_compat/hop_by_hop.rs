//! Headers of one connection end at the proxy (RFC 9110 §7.6.1), and the token of an Upgrade
//! keeps its case, which the guides' readers ask for.

use tidegate_tests::{Backend, Response, Subject, both, tidegate, ws};

both!(the_upgrade_token_keeps_its_case, a_plain_answer_is_of_this_connection);

fn the_upgrade_token_keeps_its_case(subject: Subject) {
    for token in ["websocket", "WebSocket", "WEBSOCKET"] {
        let backend = Backend::ws_echo();
        let proxy = subject.before(backend.address());
        let handshake = ws::handshake("/", "").replace("websocket", token);
        assert!(handshake.contains(token), "{handshake}");
        let mut wire = proxy.connect();
        wire.send(handshake);
        assert_eq!(wire.read_head().status(), 101, "{token}");
        assert_eq!(backend.only_head().get("upgrade"), Some(token));
        drop(wire);
    }
}

fn a_plain_answer_is_of_this_connection(subject: Subject) {
    let backend = Backend::http(|_| {
        Response::text("x").header("Connection", "keep-alive").header("Keep-Alive", "timeout=7").header("X-Kept", "1")
    });
    let proxy = subject.before(backend.address());
    let mut wire = proxy.connect();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\nKeep-Alive: 300\r\nConnection: close\r\n\r\n");
    let (head, _) = wire.read_response();
    assert!(head.lists("connection", "close"), "{head:?}");
    assert_eq!((head.get("keep-alive"), head.get("x-kept")), (None, Some("1")));
    let seen = backend.only_head();
    assert!(!seen.lists("connection", "close"), "{seen:?}");
}

/// nginx passes these on, but for Connection and Keep-Alive; RFC 9110 says that a proxy must not.
#[test]
fn what_a_client_says_of_its_connection_ends_here() {
    let backend = Backend::named("x");
    let proxy = Subject::Tidegate.before(backend.address());
    for (lines, kept) in [
        ("Connection: x-one, X-Two\r\nX-One: 1\r\nx-two: 2\r\nX-Three: 3\r\n", vec!["X-Three"]),
        ("Connection: close\r\nConnection: x-one\r\nX-One: 1\r\nX-Three: 3\r\n", vec!["X-Three"]),
        ("Proxy-Connection: keep-alive\r\nKeep-Alive: timeout=1\r\nX-Three: 3\r\n", vec!["X-Three"]),
        (
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\nX-Three: 3\r\n",
            vec!["X-Three"],
        ),
        // RFC 9110 §10.1.4: the one TE that a proxy may pass on, as its own.
        ("Connection: TE\r\nTE: trailers;q=0.5, gzip\r\nX-Three: 3\r\n", vec!["X-Three"]),
        // A client cannot have its Host or the proxy's own headers removed.
        ("Connection: host, x-forwarded-for, x-real-ip\r\nX-Three: 3\r\n", vec!["X-Three"]),
    ] {
        let before = backend.heads().len();
        let (head, _) = proxy.ask(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
        assert_eq!(head.status(), 200, "{lines}");
        let seen = backend.heads().remove(before);
        let names: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
        let others: Vec<_> = names
            .iter()
            .filter(|name| {
                !["host", "x-real-ip", "x-forwarded-for", "x-forwarded-proto"].contains(&&*name.to_ascii_lowercase())
            })
            .copied()
            .collect();
        assert_eq!(others, kept, "{lines}");
        assert_eq!(seen.get("host"), Some("a.test"), "{lines}");
        assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"), "{lines}");
    }
}

/// And what the upstream says of its own.
#[test]
fn what_an_upstream_says_of_its_connection_ends_here() {
    let backend = Backend::http(|_| {
        Response::text("x")
            .header("Connection", "x-one, close")
            .header("X-One", "1")
            .header("Proxy-Connection", "close")
            .header("Upgrade", "h2c")
            .header("Keep-Alive", "timeout=1")
            .header("X-Two", "2")
    });
    let proxy = tidegate("[[sites]]\nupstream = \"%backend%\"\nroutes = [{ match = \"/\" }]")
        .var("backend", backend.address())
        .start();
    let mut wire = proxy.connect();
    for _ in 0..2 {
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let (head, _) = wire.read_response();
        assert_eq!(head.lines_without(&["date", "server", "content-length"]), ["X-Two: 2"]);
    }
}
