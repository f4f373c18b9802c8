//! Clients are moved to https, and browsers are told what to refuse.

use http::Method;
use tidegate_tests::http2::client::{Client, run};
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Authority, Backend, Head, Proxy, Response, TlsClient, Wire, tidegate};

const CONFIG: &str = r#"
[server]
workers = 1
[[listeners]]
address = "127.0.0.1:0"
[[listeners]]
address = "%secure%"
tls = true
[upstreams.app]
peers = ["%app%"]
[[sites]]
names = ["example.com"]
tls = { certificate = "server.pem", key = "server.key" }
redirect_https = true
security_headers = { Content-Security-Policy = "default-src 'self'; connect-src 'self' wss://$host" }
upstream = "app"
[[sites.routes]]
match = "/"
[[sites.routes]]
match = "/kept/"
redirect_https = { status = 308, port = 443 }
[[sites.routes]]
match = "/.well-known/acme-challenge/"
redirect_https = false
respond = { status = 200, body = "token" }
[[sites.routes]]
match = "/ruled/"
set_response_headers = { X-Frame-Options = "DENY" }
remove_response_headers = ["X-XSS-Protection"]
security_headers = { X-Content-Type-Options = "" }
[[sites.routes]]
match = "/bare/"
security_headers = false
[[sites.routes]]
match = "/dead/"
upstream = "127.0.0.1:1"
[[sites.routes]]
match = "/moved"
respond = { status = 302, location = "/kept/" }
"#;

/// The guides' values.
const USUAL: [(&str, &str); 5] = [
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("x-frame-options", "SAMEORIGIN"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    ("content-security-policy", "default-src 'self'; connect-src 'self' wss://example.com"),
];

struct Moved {
    proxy: Proxy,
    secure: HeldPort,
    client: TlsClient,
    _app: Backend,
}

impl Moved {
    fn new(app: Backend) -> Self {
        let (authority, secure) = (Authority::new(), HeldPort::new());
        let server = authority.issue(&["example.com"]);
        let proxy = tidegate(CONFIG)
            .var("secure", secure.address())
            .var("app", app.address())
            .file("server.pem", server.certificate)
            .file("server.key", server.key)
            .start();
        Self { proxy, secure, client: TlsClient::new(&authority, "example.com"), _app: app }
    }

    fn secure(&self) -> Wire {
        self.client.connect(self.secure.address())
    }

    /// Over TLS.
    fn get(&self, path: &str) -> Head {
        let mut wire = self.secure();
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n"));
        wire.read_response().0
    }

    /// Without TLS.
    fn plain(&self, path: &str) -> Head {
        self.proxy.ask(format!("GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n")).0
    }
}

#[track_caller]
fn has_each_once(head: &Head) {
    for (name, value) in USUAL {
        assert_eq!(head.all(name), [value], "{name} of {}", head.status());
    }
}

#[test]
fn one_site_serves_https_and_sends_the_rest_there() {
    let moved = Moved::new(Backend::ws_echo());
    let port = moved.secure.address().port();
    let head = moved.plain("/a%20b?c=d");
    let to = format!("https://example.com:{port}/a%20b?c=d");
    assert_eq!((head.status(), head.get("location")), (301, Some(to.as_str())));
    let head = moved.plain("/kept/x");
    assert_eq!((head.status(), head.get("location")), (308, Some("https://example.com/kept/x")));
    // Lets an authority look at a challenge.
    assert_eq!(moved.plain("/.well-known/acme-challenge/x").status(), 200);
    let (head, _) = moved.proxy.ask(ws::handshake("/ws", ""));
    assert_eq!(head.status(), 301);
    assert_eq!(moved.get("/").status(), 200);
    let mut wire = moved.secure();
    wire.upgrade("/ws");
    wire.echo(&Frame::text("over TLS"));
}

#[test]
fn plain_http_on_the_port_of_tls_is_sent_there_too() {
    let moved = Moved::new(Backend::ws_echo());
    let port = moved.secure.address().port();
    for (path, status, to) in [
        ("/x?y", 301, format!("https://example.com:{port}/x?y")),
        ("/kept/", 308, "https://example.com/kept/".to_owned()),
    ] {
        let mut wire = Wire::connect(moved.secure.address());
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n"));
        let (head, _) = wire.read_response();
        assert_eq!((head.status(), head.get("location")), (status, Some(to.as_str())));
        wire.expect_close();
    }
    // What may be asked for without TLS may be so where TLS is not expected.
    let mut wire = Wire::connect(moved.secure.address());
    wire.send("GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: example.com\r\n\r\n");
    assert_eq!(wire.read_response().0.status(), 400);
}

#[test]
fn security_headers_are_on_every_answer_over_tls() {
    let moved = Moved::new(Backend::ws_echo());
    let mut wire = moved.secure();
    wire.send(ws::handshake("/ws", "").replace("ws.example.com", "example.com"));
    let switched = wire.read_head();
    wire.echo(&Frame::text("still a tunnel"));
    let heads = [switched, moved.get("/"), moved.get("/moved"), moved.get("/dead/")];
    assert_eq!(heads.each_ref().map(Head::status), [101, 200, 302, 502]);
    heads.iter().for_each(has_each_once);
    // RFC 6797 §7.2: the one for TLS is told to nobody else.
    let head = moved.plain("/");
    assert_eq!((head.status(), head.get("strict-transport-security")), (301, None));
    assert_eq!(head.all("x-frame-options"), ["SAMEORIGIN"]);
}

#[test]
fn security_headers_are_on_streams_of_http_2() {
    let moved = Moved::new(Backend::ws_echo());
    run(async {
        let client = Client::connect_tls(moved.secure.address(), &moved.client).await;
        let (answer, _) = client.ask(Method::GET, "https://example.com/", b"").await;
        let told = USUAL.map(|(name, _)| answer.headers().get_all(name).iter().collect::<Vec<_>>());
        assert_eq!(told, USUAL.map(|(_, value)| vec![value]));
    });
}

#[test]
fn what_an_upstream_or_a_rule_says_is_said_once() {
    let moved = Moved::new(Backend::http(|_| {
        Response::text("x").header("X-Frame-Options", "DENY").header("Strict-Transport-Security", "max-age=1")
    }));
    let head = moved.get("/");
    assert_eq!(head.all("x-frame-options"), ["DENY"], "the upstream knows its pages");
    assert_eq!(head.all("strict-transport-security"), ["max-age=1"]);
    assert_eq!(head.all("x-content-type-options"), ["nosniff"]);
    let head = moved.get("/ruled/");
    assert_eq!(head.all("x-frame-options"), ["DENY"]);
    assert_eq!([head.get("x-xss-protection"), head.get("x-content-type-options")], [None, None]);
    assert_eq!(head.all("content-security-policy").len(), 1);
    let head = moved.get("/bare/");
    assert_eq!(head.all("x-frame-options"), ["DENY"]);
    assert_eq!([head.get("x-xss-protection"), head.get("content-security-policy")], [None, None]);
}
