//! `proxy_bind` and `proxy_pass` to a Unix socket: where connections come from and lead to.

use tidegate_tests::front;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Subject, TempDir, both};

both!(connections_come_from_the_address, a_unix_socket, a_group_of_unix_sockets);

fn connections_come_from_the_address(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        let from = wire.peer().ip().to_string();
        wire.send(tidegate_tests::Response::text(from).header("Connection", "close").bytes());
    });
    let proxy = subject
        .setup()
        .nginx("location / { proxy_pass http://%backend%; proxy_bind 127.0.0.9; proxy_socket_keepalive on; }")
        .tidegate(
            r#"
            [upstreams.u]
            bind = "127.0.0.9"
            tcp_keepalive = true
            peers = ["%backend%"]
            [[sites]]
            routes = [{ match = "/", upstream = "u" }]
            "#,
        )
        .var("backend", backend.address())
        .start();
    for _ in 0..2 {
        assert_eq!(proxy.get("/").1.text(), "127.0.0.9");
    }
    drop(proxy);
    backend.join();
}

fn a_unix_socket(subject: Subject) {
    let backend = Backend::ws_echo();
    let dir = TempDir::new();
    let socket = dir.path().join("app.sock");
    let _front = front::unix(&socket, backend.address());
    let proxy = subject
        .setup()
        .nginx(
            "location / { proxy_pass http://unix:%socket%; %guide% }
            location /own-host { proxy_pass http://unix:%socket%; proxy_set_header X-Host $proxy_host; }",
        )
        .tidegate(
            r#"
            [[sites]]
            upstream = "http://unix:%socket%"
            [[sites.routes]]
            match = "/"
            [[sites.routes]]
            match = "/own-host"
            set_headers = { Host = "$proxy_host", X-Host = "$proxy_host" }
            "#,
        )
        .var("socket", socket.display())
        .start();
    assert_eq!(proxy.get("/x?y").1.text(), "plain");
    assert_eq!(backend.only_head().start, "GET /x?y HTTP/1.1");
    proxy.open("/ws").echo(&Frame::text("through a socket"));
    proxy.get("/own-host");
    let last = backend.heads().pop().unwrap();
    assert_eq!((last.get("host"), last.get("x-host")), (Some("localhost"), Some("localhost")));
}

fn a_group_of_unix_sockets(subject: Subject) {
    let backends = [Backend::named("a"), Backend::named("b")];
    let dir = TempDir::new();
    let (one, two) = (dir.path().join("1"), dir.path().join("2"));
    let _fronts = [front::unix(&one, backends[0].address()), front::unix(&two, backends[1].address())];
    let proxy = subject
        .setup()
        .nginx(
            "upstream u { server unix:%one% weight=2; server unix:%two%; }
            server { listen %listen%; location / { proxy_pass http://u; } }",
        )
        .tidegate(
            r#"
            [upstreams.u]
            peers = [{ address = "unix:%one%", weight = 2 }, "unix:%two%"]
            [[sites]]
            routes = [{ match = "/", upstream = "u" }]
            "#,
        )
        .var("one", one.display())
        .var("two", two.display())
        .start();
    let order: String = (0..6).map(|_| proxy.get("/").1.text()).collect();
    assert_eq!(order, "abaaba");
}
