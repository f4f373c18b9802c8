//! TLS towards clients: which certificate, what is negotiated, who may come in, and that
//! tunnels and requests go through it like any.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{CipherSuite, NamedGroup, ProtocolVersion};
use tidegate_tests::ws::Frame;
use tidegate_tests::{Authority, Backend, Proxy, Setup, TlsClient, eventually, tidegate};

const CONFIG: &str = r#"
[server]
workers = 1
[[listeners]]
address = "127.0.0.1:0"
tls = true
[[sites]]
names = ["example.com"]
tls = { certificate = "server.pem", key = "server.key" }
[[sites.routes]]
match = "/"
upstream = "%backend%"
[[sites.routes]]
match = "= /facts"
respond = { status = 200, body = "$scheme $https $ssl_protocol $ssl_cipher $ssl_curve $ssl_server_name $ssl_session_reused $ssl_client_verify\n" }
"#;

fn with(authority: &Authority, text: &str, backend: &Backend) -> Setup {
    let server = authority.issue(&["example.com", "*.example.com"]);
    tidegate(text)
        .var("backend", backend.address())
        .file("server.pem", server.certificate)
        .file("server.key", server.key)
        .file("ca.pem", authority.certificate())
}

fn body(proxy: &Proxy, client: &TlsClient, path: &str) -> String {
    get(proxy, client, "example.com", path).1
}

fn get(proxy: &Proxy, client: &TlsClient, host: &str, path: &str) -> (u16, String) {
    let mut wire = client.connect(proxy.address());
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    let head = wire.read_head();
    let rest = String::from_utf8(wire.read_until_close()).unwrap();
    (head.status(), rest)
}

#[test]
fn tunnels_and_requests_go_through() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let proxy = with(&authority, CONFIG, &backend).start();
    for versions in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = TlsClient::with(&authority, "example.com", &[versions], None);
        let mut wire = client.connect(proxy.address());
        wire.upgrade("/ws");
        for size in [0, 1, 125, 65_536, 1 << 20] {
            wire.echo(&Frame::binary(&vec![0x5A; size]));
        }
        wire.echo(&Frame::close(1000));
        wire.expect_close();
    }
    let facts = body(&proxy, &TlsClient::new(&authority, "example.com"), "/facts");
    assert_eq!(facts, "https on TLSv1.3 TLS_AES_256_GCM_SHA384 X25519MLKEM768 example.com . NONE\n");
}

#[test]
fn the_certificate_goes_by_name() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let text = format!(
        "{CONFIG}{}",
        r#"
        [[sites]]
        names = ["*.example.com"]
        tls = [{ certificate = "rsa.pem", key = "rsa.key" }, { certificate = "wild.pem", key = "wild.key" }]
        [[sites.routes]]
        match = "/"
        respond = { status = 200, body = "wild\n" }
        [[sites]]
        names = ["refused.org"]
        reject_handshake = true
        [[sites.routes]]
        match = "/"
        respond = { status = 200 }
        [[sites]]
        names = ["plain.example.org"]
        [[sites.routes]]
        match = "/"
        respond = { status = 200, body = "of the default\n" }
        "#
    );
    let (rsa, wild) = (authority.issue_rsa(&["*.example.com"]), authority.issue(&["*.example.com"]));
    let proxy = with(&authority, &text, &backend)
        .file("rsa.pem", &rsa.certificate)
        .file("rsa.key", &rsa.key)
        .file("wild.pem", &wild.certificate)
        .file("wild.key", &wild.key)
        .start();
    let address = proxy.address();
    let seen =
        |name: &str| TlsClient::new(&authority, name).try_connect(address).map(|(_, session)| session.certificate);
    assert_eq!(seen("a.example.com").unwrap(), rsa.der, "the first that the client understands");
    let only_ecdsa = TlsClient::new(&authority, "a.example.com").changed(|config| {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
        let authority = authority.der();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority).unwrap();
        *config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    });
    assert_eq!(only_ecdsa.connect_seeing(address).1.certificate, wild.der);
    let refused = seen("refused.org").unwrap_err();
    assert!(refused.contains("AccessDenied") || refused.contains("alert"), "{refused}");
    // The certificate of the default site is not for that name: the client says so.
    let stranger = seen("plain.example.org").unwrap_err();
    assert!(stranger.contains("not valid for name"), "{stranger}");
    let wild = get(&proxy, &TlsClient::new(&authority, "b.example.com"), "b.example.com", "/");
    assert_eq!(wild, (200, "wild\n".to_owned()));
}

#[test]
fn sessions_are_resumed() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    for (versions, keys) in [
        (&rustls::version::TLS13, ""),
        (&rustls::version::TLS12, ""),
        (&rustls::version::TLS13, "session_tickets = false"),
        (&rustls::version::TLS12, "session_tickets = false"),
    ] {
        let text = CONFIG.replace("tls = true", &format!("tls = {{ {keys} }}"));
        let mut proxy = with(&authority, &text, &backend).in_process().start();
        let client = TlsClient::with(&authority, "example.com", &[versions], None);
        assert!(body(&proxy, &client, "/facts").ends_with("example.com . NONE\n"));
        assert!(body(&proxy, &client, "/facts").ends_with("example.com r NONE\n"), "{versions:?} {keys}");
        proxy.reload(&format!("{text}\n# the same\n")).unwrap();
        assert!(
            body(&proxy, &client, "/facts").ends_with("example.com r NONE\n"),
            "after a reload: {versions:?} {keys}"
        );
    }
    let text = CONFIG.replace("tls = true", "tls = { session_tickets = false, session_cache = 0 }");
    let proxy = with(&authority, &text, &backend).start();
    let client = TlsClient::new(&authority, "example.com");
    for _ in 0..2 {
        assert!(body(&proxy, &client, "/facts").ends_with("example.com . NONE\n"));
    }
}

#[test]
fn what_is_offered_can_be_chosen() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let text = CONFIG.replace(
        "tls = true",
        r#"tls = { versions = ["1.2"], ciphers = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"], curves = ["secp384r1"] }"#,
    );
    let proxy = with(&authority, &text, &backend).start();
    let (_, session) = TlsClient::new(&authority, "example.com").connect_seeing(proxy.address());
    assert_eq!(session.protocol, ProtocolVersion::TLSv1_2);
    assert_eq!(session.cipher, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
    assert_eq!(session.curve, Some(NamedGroup::secp384r1));
    let modern = TlsClient::with(&authority, "example.com", &[&rustls::version::TLS13], None);
    let refused = modern.try_connect(proxy.address()).unwrap_err();
    assert!(refused.contains("ProtocolVersion"), "{refused}");
}

#[test]
fn clients_show_certificates() {
    let (backend, authority, clients) = (Backend::ws_echo(), Authority::new(), Authority::named("clients"));
    let text = format!(
        "{CONFIG}{}",
        r#"
        [[sites]]
        names = ["private.example.com"]
        tls = { certificate = "server.pem", key = "server.key" }
        client_auth = { ca = "clients.pem", crl = "clients.crl" }
        [[sites.routes]]
        match = "/"
        respond = { status = 200, body = "$ssl_client_verify $ssl_client_s_dn $ssl_client_i_dn\n" }
        "#
    );
    let (good, revoked) = (clients.issue_client("good"), clients.issue_client("revoked"));
    let proxy = with(&authority, &text, &backend)
        .file("clients.pem", clients.certificate())
        .file("clients.crl", clients.revoke(&[&revoked]))
        .start();
    let versions = [&rustls::version::TLS13];
    let ask = |identity| {
        let client = TlsClient::with(&authority, "private.example.com", &versions, identity);
        let (mut wire, _) = client.try_connect(proxy.address())?;
        wire.send("GET / HTTP/1.1\r\nHost: private.example.com\r\nConnection: close\r\n\r\n");
        Ok::<_, String>(String::from_utf8(wire.read_until_close()).unwrap())
    };
    let answer = ask(Some(&good)).unwrap();
    assert!(answer.ends_with("SUCCESS O=Tests\\, Inc.,CN=good CN=clients\n"), "{answer}");
    // In TLS 1.3 a client learns of it only when it reads.
    for identity in [None, Some(&revoked), Some(&authority.issue_client("of another"))] {
        assert_eq!(ask(identity).unwrap_or_default(), "");
    }
    // Who shook hands for the open site gets nothing of the private one.
    let open = TlsClient::new(&authority, "example.com");
    assert_eq!(get(&proxy, &open, "private.example.com", "/").0, 421);
    assert_eq!(get(&proxy, &open, "example.com", "/facts").0, 200);
}

#[test]
fn plain_http_on_a_tls_port_is_told_so() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let proxy = with(&authority, CONFIG, &backend).start();
    let (head, _) = proxy.ask("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
    assert_eq!(head.status(), 400);
}

#[test]
fn certificates_are_renewed_from_disk() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let text = CONFIG.replace("tls = true", r#"tls = { renew = "10ms" }"#);
    let proxy = with(&authority, &text, &backend).start();
    let client = TlsClient::new(&authority, "example.com");
    let mut tunnel = client.connect(proxy.address());
    tunnel.upgrade("/ws");
    // Half of a pair is not taken.
    let fresh = authority.issue(&["example.com"]);
    let before = client.connect_seeing(proxy.address()).1.certificate;
    std::fs::write(proxy.dir().join("server.pem"), &fresh.certificate).unwrap();
    assert_eq!(client.connect_seeing(proxy.address()).1.certificate, before);
    std::fs::write(proxy.dir().join("server.key"), &fresh.key).unwrap();
    eventually("the new certificate is served", || {
        let unseen = TlsClient::new(&authority, "example.com");
        unseen.connect_seeing(proxy.address()).1.certificate == fresh.der
    });
    tunnel.echo(&Frame::text("still here"));
}

#[test]
fn a_reload_changes_certificates_and_no_tunnel() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let mut proxy = with(&authority, CONFIG, &backend).in_process().start();
    let mut tunnel = TlsClient::new(&authority, "example.com").connect(proxy.address());
    tunnel.upgrade("/ws");
    let other = authority.issue(&["example.com"]);
    std::fs::write(proxy.dir().join("other.pem"), &other.certificate).unwrap();
    std::fs::write(proxy.dir().join("other.key"), &other.key).unwrap();
    proxy.reload(&CONFIG.replace("server.pem", "other.pem").replace("server.key", "other.key")).unwrap();
    let (_, session) = TlsClient::new(&authority, "example.com").connect_seeing(proxy.address());
    assert_eq!(session.certificate, other.der);
    tunnel.echo(&Frame::text("still here"));
}

#[test]
fn bad_files_are_told_of_with_their_place() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let expired = authority.issue_expired(&["example.com"]);
    let other = authority.issue(&["example.com"]);
    for (certificate, key, wanted) in [
        ("missing.pem", "server.key", "missing.pem cannot be read"),
        ("server.pem", "other.key", "does not belong to the certificate"),
        ("expired.pem", "expired.key", "has expired"),
        ("server.key", "server.key", "server.key has no certificate in it"),
        ("server.pem", "server.pem", "server.pem has no private key in it"),
    ] {
        let text = CONFIG.replace("server.pem", certificate).replace("\"server.key\"", &format!("\"{key}\""));
        let problems = with(&authority, &text, &backend)
            .file("expired.pem", &expired.certificate)
            .file("expired.key", &expired.key)
            .file("other.key", &other.key)
            .try_start()
            .err()
            .unwrap_or_default();
        assert!(problems.contains(wanted) && problems.contains(":9:"), "{certificate} {key}: {problems}");
    }
}

#[test]
fn half_close_and_late_bytes() {
    let (backend, authority) = (
        Backend::script(|mut wire, _| {
            wire.read_head();
            wire.send(tidegate_tests::ws::switching(tidegate_tests::ws::KEY, ""));
            wire.expect("the last words");
            wire.expect_close();
            wire.send("and mine");
        }),
        Authority::new(),
    );
    let text = CONFIG.replace("upstream = ", "half_close = true\nupstream = ");
    let proxy = with(&authority, &text, &backend).start();
    let mut wire = TlsClient::new(&authority, "example.com").connect(proxy.address());
    wire.upgrade("/ws");
    wire.send("the last words");
    wire.stream().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(wire.read_until_close(), b"and mine");
    backend.join();
}

#[test]
fn a_response_is_stapled() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let text = CONFIG.replace(r#"key = "server.key" }"#, r#"key = "server.key", ocsp = "server.ocsp" }"#);
    let proxy = with(&authority, &text, &backend).file("server.ocsp", b"a response").start();
    for versions in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = TlsClient::with(&authority, "example.com", &[versions], None);
        client.connect(proxy.address());
        assert_eq!(client.staple(), b"a response");
    }
}

#[test]
fn a_listener_s_certificate_is_for_sites_without() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let text = CONFIG.replace("tls = true", r#"tls = { certificate = "server.pem", key = "server.key" }"#).replace(
        "\ntls = { certificate = \"server.pem\", key = \"server.key\" }\n[[sites.routes]]",
        "\n[[sites.routes]]",
    );
    let proxy = with(&authority, &text, &backend).start();
    TlsClient::new(&authority, "example.com").connect(proxy.address()).upgrade("/ws");
    TlsClient::new(&authority, "other.example.com").connect(proxy.address());
}

#[test]
fn revocation_lists_are_read_again() {
    let (backend, authority, clients) = (Backend::ws_echo(), Authority::new(), Authority::named("clients"));
    let text = CONFIG.replace("tls = true", r#"tls = { renew = "10ms" }"#).replace(
        "[[sites.routes]]\nmatch = \"/\"",
        "client_auth = { ca = \"clients.pem\", crl = \"clients.crl\" }\n[[sites.routes]]\nmatch = \"/\"",
    );
    let shown = clients.issue_client("someone");
    let proxy = with(&authority, &text, &backend)
        .file("clients.pem", clients.certificate())
        .file("clients.crl", clients.revoke(&[]))
        .start();
    let let_in = || {
        let client = TlsClient::with(&authority, "example.com", &[&rustls::version::TLS13], Some(&shown));
        let Ok((mut wire, _)) = client.try_connect(proxy.address()) else { return false };
        wire.send("GET /facts HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n");
        wire.read_until_close().starts_with(b"HTTP/1.1 200 ")
    };
    assert!(let_in());
    let client = TlsClient::with(&authority, "example.com", &[&rustls::version::TLS13], Some(&shown));
    let mut tunnel = client.connect(proxy.address());
    tunnel.upgrade("/ws");
    // What cannot be read changes nothing.
    std::fs::write(proxy.dir().join("clients.crl"), "nonsense").unwrap();
    assert!(let_in());
    std::fs::write(proxy.dir().join("clients.crl"), clients.revoke(&[&shown])).unwrap();
    eventually("the client is revoked", || !let_in());
    tunnel.echo(&Frame::text("open tunnels stay"));
}

#[test]
fn sessions_are_forgotten() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    for (versions, keys) in [
        (&rustls::version::TLS13, ""),
        (&rustls::version::TLS12, ""),
        (&rustls::version::TLS13, "session_tickets = false, "),
        (&rustls::version::TLS12, "session_tickets = false, "),
    ] {
        let text = CONFIG.replace("tls = true", &format!("tls = {{ {keys}session_timeout = \"1ms\" }}"));
        let proxy = with(&authority, &text, &backend).start();
        let client = TlsClient::with(&authority, "example.com", &[versions], None);
        assert!(body(&proxy, &client, "/facts").ends_with("example.com . NONE\n"));
        // At once it may be quick enough.
        eventually("a session that is too old", || body(&proxy, &client, "/facts").ends_with("example.com . NONE\n"));
    }
}
