//! Limits where Tidegate does more than nginx: numbers of requests and tunnels apart, reloads,
//! connections of a worker and of a client.

use std::net::TcpStream;
use std::path::Path;

use tidegate::config;
use tidegate::server::Server;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Wire, eventually, tidegate};

fn shake(proxy: &Proxy, path: &str) -> u16 {
    proxy.ask(ws::handshake(path, "")).0.status()
}

fn limited(limits: &str) -> String {
    format!(
        "[limits.client]\nkey = \"$remote_addr\"\nrate = \"1/m\"\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nlimits = {limits}\n"
    )
}

#[test]
fn tunnels_and_requests_have_numbers_of_their_own() {
    let backend = Backend::ws_echo();
    let text = limited("{ concurrent = [{ zone = \"client\", tunnels = 1, total = 2 }] }");
    let proxy = tidegate(&text).var("backend", backend.address()).start();
    let mut tunnel = proxy.open("/ws");
    assert_eq!([shake(&proxy, "/ws"), proxy.get("/").0.status()], [503, 200]);
    tunnel.echo(&Frame::text("open"));
    tunnel.echo(&Frame::close(1000));
    tunnel.expect_close();
    eventually("the tunnel's place to be free", || shake(&proxy, "/ws") == 101);
}

#[test]
fn a_handshake_that_the_backend_refuses_holds_nothing() {
    let backend = Backend::named("no tunnels here");
    let text = limited("{ concurrent = [{ zone = \"client\", tunnels = 1 }] }");
    let proxy = tidegate(&text).var("backend", backend.address()).start();
    for _ in 0..3 {
        assert_eq!(shake(&proxy, "/ws"), 200);
    }
}

#[test]
fn what_is_counted_goes_on_over_a_reload() {
    let backend = Backend::ws_echo();
    let text = limited(
        "{ rate = [{ zone = \"client\", burst = 1, nodelay = true }], concurrent = [{ zone = \"client\", total = 1 }] }",
    );
    let mut proxy = tidegate(&text).var("backend", backend.address()).in_process().start();
    let mut tunnel = proxy.open("/ws");
    proxy.reload(&text).unwrap();
    tunnel.echo(&Frame::text("of the old configuration"));
    assert_eq!(shake(&proxy, "/ws"), 503, "its place is taken still");
    assert_eq!(shake(&proxy, "/ws"), 503);
    // The second of these was beyond the rate as well: the bucket is as full as before.
    let rate_only = limited("{ rate = [{ zone = \"client\", burst = 1, nodelay = true }], rate_status = 429 }");
    proxy.reload(&rate_only).unwrap();
    assert_eq!(proxy.get("/").0.status(), 429);
    // Another key is another count.
    proxy.reload(&rate_only.replace("$remote_addr", "of $remote_addr")).unwrap();
    assert_eq!(proxy.get("/").0.status(), 200);
}

#[test]
fn a_route_may_switch_limits_of_its_site_off() {
    let backend = Backend::named("hello");
    let proxy = tidegate(
        "[limits.client]\nkey = \"$remote_addr\"\nrate = \"1/m\"\n\
         [[sites]]\nupstream = \"%backend%\"\nlimits = { rate = [\"client\"], max_body = 10 }\n\
         [[sites.routes]]\nmatch = \"/\"\n\
         [[sites.routes]]\nmatch = \"/free\"\nlimits = { rate = [] }\n",
    )
    .var("backend", backend.address())
    .start();
    let statuses = ["/", "/", "/free", "/free"].map(|path| proxy.get(path).0.status());
    assert_eq!(statuses, [200, 503, 200, 200]);
    let (head, _) = proxy.ask("POST /free HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world");
    assert_eq!(head.status(), 413, "what the route does not say is the site's");
}

/// Whether a connection is served; one that is not ends without a byte.
fn is_served(proxy: &Proxy) -> bool {
    let mut wire = proxy.connect();
    // A connection that is closed already may refuse to be written to.
    let _ = wire.try_send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    wire.try_read_head().is_some_and(|head| head.status() == 200)
}

fn capped(cap: &str, backend: &Backend) -> Proxy {
    tidegate(&format!(
        "[server]\nworkers = 1\ncache_dir = \"%cache%\"\n{cap} = 2\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n"
    ))
    .var("backend", backend.address())
    .start()
}

#[test]
fn connections_beyond_a_cap_are_closed_at_once() {
    let backend = Backend::ws_echo();
    for cap in ["max_connections", "max_client_connections"] {
        let proxy = capped(cap, &backend);
        let mut tunnel = proxy.open("/ws");
        let mut idle = proxy.connect();
        idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(idle.read_response().0.status(), 200);
        proxy.connect().expect_end();
        assert!(!is_served(&proxy), "{cap}");
        // Those that are open do not notice.
        tunnel.echo(&Frame::text("open"));
        drop(idle);
        eventually("room for another connection", || is_served(&proxy));
        tunnel.echo(&Frame::text("still"));
        drop(tunnel);
        eventually("room for two", || {
            let mut held = proxy.connect();
            let _ = held.try_send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            held.try_read_head().is_some() && is_served(&proxy)
        });
    }
}

#[test]
fn closed_connections_are_counted() {
    let backend = Backend::named("hello");
    let text = format!(
        "[server]\nworkers = 1\nmax_connections = 1\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"{}\"\n",
        backend.address()
    );
    let server = Server::start(&config::load_str(&text, Path::new("."), "test.toml").unwrap()).unwrap();
    let mut first = Wire::connect(server.addresses()[0]);
    first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(first.read_response().0.status(), 200);
    for _ in 0..3 {
        Wire::new(TcpStream::connect(server.addresses()[0]).unwrap()).expect_end();
    }
    let mut admin = Wire::connect(server.admin_address().unwrap());
    admin.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let text = admin.read_response().1.text();
    for line in ["tidegate_connections_refused_total 3", "tidegate_connections_total 1"] {
        assert!(text.lines().any(|l| l == line), "no `{line}` in\n{text}");
    }
}

/// As nginx says it, one level lower for what waits, and never more than a line a second for
/// connections.
#[test]
fn refusals_are_logged() {
    let backend = Backend::named("hello");
    let mut proxy = tidegate(
        "[server]\nworkers = 1\nmax_client_connections = 1\n[limits.slow]\nkey = \"$arg_k\"\nrate = \"100/s\"\n\
         [[sites]]\nupstream = \"%backend%\"\n[[sites.routes]]\nmatch = \"/\"\n\
         limits = { rate = [{ zone = \"slow\", burst = 1 }] }\n\
         [[sites.routes]]\nmatch = \"/tried\"\nlimits = { rate = [\"slow\"], rate_dry_run = true, rate_log_level = \"info\" }\n",
    )
    .var("backend", backend.address())
    .binary()
    .start();
    let mut client = proxy.connect();
    let mut seen = |wanted: &[&str], path: &str| {
        eventually("the line of the log", || {
            // Pipelined, so that they come within one hundredth of a second.
            client.send(format!("GET {path}?k=1 HTTP/1.1\r\nHost: x\r\n\r\n").repeat(4));
            (0..4).for_each(|_| _ = client.read_response());
            let log = proxy.process().stderr();
            log.lines().any(|line| wanted.iter().all(|word| line.contains(word)))
        });
    };
    seen(&["WARN", "delaying request, excess: ", "by zone \"slow\"", "127.0.0.1"], "/");
    seen(&["INFO", "limiting requests, dry run, excess: 0.", "by zone \"slow\"", "/tried?k=1"], "/tried");
    for _ in 0..20 {
        Wire::connect(proxy.address()).expect_end();
    }
    let closed =
        |log: &str| log.lines().filter(|line| line.contains("connection closed: max_client_connections")).count();
    eventually("the line about connections", || closed(&proxy.process().stderr()) > 0);
    assert!(closed(&proxy.process().stderr()) < 20);
}
