//! Unix sockets as peers.

use tidegate_tests::front;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Noise, Proxy, TempDir, tidegate};

const ROUTES: &str = r#"
    [upstreams.group]
    peers = [{ address = "unix:%socket%" }]
    [[sites]]
    limits = { max_body = 0 }
    [[sites.routes]]
    match = "/"
    upstream = "unix:%socket%"
    [[sites.routes]]
    match = "/group"
    upstream = "group"
    half_close = true
    [[sites.routes]]
    match = "/host"
    upstream = "http://unix:%socket%"
    set_headers = { Host = "$proxy_host", X-Port = "[$proxy_port]" }
"#;

fn before(socket: &std::path::Path) -> Proxy {
    tidegate(ROUTES).var("socket", socket.display()).start()
}

#[test]
fn tunnels_and_requests_share_a_socket() {
    let backend = Backend::ws_echo();
    let dir = TempDir::new();
    let socket = dir.path().join("app.sock");
    let _front = front::unix(&socket, backend.address());
    let proxy = before(&socket);
    for path in ["/", "/group"] {
        let mut client = proxy.open(path);
        let mut noise = Noise::new(2);
        for size in [0, 1, 125, 65_536, 1 << 20] {
            client.echo(&Frame::binary(&noise.take(size)));
        }
        assert_eq!(proxy.get(path).1.text(), "plain");
    }
    // Two tunnels; the requests went over one connection, which both upstreams lead to.
    proxy.get("/");
    assert_eq!(backend.connections(), 3);
}

#[test]
fn the_host_is_what_nginx_says() {
    let backend = Backend::reflect();
    let dir = TempDir::new();
    let socket = dir.path().join("app.sock");
    let _front = front::unix(&socket, backend.address());
    before(&socket).get("/host");
    let head = backend.only_head();
    assert_eq!((head.get("host"), head.get("x-port")), (Some("localhost"), Some("[]")));
}

#[test]
fn one_direction_may_outlive_the_other_and_large_flows_pass() {
    const MUCH: usize = 8 << 20;
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect_noise(&mut Noise::new(3), MUCH);
        wire.expect_close();
        wire.send(Noise::new(4).take(MUCH));
    });
    let dir = TempDir::new();
    let socket = dir.path().join("app.sock");
    let _front = front::unix(&socket, backend.address());
    let proxy = before(&socket);
    let mut client = proxy.open("/group");
    client.send(Noise::new(3).take(MUCH));
    client.finish();
    client.expect_noise(&mut Noise::new(4), MUCH);
    client.expect_close();
    backend.join();
}

#[test]
fn a_socket_that_is_not_there_is_a_bad_gateway() {
    let dir = TempDir::new();
    assert_eq!(before(&dir.path().join("nobody.sock")).get("/").0.status(), 502);
}
