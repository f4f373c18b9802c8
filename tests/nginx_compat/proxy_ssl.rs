//! `proxy_ssl_…`: TLS towards backends. Where nginx does not look unless told to, Tidegate does.

use tidegate_tests::certificates::Authority;
use tidegate_tests::front::{self, Front, ONLY_12};
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Proxy, Subject, both};

both!(
    who_is_believed,
    messages_and_requests,
    the_proxys_own_certificate,
    versions,
    a_name_is_sent_and_checked,
    the_next_server_is_tried
);

/// One location to a front with these lines in nginx's and in Tidegate's words.
fn to(subject: Subject, authority: &Authority, front: &Front, nginx: &str, toml: &str) -> Proxy {
    let own = authority.issue(&["proxy.test"]);
    subject
        .setup()
        .nginx(&format!(
            "upstream u {{ server %front%; keepalive 8; }}
            server {{ listen %listen%; location / {{
                proxy_pass https://u; proxy_ssl_trusted_certificate %dir%/ca.pem; {nginx} %guide%
            }} }}"
        ))
        .tidegate(&format!(
            "[upstreams.u]\npeers = [\"%front%\"]\ntls = {{ {toml} }}\n[[sites]]\nupstream = \"u\"\n[[sites.routes]]\nmatch = \"/\"\n"
        ))
        .file("ca.pem", authority.certificate())
        .file("own.pem", own.certificate)
        .file("own.key", own.key)
        .var("front", front.address())
        .start()
}

fn who_is_believed(subject: Subject) {
    let (authority, other) = (Authority::new(), Authority::new());
    let backend = Backend::named("hello");
    let named = "proxy_ssl_verify on; proxy_ssl_name a.test;";
    let ours = r#"ca = "ca.pem", name = "a.test""#;
    for (certified, nginx, toml, status) in [
        (authority.issue(&["a.test"]), named, ours, 200),
        (authority.issue(&["b.test"]), named, ours, 502),
        (authority.issue_expired(&["a.test"]), named, ours, 502),
        (other.issue(&["a.test"]), named, ours, 502),
        (other.issue_expired(&["b.test"]), "", "verify = false", 200),
    ] {
        let front = front::tls(&certified).before(backend.address());
        let proxy = to(subject, &authority, &front, nginx, toml);
        assert_eq!(proxy.get("/").0.status(), status, "{toml}: {:?}", front.handshakes());
    }
}

fn messages_and_requests(subject: Subject) {
    let authority = Authority::new();
    let certified = authority.issue(&["a.test"]);
    let backend = Backend::ws_echo();
    let front = front::tls(&certified).before(backend.address());
    let proxy = to(subject, &authority, &front, "proxy_ssl_name a.test;", r#"ca = "ca.pem", name = "a.test""#);
    for _ in 0..3 {
        assert_eq!(proxy.get("/").1.text(), "plain");
    }
    assert_eq!(front.handshakes().len(), 1);
    let mut client = proxy.open("/ws");
    for size in [1, 1000, 100_000] {
        client.echo(&Frame::binary(&vec![7; size]));
    }
}

fn the_proxys_own_certificate(subject: Subject) {
    let authority = Authority::new();
    let certified = authority.issue(&["a.test"]);
    let backend = Backend::named("hello");
    let own = "proxy_ssl_certificate %dir%/own.pem; proxy_ssl_certificate_key %dir%/own.key;";
    let base = r#"ca = "ca.pem", name = "a.test""#;
    for (nginx, toml, status) in
        [("", base.to_owned(), 502), (own, format!("{base}, certificate = \"own.pem\", key = \"own.key\""), 200)]
    {
        let front = front::tls(&certified).clients_of(&authority.certificate()).before(backend.address());
        assert_eq!(to(subject, &authority, &front, nginx, &toml).get("/").0.status(), status, "{toml}");
    }
}

fn versions(subject: Subject) {
    let authority = Authority::new();
    let certified = authority.issue(&["a.test"]);
    let backend = Backend::named("hello");
    let base = r#"ca = "ca.pem", name = "a.test""#;
    for (nginx, version, status) in [("TLSv1.2", "1.2", 200), ("TLSv1.3", "1.3", 502)] {
        let front = front::tls(&certified).versions(ONLY_12).before(backend.address());
        let nginx = format!("proxy_ssl_protocols {nginx};");
        let proxy = to(subject, &authority, &front, &nginx, &format!("{base}, versions = [\"{version}\"]"));
        assert_eq!(proxy.get("/").0.status(), status, "{version}");
    }
}

fn a_name_is_sent_and_checked(subject: Subject) {
    let authority = Authority::new();
    let certified = authority.issue(&["a.test"]);
    let backend = Backend::named("hello");
    let front = front::tls(&certified).before(backend.address());
    let nginx = "proxy_ssl_verify on; proxy_ssl_server_name on; proxy_ssl_name a.test;";
    let proxy = to(subject, &authority, &front, nginx, r#"ca = "ca.pem", name = "a.test""#);
    assert_eq!(proxy.get("/").1.text(), "hello");
    let handshakes = front.handshakes();
    assert!(handshakes.iter().flatten().all(|one| one.name.as_deref() == Some("a.test")), "{handshakes:?}");
}

fn the_next_server_is_tried(subject: Subject) {
    let (authority, other) = (Authority::new(), Authority::new());
    let (wrong, right) = (other.issue(&["a.test"]), authority.issue(&["a.test"]));
    let backend = Backend::named("hello");
    let (first, second) = (front::tls(&wrong).before(backend.address()), front::tls(&right).before(backend.address()));
    let proxy = subject
        .setup()
        .nginx(
            "upstream u { server %first%; server %second%; }
            server { listen %listen%; location / {
                proxy_pass https://u; proxy_ssl_trusted_certificate %dir%/ca.pem;
                proxy_ssl_verify on; proxy_ssl_name a.test;
            } }",
        )
        .tidegate(
            r#"
            [upstreams.u]
            peers = ["%first%", "%second%"]
            tls = { ca = "ca.pem", name = "a.test" }
            [[sites]]
            routes = [{ match = "/", upstream = "u" }]
            "#,
        )
        .file("ca.pem", authority.certificate())
        .var("first", first.address())
        .var("second", second.address())
        .start();
    assert_eq!((proxy.get("/").1.text(), proxy.get("/").1.text()), ("hello".to_owned(), "hello".to_owned()));
    assert!(!first.handshakes().is_empty());
}
