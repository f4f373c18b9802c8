//! `next_upstream`: what is sent again and what is not, by bytes, and backends that are killed
//! and come back under load.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_tests::backend::{Hanging, Refusing};
use tidegate_tests::http::read_body;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Response, Wire, eventually, tidegate};

/// Tidegate before peers without a memory of failures.
fn before(peers: &[SocketAddr], route: &str) -> Proxy {
    let peers: Vec<String> = peers.iter().map(|peer| format!("{{ address = \"{peer}\", max_fails = 0 }}")).collect();
    tidegate(&format!(
        "[upstreams.group]\npeers = [{}]\n\
         [[sites]]\nlimits = {{ max_body = 0 }}\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"group\"\n{route}\n",
        peers.join(", ")
    ))
    .start()
}

/// Reads a head, says this and resets.
fn half(text: &'static str) -> Backend {
    Backend::script(move |mut wire, _| {
        if wire.try_read_head().is_some() {
            wire.send(text);
            wire.reset();
        }
    })
}

/// Five that fail, each in its own way, and one that does not: it answers everybody.
#[test]
fn every_way_to_fail_leads_to_one_that_works() {
    let (refusing, hanging, silent, resetting) =
        (Refusing::new(), Hanging::new(), Backend::silent(), Backend::resetting());
    let (cut, lying) = (half("HTTP/1.1 200 OK\r\nContent-Le"), half("HTTP/1.1 2zz\r\n\r\n"));
    let good = Backend::ws_echo();
    let peers = [
        refusing.address(),
        hanging.address(),
        silent.address(),
        resetting.address(),
        cut.address(),
        lying.address(),
        good.address(),
    ];
    let proxy = before(
        &peers,
        "next_upstream = [\"error\", \"timeout\", \"invalid_header\"]\n\
         timeouts = { connect = \"200ms\", read = \"200ms\" }",
    );
    for _ in 0..peers.len() {
        assert_eq!(proxy.get("/").1.text(), "plain");
        proxy.open("/ws").echo(&Frame::text("hello"));
    }
}

/// A 101 that does not answer the handshake is an invalid head.
#[test]
fn a_switch_that_does_not_fit_leads_on() {
    let (bad, good) =
        (half("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"), Backend::ws_echo());
    let proxy = before(&[bad.address(), good.address()], "next_upstream = [\"invalid_header\"]");
    proxy.open("/ws").echo(&Frame::text("hello"));
    let proxy = before(&[bad.address(), good.address()], "");
    assert_eq!(proxy.ask(ws::handshake("/ws", "")).0.status(), 502);
}

/// The first peer goes while the client is still sending: the second gets the whole body.
#[test]
fn a_body_that_streams_begins_again() {
    let (first, second) = ("a".repeat(10_000), "b".repeat(10_000));
    let reset = Arc::new(AtomicBool::new(false));
    let bad = {
        let reset = Arc::clone(&reset);
        Backend::script(move |mut wire, _| {
            if wire.try_read_head().is_some() {
                wire.read_exact(10_000);
                wire.reset();
                reset.store(true, Ordering::SeqCst);
            }
        })
    };
    let good = Backend::http(|request| Response::text(&request.body.data));
    let proxy = before(&[bad.address(), good.address()], "");
    let mut client = proxy.connect();
    client.send(format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n{first}"));
    eventually("the first peer's reset", || reset.load(Ordering::SeqCst));
    client.send(&second);
    let (head, body) = client.read_response();
    assert_eq!((head.status(), body.text() == format!("{first}{second}")), (200, true));
    assert_eq!(good.only_head().get("content-length"), Some("20000"));
}

/// More has gone out than is kept: nobody gets a body without its beginning.
#[test]
fn a_body_that_is_too_long_stays_with_its_peer() {
    for (most, status) in [("63KiB", 502), ("64KiB", 200), ("0", 502)] {
        let bad = Backend::script(|mut wire, _| {
            if wire.try_read_head().is_some() {
                wire.read_exact(64 << 10);
                wire.reset();
            }
        });
        let good = Backend::http(|request| Response::text(request.body.data.len().to_string()));
        let proxy = before(&[bad.address(), good.address()], &format!("next_upstream_body = \"{most}\""));
        let body = "x".repeat(64 << 10);
        let request = format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let (head, answer) = proxy.ask(request);
        assert_eq!(head.status(), status, "{most}");
        if status == 200 {
            assert_eq!(answer.text(), "65536");
        } else {
            assert!(good.heads().is_empty(), "{most}");
        }
    }
}

/// The peer answers nothing to a POST and goes: it may have done what it was told.
#[test]
fn a_post_goes_on_only_where_that_is_allowed() {
    for (words, status) in [("[\"error\"]", 502), ("[\"error\", \"non_idempotent\"]", 200)] {
        let bad = Backend::script(|mut wire, _| {
            if let Some(head) = wire.try_read_head() {
                assert_eq!(read_body(&mut wire, &head, false).text(), "pay 5");
                wire.reset();
            }
        });
        let good = Backend::http(|request| Response::text(&request.body.data));
        let proxy = before(&[bad.address(), good.address()], &format!("next_upstream = {words}"));
        let (head, body) = proxy.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\npay 5");
        assert_eq!((head.status(), good.heads().len()), (status, usize::from(status == 200)), "{words}");
        assert!(status != 200 || body.text() == "pay 5");
    }
}

/// Once a byte of the answer has gone to the client there is no way back.
#[test]
fn an_answer_that_breaks_off_is_not_sent_again() {
    let (bad, good) = (half("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), Backend::named("good"));
    let proxy = before(&[bad.address(), good.address()], "");
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_head().status(), 200);
    client.expect("half");
    client.expect_end();
    assert!(good.heads().is_empty());
}

/// A server that can be killed with all its connections, and comes back at the same port.
struct Mortal {
    port: HeldPort,
    name: &'static str,
    shared: Arc<Alive>,
    accepting: Option<(socket2::Socket, JoinHandle<()>)>,
}

#[derive(Default)]
struct Alive {
    streams: Mutex<Vec<TcpStream>>,
    dead: AtomicBool,
    served: AtomicUsize,
}

impl Mortal {
    fn new(name: &'static str) -> Self {
        let mut this = Self { port: HeldPort::new(), name, shared: Arc::default(), accepting: None };
        this.rise();
        this
    }

    fn rise(&mut self) {
        let listener = self.port.listen();
        let handle: socket2::Socket = listener.try_clone().unwrap().into();
        let (shared, name) = (Arc::<Alive>::default(), self.name);
        self.shared = Arc::clone(&shared);
        self.accepting = Some((handle, spawn(move || Self::accept(&listener, &shared, name))));
    }

    fn accept(listener: &TcpListener, shared: &Arc<Alive>, name: &'static str) {
        while let Ok((stream, _)) = listener.accept() {
            let mut streams = shared.streams.lock();
            if shared.dead.load(Ordering::SeqCst) {
                return;
            }
            streams.push(stream.try_clone().unwrap());
            drop(streams);
            let shared = Arc::clone(shared);
            spawn(move || Self::serve(stream, &shared, name));
        }
    }

    fn serve(mut stream: TcpStream, shared: &Alive, name: &str) {
        use std::io::{Read as _, Write as _};
        let mut seen = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut piece) {
            seen.extend_from_slice(&piece[..n]);
            while let Some(at) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8(seen.drain(..at + 4).collect()).unwrap();
                let answer = if head.contains("Sec-WebSocket-Key") {
                    ws::switching(ws::KEY, "")
                } else {
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len())
                };
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
                shared.served.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    /// Nobody listens any more, and every connection is reset.
    fn kill(&mut self) {
        let Some((listener, accepting)) = self.accepting.take() else { return };
        self.shared.dead.store(true, Ordering::SeqCst);
        listener.shutdown(Shutdown::Both).unwrap();
        accepting.join().unwrap();
        drop(listener);
        for stream in self.shared.streams.lock().drain(..) {
            // With the last handle goes a reset in place of an end.
            let _gone = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One client: GETs over one connection and handshakes over new ones, in turn; how many it
/// has had answered stands in `done`.
fn client(proxy: SocketAddr, done: &AtomicUsize, stop: &AtomicBool) -> usize {
    let mut kept = Wire::connect(proxy);
    let mut asked = 0;
    while !stop.load(Ordering::SeqCst) {
        kept.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let (head, body) = kept.read_response();
        assert_eq!(head.status(), 200, "request {asked}: {}", body.text());
        asked += 1;
        let mut tunnel = Wire::connect(proxy);
        tunnel.send(ws::handshake("/ws", ""));
        assert_eq!(tunnel.read_head().status(), 101, "handshake {asked}");
        asked += 1;
        done.fetch_add(2, Ordering::SeqCst);
    }
    asked
}

/// Two peers, one of which is dead half of the time, in turn. Every GET and every handshake that
/// has a peer to go to is answered.
#[test]
fn nothing_is_lost_while_peers_are_killed_and_come_back() {
    const CLIENTS: usize = 6;
    let mut peers = [Mortal::new("a"), Mortal::new("b")];
    let addresses = [peers[0].port.address(), peers[1].port.address()];
    let proxy = before(&addresses, "next_upstream = [\"error\"]");
    let (address, stop) = (proxy.address(), Arc::new(AtomicBool::new(false)));
    let done: Vec<Arc<AtomicUsize>> = (0..CLIENTS).map(|_| Arc::default()).collect();
    let clients: Vec<JoinHandle<usize>> = done
        .iter()
        .map(|done| {
            let (done, stop) = (Arc::clone(done), Arc::clone(&stop));
            spawn(move || client(address, &done, &stop))
        })
        .collect();
    // Every client goes through so many turns; whatever was under way before is over then.
    let turns = |what: &str, n: usize| {
        let before: Vec<usize> = done.iter().map(|done| done.load(Ordering::SeqCst)).collect();
        eventually(what, || {
            clients.iter().any(JoinHandle::is_finished)
                || done.iter().zip(&before).all(|(now, then)| now.load(Ordering::SeqCst) >= then + 2 * n)
        });
    };
    for round in 0..8 {
        turns("requests at both", 2);
        let dying = round % 2;
        assert!(peers[dying].shared.served.load(Ordering::SeqCst) > 0, "nobody asked the one that is to die");
        peers[dying].kill();
        turns("requests at one", 4);
        peers[dying].rise();
        let risen = &peers[dying].shared;
        eventually("requests at the one that came back", || {
            risen.served.load(Ordering::SeqCst) > 0 || clients.iter().any(JoinHandle::is_finished)
        });
    }
    stop.store(true, Ordering::SeqCst);
    let asked: usize = clients.into_iter().map(|client| client.join().expect("every request answered")).sum();
    assert_eq!(asked, done.iter().map(|done| done.load(Ordering::SeqCst)).sum::<usize>());
    assert!(asked >= CLIENTS * 8 * 6 * 2, "{asked}");
}
