//! The stock plugin `origin-check`: which pages may open a tunnel.

use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, tidegate};

fn checked(backend: &Backend, keys: &str) -> Proxy {
    tidegate(&format!("[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n{keys}\n"))
        .var("backend", backend.address())
        .start()
}

fn status(proxy: &Proxy, origin: Option<&str>) -> u16 {
    let line = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", &line));
    client.read_head().status()
}

#[test]
fn listed_origins_pass_and_others_do_not() {
    let backend = Backend::ws_echo();
    let proxy = checked(
        &backend,
        r#"origins = ["https://app.example.com", "https://*.example.org", '~^https://x[0-9]+\.y$', "http://localhost:3000"]"#,
    );
    let table = [
        ("https://app.example.com", 101),
        ("HTTPS://App.Example.COM", 101),
        ("https://app.example.com:443", 101),
        ("https://app.example.com:8443", 403),
        ("http://app.example.com", 403),
        ("https://app.example.com.evil.org", 403),
        ("https://evil-app.example.com", 403),
        ("https://a.example.org", 101),
        ("https://a.b.example.org", 101),
        ("https://example.org", 403),
        ("https://evilexample.org", 403),
        ("https://x42.y", 101),
        ("https://x42.y.z", 403),
        ("http://localhost:3000", 101),
        ("http://localhost", 403),
        ("null", 403),
    ];
    for (origin, wanted) in table {
        assert_eq!(status(&proxy, Some(origin)), wanted, "Origin: {origin}");
    }
    assert_eq!(backend.connections(), table.iter().filter(|(_, wanted)| *wanted == 101).count());
}

#[test]
fn the_refusal_is_plain_text_and_the_tunnel_works() {
    let backend = Backend::ws_echo();
    let proxy = checked(&backend, r#"origins = ["https://app.example.com"]"#);
    let (head, body) = proxy.ask(ws::handshake("/ws", "Origin: https://evil.example.com\r\n"));
    assert_eq!(head.status(), 403);
    assert!(head.get("content-type").unwrap().starts_with("text/plain"), "{:?}", head.get("content-type"));
    assert_eq!(head.get("content-length"), Some(body.data.len().to_string().as_str()));
    assert!(!body.data.is_empty());
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", "Origin: https://app.example.com\r\n"));
    assert_eq!(client.read_head().status(), 101);
    client.echo(&Frame::text("hello"));
    assert_eq!(backend.only_head().get("origin"), Some("https://app.example.com"));
}

#[test]
fn a_missing_origin_is_denied_unless_allowed() {
    let backend = Backend::ws_echo();
    let denying = checked(&backend, r#"origins = ["https://app.example.com"]"#);
    assert_eq!(status(&denying, None), 403);
    let allowing = checked(&backend, "origins = [\"https://app.example.com\"]\nmissing_origin = \"allow\"");
    assert_eq!(status(&allowing, None), 101);
    assert_eq!(status(&allowing, Some("https://evil.example.com")), 403);
}

#[test]
fn null_and_any() {
    let backend = Backend::ws_echo();
    let null = checked(&backend, r#"origins = ["null"]"#);
    assert_eq!(status(&null, Some("null")), 101);
    assert_eq!(status(&null, Some("https://app.example.com")), 403);
    let any = checked(&backend, r#"origins = ["*"]"#);
    assert_eq!(status(&any, Some("https://whoever.example.com")), 101);
}

#[test]
fn without_the_key_nothing_is_checked() {
    let backend = Backend::ws_echo();
    let proxy = checked(&backend, "");
    assert_eq!(status(&proxy, None), 101);
    assert_eq!(status(&proxy, Some("https://whoever.example.com")), 101);
}
