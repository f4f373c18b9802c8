//! The PROXY protocol where Tidegate does more than nginx: headers in pieces, trust, bounds,
//! what is counted by it; and towards peers.

use rustix::process::Signal;
use tidegate_tests::ws::Frame;
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
    let backend = Backend::named("nobody asks");
    let text = "[server]\nworkers = 1\ncache_dir = \"%cache%\"\nheader_timeout = \"1h\"\ndrain_timeout = \"1h\"\n\
                [[listeners]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n\
                [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n";
    let mut proxy = tidegate(text).var("backend", backend.address()).binary().start();
    let mut wire = proxy.connect();
    wire.send(&LINE[..20]);
    proxy.process().signal(Signal::TERM);
    wire.expect_end();
    assert!(proxy.process().wait().success());
}
