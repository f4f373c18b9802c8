//! What is limited and who is kept out; the production configuration, which has all of it.

use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Response, Subject, Wire, both, eventually};

use super::{Example, connect_from, get, tells_who_asks};

both!(rate_limits, connection_limit, production, production_compresses);

fn rate_limits(subject: Subject) {
    let backend = Backend::ws_echo();
    let example =
        Example::of(subject, "guide-rate-limits").backend("127.0.0.1:9000", backend.address()).listen("8080").start();
    let mut tunnels: Vec<_> = (0..5).map(|_| example.talk("8080", "/ws")).collect();
    assert_eq!(example.shake("8080", "/ws", ""), 429, "five are open");
    // Another client has numbers of its own, and more than the burst of 20 at once is refused.
    // In one write, so that the rate of 10 a second adds little meanwhile.
    let mut another = connect_from([127, 0, 0, 2], example.address("8080"));
    another.send("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n".repeat(60));
    let statuses: Vec<u16> = (0..60).map(|_| another.read_response().0.status()).collect();
    assert_eq!(statuses[..21], [200; 21], "{statuses:?}");
    assert!(statuses[21..].contains(&429) && statuses.iter().all(|s| [200, 429].contains(s)), "{statuses:?}");
    for tunnel in &mut tunnels {
        tunnel.echo(&Frame::text("still here"));
    }
    drop(tunnels.pop());
    eventually("a place to be free", || example.shake("8080", "/ws", "") == 101);
}

fn connection_limit(subject: Subject) {
    const OURS: &str = "Origin: https://app.example.com\r\n";
    let backend = Backend::ws_echo();
    let example = Example::of(subject, "proxying-connection-limit")
        .backend("127.0.0.1:9000", backend.address())
        .listen("8080")
        .start();
    for foreign in ["", "Origin: https://evil.example\r\n", "Origin: https://app.example.com.evil.example\r\n"] {
        assert_eq!(example.shake("8080", "/ws/", foreign), 403, "{foreign}");
    }
    assert_eq!(backend.connections(), 0);
    let mut tunnels: Vec<_> = (0..10)
        .map(|_| {
            let mut wire = Wire::connect(example.address("8080"));
            wire.send(tidegate_tests::ws::handshake("/ws/", OURS));
            assert_eq!(wire.read_head().status(), 101);
            wire.echo(&Frame::text("hello"));
            wire
        })
        .collect();
    assert_eq!(example.shake("8080", "/ws/", OURS), 503);
    drop(tunnels.pop());
    eventually("a place to be free", || example.shake("8080", "/ws/", OURS) == 101);
}

fn production(subject: Subject) {
    let backends = [Backend::ws_echo(), Backend::ws_echo(), Backend::ws_echo()];
    let example = Example::of(subject, "production")
        .backend("10.0.0.11:8080", backends[0].address())
        .backend("10.0.0.12:8080", backends[1].address())
        .backend("10.0.0.13:8080", backends[2].address())
        .listen("8443")
        .listen("8080");
    let (example, at, page) = match subject {
        Subject::Nginx => (example.start(), "8443", "/nginx_status"),
        Subject::Tidegate => (example.admin().start(), "admin", "/stub_status"),
    };
    // The WebSocket endpoint, and its limits.
    let mut tunnels: Vec<_> = (0..5).map(|_| example.talk("8443", "/ws")).collect();
    assert_eq!(example.shake("8443", "/ws", ""), 503);
    for tunnel in &mut tunnels {
        tunnel.echo(&Frame::text("still here"));
    }
    let seen = backends.iter().find_map(|backend| backend.heads().first().cloned()).unwrap();
    tells_who_asks(&seen, "ws.example.com", "https");
    // From another client: a page, too large a body, the health check.
    let from_another = |path: &str| get(example.wire_from([127, 0, 0, 2], "8443"), "ws.example.com", path);
    let (head, body) = from_another("/ws");
    assert_eq!((head.status(), body.as_str()), (200, "plain"));
    assert_eq!(head.get("strict-transport-security"), Some("max-age=31536000; includeSubDomains"));
    assert_eq!(head.get("alt-svc"), Some(r#"h3=":443"; ma=86400"#));
    let mut large = example.wire_from([127, 0, 0, 2], "8443");
    large.send("POST /ws HTTP/1.1\r\nHost: ws.example.com\r\nContent-Length: 10485761\r\n\r\n");
    assert_eq!(large.read_head().status(), 413);
    let (head, body) = from_another("/health");
    assert_eq!((head.status(), body.as_str()), (200, "healthy\n"));
    // The deliberate differences: one Content-Type, and the site's headers are kept.
    assert!(head.all("content-type").contains(&"text/plain"));
    assert_eq!(head.all("content-type").len(), if subject == Subject::Nginx { 2 } else { 1 });
    assert_eq!(head.get("x-frame-options").is_some(), subject == Subject::Tidegate);
    // The status page is for those that are listed.
    assert_eq!(example.get(at, "ws.example.com", page).0.status(), 200);
    let (head, _) = get(example.wire_from([127, 0, 0, 2], at), "ws.example.com", page);
    assert_eq!(head.status(), 403);
    // HTTP to HTTPS.
    let (head, _) = example.get("8080", "ws.example.com", "/ws?a=b");
    assert_eq!((head.status(), head.get("location")), (301, Some("https://ws.example.com/ws?a=b")));
    // The log: every tunnel at its end, the refusal, no health check.
    drop(tunnels);
    let log = || example.proxy.read_file("access.log");
    eventually("the tunnels' lines", || log().matches("\"GET /ws HTTP/1.1\" 101 ").count() == 5);
    let log = log();
    assert!(
        log.contains("\"GET /ws HTTP/1.1\" 503 ") && log.contains(" upgrade=websocket connection=upgrade "),
        "{log}"
    );
    assert!(!log.contains("/health"), "{log}");
}

fn production_compresses(subject: Subject) {
    let backend = Backend::http(|request| {
        let kind = if request.head.target().ends_with(".json") { "application/json" } else { "image/png" };
        Response::text("x".repeat(1000)).header("Content-Type", kind)
    });
    let mut example = Example::of(subject, "production");
    for peer in ["10.0.0.11:8080", "10.0.0.12:8080", "10.0.0.13:8080"] {
        example = example.backend(peer, backend.address());
    }
    let example = example.listen("8443").listen("8080");
    let example = if subject == Subject::Tidegate { example.admin() } else { example }.start();
    let ask = |path: &str, lines: &str| {
        let mut wire = example.wire("8443");
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: ws.example.com\r\n{lines}\r\n"));
        let (head, body) = wire.read_response();
        let told = ["content-encoding", "vary"].map(|name| head.get(name).map(str::to_lowercase));
        (told, body.data.len() < 1000)
    };
    let (gzip, vary) = (Some("gzip".to_owned()), Some("accept-encoding".to_owned()));
    // Another proxy in front does not keep it away: `gzip_proxied any`.
    let accepting = "Accept-Encoding: br, zstd, gzip\r\nVia: 1.1 cache\r\n";
    assert_eq!(ask("/ws/a.json", accepting), ([gzip, vary.clone()], true));
    assert_eq!(ask("/ws/a.json", ""), ([None, vary], false));
    assert_eq!(ask("/ws/a.png", accepting), ([None, None], false));
}
