//! `admission`: how many handshakes an upstream is given at once, and what becomes of the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Wire, eventually, tidegate};

use super::breaker::{admin, status};

const CAP: usize = 16;
const CLIENTS: usize = 500;

/// Everybody comes back at once, to two workers: the backend never has more handshakes under way
/// than it is to have, and everybody is served in the end.
#[test]
fn a_mass_reconnect_comes_a_few_at_a_time() {
    let (now, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let theirs = (Arc::clone(&now), Arc::clone(&most));
    let backend = Backend::script(move |mut wire, _| {
        let (now, most) = &theirs;
        if wire.try_read_head().is_none() {
            return;
        }
        let under_way = now.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(under_way, Ordering::SeqCst);
        // The first ones wait until the cap is reached, so that it is known to be.
        eventually("as many handshakes as may be", || most.load(Ordering::SeqCst) >= CAP);
        now.fetch_sub(1, Ordering::SeqCst);
        wire.send(ws::switching(ws::KEY, ""));
        if wire.has_more() {
            let frame = wire.read_frame();
            wire.send(frame.bytes());
        }
        wire.expect_end();
    });
    let port = HeldPort::new();
    let proxy = tidegate(&format!(
        r#"
        [server]
        workers = 2
        cache_dir = "%cache%"
        [admin]
        address = "%admin%"
        [[listeners]]
        address = "127.0.0.1:0"
        [upstreams.chat]
        peers = ["%backend%"]
        admission = {{ handshakes = {CAP}, queue = {CLIENTS}, wait = "20s" }}
        [[sites]]
        routes = [{{ match = "/", upstream = "chat" }}]
        "#
    ))
    .var("backend", backend.address())
    .var("admin", port.address())
    .start();
    let mut clients: Vec<Wire> = (0..CLIENTS)
        .map(|_| {
            let mut wire = proxy.connect();
            wire.send(ws::handshake("/ws", ""));
            wire
        })
        .collect();
    for client in &mut clients {
        assert_eq!(client.read_head().status(), 101);
    }
    for client in &mut clients {
        client.echo(&Frame::text("here again"));
    }
    assert_eq!(most.load(Ordering::SeqCst), CAP, "at once");
    let counts = &status(&port)["upstreams"]["chat"]["admission"]["handshakes"];
    assert_eq!(number(counts, "in_flight") + number(counts, "queued") + number(counts, "refused"), 0, "{counts}");
    drop(clients);
    drop(proxy);
    backend.join();
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no {key} in {value}"))
}

const ONE: &str = r#"
    [admin]
    address = "%admin%"
    [upstreams.chat]
    peers = ["%backend%"]
    admission = { handshakes = 1, queue = 1, wait = "%wait%", retry_after = "7s" }
    [[sites]]
    routes = [{ match = "/", upstream = "chat" }]
"#;

/// A backend that holds handshakes while it is told to.
fn holding() -> (Arc<AtomicBool>, Backend) {
    let hold = Arc::new(AtomicBool::new(true));
    let theirs = Arc::clone(&hold);
    let backend = Backend::script(move |mut wire, _| {
        while let Some(head) = wire.try_read_head() {
            if head.get("sec-websocket-key").is_none() {
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
                continue;
            }
            eventually("leave to answer", || !theirs.load(Ordering::SeqCst));
            if wire.try_send(ws::switching(ws::KEY, "")).is_ok() {
                wire.expect_end();
            }
            return;
        }
    });
    (hold, backend)
}

fn waiting(proxy: &Proxy) -> Wire {
    let mut wire = proxy.connect();
    wire.send(ws::handshake("/ws", ""));
    wire
}

#[test]
fn a_full_queue_refuses_and_who_leaves_makes_room() {
    let ((hold, backend), port) = (holding(), HeldPort::new());
    let mut proxy = tidegate(ONE)
        .var("backend", backend.address())
        .var("admin", port.address())
        .var("wait", "20s")
        .in_process()
        .start();
    let count = |key: &str| number(&status(&port)["upstreams"]["chat"]["admission"]["handshakes"], key);
    let mut first = waiting(&proxy);
    eventually("the first at the backend", || backend.connections() == 1);
    let second = waiting(&proxy);
    eventually("the second in the queue", || count("queued") == 1);
    // There is no more room; the client is told when to come back, each another time.
    let mut told = Vec::new();
    for _ in 0..8 {
        let (head, _) = proxy.ask(ws::handshake("/ws", ""));
        assert_eq!(head.status(), 503);
        told.push(head.get("retry-after").unwrap().parse::<u32>().unwrap());
    }
    assert!(told.iter().all(|seconds| (7..=14).contains(seconds)), "{told:?}");
    // Plain requests are not limited here, and a reload changes nothing.
    assert_eq!(proxy.get("/").1.text(), "plain");
    proxy.reload(ONE).unwrap();
    assert_eq!((count("in_flight"), count("queued"), count("refused")), (1, 1, 8));
    assert_eq!(proxy.ask(ws::handshake("/ws", "")).0.status(), 503);
    // Who leaves the queue frees the place in it.
    drop(second);
    eventually("an empty queue", || count("queued") == 0);
    let mut third = waiting(&proxy);
    eventually("the third in the queue", || count("queued") == 1);
    hold.store(false, Ordering::SeqCst);
    for client in [&mut first, &mut third] {
        assert_eq!(client.read_head().status(), 101);
    }
    // A tunnel that is open holds no place.
    assert_eq!((count("in_flight"), count("queued"), count("refused")), (0, 0, 9));
    let metrics = admin(&port, "/metrics");
    for (name, value) in [("in_flight", 0), ("queued", 0), ("refused_total", 9)] {
        let line = format!("tidegate_admission_{name}{{upstream=\"chat\",class=\"handshakes\"}} {value}");
        assert!(metrics.lines().any(|l| l == line), "no `{line}` in\n{metrics}");
    }
    drop((first, third));
    drop(proxy);
    backend.join();
}

/// Who waits for too long is refused; who is under way and leaves frees the place.
#[test]
fn a_wait_ends() {
    let ((hold, backend), port) = (holding(), HeldPort::new());
    let proxy =
        tidegate(ONE).var("backend", backend.address()).var("admin", port.address()).var("wait", "100ms").start();
    let first = waiting(&proxy);
    eventually("the first at the backend", || backend.connections() == 1);
    let (head, body) = waiting(&proxy).read_response();
    assert_eq!((head.status(), head.get("retry-after").is_some()), (503, true), "{}", body.text());
    drop(first);
    let count = |key: &str| number(&status(&port)["upstreams"]["chat"]["admission"]["handshakes"], key);
    eventually("a free place", || count("in_flight") == 0);
    hold.store(false, Ordering::SeqCst);
    drop(proxy.open("/ws"));
    drop(proxy);
    backend.join();
}

/// `requests` counts what asks for no tunnel, apart from handshakes.
#[test]
fn plain_requests_where_asked() {
    let hold = Arc::new(AtomicBool::new(true));
    let theirs = Arc::clone(&hold);
    let backend = Backend::script(move |mut wire, _| {
        if wire.try_read_head().is_some() {
            eventually("leave to answer", || !theirs.load(Ordering::SeqCst));
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let proxy = tidegate(
        r#"
        [upstreams.app]
        peers = ["%backend%"]
        admission = { requests = 2, queue = 0 }
        [[sites]]
        error_pages = { "503" = "come back later" }
        routes = [{ match = "/", upstream = "app" }]
        "#,
    )
    .var("backend", backend.address())
    .start();
    let mut clients: Vec<Wire> = (0..2)
        .map(|_| {
            let mut wire = proxy.connect();
            wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            wire
        })
        .collect();
    eventually("both at the backend", || backend.connections() == 2);
    let (head, body) = proxy.get("/");
    assert_eq!((head.status(), body.text().trim_end()), (503, "come back later"));
    hold.store(false, Ordering::SeqCst);
    for client in &mut clients {
        assert_eq!(client.read_response().0.status(), 200);
    }
    assert_eq!(proxy.get("/").0.status(), 200);
    backend.join();
}
