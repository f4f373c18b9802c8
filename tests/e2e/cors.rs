//! The stock plugin `cors`: which pages of other origins may read.

use tidegate_tests::{Backend, Head, Proxy, Response, tidegate, ws};

const ORIGIN: &str = "https://app.example.com";

fn shared(backend: &Backend) -> Proxy {
    tidegate(
        r#"
        [[sites]]
        upstream = "%backend%"
        cors = { origins = ["https://app.example.com", "https://*.example.net", '~^https://pr-[0-9]+\.example\.org$'], methods = ["GET", "PUT"], headers = ["X-Token"], expose = ["X-Total"], max_age = "10m", credentials = true }
        [[sites.routes]]
        match = "/"
        [[sites.routes]]
        match = "/private"
        auth_basic = { realm = "in", users = "pam:{PLAIN}plum" }
        origins = ["https://app.example.com"]
        [[sites.routes]]
        match = "/open"
        cors = { origins = ["*"] }
        [[sites.routes]]
        match = "/none"
        cors = false
        "#,
    )
    .var("backend", backend.address())
    .start()
}

fn ask(proxy: &Proxy, method: &str, path: &str, lines: &str) -> Head {
    proxy.ask(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n")).0
}

fn preflight(proxy: &Proxy, path: &str, origin: &str) -> Head {
    let lines = format!(
        "Origin: {origin}\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-token\r\n"
    );
    ask(proxy, "OPTIONS", path, &lines)
}

#[test]
fn a_preflight_is_answered_before_anyone_is_asked() {
    let backend = Backend::named("hello");
    let proxy = shared(&backend);
    for path in ["/", "/private"] {
        let head = preflight(&proxy, path, ORIGIN);
        assert_eq!(head.status(), 204);
        for (name, value) in [
            ("access-control-allow-origin", ORIGIN),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET, PUT"),
            ("access-control-allow-headers", "X-Token"),
            ("access-control-max-age", "600"),
        ] {
            assert_eq!(head.get(name), Some(value), "{path} {name}");
        }
        assert!(head.get("vary").unwrap().starts_with("Origin"));
    }
    assert_eq!(backend.connections(), 0);
    // The same without what makes it a preflight goes to the backend.
    assert_eq!(ask(&proxy, "OPTIONS", "/", &format!("Origin: {ORIGIN}\r\n")).status(), 200);
    assert_eq!(preflight(&proxy, "/none", ORIGIN).status(), 200);
    assert_eq!(backend.heads().len(), 2);
}

#[test]
fn a_preflight_of_another_origin_is_allowed_nothing() {
    let backend = Backend::named("hello");
    let proxy = shared(&backend);
    for origin in ["https://evil.example", "null", "http://app.example.com", "https://app.example.com.evil.example"] {
        let head = preflight(&proxy, "/", origin);
        assert_eq!((head.status(), head.get("access-control-allow-origin")), (204, None), "{origin}");
        assert_eq!(head.get("access-control-allow-methods"), None);
        assert!(head.get("vary").unwrap().starts_with("Origin"));
    }
    // Where `origins` refuses, that comes first.
    assert_eq!(preflight(&proxy, "/private", "https://a.example.net").status(), 403);
    assert_eq!(backend.connections(), 0);
}

#[test]
fn responses_say_who_may_read_whatever_the_upstream_says() {
    let backend = Backend::http(|_| {
        Response::text("hello")
            .header("Access-Control-Allow-Origin", "*")
            .header("Access-Control-Allow-Credentials", "true")
            .header("Vary", "Accept-Encoding")
    });
    let proxy = shared(&backend);
    for origin in [ORIGIN, "https://a.b.example.net", "https://pr-42.example.org"] {
        let head = ask(&proxy, "GET", "/", &format!("Origin: {origin}\r\n"));
        assert_eq!(head.all("access-control-allow-origin"), [origin]);
        assert_eq!(head.get("access-control-allow-credentials"), Some("true"));
        assert_eq!(head.get("access-control-expose-headers"), Some("X-Total"));
        assert_eq!(head.all("vary"), ["Accept-Encoding", "Origin"]);
    }
    for lines in ["", "Origin: https://evil.example\r\n"] {
        let head = ask(&proxy, "GET", "/", lines);
        assert_eq!(head.status(), 200);
        assert_eq!(head.get("access-control-allow-origin"), None, "{lines}");
        assert_eq!(head.get("access-control-allow-credentials"), None);
        assert_eq!(head.all("vary"), ["Accept-Encoding", "Origin"]);
    }
    let head = ask(&proxy, "GET", "/open", "Origin: https://any.example\r\n");
    assert_eq!(head.all("access-control-allow-origin"), ["*"]);
    assert_eq!(head.get("access-control-allow-credentials"), None);
    assert_eq!(ask(&proxy, "GET", "/none", "").get("access-control-allow-origin"), Some("*"), "the upstream's own");
}

#[test]
fn errors_of_the_upstream_can_be_read_too() {
    let backend = Backend::http(|_| Response::new(500));
    let proxy = shared(&backend);
    let head = ask(&proxy, "GET", "/", &format!("Origin: {ORIGIN}\r\n"));
    assert_eq!((head.status(), head.get("access-control-allow-origin")), (500, Some(ORIGIN)));
}

#[test]
fn errors_of_the_proxy_can_be_read_too() {
    let backend = Backend::named("hello");
    let text = r#"
        [limits.all]
        key = "all"
        rate = "1/m"
        [[sites]]
        upstream = "%backend%"
        cors = { origins = ["https://app.example.com"] }
        [[sites.routes]]
        match = "/down"
        upstream = "127.0.0.1:1"
        [[sites.routes]]
        match = "/private"
        auth_basic = { realm = "in", users = "pam:{PLAIN}plum" }
        [[sites.routes]]
        match = "/denied"
        access = ["deny all"]
        [[sites.routes]]
        match = "/limited"
        limits = { rate = ["all"], rate_status = 429 }
        [[sites.routes]]
        match = "/small"
        limits = { max_body = 1 }
    "#;
    let proxy = tidegate(text).var("backend", backend.address()).start();
    let lines = format!("Origin: {ORIGIN}\r\n");
    for (path, wanted) in
        [("/down", 502), ("/private", 401), ("/denied", 403), ("/limited", 200), ("/limited", 429), ("/nowhere", 404)]
    {
        let head = ask(&proxy, "GET", path, &lines);
        let allowed = head.get("access-control-allow-origin");
        assert_eq!((head.status(), allowed, head.get("vary")), (wanted, Some(ORIGIN), Some("Origin")), "{path}");
    }
    let head = ask(&proxy, "POST", "/small", &format!("{lines}Content-Length: 2\r\n"));
    assert_eq!((head.status(), head.get("access-control-allow-origin")), (413, Some(ORIGIN)));
}

#[test]
fn websockets_are_left_alone() {
    let backend = Backend::ws_echo();
    let proxy = shared(&backend);
    let (head, _) = proxy.ask(ws::handshake("/", &format!("Origin: {ORIGIN}\r\n")));
    assert_eq!((head.status(), head.get("access-control-allow-origin"), head.get("vary")), (101, None, None));
}
