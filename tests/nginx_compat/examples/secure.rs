//! TLS, what comes over it, and the way there.

use http::Method;
use rustls::{CipherSuite, ProtocolVersion};
use tidegate_tests::http2::client::{Client, run};
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Head, Subject, Wire, both, wait_for};

use super::{Example, Running, tells_who_asks};
use tidegate_tests::hello::hello;

both!(tls, security_headers, http2, http3, troubleshooting_wss, proxying_tls, passthrough);

/// A site beside one that redirects to https.
fn redirects(example: &Running, host: &str, to: &str) {
    let (head, _) = example.get("8080", host, "/a%20b?c=d");
    assert_eq!((head.status(), head.get("location")), (301, Some(to)));
    assert_eq!(example.shake("8080", "/ws", ""), 301, "a handshake is redirected as well");
}

/// The suites of TLS 1.2 that the guide lists, for the test's kind of key.
const LISTED: [CipherSuite; 2] =
    [CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384];

fn tls(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = Example::of(subject, "guide-tls")
        .backend("10.0.0.11:8080", backend.address())
        .listen("8443")
        .listen("8080")
        .start();
    example.talk("8443", "/ws");
    redirects(&example, "ws.example.com", "https://ws.example.com/a%20b?c=d");
    assert_eq!(backend.heads().len(), 1);
    let address = example.address("8443");
    let (_, session) = example.client().connect_seeing(address);
    assert_eq!(session.protocol, ProtocolVersion::TLSv1_3);
    // Without tickets, sessions are resumed by the cache.
    let old = example.client_of(&[&rustls::version::TLS12]);
    let (_, first) = old.connect_seeing(address);
    assert!(first.protocol == ProtocolVersion::TLSv1_2 && LISTED.contains(&first.cipher), "{first:?}");
    assert!(!first.resumed && old.connect_seeing(address).1.resumed);
    // No suite of TLS 1.2 but those of the list.
    let config = old.config();
    let other = config.crypto_provider().cipher_suites.iter().filter(|s| !LISTED.contains(&s.suite())).copied();
    old.clone().limited_to(other.collect()).try_connect(address).unwrap_err();
}

fn security_headers(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = Example::of(subject, "guide-security-headers")
        .backend("127.0.0.1:9000", backend.address())
        .listen("8443")
        .start();
    let switched = example.wire("8443").upgrade("/ws");
    let (page, _) = example.get("8443", "ws.example.com", "/");
    let (refusal, _) = example.get("8443", "ws.example.com", "/nothing");
    assert_eq!([switched.status(), page.status(), refusal.status()], [101, 200, 404]);
    for head in [switched, page, refusal] {
        for (name, value) in [
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("x-frame-options", "SAMEORIGIN"),
            ("x-content-type-options", "nosniff"),
            ("x-xss-protection", "1; mode=block"),
            ("content-security-policy", "default-src 'self'; connect-src 'self' wss://ws.example.com"),
        ] {
            assert_eq!(head.all(name), [value], "{name} of {}", head.status());
        }
    }
}

fn http2(subject: Subject) {
    over_tls(subject, "guide-http2");
}

fn http3(subject: Subject) {
    let (example, head) = over_tls(subject, "guide-http3");
    assert_eq!(head.get("alt-svc"), Some(r#"h3=":443"; ma=86400"#));
    // `ssl_protocols TLSv1.3`.
    example.client_of(&[&rustls::version::TLS12]).try_connect(example.address("8443")).unwrap_err();
}

/// The scenario of both, over HTTP/1.1 and HTTP/2; the head of a plain answer.
fn over_tls(subject: Subject, name: &str) -> (Running, Head) {
    let backend = Backend::ws_echo();
    let example = Example::of(subject, name).backend("10.0.0.11:8080", backend.address()).listen("8443").start();
    example.talk("8443", "/ws");
    let (head, body) = example.get("8443", "ws.example.com", "/ws");
    assert_eq!((head.status(), body.as_str()), (200, "plain"));
    run(async {
        let client = Client::connect_tls(example.address("8443"), example.client()).await;
        let (answer, body) = client.ask(Method::GET, "https://ws.example.com/ws", b"").await;
        assert_eq!((answer.status().as_u16(), body.as_slice()), (200, &b"plain"[..]));
        // What nginx does not have: RFC 8441.
        if subject == Subject::Tidegate {
            let (answer, mut tunnel) = client.connect_websocket("https://ws.example.com/ws", &[]).await;
            assert_eq!(answer.status().as_u16(), 200);
            tunnel.echo(&Frame::text("over HTTP/2")).await;
        }
    });
    (example, head)
}

fn troubleshooting_wss(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = Example::of(subject, "troubleshooting-wss")
        .backend("127.0.0.1:3000", backend.address())
        .listen("8443")
        .listen("[::]:8443")
        .listen("8080")
        .listen("[::]:8080")
        .start();
    for port in ["8443", "[::]:8443"] {
        example.talk(port, "/socket");
    }
    redirects(&example, "example.com", "https://example.com/a%20b?c=d");
    redirects(&example, "Other.Example", "https://other.example/a%20b?c=d");
    assert_eq!(example.get("[::]:8080", "example.com", "/").0.status(), 301);
    tells_who_asks(&backend.heads()[0], "ws.example.com", "https");
}

fn proxying_tls(subject: Subject) {
    let backend = Backend::ws_echo();
    let example =
        Example::of(subject, "proxying-tls").backend("127.0.0.1:9000", backend.address()).listen("8443").start();
    let mut tunnel = example.talk("8443", "/ws/");
    let mut plain = Wire::connect(example.address("8443"));
    plain.send("GET /ws/ HTTP/1.1\r\nHost: example.com\r\n\r\n");
    assert_eq!(plain.read_response().0.status(), 400, "plain HTTP where TLS is spoken");
    tunnel.echo(&Frame::text("still here"));
    assert_eq!(backend.heads().len(), 1);
}

/// A peer that is told of a client by the PROXY protocol, and whose TLS is its own.
fn tls_of_its_own(name: &'static str) -> Backend {
    Backend::script(move |mut wire, _| {
        assert!(wire.read_line().starts_with("PROXY TCP4 127.0.0.1 "));
        assert_eq!(wire.read_exact(3), [22, 3, 1], "a hello");
        wire.send(name);
        while wire.try_read().is_ok_and(|piece| !piece.is_empty()) {}
    })
}

fn passthrough(subject: Subject) {
    let (backend, inner) = (Backend::ws_echo(), HeldPort::new());
    let (git, one, two) = (tls_of_its_own("git"), tls_of_its_own("one"), tls_of_its_own("two"));
    let postgres = Backend::script(|mut wire, _| {
        wire.send("who?");
        wire.expect("me");
        wire.expect_end();
    });
    let mut example = Example::of(subject, "passthrough")
        .backend("10.0.0.21:443", git.address())
        .backend("10.0.0.31:6443", one.address())
        .backend("10.0.0.32:6443", two.address())
        .backend("10.0.0.41:5432", postgres.address())
        .backend("10.0.0.51:8080", backend.address())
        .listen("8443")
        .listen("5432");
    // nginx's second port, for what is terminated.
    let (listen, inner) = (format!("listen {} reuseport", inner.address()), inner);
    example.nginx = example.nginx.replace("listen 127.0.0.1:8444", &listen);
    example.nginx = example.nginx.replace("127.0.0.1:8444", &inner.address().to_string());
    let example = example.start();
    let passed = |name: &str| {
        let mut wire = Wire::connect(example.address("8443"));
        wire.send(hello(name, &[]));
        String::from_utf8(wire.read_exact(3)).unwrap()
    };
    assert_eq!(passed("git.example.com"), "git");
    let first = passed("a.k8s.example.com");
    assert_eq!([passed("a.k8s.example.com"), passed("a.k8s.example.com")], [first.as_str(); 2]);
    let others: Vec<_> = (0..20).map(|number| passed(&format!("n{number}.k8s.example.com"))).collect();
    assert!(others.iter().any(|name| name == "one") && others.iter().any(|name| name == "two"), "{others:?}");
    // What no stream has is terminated, and the client is known there.
    let mut wire = example.client().connect(example.address("8443"));
    wire.upgrade("/ws");
    wire.echo(&Frame::text("terminated"));
    let seen = backend.only_head();
    assert_eq!([seen.get("host"), seen.get("x-real-ip")], [Some("ws.example.com"), Some("127.0.0.1")]);
    let mut wire = Wire::connect(example.address("5432"));
    wire.expect("who?");
    wire.send("me");
    drop(wire);
    let log = wait_for("the log of what was passed on", || {
        let log = example.proxy.read_file("streams.log");
        (log.matches("k8s.example.com").count() == 23 && log.contains(&postgres.address().to_string())).then_some(log)
    });
    let line = log.lines().find(|line| line.contains("name=\"git.example.com\"")).unwrap();
    assert!(line.contains(" TCP 200 3 ") && line.contains(&git.address().to_string()), "{line}");
}
