//! Checks of peers: what they send, what counts, who gets no requests then, and what becomes of
//! tunnels.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;
use serde_json::Value;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Request, Response, Setup, eventually, tidegate, wait_for};

/// A backend whose answer to checks can be changed. Other requests get its name.
struct Moody {
    backend: Backend,
    mood: Arc<Mutex<Mood>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Well,
    Status(u16),
    Body(&'static str),
    Nonsense,
    Silent,
}

impl Moody {
    fn new(name: &'static str) -> Self {
        let mood = Arc::new(Mutex::new(Mood::Well));
        let now = Arc::clone(&mood);
        let backend = Backend::http(move |request| {
            if !is_check(request) {
                return Response::text(name);
            }
            let mood = *now.lock();
            match mood {
                Mood::Well => Response::text("all is well"),
                Mood::Status(status) => Response::new(status).body("all is well"),
                Mood::Body(text) => Response::text(text),
                Mood::Nonsense => Response::raw("nonsense\r\n\r\n"),
                Mood::Silent => {
                    eventually("another mood", || *now.lock() != Mood::Silent);
                    Response::text("too late")
                }
            }
        });
        Self { backend, mood }
    }

    fn address(&self) -> SocketAddr {
        self.backend.address()
    }

    fn turns(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    fn checks(&self) -> usize {
        self.backend.heads().iter().filter(|head| head.target() == "/check?x=1").count()
    }
}

fn is_check(request: &Request) -> bool {
    request.head.target() == "/check?x=1"
}

/// Two peers with these checks, `/status`, and a log of why tunnels end.
fn pair(health: &str) -> Setup {
    tidegate(&config(health))
}

fn config(health: &str) -> String {
    format!(
        r#"
        access_log = {{ path = "end.log", format = "end" }}
        [log_formats.end]
        template = "$cause $closed_by"
        [admin]
        address = "%admin%"
        [upstreams.pair]
        peers = ["%a%", "%b%"]
        health = {{ interval = "20ms", jitter = "5ms", {health} }}
        [[sites]]
        routes = [{{ match = "/", upstream = "pair" }}]
        "#
    )
}

const HTTP: &str = r#"path = "/check?x=1", contains = "well""#;

fn ask(port: &HeldPort, page: &str) -> String {
    let mut stream = TcpStream::connect(port.address()).unwrap();
    write!(stream, "GET {page} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn peer(port: &HeldPort, address: SocketAddr) -> Value {
    let status: Value = serde_json::from_str(&ask(port, "/status")).unwrap();
    status["upstreams"]["pair"]["peers"][address.to_string()].clone()
}

#[track_caller]
fn until(port: &HeldPort, address: SocketAddr, state: &str) -> Value {
    wait_for(&format!("the peer to be {state}"), || Some(peer(port, address)).filter(|peer| peer["state"] == state))
}

fn answers(proxy: &Proxy, requests: usize) -> String {
    (0..requests).map(|_| proxy.get("/").1.text()).collect()
}

#[test]
fn a_peer_that_fails_its_checks_gets_no_requests_until_it_passes() {
    let (a, b, port) = (Moody::new("a"), Moody::new("b"), HeldPort::new());
    let health = format!(
        "{HTTP}, statuses = [\"200-299\", \"418\"], timeout = \"200ms\", host = \"well.test\", headers = {{ X-Why = \"check\" }}"
    );
    let proxy = pair(&health).var("a", a.address()).var("b", b.address()).var("admin", port.address()).start();
    eventually("checks of both", || a.checks() > 1 && b.checks() > 1);
    assert_eq!(answers(&proxy, 4), "abab");
    let check = a.backend.heads().into_iter().find(|head| head.target() == "/check?x=1").unwrap();
    assert_eq!((check.method(), check.get("host"), check.get("x-why")), ("GET", Some("well.test"), Some("check")));
    for (mood, why) in [
        (Mood::Status(503), "check: status 503"),
        (Mood::Body("all is lost"), "check: the body has no \"well\""),
        (Mood::Nonsense, "check: the answer is not HTTP"),
        (Mood::Silent, "check: no answer within 200ms"),
    ] {
        a.turns(mood);
        let ill = until(&port, a.address(), "unhealthy");
        let text = ill["last_failure"]["text"].as_str().unwrap();
        assert!(text.starts_with(why), "{mood:?}: {text}");
        assert!(ill["last_failure"]["at"].is_string() && ill["since"].is_string(), "{ill}");
        assert!(ill["checks"]["failed"].as_u64() > Some(0), "{ill}");
        assert_eq!(answers(&proxy, 5), "bbbbb", "{mood:?}");
        a.turns(Mood::Well);
        until(&port, a.address(), "up");
        assert_eq!(answers(&proxy, 6).matches('a').count(), 3, "{mood:?}");
    }
    a.turns(Mood::Status(418));
    let before = a.checks();
    eventually("more checks", || a.checks() > before + 3);
    assert_eq!(peer(&port, a.address())["state"], "up");
    let metrics = ask(&port, "/metrics");
    for (state, value) in [("up", 1), ("unhealthy", 0)] {
        let line =
            format!("tidegate_peer_state{{upstream=\"pair\",peer=\"{}\",state=\"{state}\"}} {value}", a.address());
        assert!(metrics.lines().any(|l| l == line), "no `{line}` in\n{metrics}");
    }
}

#[test]
fn where_all_are_unhealthy_nobody_is_asked() {
    let (a, b, port) = (Moody::new("a"), Moody::new("b"), HeldPort::new());
    let proxy = pair(HTTP).var("a", a.address()).var("b", b.address()).var("admin", port.address()).start();
    for one in [&a, &b] {
        one.turns(Mood::Status(500));
        until(&port, one.address(), "unhealthy");
    }
    assert_eq!(proxy.get("/").0.status(), 502);
    a.turns(Mood::Well);
    until(&port, a.address(), "up");
    assert_eq!(answers(&proxy, 2), "aa");
}

#[test]
fn a_peer_that_refuses_and_one_that_resets() {
    let (held, b, port) = (HeldPort::new(), Backend::resetting(), HeldPort::new());
    let proxy = pair(HTTP).var("a", held.address()).var("b", b.address()).var("admin", port.address()).start();
    for (address, why) in [(held.address(), "refused"), (b.address(), "")] {
        let ill = until(&port, address, "unhealthy");
        let text = ill["last_failure"]["text"].as_str().unwrap();
        assert!(text.starts_with("check: ") && text.contains(why), "{text}");
    }
    assert_eq!(proxy.get("/").0.status(), 502);
    assert!(b.heads().iter().all(|head| head.target() == "/check?x=1"));
    let _back = Backend::named_on(held.listen(), "well");
    until(&port, held.address(), "up");
    assert_eq!(answers(&proxy, 2), "wellwell");
}

/// A backend whose checks are answered as the test says, one by one.
struct Told {
    backend: Backend,
    say: Sender<u16>,
}

impl Told {
    fn new() -> Self {
        let (say, heard) = channel::<u16>();
        let heard: Mutex<Receiver<u16>> = Mutex::new(heard);
        let backend = Backend::http(move |request| {
            if !is_check(request) {
                return Response::text("a");
            }
            // The test has ended where nothing more is said.
            heard.lock().recv().map_or_else(|_| Response::new(500), Response::new)
        });
        Self { backend, say }
    }

    /// Answer the next checks so; returns when the one after them has come.
    fn answer(&self, statuses: &[u16]) {
        for status in statuses {
            let before = self.checks();
            eventually("a check", || self.checks() > 0);
            self.say.send(*status).unwrap();
            eventually("the next check", || self.checks() > before.max(1));
        }
    }

    fn checks(&self) -> usize {
        self.backend.heads().iter().filter(|head| head.target() == "/check?x=1").count()
    }
}

#[test]
fn as_many_in_a_row_as_are_wanted() {
    let (a, b, port) = (Told::new(), Moody::new("b"), HeldPort::new());
    let health = r#"path = "/check?x=1", fails = 3, passes = 2, timeout = "1m""#;
    let proxy = pair(health).var("a", a.backend.address()).var("b", b.address()).var("admin", port.address()).start();
    let state = || peer(&port, a.backend.address())["state"].as_str().unwrap().to_owned();
    assert_eq!(state(), "up", "before the first check");
    a.answer(&[200, 500, 500, 200, 500, 500]);
    assert_eq!(state(), "up");
    a.answer(&[500]);
    assert_eq!(state(), "unhealthy");
    a.answer(&[200, 500, 200]);
    assert_eq!((state().as_str(), answers(&proxy, 2).as_str()), ("unhealthy", "bb"));
    a.answer(&[200]);
    assert_eq!(state(), "up");
    drop(a.say);
}

#[test]
fn a_mandatory_check_comes_before_the_first_request() {
    let (a, b, port) = (Told::new(), Moody::new("b"), HeldPort::new());
    b.turns(Mood::Status(500));
    let health = r#"path = "/check?x=1", mandatory = true, timeout = "1m""#;
    let config = config(health);
    let mut proxy = tidegate(&config)
        .var("a", a.backend.address())
        .var("b", b.address())
        .var("admin", port.address())
        .in_process()
        .start();
    assert_eq!(peer(&port, a.backend.address())["state"], "checking");
    until(&port, b.address(), "unhealthy");
    assert_eq!(proxy.get("/").0.status(), 502);
    a.answer(&[200]);
    assert_eq!(answers(&proxy, 3), "aaa");
    // What is known goes on: neither is checked anew before it is used, or not.
    proxy.reload(&config).unwrap();
    let states = [a.backend.address(), b.address()].map(|address| peer(&port, address)["state"].clone());
    assert_eq!((states, answers(&proxy, 3).as_str()), (["up".into(), "unhealthy".into()], "aaa"));
    drop(a.say);
}

#[test]
fn a_reload_keeps_what_is_known_and_checks_by_the_new_rules() {
    let (a, b, port) = (Moody::new("a"), Moody::new("b"), HeldPort::new());
    let mut proxy =
        pair(HTTP).var("a", a.address()).var("b", b.address()).var("admin", port.address()).in_process().start();
    a.turns(Mood::Status(503));
    let before = until(&port, a.address(), "unhealthy");
    // So that no check ends.
    a.turns(Mood::Silent);
    proxy.reload(&config(&format!("{HTTP}, timeout = \"1m\""))).unwrap();
    let after = peer(&port, a.address());
    assert_eq!((&after["state"], &after["since"]), (&before["state"], &before["since"]));
    assert_eq!(answers(&proxy, 4), "bbbb");
    a.turns(Mood::Status(503));
    let seen = a.checks();
    eventually("checks after the reload", || a.checks() > seen + 1);
    proxy.reload(&config(&HTTP.replace("well", "lost"))).unwrap();
    until(&port, b.address(), "unhealthy");
    // Without checks what they found means nothing.
    let without = config(HTTP).lines().filter(|line| !line.contains("health =")).collect::<Vec<_>>().join("\n");
    proxy.reload(&without).unwrap();
    assert_eq!(peer(&port, a.address())["state"], "up");
    assert_eq!(answers(&proxy, 4).matches('a').count(), 2);
}

#[test]
fn a_tcp_check_sends_and_expects() {
    let banner = Arc::new(Mutex::new("READY 1\n"));
    let said = Arc::clone(&banner);
    let a = Backend::script(move |mut wire, _| {
        // A check that was cut off by the end of the test says nothing.
        if wire.has_more() {
            wire.expect("PING\n");
            let text = *said.lock();
            // In two pieces.
            let _gone = wire.try_send(&text[..3]).and_then(|()| wire.try_send(&text[3..]));
        }
    });
    let (b, port) = (HeldPort::new(), HeldPort::new());
    let health = r#"kind = "tcp", send = "PING\n", contains = "READY", matches = "[0-9]+\\s""#;
    let _proxy = pair(health).var("a", a.address()).var("b", b.address()).var("admin", port.address()).start();
    until(&port, b.address(), "unhealthy");
    wait_for("a check that passes", || (peer(&port, a.address())["checks"]["passed"].as_u64() > Some(1)).then_some(()));
    assert_eq!(peer(&port, a.address())["state"], "up");
    *banner.lock() = "READY x\n";
    let ill = until(&port, a.address(), "unhealthy");
    assert_eq!(ill["last_failure"]["text"], "check: what it sent has no \"[0-9]+\\\\s\"");
    *banner.lock() = "READY 22\n";
    until(&port, a.address(), "up");
}

#[test]
fn a_websocket_check_is_a_whole_handshake_and_a_clean_close() {
    let (keys, closed) = (Arc::new(Mutex::new(HashSet::new())), Arc::new(Mutex::new(0)));
    let accept = Arc::new(Mutex::new(true));
    let (seen, ends, accepts) = (Arc::clone(&keys), Arc::clone(&closed), Arc::clone(&accept));
    let a = Backend::script(move |mut wire, _| {
        let Some(head) = wire.try_read_head() else { return };
        assert_eq!((head.target(), head.get("origin")), ("/ws", Some("https://check.test")));
        assert_eq!(head.get("sec-websocket-version"), Some("13"));
        assert!(head.lists("connection", "upgrade") && head.get("upgrade") == Some("websocket"), "{head:?}");
        let key = head.get("sec-websocket-key").unwrap().to_owned();
        assert!(seen.lock().insert(key.clone()), "a key comes once");
        let key = if *accepts.lock() { key.as_str() } else { ws::KEY };
        if wire.try_send(ws::switching(key, "Sec-WebSocket-Protocol: chat\r\n")).is_err() || key == ws::KEY {
            return;
        }
        if wire.has_more() {
            assert_eq!(wire.read_frame(), Frame::close(1000));
            let _gone = wire.try_send(Frame::close(1000).bytes());
            *ends.lock() += 1;
        }
    });
    // A plain 200 to a handshake.
    let (b, port) = (Backend::named("b"), HeldPort::new());
    let health = r#"kind = "websocket", path = "/ws", origin = "https://check.test", subprotocol = "chat""#;
    let proxy = pair(health).var("a", a.address()).var("b", b.address()).var("admin", port.address()).start();
    let ill = until(&port, b.address(), "unhealthy");
    assert_eq!(ill["last_failure"]["text"], "check: the handshake is not answered with 101");
    eventually("checks that end cleanly", || *closed.lock() > 2);
    assert_eq!(peer(&port, a.address())["state"], "up");
    *accept.lock() = false;
    let ill = until(&port, a.address(), "unhealthy");
    assert_eq!(ill["last_failure"]["text"], "check: Sec-WebSocket-Accept does not answer the key");
    *accept.lock() = true;
    until(&port, a.address(), "up");
    drop(proxy);
}

/// A tunnel over a peer whose checks go to another port.
fn tunnel(on_unhealthy: &str) -> (Backend, Moody, HeldPort, Proxy) {
    let (echo, moody, port) = (Backend::ws_echo(), Moody::new("check"), HeldPort::new());
    let health = format!("{HTTP}, port = {}, {on_unhealthy}", moody.address().port());
    let proxy = pair(&health).var("a", echo.address()).var("b", "127.0.0.1:1").var("admin", port.address()).start();
    (echo, moody, port, proxy)
}

#[test]
fn tunnels_of_an_unhealthy_peer_are_kept() {
    let (echo, moody, port, proxy) = tunnel("fails = 1");
    let mut wire = proxy.open("/ws");
    wire.echo(&Frame::text("before"));
    moody.turns(Mood::Status(500));
    until(&port, echo.address(), "unhealthy");
    let checks = moody.checks();
    eventually("more checks", || moody.checks() > checks + 3);
    wire.echo(&Frame::text("after"));
    assert_eq!(proxy.ask(ws::handshake("/ws", "")).0.status(), 502, "no new ones");
}

#[test]
fn or_closed() {
    let (echo, moody, port, proxy) = tunnel(r#"on_unhealthy = "close""#);
    let mut wires: Vec<_> = (0..3).map(|_| proxy.open("/ws")).collect();
    wires.iter_mut().for_each(|wire| wire.echo(&Frame::text("before")));
    moody.turns(Mood::Status(500));
    wires.iter_mut().for_each(|wire| wire.expect_close());
    until(&port, echo.address(), "unhealthy");
    eventually("the lines", || proxy.read_file("end.log").matches("tunnel.peer_unhealthy proxy\n").count() == 3);
    moody.turns(Mood::Well);
    until(&port, echo.address(), "up");
    proxy.open("/ws").echo(&Frame::text("again"));
}

#[test]
fn each_change_of_state_is_logged_with_its_reason() {
    let (a, b, port) = (Moody::new("a"), Moody::new("b"), HeldPort::new());
    let mut proxy =
        pair(HTTP).var("a", a.address()).var("b", b.address()).var("admin", port.address()).binary().start();
    a.turns(Mood::Status(503));
    until(&port, a.address(), "unhealthy");
    a.turns(Mood::Well);
    until(&port, a.address(), "up");
    let said = |proxy: &mut Proxy, what: &str, why: &str| {
        let lines = proxy.process().stderr();
        let mine = |line: &&str| line.contains(what) && line.contains(&a.address().to_string()) && line.contains(why);
        lines.lines().filter(mine).count()
    };
    eventually("the lines", || said(&mut proxy, "peer is healthy", "") == 1);
    assert_eq!(said(&mut proxy, "peer is unhealthy", "status 503"), 1);
}

#[test]
fn or_given_time() {
    let (echo, moody, port, proxy) = tunnel(r#"on_unhealthy = "drain", drain = "600ms""#);
    let mut wire = proxy.open("/ws");
    wire.echo(&Frame::text("before"));
    moody.turns(Mood::Status(500));
    until(&port, echo.address(), "unhealthy");
    moody.turns(Mood::Well);
    until(&port, echo.address(), "up");
    let checks = moody.checks();
    // Longer than the time that they would have had.
    eventually("checks for longer", || moody.checks() > checks + 35);
    wire.echo(&Frame::text("it is well again"));
    moody.turns(Mood::Status(500));
    wire.expect_close();
    assert_eq!(peer(&port, echo.address())["state"], "unhealthy");
    eventually("the line", || proxy.read_file("end.log").contains("tunnel.peer_unhealthy proxy\n"));
}
