//! Which site and route a request takes, and what the upstream is asked for. The table of
//! precedence is in `nginx_compat`.

use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Subject, both, tidegate};

both!(sites_by_name, the_default_site, a_route_without_a_site_name, captures_rewrite, a_tunnel_is_routed_as_well);

fn asked(proxy: &Proxy, host: &str) -> String {
    proxy.ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).1.text()
}

fn sites_by_name(subject: Subject) {
    let named: Vec<_> = ["exact", "star", "deeper", "after", "default"].map(Backend::named).into();
    let mut setup = subject
        .setup()
        .nginx(
            "server { listen %listen%; server_name *.example.com; location / { proxy_pass http://%star%; } }
             server { listen %listen%; server_name *.b.example.com; location / { proxy_pass http://%deeper%; } }
             server { listen %listen%; server_name ws.example.com; location / { proxy_pass http://%exact%; } }
             server { listen %listen%; server_name mail.*; location / { proxy_pass http://%after%; } }
             server { listen %listen% default_server; server_name _; location / { proxy_pass http://%default%; } }",
        )
        .tidegate(
            r#"
            [[sites]]
            names = ["*.example.com"]
            routes = [{ match = "/", upstream = "%star%" }]
            [[sites]]
            names = ["*.b.example.com"]
            routes = [{ match = "/", upstream = "%deeper%" }]
            [[sites]]
            names = ["ws.example.com"]
            routes = [{ match = "/", upstream = "%exact%" }]
            [[sites]]
            names = ["mail.*"]
            routes = [{ match = "/", upstream = "%after%" }]
            [[sites]]
            default = true
            routes = [{ match = "/", upstream = "%default%" }]
            "#,
        );
    for (name, backend) in ["exact", "star", "deeper", "after", "default"].iter().zip(&named) {
        setup = setup.var(name, backend.address());
    }
    let proxy = setup.start();
    let table = [
        ("ws.example.com", "exact"),
        ("WS.EXAMPLE.COM", "exact"),
        ("ws.example.com:8080", "exact"),
        ("ws.example.com.", "exact"),
        ("chat.example.com", "star"),
        ("a.b.example.com", "deeper"),
        ("x.a.b.example.com", "deeper"),
        ("b.example.com", "star"),
        ("example.com", "default"),
        ("mail.other.org", "after"),
        ("mail.example.com", "star"),
        ("nowhere.org", "default"),
        ("127.0.0.1", "default"),
        ("[::1]:80", "default"),
    ];
    for (host, wanted) in table {
        assert_eq!(asked(&proxy, host), wanted, "Host: {host}");
    }
}

/// Where none says `default`, the first site takes what no name matches.
fn the_default_site(subject: Subject) {
    let (first, second) = (Backend::named("first"), Backend::named("second"));
    let proxy = subject
        .setup()
        .nginx(
            "server { listen %listen%; server_name a.example.com; location / { proxy_pass http://%first%; } }
             server { listen %listen%; server_name b.example.com; location / { proxy_pass http://%second%; } }",
        )
        .tidegate(
            r#"
            [[sites]]
            names = ["a.example.com"]
            routes = [{ match = "/", upstream = "%first%" }]
            [[sites]]
            names = ["b.example.com"]
            routes = [{ match = "/", upstream = "%second%" }]
            "#,
        )
        .var("first", first.address())
        .var("second", second.address())
        .start();
    assert_eq!(asked(&proxy, "a.example.com"), "first");
    assert_eq!(asked(&proxy, "b.example.com"), "second");
    assert_eq!(asked(&proxy, "c.example.com"), "first");
}

/// An HTTP/1.0 request need not name a host; the default site takes it.
fn a_route_without_a_site_name(subject: Subject) {
    let backend = Backend::reflect();
    let proxy = subject.before(backend.address());
    assert_eq!(proxy.ask("GET /x HTTP/1.0\r\n\r\n").1.text(), "GET /x HTTP/1.1");
}

fn captures_rewrite(subject: Subject) {
    let backend = Backend::reflect();
    let proxy = subject
        .setup()
        .nginx(
            "upstream b { server %backend%; }
             server {
                 listen %listen%;
                 location ~ ^/v([0-9]+)/(.*)$ { proxy_pass http://b/api/$2?v=$1; proxy_http_version 1.1; }
                 location ~* ^/rooms/(?<room>[a-z]+)$ { proxy_pass http://b/chat?room=$room; proxy_http_version 1.1; }
             }",
        )
        .tidegate(
            r#"
            [[sites]]
            [[sites.routes]]
            match = '~ ^/v([0-9]+)/(.*)$'
            upstream = "%backend%"
            rewrite = "/api/$2?v=$1"
            [[sites.routes]]
            match = '~* ^/rooms/(?<room>[a-z]+)$'
            upstream = "%backend%"
            rewrite = "/chat?room=$room"
            "#,
        )
        .var("backend", backend.address())
        .start();
    assert_eq!(proxy.get("/v2/users/7").1.text(), "GET /api/users/7?v=2 HTTP/1.1");
    assert_eq!(proxy.get("/v12/").1.text(), "GET /api/?v=12 HTTP/1.1");
    assert_eq!(proxy.get("/Rooms/Blue").1.text(), "GET /chat?room=Blue HTTP/1.1");
}

fn a_tunnel_is_routed_as_well(subject: Subject) {
    let (chat, other) = (Backend::ws_echo(), Backend::named("other"));
    let proxy = subject
        .setup()
        .nginx(
            "location /ws/ { proxy_pass http://%chat%/sockets/; %guide% }
             location / { proxy_pass http://%other%; %guide% }",
        )
        .tidegate(
            r#"
            [[sites]]
            [[sites.routes]]
            match = "/ws/"
            upstream = "http://%chat%"
            replace_prefix = "/sockets/"
            [[sites.routes]]
            match = "/"
            upstream = "http://%other%"
            "#,
        )
        .var("chat", chat.address())
        .var("other", other.address())
        .start();
    let mut client = proxy.open("/ws/blue?token=%41");
    client.echo(&Frame::text("routed"));
    assert_eq!(chat.only_head().start, "GET /sockets/blue?token=%41 HTTP/1.1");
    assert_eq!(proxy.ask(ws::handshake("/elsewhere", "")).1.text(), "other");
}

#[test]
fn no_route_is_not_found() {
    let backend = Backend::named("chat");
    let proxy = tidegate("[[sites]]\n[[sites.routes]]\nmatch = \"/ws\"\nupstream = \"%backend%\"")
        .var("backend", backend.address())
        .start();
    assert_eq!(proxy.get("/elsewhere").0.status(), 404);
    assert_eq!(proxy.ask(ws::handshake("/elsewhere", "")).0.status(), 404);
    assert_eq!(proxy.get("/ws").1.text(), "chat");
    assert_eq!(backend.connections(), 1);
}
