//! The PROXY protocol where Tidegate does more than nginx: headers in pieces, trust, bounds,
//! what is counted by it; and towards peers.

use rustix::process::Signal;
use tidegate::proxy_protocol::decode;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, eventually, tidegate};

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0x01, 0xBB];
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn binary(head: &[u8], rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, head, &length, rest].concat()
}

/// A proxy whose listener has this `proxy_protocol`; `more` stands at the top of the file.
fn behind(backend: &Backend, proxy_protocol: &str, more: &str) -> Proxy {
    let server = if more.contains("[server]") { "" } else { "[server]\nworkers = 1\ncache_dir = \"%cache%\"\n" };
    let text = format!(
        "{server}{more}\n[[listeners]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = {proxy_protocol}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n"
    );
    tidegate(&text).var("backend", backend.address()).start()
}

#[test]
fn a_header_may_come_in_pieces() {
    let backend = Backend::ws_echo();
    let proxy = behind(&backend, "true", "");
    let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 15], &[2], &[0, 7, 0, 80]].concat();
    for (header, client) in [
        (LINE.to_vec(), "192.0.2.1"),
        (binary(&[0x21, 0x11], V4), "192.0.2.1"),
        (binary(&[0x21, 0x21], &v6), "2001:db8::1"),
        (binary(&[0x20, 0x00], &[]), "127.0.0.1"),
    ] {
        let mut wire = proxy.connect();
        for byte in header.iter().chain(REQUEST) {
            wire.send([*byte]);
        }
        assert_eq!(wire.read_response().0.status(), 200);
        assert_eq!(backend.heads().pop().unwrap().get("x-real-ip"), Some(client));
        // And in one piece with what follows, up to a tunnel's first bytes.
        let mut wire = proxy.connect();
        wire.send([&header[..], REQUEST, REQUEST].concat());
        wire.read_response();
        wire.read_response();
        assert_eq!(wire.upgrade("/ws").status(), 101);
        wire.echo(&Frame::text("still in step"));
    }
}

#[test]
fn additions_are_passed_over_up_to_a_bound() {
    let backend = Backend::named("hello");
    let proxy = behind(&backend, "{ from = [\"10.0.0.0/8\", \"127.0.0.0/8\"] }", "");
    // A type-length-value of 4 KiB less what stands before it.
    let noop = |length: usize| [&[0x04][..], &u16::try_from(length).unwrap().to_be_bytes(), &vec![7; length]].concat();
    let longest = binary(&[0x21, 0x11], &[V4, &noop(4096 - 16 - 12 - 3)].concat());
    assert_eq!(longest.len(), 4096);
    let mut wire = proxy.connect();
    wire.send([&longest[..], REQUEST].concat());
    assert_eq!(wire.read_response().0.status(), 200);
    assert_eq!(backend.only_head().get("x-real-ip"), Some("192.0.2.1"));
    for header in [
        binary(&[0x21, 0x11], &[V4, &noop(4096 - 16 - 12 - 2)].concat()),
        [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 92], b"\r\n"].concat(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443 \r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 ::1 12345 443\r\n".to_vec(),
        binary(&[0x21, 0x41], V4),
        binary(&[0x22, 0x11], V4),
        b"\r\n\r\n\0\r\nQUIX".to_vec(),
    ] {
        let mut wire = proxy.connect();
        // The other end may be gone before all of it is written.
        let _ = wire.try_send([&header[..], REQUEST].concat());
        wire.expect_end();
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn who_is_not_believed_is_closed() {
    let backend = Backend::named("nobody asks");
    let mut proxy = {
        let text = "[[listeners]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = { from = [\"192.0.2.0/24\"] }\n\
                    [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n";
        tidegate(text).var("backend", backend.address()).binary().start()
    };
    for header in [LINE, b""] {
        let mut wire = proxy.connect();
        let _ = wire.try_send([header, REQUEST].concat());
        wire.expect_end();
    }
    assert_eq!(backend.connections(), 0);
    eventually("the line about them", || {
        proxy
            .process()
            .stderr()
            .lines()
            .any(|line| line.contains("none of those that may send a PROXY protocol header"))
    });
}

#[test]
fn a_header_that_does_not_come_is_not_waited_for_any_longer() {
    let backend = Backend::named("nobody asks");
    let server = "[server]\nworkers = 1\ncache_dir = \"%cache%\"\nheader_timeout = \"100ms\"\n";
    let proxy = behind(&backend, "true", server);
    let mut silent = proxy.connect();
    let mut slow = proxy.connect();
    slow.send(&LINE[..20]);
    silent.expect_end();
    slow.expect_end();
}

#[test]
fn connections_are_counted_by_the_client_of_the_header() {
    let backend = Backend::named("hello");
    let server = "[server]\nworkers = 1\ncache_dir = \"%cache%\"\nmax_client_connections = 1\n";
    let proxy = behind(&backend, "true", server);
    let open = |client: &str| {
        let mut wire = proxy.connect();
        let header = format!("PROXY TCP4 {client} 198.51.100.2 12345 443\r\n");
        let _ = wire.try_send([header.as_bytes(), REQUEST].concat());
        wire.try_read_head().map(|head| (head.status(), wire))
    };
    let first = open("192.0.2.1").expect("room for one");
    let _other = open("192.0.2.2").expect("room for one of another client");
    assert!(open("192.0.2.1").is_none());
    drop(first);
    eventually("room again", || open("192.0.2.1").is_some());
}

#[test]
fn a_header_of_http_may_know_better_where_the_client_is_believed() {
    let backend = Backend::named("hello");
    let proxy = behind(&backend, "true", "[real_ip]\ntrusted = [\"192.0.2.0/24\"]\nheader = \"X-Forwarded-For\"");
    for (line, wanted) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 443\r\n", "203.0.113.9"),
        ("PROXY TCP4 198.51.100.7 198.51.100.2 1 443\r\n", "198.51.100.7"),
    ] {
        let mut wire = proxy.connect();
        wire.send(format!("{line}GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"));
        assert_eq!(wire.read_response().0.status(), 200);
        assert_eq!(backend.heads().pop().unwrap().get("x-real-ip"), Some(wanted));
    }
}

/// Its time-outs are longer than any wait of a test.
#[test]
fn a_drain_does_not_wait_for_headers() {
    let backend = Backend::named("hello");
    let text = "[server]\nworkers = 1\ncache_dir = \"%cache%\"\nheader_timeout = \"1h\"\ndrain_timeout = \"1h\"\n\
                [[listeners]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n\
                [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n";
    let mut proxy = tidegate(text).var("backend", backend.address()).binary().start();
    let mut wire = proxy.connect();
    wire.send(&LINE[..20]);
    // By then the process is ready for signals too.
    let mut other = proxy.connect();
    other.send([LINE, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"].concat());
    assert_eq!(other.read_response().0.status(), 200);
    drop(other);
    proxy.process().signal(Signal::TERM);
    wire.expect_end();
    assert!(proxy.process().wait().success());
}

/// A proxy before peers that are told who the client is; `more` stands in the upstream's table.
fn announcing(backend: &Backend, version: &str, more: &str) -> Proxy {
    let text = format!(
        "[upstreams.told]\nproxy_protocol = \"{version}\"\npeers = [\"%backend%\"]\n{more}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"told\"\n"
    );
    tidegate(&text).var("backend", backend.address()).start()
}

/// A peer that answers one request over a connection of the other end's making, with what it
/// was told before: a line, or a header of so many bytes.
fn told(binary: bool) -> Backend {
    Backend::script(move |mut wire, _| {
        let header = match binary {
            true => wire.read_exact(28),
            false => format!("{}\r\n", wire.read_line().trim_end()).into_bytes(),
        };
        let ends = decode(&header).unwrap().unwrap().ends.unwrap();
        wire.read_head();
        let body = format!("{} {}", ends.source, ends.destination);
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        // The connection serves nobody else: it ends with the answer, though this end would keep it.
        wire.expect_end();
    })
}

#[test]
fn peers_are_told_who_the_client_is() {
    for (version, is_binary) in [("v1", false), ("v2", true)] {
        let backend = told(is_binary);
        let proxy = announcing(&backend, version, "keepalive = 8");
        for _ in 0..2 {
            let mut wire = proxy.connect();
            let expected = format!("{} {}", wire.local(), proxy.address());
            for _ in 0..2 {
                wire.send(REQUEST);
                assert_eq!(wire.read_response().1.text(), expected, "{version}");
            }
        }
        assert_eq!(backend.connections(), 4, "a connection for each request");
    }
}

#[test]
fn a_client_that_another_proxy_speaks_for_is_passed_on() {
    let backend = told(false);
    let text = "[upstreams.told]\nproxy_protocol = \"v1\"\npeers = [\"%backend%\"]\n\
                [[listeners]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n\
                [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"told\"\n";
    let proxy = tidegate(text).var("backend", backend.address()).start();
    let mut wire = proxy.connect();
    wire.send([LINE, REQUEST].concat());
    assert_eq!(wire.read_response().1.text(), format!("192.0.2.1:12345 {}", proxy.address()));
}

#[test]
fn a_tunnel_begins_with_a_header_too() {
    let backend = Backend::script(|mut wire, _| {
        assert!(wire.read_line().starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "));
        let head = wire.read_head();
        wire.send(ws::switching(head.get("sec-websocket-key").unwrap(), ""));
        let frame = wire.read_frame();
        wire.send(frame.bytes());
        wire.expect_end();
    });
    let proxy = announcing(&backend, "v1", "");
    let mut wire = proxy.open("/ws");
    wire.echo(&Frame::text("there and back"));
}

/// The header is outside of TLS (section 2 of the protocol).
#[test]
fn a_header_comes_before_tls() {
    let backend = Backend::script(|mut wire, _| {
        assert!(wire.read_line().starts_with("PROXY TCP4 "));
        assert_eq!(wire.read_exact(1), [22], "a TLS handshake");
        wire.reset();
    });
    let proxy = announcing(&backend, "v1", "tls = { verify = false }");
    assert_eq!(proxy.get("/").0.status(), 502);
}

/// Requests of the proxy's own are for no client.
#[test]
fn the_proxys_own_requests_speak_for_themselves() {
    let auth = Backend::script(|mut wire, _| {
        assert_eq!(wire.read_line().trim_end(), "PROXY UNKNOWN");
        wire.read_head();
        wire.send("HTTP/1.1 204 No Content\r\n\r\n");
        wire.expect_end();
    });
    let backend = Backend::named("hello");
    let text = "[upstreams.auth]\nproxy_protocol = \"v1\"\npeers = [\"%auth%\"]\n\
                [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n\
                auth_request = { upstream = \"auth\", path = \"/\" }\n";
    let proxy = tidegate(text).var("auth", auth.address()).var("backend", backend.address()).start();
    assert_eq!(proxy.get("/").0.status(), 200);
    assert_eq!(auth.connections(), 1);
}
