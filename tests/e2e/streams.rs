//! Streams: which connections are passed on, what of them reaches the peer, and the one port that
//! serves both streams and sites.

use std::io::Write as _;
use std::time::Duration;

use tidegate_tests::hello::{hello, in_records};
use tidegate_tests::ws::Frame;
use tidegate_tests::{Authority, Backend, Proxy, Setup, TlsClient, Wire, front, tidegate, wait_for};

/// A peer that says what it is called and then sends back what it gets, until the client ends.
pub(crate) fn echo(name: &'static str) -> Backend {
    Backend::script(move |mut wire, _| {
        while let Ok(piece) = wire.try_read() {
            if piece.is_empty() || wire.try_send([name.as_bytes(), &piece].concat()).is_err() {
                return;
            }
        }
    })
}

/// Everything that comes back must be what was sent, behind the peer's name, in whatever pieces.
#[track_caller]
pub(crate) fn reaches(wire: &mut Wire, name: &str, sent: &[u8]) {
    let mut came = Vec::new();
    while came.len() < sent.len() {
        let piece = wire.try_read().unwrap();
        assert!(!piece.is_empty(), "the stream ended after {} of {} bytes", came.len(), sent.len());
        // Each piece of the peer's has its name in front; pieces may come together.
        let mut rest = &piece[..];
        while let Some(at) = rest.windows(name.len()).position(|window| window == name.as_bytes()) {
            came.extend_from_slice(&rest[..at]);
            rest = &rest[at + name.len()..];
        }
        came.extend_from_slice(rest);
    }
    assert_eq!(came, sent);
}

/// Streams alone, on a plain port: by name to `a`, all else to `rest`.
fn by_name() -> (Backend, Backend, Proxy) {
    let (a, rest) = (echo("<a>"), echo("<rest>"));
    let text = r#"
        [[streams]]
        names = ["a.test", "*.b.test"]
        upstream = "%a%"
        [[streams]]
        upstream = "%rest%"
        [[listeners]]
        address = "127.0.0.1:0"
        preread_timeout = "1h"
    "#;
    let proxy = tidegate(text).var("a", a.address()).var("rest", rest.address()).start();
    (a, rest, proxy)
}

#[test]
fn a_hello_reaches_the_peer_byte_for_byte() {
    let (_a, _rest, proxy) = by_name();
    let modern = hello("a.test", &["h2"]);
    assert!(modern.len() > 1460, "a post-quantum hello is more than one segment");
    for (name, sent) in [
        ("<a>", modern.clone()),
        ("<a>", hello("x.B.test", &[])),
        ("<a>", in_records(&modern, 1000)),
        ("<a>", in_records(&modern, 40)),
        ("<rest>", hello("b.test", &[])),
        ("<rest>", hello("192.0.2.1", &[])),
        ("<rest>", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("<rest>", b"\x16\x03\x01\x00\x05hello".to_vec()),
        ("<rest>", b"\x16\x02\xff".to_vec()),
    ] {
        let mut wire = proxy.connect();
        wire.send(&sent);
        reaches(&mut wire, name, &sent);
        // And whatever comes after it.
        wire.send([b'x'; 100_000]);
        reaches(&mut wire, name, &[b'x'; 100_000]);
    }
}

#[test]
fn a_hello_may_come_byte_by_byte() {
    let (a, _rest, proxy) = by_name();
    let hello = hello("a.test", &[]);
    let mut wire = proxy.connect();
    for (at, byte) in hello.iter().enumerate() {
        assert_eq!(a.connections(), 0, "after {at} bytes");
        wire.send([*byte]);
    }
    reaches(&mut wire, "<a>", &hello);
}

/// A peer that hears nothing of a client that leaves in the middle of its hello.
#[test]
fn a_client_may_leave_before_it_has_asked() {
    let (a, rest, proxy) = by_name();
    let hello = hello("a.test", &[]);
    for part in [&hello[..0], &hello[..1], &hello[..700]] {
        let mut wire = proxy.connect();
        wire.send(part);
        wire.finish();
        wire.expect_end();
        let mut wire = proxy.connect();
        wire.send(part);
        wire.reset();
    }
    let mut wire = proxy.connect();
    wire.send(&hello);
    reaches(&mut wire, "<a>", &hello);
    assert_eq!((a.connections(), rest.connections()), (1, 0));
}

#[test]
fn lengths_of_a_hello_are_not_believed() {
    let (a, rest, proxy) = by_name();
    for (hostile, is_closed) in [
        // A record, and a message, longer than any.
        (&b"\x16\x03\x01\xff\xff"[..], true),
        (b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", true),
        // An empty record, a message that is no hello, a hello of nothing: no TLS.
        (b"\x16\x03\x01\x00\x00", false),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", false),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", false),
    ] {
        let mut wire = proxy.connect();
        wire.send(hostile);
        if is_closed {
            wire.expect_end();
        } else {
            reaches(&mut wire, "<rest>", hostile);
        }
    }
    // A hello in records of one byte each.
    let mut wire = proxy.connect();
    let _ = wire.try_send(in_records(&hello("a.test", &[]), 1));
    wire.expect_end();
    assert_eq!((a.connections(), rest.connections()), (0, 3));
}

#[test]
fn a_hello_that_does_not_come_is_not_waited_for_any_longer() {
    let (a, log) = (echo("<a>"), "%dir%/access.log");
    let text = format!(
        "[[streams]]\nnames = [\"a.test\"]\nupstream = \"%a%\"\naccess_log = {{ path = \"{log}\" }}\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\npreread_timeout = \"100ms\"\n"
    );
    let proxy = tidegate(&text).var("a", a.address()).start();
    let mut silent = proxy.connect();
    let mut slow = proxy.connect();
    slow.send(&hello("a.test", &[])[..300]);
    silent.expect_end();
    slow.expect_end();
    let lines = wait_for("two lines", || {
        let log = proxy.read_file("access.log");
        (log.lines().count() == 2).then_some(log)
    });
    assert!(
        lines.lines().all(|line| line.contains(" TCP 200 0 0 0.1") && line.ends_with("cause=stream.hello_timeout")),
        "{lines}"
    );
    assert_eq!(a.connections(), 0);
}

/// One port with TLS: a site, and streams.
fn mixed(authority: &Authority, more: &str) -> Setup {
    let text = format!(
        r#"
        [server]
        workers = 1
        cache_dir = "%cache%"
        [[listeners]]
        address = "127.0.0.1:0"
        tls = {{ handshake_timeout = "1h", max_handshakes = 2 }}
        [[streams]]
        names = ["passed.test", "*.wild.test"]
        upstream = "%passed%"
        {more}
        [[sites]]
        names = ["site.test", "mine.wild.test"]
        tls = {{ certificate = "site.pem", key = "site.key" }}
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        "#
    );
    let site = authority.issue(&["site.test", "mine.wild.test", "other.test"]);
    tidegate(&text).file("site.pem", site.certificate).file("site.key", site.key)
}

/// Names that are passed on show the peer's certificate, others the site's: both are signed by
/// their own authority, so that a wrong one fails the handshake.
#[test]
fn one_port_passes_on_and_terminates() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let backend = Backend::ws_echo();
    let certified = theirs.issue(&["passed.test", "a.wild.test", "b.wild.test"]);
    let front = front::tls(&certified).before(backend.address());
    let proxy = mixed(&ours, "").var("passed", front.address()).var("backend", backend.address()).start();
    for (authority, names) in [(&theirs, ["passed.test", "a.wild.test"]), (&ours, ["site.test", "mine.wild.test"])] {
        for name in names {
            for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
                let client = TlsClient::with(authority, name, &[version], None);
                let mut wire = client.connect(proxy.address());
                wire.upgrade("/ws");
                wire.echo(&Frame::text("through either"));
                wire.echo(&Frame::binary(&vec![7; 300_000]));
                wire.echo(&Frame::close(1000));
                wire.expect_close();
            }
        }
    }
    let names: Vec<_> = front.handshakes().into_iter().map(|shaken| shaken.unwrap().name.unwrap()).collect();
    assert_eq!(names, ["passed.test", "passed.test", "a.wild.test", "a.wild.test"]);
    // Without a name, and with one that nobody has: the default site's certificate.
    TlsClient::new(&ours, "other.test").connect(proxy.address());
    let why = TlsClient::new(&ours, "127.0.0.1").try_connect(proxy.address()).unwrap_err();
    assert!(why.contains("not valid for name"), "{why}");
    // Plain HTTP where TLS is spoken, and what is nothing at all.
    let (head, _) = proxy.get("/");
    assert_eq!(head.status(), 400);
    assert_eq!(front.handshakes().len(), 4);
}

/// What a listener with TLS cannot read is rustls's to refuse, which tells the client where the
/// record is wrong, and lets go of one whose message is.
#[test]
fn a_hostile_hello_where_tls_is_terminated_is_refused() {
    let (authority, backend) = (Authority::new(), Backend::named("nobody asks"));
    let proxy = mixed(&authority, "").var("passed", backend.address()).var("backend", backend.address()).start();
    for hostile in [&b"\x16\x03\x01\xff\xff"[..], b"\x16\x03\x01\x00\x00"] {
        let mut wire = proxy.connect();
        wire.send(hostile);
        assert_eq!(wire.read_exact(3), [21, 3, 3], "an alert for {}", hostile.escape_ascii());
    }
    let mut wire = proxy.connect();
    wire.send(b"\x16\x03\x01\x00\x04\x01\xff\xff\xff");
    wire.expect_end();
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_slow_hello_is_a_handshake_under_way() {
    let (authority, backend) = (Authority::new(), Backend::ws_echo());
    let proxy = mixed(&authority, "").var("passed", backend.address()).var("backend", backend.address()).start();
    // As many as may be under way at once.
    let mut slow: Vec<Wire> = (0..2).map(|_| proxy.connect()).collect();
    slow.iter_mut().for_each(|wire| wire.send(&hello("site.test", &[])[..700]));
    let mut third = proxy.connect();
    third.send(hello("site.test", &["http/1.1"]));
    third.expect_silence(Duration::from_millis(200));
    drop(slow.pop());
    assert_eq!(third.read_exact(3), [22, 3, 3], "a ServerHello");
}

#[test]
fn the_default_takes_tls_that_nobody_else_has() {
    let (authority, other) = (Authority::new(), echo("<default>"));
    let (acme, backend) = (echo("<acme>"), Backend::ws_echo());
    let more = r#"
        [[streams]]
        name = "others"
        default = true
        upstream = "%default%"
        [[streams]]
        names = ["site.test", "passed.test"]
        alpn = ["acme-tls/1"]
        upstream = "%acme%"
    "#;
    let setup = mixed(&authority, more).var("default", other.address()).var("acme", acme.address());
    let proxy = setup.var("passed", backend.address()).var("backend", backend.address()).start();
    for (name, alpn, to) in [
        ("nobody.test", &[][..], "<default>"),
        ("192.0.2.7", &[], "<default>"),
        ("nobody.test", &["acme-tls/1"], "<default>"),
        ("site.test", &["acme-tls/1"], "<acme>"),
        ("passed.test", &["h2", "acme-tls/1"], "<acme>"),
    ] {
        let sent = hello(name, alpn);
        let mut wire = proxy.connect();
        wire.send(&sent);
        reaches(&mut wire, to, &sent);
    }
    let mut wire = TlsClient::new(&authority, "site.test").connect(proxy.address());
    wire.upgrade("/ws");
    wire.echo(&Frame::text("terminated"));
    assert_eq!(proxy.get("/").0.status(), 400, "no TLS");
}

/// Where nothing is looked at, a server may speak first.
#[test]
fn plain_tcp_goes_both_ways() {
    let backend = Backend::script(|mut wire, _| {
        wire.send("220 hello\r\n");
        assert_eq!(wire.read_line(), "EHLO x");
        wire.send("250 ok\r\n");
        wire.expect_close();
    });
    let proxy = tidegate("[[streams]]\nupstream = \"%backend%\"\n").var("backend", backend.address()).start();
    let mut wire = proxy.connect();
    wire.expect("220 hello\r\n");
    wire.send("EHLO x\r\n");
    wire.expect("250 ok\r\n");
    wire.finish();
    wire.expect_close();
}

/// nginx's `listen … ssl` of `stream`.
#[test]
fn tls_is_terminated_where_the_listener_has_it() {
    let authority = Authority::new();
    let server = authority.issue(&["db.test"]);
    let backend = Backend::script(|mut wire, _| {
        wire.send("who?");
        wire.expect("me");
        wire.send([b'y'; 200_000]);
        wire.expect_close();
    });
    let text = r#"
        [[listeners]]
        address = "127.0.0.1:0"
        tls = { certificate = "db.pem", key = "db.key" }
        [log_formats.tls]
        template = "$ssl_protocol $ssl_server_name $status <$ssl_preread_server_name>"
        [[streams]]
        upstream = "%backend%"
        access_log = { path = "%dir%/access.log", format = "tls" }
    "#;
    let setup = tidegate(text).file("db.pem", server.certificate).file("db.key", server.key);
    let proxy = setup.var("backend", backend.address()).start();
    // Whatever protocol a client offers, no HTTP is chosen.
    let client = TlsClient::new(&authority, "db.test").changed(|config| config.alpn_protocols = vec![b"imap".to_vec()]);
    let (mut wire, session) = client.connect_seeing(proxy.address());
    assert_eq!(session.alpn, None);
    wire.expect("who?");
    wire.send("me");
    assert_eq!(wire.read_exact(200_000), [b'y'; 200_000]);
    wire.finish();
    wire.expect_close();
    let line = wait_for("a line", || proxy.read_file("access.log").lines().next().map(str::to_owned));
    assert_eq!(line, "TLSv1.3 db.test 200 <->");
    // Who speaks plainly there is closed.
    let mut wire = proxy.connect();
    wire.send("QUIT\r\n");
    wire.expect_end();
}

/// TLS of the proxy's own towards a peer. nginx: `proxy_ssl` of `stream`.
#[test]
fn tls_to_a_peer_offers_no_protocol() {
    let (authority, backend) = (Authority::new(), echo("<secret>"));
    let certified = authority.issue(&["127.0.0.1"]);
    let front = front::tls(&certified).before(backend.address());
    let text =
        "[upstreams.secret]\npeers = [\"%front%\"]\ntls = { ca = \"ca.pem\" }\n[[streams]]\nupstream = \"secret\"\n";
    let setup = tidegate(text).file("ca.pem", authority.certificate());
    let proxy = setup.var("front", front.address()).start();
    let mut wire = proxy.connect();
    wire.send("to be kept");
    reaches(&mut wire, "<secret>", b"to be kept");
    assert_eq!(front.handshakes()[0].as_ref().unwrap().protocol, None);
}

/// A listener without TLS whose streams go by name: what is no TLS is the sites'.
#[test]
fn a_plain_port_serves_sites_beside_streams() {
    let (a, backend) = (echo("<a>"), Backend::ws_echo());
    let text = "[[streams]]\nnames = [\"a.test\"]\nupstream = \"%a%\"\n\
                [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n";
    let proxy = tidegate(text).var("a", a.address()).var("backend", backend.address()).start();
    let sent = hello("a.test", &[]);
    let mut wire = proxy.connect();
    wire.send(&sent);
    reaches(&mut wire, "<a>", &sent);
    assert_eq!(proxy.get("/").1.text(), "plain");
    proxy.open("/ws").echo(&Frame::text("a tunnel"));
    // A name that no stream has is no HTTP.
    let mut wire = proxy.connect();
    wire.stream().write_all(&hello("b.test", &[])).unwrap();
    assert_eq!(wire.read_head().status(), 400);
}
