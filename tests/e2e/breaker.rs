//! `breaker`: opens by the part that fails, lets one try the peer, closes when that is answered.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::spawn;
use std::time::Duration;

use serde_json::Value;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::{Backend, Wire, eventually, tidegate, wait_for, ws};

/// What the operator's address answers.
pub(crate) fn admin(port: &HeldPort, path: &str) -> String {
    let mut stream = TcpStream::connect(port.address()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// `/status`
pub(crate) fn status(port: &HeldPort) -> Value {
    serde_json::from_str(&admin(port, "/status")).unwrap()
}

const CONFIG: &str = r#"
    [admin]
    address = "%admin%"
    [upstreams.group]
    peers = ["%peer%"]
    breaker = { failures = 50, requests = 4, window = "1m", open = "%open%" }
    [[sites]]
    routes = [{ match = "/", upstream = "group" }]
"#;

/// A backend that fails while it is told to, and holds what it is asked while it is told to.
struct Moody {
    bad: Arc<AtomicBool>,
    holding: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    backend: Backend,
}

impl Moody {
    fn new() -> Self {
        let (bad, holding, asked) =
            (Arc::new(AtomicBool::new(true)), Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let theirs = (Arc::clone(&bad), Arc::clone(&holding), Arc::clone(&asked));
        let backend = Backend::script(move |mut wire, _| {
            while let Some(head) = wire.try_read_head() {
                let (bad, holding, asked) = &theirs;
                asked.fetch_add(1, Ordering::SeqCst);
                eventually("leave to answer", || !holding.load(Ordering::SeqCst));
                let is_bad = bad.load(Ordering::SeqCst);
                if is_bad {
                    wire.send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
                } else if head.get("sec-websocket-key").is_some() {
                    wire.send(ws::switching(ws::KEY, ""));
                    wire.expect_end();
                    return;
                } else {
                    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                }
            }
        });
        Self { bad, holding, asked, backend }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[test]
fn opens_tries_one_and_closes() {
    let (moody, port) = (Moody::new(), HeldPort::new());
    let mut proxy = tidegate(CONFIG)
        .var("peer", moody.backend.address())
        .var("admin", port.address())
        .var("open", "1s")
        .in_process()
        .start();
    let peer = moody.backend.address().to_string();
    let stance = || status(&port)["upstreams"]["group"]["peers"][&peer]["breaker"].as_str().map(str::to_owned);
    assert_eq!(stance().as_deref(), Some("closed"));
    for n in 1..=4 {
        assert_eq!(proxy.get("/").0.status(), 500);
        assert_eq!(moody.asked(), n);
    }
    assert_eq!(stance().as_deref(), Some("open"));
    // The peer hears nothing, neither of requests nor of handshakes, nor after a reload.
    assert_eq!(proxy.get("/").0.status(), 502);
    proxy.reload(CONFIG).unwrap();
    assert_eq!(proxy.ask(ws::handshake("/ws", "")).0.status(), 502);
    assert_eq!(moody.asked(), 4);
    // After a while one is let pass, and fails; the peer is left alone again.
    eventually("one that tries the peer", || proxy.get("/").0.status() == 500);
    assert_eq!((proxy.get("/").0.status(), moody.asked()), (502, 5));
    // The next one that tries is held: meanwhile nobody else is let pass.
    moody.bad.store(false, Ordering::SeqCst);
    moody.holding.store(true, Ordering::SeqCst);
    let address = proxy.address();
    let trying = spawn(move || {
        wait_for("a request that is let pass", || {
            let mut wire = Wire::connect(address);
            wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            Some(wire.read_response().0.status()).filter(|status| *status != 502)
        })
    });
    eventually("the request that tries", || moody.asked() == 6);
    assert_eq!(stance().as_deref(), Some("half-open"));
    for _ in 0..5 {
        assert_eq!(proxy.get("/").0.status(), 502);
    }
    assert_eq!(moody.asked(), 6, "one at a time");
    moody.holding.store(false, Ordering::SeqCst);
    assert_eq!(trying.join().unwrap(), 200);
    assert_eq!(stance().as_deref(), Some("closed"));
    drop(proxy.open("/ws"));
    assert_eq!(proxy.get("/").0.status(), 200);
    let metrics = admin(&port, "/metrics");
    for line in [
        format!("tidegate_peer_breaker{{upstream=\"group\",peer=\"{peer}\",state=\"closed\"}} 1"),
        format!("tidegate_peer_breaker_opened_total{{upstream=\"group\",peer=\"{peer}\"}} 1"),
    ] {
        assert!(metrics.lines().any(|l| l == line), "no `{line}` in\n{metrics}");
    }
    drop(proxy);
    moody.backend.join();
}

/// Who tries the peer and leaves has said nothing: the next one may try.
#[test]
fn a_client_that_leaves_while_it_tries() {
    let (moody, port) = (Moody::new(), HeldPort::new());
    let proxy =
        tidegate(CONFIG).var("peer", moody.backend.address()).var("admin", port.address()).var("open", "1ms").start();
    for _ in 0..4 {
        assert_eq!(proxy.get("/").0.status(), 500);
    }
    let asked = moody.asked();
    moody.holding.store(true, Ordering::SeqCst);
    moody.bad.store(false, Ordering::SeqCst);
    let peer = moody.backend.address().to_string();
    let stance = || status(&port)["upstreams"]["group"]["peers"][&peer]["breaker"].as_str().map(str::to_owned);
    let leaving = wait_for("a request that is let pass", || {
        let mut wire = proxy.connect();
        wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        // Either the backend has it, or it is answered by the proxy.
        wire.stream().set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let answered = std::iter::repeat_with(|| wire.try_read()).find_map(|read| match read {
            Ok(_refused) => Some(true),
            Err(_nothing) => (moody.asked() == asked + 1).then_some(false),
        });
        (answered == Some(false)).then_some(wire)
    });
    assert_eq!(stance().as_deref(), Some("half-open"));
    drop(leaving);
    eventually("an end of the trial", || stance().as_deref() == Some("open"));
    moody.holding.store(false, Ordering::SeqCst);
    assert_eq!(proxy.get("/").0.status(), 200);
    assert_eq!(stance().as_deref(), Some("closed"));
    drop(proxy);
    moody.backend.join();
}
