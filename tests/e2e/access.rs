//! Access that lasts: tunnels end with their grants, by time, by a revocation, and when they are
//! asked about again. The guest is the frozen `granter`, which grants what requests say.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidegate_tests::guests::guest;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Head, Noise, Proxy, Wire, eventually, patience, tidegate, wait_for};

/// A proxy with the granter before `/`, and before `/seen` with a plugin that sees every message.
struct Guarded {
    proxy: Proxy,
    admin: HeldPort,
}

impl Guarded {
    fn before(backend: &Backend, route: &str) -> Self {
        let admin = HeldPort::new();
        let text = format!(
            "[server]\nworkers = 1\n[admin]\naddress = \"{}\"\nrevoke = true\n\
             [plugins.granter]\ncomponent = \"%granter%\"\n[plugins.looks]\ncomponent = \"%messenger%\"\n\
             config = {{ interest = [\"text-up\"] }}\n\
             [log_formats.grant]\ntemplate = \"$grant_subject|$grant_tags|$who|$cause|$tunnel_close_code|$closed_by\"\n\
             [[sites]]\naccess_log = {{ path = \"access.log\", format = \"grant\" }}\n\
             [[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nplugins = [\"granter\"]\n{route}\n\
             [[sites.routes]]\nmatch = \"/seen\"\nupstream = \"%backend%\"\nplugins = [\"granter\", \"looks\"]\n{route}\n",
            admin.address()
        );
        let setup = tidegate(&text).var("granter", guest("granter")).var("messenger", guest("messenger"));
        Self { proxy: setup.var("backend", backend.address()).start(), admin }
    }

    /// Ask for a tunnel with these header lines.
    fn ask(&self, path: &str, lines: &str) -> Wire {
        let mut wire = self.proxy.connect();
        wire.send(ws::handshake(path, lines));
        wire
    }

    #[track_caller]
    fn open(&self, path: &str, lines: &str) -> Wire {
        let mut wire = self.ask(path, lines);
        assert_eq!(wire.read_head().status(), 101);
        wire
    }

    fn admin(&self, request: &str) -> (Head, String) {
        let mut wire = Wire::connect(self.admin.address());
        wire.send(format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n"));
        let (head, body) = wire.read_response();
        (head, body.text().to_owned())
    }

    #[track_caller]
    fn revoke(&self, query: &str) -> String {
        let (head, body) = self.admin(&format!("POST /tunnels/revoke?{query} HTTP/1.1\r\nContent-Length: 0"));
        assert_eq!(head.status(), 200, "{body}");
        body.trim().to_owned()
    }

    #[track_caller]
    fn metric(&self, line: &str) {
        let has = || self.admin("GET /metrics HTTP/1.1").1.lines().any(|found| found == line);
        eventually(line, has);
    }

    /// The lines of the access log once there are so many.
    #[track_caller]
    fn log(&self, lines: usize) -> Vec<String> {
        wait_for("lines of the access log", || {
            let text = self.proxy.read_file("access.log");
            let whole = text.ends_with('\n') && text.lines().count() >= lines;
            whole.then(|| text.lines().map(str::to_owned).collect())
        })
    }
}

fn closing(code: u16, reason: &str) -> Frame {
    let mut frame = Frame::close(code);
    frame.payload.extend_from_slice(reason.as_bytes());
    frame
}

/// A backend whose ends of tunnels the test holds, and which says when it was asked.
struct Held {
    backend: Backend,
    wires: Receiver<(Wire, Sender<()>)>,
}

impl Held {
    fn new() -> Self {
        let (sender, wires) = channel();
        let sender = Mutex::new(sender);
        let backend = Backend::script(move |mut wire, _| {
            wire.read_head();
            let (held, until) = channel();
            sender.lock().send((wire, held)).unwrap();
            let _let_go = until.recv();
        });
        Self { backend, wires }
    }

    /// The next handshake: not answered yet.
    fn next(&self) -> (Wire, Sender<()>) {
        self.wires.recv_timeout(patience()).expect("a handshake at the backend")
    }
}

const EXPIRED: &str = "access expired";

#[test]
fn a_tunnel_is_closed_when_its_grant_is_over() {
    for path in ["/", "/seen"] {
        let backend = Backend::ws_echo();
        let guarded = Guarded::before(&backend, "access_close_code = 4008");
        let since = Instant::now();
        let mut client = guarded.open(path, "X-Subject: ann\r\nX-Tags: a,b\r\nX-Expires: 600\r\n");
        client.echo(&Frame::text("hello"));
        assert_eq!(client.read_frame(), closing(4008, EXPIRED), "{path}");
        assert!(since.elapsed() >= Duration::from_millis(590), "{:?}", since.elapsed());
        client.send(Frame::close(4008).masked());
        // The upstream has answered its own.
        client.expect_end();
        assert_eq!(guarded.log(1), ["ann|a,b|granter|tunnel.expired|4008|proxy"]);
        assert_eq!(backend.only_head().get("x-subject"), None);
        guarded.metric("tidegate_grants_ended_total{cause=\"expired\"} 1");
        guarded.metric("tidegate_tunnels_open 0");
    }
}

/// What binds may also be how long it lives; a grant that binds to nothing changes nothing, and what
/// is said beside no grant has no effect.
#[test]
fn a_lifetime_ends_a_tunnel_and_no_terms_do_not() {
    let backend = Backend::ws_echo();
    let guarded = Guarded::before(&backend, "");
    let mut refused = guarded.open("/", "X-Subject: ann\r\nX-Expires: 1\r\nX-Refuse: 1\r\n");
    let mut unbound = guarded.open("/", "");
    let mut client = guarded.open("/", "X-Subject: bob\r\nX-Lifetime: 300\r\n");
    assert_eq!(client.read_frame(), closing(1008, EXPIRED));
    drop(client);
    for other in [&mut refused, &mut unbound] {
        other.echo(&Frame::text("still here"));
    }
    // The grant of a request is over when it is answered.
    let (head, _) = guarded.proxy.ask("GET / HTTP/1.1\r\nHost: x\r\nX-Subject: a\r\nX-Expires: 1\r\n\r\n");
    assert_eq!(head.status(), 200);
}

/// The frame that is going on is let through to its end, whatever comes behind it, and the close frame
/// stands after it; also where its payload is spliced.
#[test]
fn a_frame_that_has_begun_is_let_through() {
    for (path, size) in [("/", 100), ("/", 3_000_000), ("/seen", 3_000_000)] {
        let held = Held::new();
        let guarded = Guarded::before(&held.backend, "");
        let mut client = guarded.ask(path, "X-Subject: ann\r\n");
        let (mut upstream, _held) = held.next();
        upstream.send(ws::switching(ws::KEY, ""));
        client.read_head();
        let mut noise = Noise::new(7);
        // What nobody looks at may be anything.
        let opcode = if path == "/" { 3 } else { ws::BINARY };
        let frame = Frame { fin: true, opcode, payload: noise.take(size) };
        let bytes = frame.bytes();
        let (first, rest) = bytes.split_at(bytes.len() - 10);
        upstream.send(first);
        client.expect(first);
        assert_eq!(guarded.revoke("subject=ann&code=4001&reason=bye"), "{\"closed\":1}");
        if path == "/" {
            // The other way is between frames: its side is told at once. A relay tells both together.
            assert_eq!(upstream.read_frame(), closing(4001, "bye"));
        }
        upstream.send(rest);
        upstream.send(Frame::text("too late").bytes());
        client.expect(rest);
        if path != "/" {
            assert_eq!(upstream.read_frame(), closing(4001, "bye"));
        }
        assert_eq!(client.read_frame(), closing(4001, "bye"));
        client.send(Frame::text("not delivered").masked());
        client.send(Frame::close(4001).masked());
        upstream.send(Frame::close(4001).bytes());
        client.expect_end();
        upstream.expect_end();
        assert_eq!(guarded.log(1), ["ann||granter|tunnel.revoked|4001|proxy"]);
    }
}

/// Who has said goodbye already is told nothing more.
#[test]
fn a_close_frame_that_went_before_is_the_last() {
    let held = Held::new();
    let guarded = Guarded::before(&held.backend, "");
    let mut client = guarded.ask("/", "X-Subject: ann\r\n");
    let (mut upstream, _held) = held.next();
    upstream.send(ws::switching(ws::KEY, ""));
    client.read_head();
    client.send(Frame::close(1000).masked());
    assert_eq!(upstream.read_frame(), Frame::close(1000));
    guarded.revoke("subject=ann");
    assert_eq!(client.read_frame(), closing(1008, ""));
    upstream.send(Frame::close(1000).bytes());
    upstream.expect_end();
    client.expect_end();
}

#[test]
fn a_revocation_closes_those_that_it_names() {
    for path in ["/", "/seen"] {
        let backend = Backend::ws_echo();
        let guarded = Guarded::before(&backend, "");
        let mut ann = guarded.open(path, "X-Subject: ann\r\nX-Tags: staff,night\r\n");
        let mut bob = guarded.open(path, "X-Subject: bob\r\nX-Tags: staff\r\n");
        let mut cid = guarded.open(path, "X-Subject: cid\r\n");
        assert_eq!(guarded.revoke("tag=ann"), "{\"closed\":0}");
        assert_eq!(guarded.revoke("subject=ann&reason=gone"), "{\"closed\":1}");
        assert_eq!(ann.read_frame(), closing(1008, "gone"));
        for other in [&mut bob, &mut cid] {
            other.echo(&Frame::text("still here"));
        }
        let mut ann = guarded.open(path, "X-Subject: ann\r\nX-Tags: staff\r\n");
        ann.echo(&Frame::text("back again"));
        assert_eq!(guarded.revoke("tag=staff&code=3000"), "{\"closed\":2}");
        for gone in [&mut ann, &mut bob] {
            assert_eq!(gone.read_frame(), Frame::close(3000));
            gone.send(Frame::close(3000).masked());
            gone.expect_end();
        }
        cid.echo(&Frame::text("still here"));
        guarded.metric("tidegate_grants_ended_total{cause=\"revoked\"} 3");
        assert_eq!(guarded.revoke("tag=staff"), "{\"closed\":0}", "nothing is left of them");
    }
}

/// Granted, and the upstream has not answered: neither the handshake nor a tunnel comes of it.
#[test]
fn what_is_revoked_before_it_opened_does_not_open() {
    let held = Held::new();
    let guarded = Guarded::before(&held.backend, "");
    let mut client = guarded.ask("/", "X-Subject: ann\r\nX-Tags: x\r\n");
    let (mut upstream, _held) = held.next();
    assert_eq!(guarded.revoke("tag=x"), "{\"closed\":1}");
    upstream.send(ws::switching(ws::KEY, ""));
    assert_eq!(client.read_response().0.status(), 403);
    upstream.expect_end();
    assert_eq!(guarded.log(1), ["ann|x|granter|access.revoked|-|proxy"]);
    // And what is granted after that is another matter.
    let mut client = guarded.ask("/", "X-Subject: ann\r\nX-Tags: x\r\n");
    let (mut upstream, _held) = held.next();
    upstream.send(ws::switching(ws::KEY, ""));
    assert_eq!(client.read_head().status(), 101);
}

/// Wherever the revocation falls, no tunnel of that name is left open.
#[test]
fn handshakes_and_a_revocation_race() {
    let backend = Backend::ws_echo();
    let guarded = Guarded::before(&backend, "");
    for round in 0..20 {
        let mut clients: Vec<_> = (0..8).map(|_| guarded.ask("/", &format!("X-Subject: s{round}\r\n"))).collect();
        guarded.revoke(&format!("subject=s{round}"));
        // Those that were not granted yet are told by the second.
        let statuses: Vec<_> = clients.iter_mut().map(|client| client.read_head().status()).collect();
        guarded.revoke(&format!("subject=s{round}"));
        for (mut client, status) in clients.into_iter().zip(statuses) {
            if status == 101 {
                assert_eq!(client.read_frame(), closing(1008, ""));
            } else {
                assert_eq!(status, 403);
            }
        }
    }
    guarded.metric("tidegate_tunnels_open 0");
}

#[test]
fn who_granted_is_asked_again_in_time() {
    for path in ["/", "/seen"] {
        let backend = Backend::ws_echo();
        let guarded = Guarded::before(&backend, "reauthorize = \"300ms\"");
        let lines = |renew: &str| format!("X-Subject: {renew}\r\nX-Expires: 500\r\nX-Renew: {renew}\r\n");
        let since = Instant::now();
        let mut renewed = guarded.open(path, &lines("600,700,forever"));
        let mut denied = guarded.open(path, &lines("deny"));
        let mut no_opinion = guarded.open(path, &lines("next"));
        for client in [&mut denied, &mut no_opinion] {
            assert_eq!(client.read_frame(), closing(1008, "access refused"));
        }
        assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
        guarded.metric("tidegate_grants_ended_total{cause=\"denied\"} 2");
        guarded.metric("tidegate_grants_renewals_total{outcome=\"granted\"} 3");
        assert!(since.elapsed() >= Duration::from_millis(800), "the third grant is asked for later");
        renewed.echo(&Frame::text("still here"));
        let causes: Vec<_> = guarded.log(2);
        assert_eq!(causes.iter().filter(|line| line.contains("|tunnel.denied|1008|proxy")).count(), 2, "{causes:?}");
        // What it was bound to by its last grant is what it is bound to.
        assert_eq!(guarded.revoke("subject=600,700,forever"), "{\"closed\":1}");
        assert_eq!(renewed.read_frame(), closing(1008, ""));
    }
}

/// A failure leaves the grant as it is: it ends when it ends. A plugin that fails open has no
/// objection.
#[test]
fn who_fails_when_asked_again_is_believed_as_long_as_said() {
    let backend = Backend::ws_echo();
    let guarded = Guarded::before(&backend, "reauthorize = \"300ms\"");
    let lines = "X-Subject: a\r\nX-Expires: 500\r\nX-Renew: trap\r\n";
    let since = Instant::now();
    let mut client = guarded.open("/", lines);
    assert_eq!(client.read_frame(), closing(1008, EXPIRED));
    assert!(since.elapsed() >= Duration::from_millis(490), "{:?}", since.elapsed());
    guarded.metric("tidegate_grants_ended_total{cause=\"expired\"} 1");
    let text = "[server]\nworkers = 1\n[plugins.granter]\ncomponent = \"%granter%\"\non_failure = \"open\"\n\
                [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nplugins = [\"granter\"]\n\
                reauthorize = \"100ms\"\n";
    let proxy = tidegate(text).var("granter", guest("granter")).var("backend", backend.address()).start();
    let mut client = proxy.connect();
    client.send(ws::handshake("/", lines));
    assert_eq!(client.read_head().status(), 101);
    while since.elapsed() < Duration::from_millis(1600) {
        client.echo(&Frame::text("still here"));
    }
}

#[test]
fn a_message_that_is_longer_than_granted_closes() {
    for path in ["/", "/seen"] {
        let held = Held::new();
        let guarded = Guarded::before(&held.backend, "");
        let mut client = guarded.ask(path, "X-Subject: ann\r\nX-Max-Message: 10\r\n");
        let (mut upstream, _held) = held.next();
        upstream.send(ws::switching(ws::KEY, ""));
        client.read_head();
        let mut bytes = Frame::binary(&[1; 10]).masked();
        bytes.extend(Frame::binary(&[2; 4]).masked());
        bytes.extend(Frame::binary(&[3; 11]).masked());
        client.send(bytes);
        // What came before it goes on.
        assert_eq!(upstream.read_frame(), Frame::binary(&[1; 10]));
        assert_eq!(upstream.read_frame(), Frame::binary(&[2; 4]));
        assert_eq!(upstream.read_frame(), Frame::close(1001), "{path}");
        assert_eq!(client.read_frame(), closing(1009, "the message is too large"), "{path}");
        client.send(Frame::close(1009).masked());
        client.finish();
        upstream.send(Frame::close(1001).bytes());
        client.expect_end();
        upstream.expect_end();
        assert_eq!(guarded.log(1), ["ann||granter|tunnel.too_large|1009|proxy"]);
    }
}

/// The upstream has its say when a client is at fault, but not where the grant is revoked meanwhile.
#[test]
fn a_revocation_is_the_end_of_last_words() {
    let held = Held::new();
    let guarded = Guarded::before(&held.backend, "");
    let mut client = guarded.ask("/seen", "X-Subject: ann\r\n");
    let (mut upstream, _held) = held.next();
    upstream.send(ws::switching(ws::KEY, ""));
    client.read_head();
    client.send([0xC1, 0x80, 0, 0, 0, 0]);
    assert_eq!(upstream.read_frame(), Frame::close(1001));
    guarded.revoke("subject=ann");
    upstream.send([Frame::text("too late").bytes(), Frame::close(1001).bytes()].concat());
    assert_eq!(client.read_frame(), closing(1002, "a reserved bit is set"));
    client.finish();
    client.expect_end();
    upstream.expect_end();
    assert_eq!(guarded.log(1), ["ann||granter|tunnel.bad_frame|1002|proxy"]);
}

/// Neither side answers: the tunnel ends all the same.
#[test]
fn silent_sides_are_not_waited_for_long() {
    let held = Held::new();
    let guarded = Guarded::before(&held.backend, "");
    let mut client = guarded.ask("/", "X-Subject: ann\r\nX-Expires: 50\r\n");
    let (mut upstream, _held) = held.next();
    upstream.send(ws::switching(ws::KEY, ""));
    client.read_head();
    assert_eq!(client.read_frame(), closing(1008, EXPIRED));
    assert_eq!(upstream.read_frame(), closing(1008, EXPIRED));
    client.expect_end();
    upstream.expect_end();
}

/// What is no WebSocket has no frames: its connection ends.
#[test]
fn another_protocol_is_cut() {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\nhello");
        wire.expect_end();
    });
    let guarded = Guarded::before(&backend, "upgrade = [\"other\"]");
    let mut client = guarded.proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: other\r\nConnection: Upgrade\r\nX-Subject: ann\r\n\r\n");
    assert_eq!(client.read_head().status(), 101);
    client.expect("hello");
    assert_eq!(guarded.revoke("subject=ann"), "{\"closed\":1}");
    client.expect_end();
    backend.join();
}

#[test]
fn tunnels_are_revoked_by_operators_only() {
    let backend = Backend::ws_echo();
    let guarded = Guarded::before(&backend, "");
    let mut client = guarded.open("/", "X-Subject: ann\r\n");
    let asked = |request: &str| guarded.admin(request).0.status();
    assert_eq!(asked("GET /tunnels/revoke?subject=ann HTTP/1.1"), 405);
    let page = "POST /tunnels/revoke?subject=ann HTTP/1.1\r\nContent-Length: 0\r\nOrigin: https://evil.example";
    assert_eq!(asked(page), 403);
    for query in ["", "?subject=", "?who=ann", "?subject=ann&code=1005"] {
        assert_eq!(asked(&format!("POST /tunnels/revoke{query} HTTP/1.1\r\nContent-Length: 0")), 400, "{query}");
    }
    client.echo(&Frame::text("still here"));
    let admin = HeldPort::new();
    let text = format!("[admin]\naddress = \"{}\"\n[[sites]]\nrespond = {{ body = \"x\" }}\n", admin.address());
    let _proxy = tidegate(&text).start();
    let mut wire = Wire::connect(admin.address());
    wire.send("POST /tunnels/revoke?subject=ann HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.read_response().0.status(), 404, "unless it is switched on");
}
