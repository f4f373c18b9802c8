//! RFC 6455 section 4, checked on both sides: what is not a handshake does not become a
//! tunnel, and what the server says instead of 101 passes.

use tidegate_tests::http::Body;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Head, Proxy, Response, Subject, both, tidegate};

both!(
    a_refused_handshake_passes_with_headers_and_body,
    after_a_refusal_the_connection_serves_on,
    a_redirect_passes,
    the_guides_curl_key_works,
);

fn to_backend(backend: &Backend) -> Proxy {
    Subject::Tidegate.before(backend.address())
}

/// The answer to a bad handshake, which no backend may have seen.
#[track_caller]
fn refused(handshake: impl AsRef<[u8]>) -> (Head, Body) {
    let backend = Backend::ws_echo();
    let proxy = to_backend(&backend);
    let answer = proxy.ask(handshake);
    assert_eq!(backend.heads(), [], "a bad handshake went to the backend");
    answer
}

fn with_key_lines(lines: &str) -> String {
    ws::handshake("/ws", "").replace(&format!("Sec-WebSocket-Key: {}\r\n", ws::KEY), lines)
}

#[test]
fn no_key() {
    assert_eq!(refused(with_key_lines("")).0.status(), 400);
}

#[test]
fn two_keys() {
    let line = format!("Sec-WebSocket-Key: {}\r\n", ws::KEY);
    assert_eq!(refused(with_key_lines(&line.repeat(2))).0.status(), 400);
}

#[test]
fn a_key_that_is_not_base64() {
    assert_eq!(refused(with_key_lines("Sec-WebSocket-Key: what is this?\r\n")).0.status(), 400);
    assert_eq!(refused(with_key_lines("Sec-WebSocket-Key:\r\n")).0.status(), 400);
}

#[test]
fn another_version() {
    let handshake = ws::handshake("/ws", "").replace("Version: 13", "Version: 8");
    let (head, _) = refused(handshake);
    assert_eq!(head.status(), 426);
    assert_eq!(head.get("sec-websocket-version"), Some("13"));
}

#[test]
fn post() {
    let handshake = ws::handshake("/ws", "Content-Length: 0\r\n").replace("GET", "POST");
    assert_eq!(refused(handshake).0.status(), 400);
}

/// RFC 9110 section 7.8: Upgrade in an HTTP/1.0 request is ignored, so it is not passed on.
#[test]
fn http_1_0() {
    let backend = Backend::http(|_| Response::text("plain"));
    let proxy = to_backend(&backend);
    let (head, _) = proxy.ask(ws::handshake("/ws", "").replace("HTTP/1.1", "HTTP/1.0"));
    assert_ne!(head.status(), 101);
    for seen in backend.heads() {
        assert_eq!(seen.get("upgrade"), None, "{}", seen.raw.escape_ascii());
        assert!(!seen.lists("connection", "upgrade"));
    }
}

/// `Connection` must list the upgrade; without it the Upgrade header means nothing.
#[test]
fn upgrade_without_connection() {
    let backend = Backend::http(|_| Response::text("plain"));
    let proxy = to_backend(&backend);
    let (head, body) = proxy.ask(ws::handshake("/ws", "").replace("Connection: Upgrade\r\n", ""));
    assert_eq!((head.status(), body.text().as_str()), (200, "plain"));
    assert_eq!(backend.only_head().get("upgrade"), None);
}

/// What the backend answers to a good handshake, and what the client sees of it.
#[track_caller]
fn answered(answer: impl Into<Vec<u8>>) -> (Head, Body) {
    let answer = answer.into();
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        wire.send(&answer);
        // The proxy hangs up on a backend that cannot shake hands.
        wire.expect_end();
    });
    let proxy = to_backend(&backend);
    let seen = proxy.ask(ws::handshake("/ws", ""));
    backend.join();
    seen
}

#[test]
fn another_accept_is_a_bad_gateway() {
    let (head, _) = answered(ws::switching("AAAAAAAAAAAAAAAAAAAAAA==", ""));
    assert_eq!(head.status(), 502);
    assert_eq!(head.get("sec-websocket-accept"), None);
}

#[test]
fn no_accept_is_a_bad_gateway() {
    let line = format!("Sec-WebSocket-Accept: {}\r\n", ws::accept(ws::KEY));
    assert_eq!(answered(ws::switching(ws::KEY, "").replace(&line, "")).0.status(), 502);
}

#[test]
fn a_101_without_upgrade_is_a_bad_gateway() {
    let answer = ws::switching(ws::KEY, "").replace("Upgrade: websocket\r\n", "");
    assert_eq!(answered(answer).0.status(), 502);
}

#[test]
fn a_101_to_another_protocol_is_a_bad_gateway() {
    let answer = ws::switching(ws::KEY, "").replace("Upgrade: websocket", "Upgrade: foo");
    assert_eq!(answered(answer).0.status(), 502);
}

#[test]
fn a_101_without_connection_is_a_bad_gateway() {
    let answer = ws::switching(ws::KEY, "").replace("Connection: Upgrade\r\n", "");
    assert_eq!(answered(answer).0.status(), 502);
}

#[test]
fn an_unasked_101_is_a_bad_gateway() {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect_end();
    });
    let proxy = to_backend(&backend);
    let (head, _) = proxy.get("/");
    assert_eq!(head.status(), 502);
    backend.join();
}

fn a_refused_handshake_passes_with_headers_and_body(subject: Subject) {
    for (status, line) in [(403, "403 Forbidden"), (401, "401 Unauthorized"), (503, "503 Service Unavailable")] {
        let backend = Backend::http(move |_| {
            Response::raw(format!(
                "HTTP/1.1 {line}\r\nX-Why: because\r\nWWW-Authenticate: Bearer realm=\"x\"\r\nContent-Length: 7\r\n\r\nnot you"
            ))
        });
        let proxy = subject.before(backend.address());
        let (head, body) = proxy.ask(ws::handshake("/ws", ""));
        assert_eq!(head.status(), status);
        assert_eq!(head.get("x-why"), Some("because"));
        assert_eq!(head.get("www-authenticate"), Some("Bearer realm=\"x\""));
        assert_eq!(head.get("upgrade"), None);
        assert_eq!(body.text(), "not you");
    }
}

fn after_a_refusal_the_connection_serves_on(subject: Subject) {
    let backend = Backend::http(|request| match request.head.target() {
        "/ws" => Response::new(403).body("no"),
        _ => Response::text("yes"),
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", ""));
    let (head, body) = client.read_response();
    assert_eq!((head.status(), body.text().as_str()), (403, "no"));
    client.send("GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, body) = client.read_response();
    assert_eq!((head.status(), body.text().as_str()), (200, "yes"));
}

fn a_redirect_passes(subject: Subject) {
    let backend = Backend::http(|_| Response::new(302).header("Location", "https://elsewhere.example.com/ws"));
    let proxy = subject.before(backend.address());
    let (head, _) = proxy.ask(ws::handshake("/ws", ""));
    assert_eq!(head.status(), 302);
    assert_eq!(head.get("location"), Some("https://elsewhere.example.com/ws"));
}

/// The guide's curl line sends "Hello, world!" as its key: 13 bytes, not 16.
fn the_guides_curl_key_works(subject: Subject) {
    let key = "SGVsbG8sIHdvcmxkIQ==";
    let backend = Backend::ws_echo();
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", "").replace(ws::KEY, key));
    let head = client.read_head();
    assert_eq!(head.status(), 101);
    assert_eq!(head.get("sec-websocket-accept"), Some(ws::accept(key).as_str()));
    assert_eq!(backend.only_head().get("sec-websocket-key"), Some(key));
    client.echo(&Frame::text("hello"));
}

const FOO: &str = "GET /foo HTTP/1.1\r\nHost: x\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n";

#[test]
fn other_tokens_go_on_as_plain_http() {
    for token in ["foo", "h2c", "TLS/1.0, HTTP/1.1"] {
        let backend = Backend::http(|_| Response::text("plain"));
        let proxy = to_backend(&backend);
        let (head, body) = proxy.ask(FOO.replace("Upgrade: foo", &format!("Upgrade: {token}")));
        assert_eq!((head.status(), body.text().as_str()), (200, "plain"));
        let seen = backend.only_head();
        assert_eq!(seen.get("upgrade"), None, "{token}");
        assert!(!seen.lists("connection", "upgrade"), "{token}");
    }
}

#[test]
fn a_route_can_list_other_tokens() {
    let backend = Backend::script(|mut wire, _| {
        let head = wire.read_head();
        assert_eq!(head.get("upgrade"), Some("foo"));
        assert!(head.lists("connection", "upgrade"));
        wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\nfoo speaks first");
        wire.expect("and the client answers");
    });
    let proxy = tidegate(
        r#"
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        upgrade = ["websocket", "foo"]
        "#,
    )
    .var("backend", backend.address())
    .start();
    let mut client = proxy.connect();
    client.send(FOO);
    let head = client.read_head();
    assert_eq!(head.status(), 101);
    assert_eq!(head.get("upgrade"), Some("foo"));
    client.expect("foo speaks first");
    client.send("and the client answers");
    client.expect_close();
    backend.join();
}

#[test]
fn a_route_can_leave_websocket_out() {
    let backend = Backend::http(|_| Response::text("plain"));
    let proxy = tidegate("[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nupgrade = []")
        .var("backend", backend.address())
        .start();
    let (head, _) = proxy.ask(ws::handshake("/ws", ""));
    assert_eq!(head.status(), 200);
    assert_eq!(backend.only_head().get("upgrade"), None);
}
