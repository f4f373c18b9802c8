//! One line per request or tunnel: nginx's `combined`, and `upgrade`.

use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Subject, both, tidegate, wait_for};

both!(combined, combined_says_who_and_from_where, a_tunnel_has_one_line_at_its_end);

fn logging(subject: Subject, backend: &Backend) -> Proxy {
    subject
        .setup()
        .nginx("access_log %dir%/access.log combined; location / { proxy_pass http://%backend%; %guide% }")
        .tidegate(
            r#"
            [access_log]
            path = "access.log"
            [[sites]]
            [[sites.routes]]
            match = "/"
            upstream = "%backend%"
            "#,
        )
        .var("backend", backend.address())
        .start()
}

/// The log once it has `n` lines.
fn lines(proxy: &Proxy, n: usize) -> Vec<String> {
    wait_for("the access log's lines", || {
        let text = proxy.read_file("access.log");
        (text.ends_with('\n') && text.lines().count() >= n).then(|| text.lines().map(str::to_owned).collect())
    })
}

/// Check a line but for its time, which must look like nginx's.
#[track_caller]
fn check(line: &str, before: &str, after: &str) {
    let (start, rest) = line.split_once(" [").unwrap_or_else(|| panic!("{line}"));
    let (time, rest) = rest.split_once("] ").unwrap_or_else(|| panic!("{line}"));
    assert_eq!((start, rest), (before, after));
    // 20/Nov/2026:11:01:17 +0000
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape.len(), 26, "{time}");
    assert!(shape.starts_with("99/") && shape.contains("/9999:99:99:99 "), "{time}");
    assert!(shape.ends_with("+9999") || shape.ends_with("-9999"), "{time}");
}

fn combined(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = logging(subject, &backend);
    proxy
        .ask("GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\nUser-Agent: a \"test\"\r\nReferer: https://x.example.com/\r\n\r\n");
    proxy.ask("POST /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let lines = lines(&proxy, 2);
    check(&lines[0], "127.0.0.1 - -", r#""GET /a%20b?c=d HTTP/1.1" 200 5 "https://x.example.com/" "a \x22test\x22""#);
    check(&lines[1], "127.0.0.1 - -", r#""POST /next HTTP/1.1" 200 5 "-" "-""#);
    assert_eq!(lines.len(), 2);
}

fn combined_says_who_and_from_where(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = subject
        .setup()
        .nginx(
            "access_log %dir%/access.log combined; auth_basic x; auth_basic_user_file %dir%/htpasswd;
             location / { proxy_pass http://%backend%; %guide% }",
        )
        .tidegate(
            r#"
            [access_log]
            path = "access.log"
            [[sites]]
            auth_basic = { realm = "x", users = { from_file = "htpasswd" } }
            routes = [{ match = "/", upstream = "%backend%" }]
            "#,
        )
        .var("backend", backend.address())
        .file("htpasswd", "leo:{SHA}3917zirZ+J1yBN2DFh1m0eUhdZw=\n")
        .start();
    proxy.ask("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic bGVvOmxlbW9u\r\n\r\n");
    check(&lines(&proxy, 1)[0], "127.0.0.1 - leo", r#""GET / HTTP/1.1" 200 5 "-" "-""#);
    let (_, body) = proxy.get("/");
    let after = format!(r#""GET / HTTP/1.1" 401 {} "-" "-""#, body.data.len());
    check(&lines(&proxy, 2)[1], "127.0.0.1 - -", &after);
}

fn a_tunnel_has_one_line_at_its_end(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = logging(subject, &backend);
    let mut client = proxy.open("/ws");
    client.echo(&Frame::text("hello"));
    assert_eq!(proxy.read_file("access.log"), "", "the tunnel is still open");
    client.echo(&Frame::close(1000));
    client.expect_close();
    // Two frames went down: 2 + 5 and 2 + 2 bytes.
    check(&lines(&proxy, 1)[0], "127.0.0.1 - -", r#""GET /ws HTTP/1.1" 101 11 "-" "-""#);
}

/// The `upgrade` form goes on after `combined` with what a tunnel's operator asks for.
#[test]
fn upgrade_says_what_a_tunnel_did() {
    let backend = Backend::ws_echo();
    let proxy = tidegate(
        r#"
        [access_log]
        path = "access.log"
        format = "upgrade"
        [[sites]]
        routes = [{ match = "/", upstream = "%backend%" }]
        "#,
    )
    .var("backend", backend.address())
    .start();
    let mut client = proxy.open("/ws");
    client.echo(&Frame::text("hello"));
    client.echo(&Frame::close(1000));
    client.expect_close();
    proxy.get("/plain");
    let lines = lines(&proxy, 2);
    let tunnel = &lines[0];
    assert!(tunnel.contains(r#""GET /ws HTTP/1.1" 101 11 "-" "-""#), "{tunnel}");
    assert!(tunnel.contains("websocket"), "{tunnel}");
    assert!(tunnel.contains(&backend.address().to_string()), "{tunnel}");
    // Masked frames went up: 6 + 5 and 6 + 2 bytes.
    assert!(tunnel.split([' ', '=']).any(|word| word == "19"), "bytes up: {tunnel}");
    assert!(lines[1].contains(r#""GET /plain HTTP/1.1" 200 5 "-" "-""#), "{}", lines[1]);
    assert!(!lines[1].contains("websocket"), "{}", lines[1]);
}

#[test]
fn errors_are_logged_with_their_status() {
    let refusing = tidegate_tests::backend::Refusing::new();
    let proxy = tidegate(
        r#"
        [access_log]
        path = "access.log"
        [[sites]]
        routes = [{ match = "/", upstream = "%backend%" }]
        "#,
    )
    .var("backend", refusing.address())
    .start();
    proxy.ask(ws::handshake("/ws", ""));
    let line = &lines(&proxy, 1)[0];
    assert!(line.contains(r#""GET /ws HTTP/1.1" 502 "#), "{line}");
}

#[test]
fn nothing_is_logged_unless_asked_for() {
    let backend = Backend::named("hello");
    let proxy = Subject::Tidegate.before(backend.address());
    proxy.get("/");
    drop(backend);
    assert_eq!(proxy.read_file("access.log"), "");
}
