//! Streams and their peers: the choice among them, limits, the PROXY protocol, logs and numbers,
//! reloads and drains.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tidegate::proxy_protocol::decode;
use tidegate_tests::backend::{Hanging, Refusing};
use tidegate_tests::hello::hello;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::{Backend, Proxy, Setup, Wire, eventually, tidegate, wait_for};

use crate::streams::{echo, reaches};

const LOG: &str = r#"access_log = { path = "access.log" }"#;

/// All that comes goes to this upstream, with these keys of the stream.
fn all_to(peers: &str, more: &str) -> Setup {
    tidegate(&format!(
        "[upstreams.group]\npeers = [{peers}]\n{LOGGED}{more}\n",
        LOGGED = "[[streams]]\nupstream = \"group\"\n"
    ))
}

fn lines(proxy: &Proxy, count: usize) -> Vec<String> {
    wait_for("lines of the log", || {
        let lines: Vec<_> = proxy.read_file("access.log").lines().map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

/// What a connection gets back from `echo`.
fn says(wire: &mut Wire, name: &str) {
    wire.send("hello");
    reaches(wire, name, b"hello");
}

#[test]
fn the_next_peer_is_tried_where_one_cannot_be_connected_to() {
    let (refusing, hanging, good) = (Refusing::new(), Hanging::new(), echo("<good>"));
    let proxy = all_to("\"%refusing%\", \"%hanging%\", \"%good%\"", &format!("connect_timeout = \"100ms\"\n{LOG}"))
        .var("refusing", refusing.address())
        .var("hanging", hanging.address())
        .var("good", good.address())
        .start();
    let mut wire = proxy.connect();
    says(&mut wire, "<good>");
    drop(wire);
    let line = &lines(&proxy, 1)[0];
    let tried = format!("\"{}, {}, {}\"", refusing.address(), hanging.address(), good.address());
    assert!(line.contains(" TCP 200 11 5 ") && line.contains(&tried), "{line}");
    assert!(line.ends_with(r#"name="-" stream=group cause=tunnel.client_closed"#), "{line}");
}

#[test]
fn without_a_peer_a_connection_is_closed() {
    let (refusing, good) = (Refusing::new(), echo("<good>"));
    for (more, tried) in [("next_upstream = false", 1), ("next_upstream_tries = 2", 2), ("", 3)] {
        let proxy = all_to("\"%one%\", \"%two%\", \"%three%\"", &format!("{more}\n{LOG}"));
        let (two, three) = (Refusing::new(), Refusing::new());
        let proxy =
            proxy.var("one", refusing.address()).var("two", two.address()).var("three", three.address()).start();
        proxy.connect().expect_end();
        let line = &lines(&proxy, 1)[0];
        assert!(line.contains(" TCP 502 0 0 ") && line.ends_with("cause=upstream.connect"), "{line}");
        let list = line.split('"').nth(1).unwrap();
        assert_eq!(list.split(", ").count(), tried, "{line}");
    }
    assert_eq!(good.connections(), 0);
}

#[test]
fn policies_go_by_what_streams_know() {
    let (one, two) = (echo("<one>"), echo("<two>"));
    let text = r#"
        [upstreams.group]
        peers = ["%one%", "%two%"]
        policy = "hash"
        hash = { key = "$ssl_preread_server_name" }
        [maps.kind]
        from = "$ssl_preread_alpn_protocols"
        values = { "h2,http/1.1" = "web" }
        default = "other"
        [log_formats.seen]
        template = "$ssl_preread_server_name $ssl_preread_alpn_protocols $ssl_preread_protocol $kind $stream"
        [[streams]]
        preread = true
        upstream = "group"
        access_log = { path = "access.log", format = "seen" }
    "#;
    let proxy = tidegate(text).var("one", one.address()).var("two", two.address()).start();
    for number in 0..12 {
        let sent = hello(&format!("n{number}.test"), &["h2", "http/1.1"]);
        let mut first = None;
        for _ in 0..2 {
            let mut wire = proxy.connect();
            wire.send(&sent);
            let came = String::from_utf8_lossy(&wire.read_exact(5)).into_owned();
            assert_eq!(first.get_or_insert_with(|| came.clone()), &came, "one name, one peer");
        }
    }
    assert!(one.connections() > 0 && two.connections() > 0);
    let lines = lines(&proxy, 24);
    assert!(lines.contains(&"n7.test h2,http/1.1 TLSv1.3 web group".to_owned()), "{lines:?}");
}

#[test]
fn who_may_not_come_is_closed() {
    let backend = echo("<b>");
    let text = r#"access = ["allow 192.0.2.0/24", "deny all"]"#;
    let proxy = all_to("\"%b%\"", &format!("{text}\n{LOG}")).var("b", backend.address()).start();
    proxy.connect().expect_end();
    let line = &lines(&proxy, 1)[0];
    assert!(line.contains(" TCP 403 0 0 ") && line.ends_with("cause=stream.denied"), "{line}");
    assert_eq!(backend.connections(), 0);
}

#[test]
fn numbers_of_connections_hold() {
    let backend = echo("<b>");
    for more in ["max_connections = 2", "concurrent = [{ zone = \"per_client\", total = 2 }]"] {
        let zone = "[limits.per_client]\nkey = \"$binary_remote_addr\"\n";
        let text = format!("[[streams]]\nupstream = \"%b%\"\n{more}\n{LOG}\n{zone}");
        let mut proxy = tidegate(&text).var("b", backend.address()).in_process().start();
        let mut held: Vec<Wire> = (0..2).map(|_| proxy.connect()).collect();
        held.iter_mut().for_each(|wire| says(wire, "<b>"));
        proxy.connect().expect_end();
        assert!(lines(&proxy, 1)[0].contains(" TCP 503 0 0 "), "{more}");
        // What is open counts over a reload.
        proxy.reload(&text).unwrap();
        proxy.connect().expect_end();
        drop(held.pop());
        eventually("room again", || {
            let mut wire = proxy.connect();
            wire.try_send("hello").is_ok() && wire.has_more()
        });
        says(&mut held[0], "<b>");
    }
}

#[test]
fn a_peer_may_be_full() {
    let (one, two) = (echo("<one>"), echo("<two>"));
    let proxy = all_to("{ address = \"%one%\", max_conns = 1 }, { address = \"%two%\", backup = true }", LOG)
        .var("one", one.address())
        .var("two", two.address())
        .start();
    let mut first = proxy.connect();
    says(&mut first, "<one>");
    let mut second = proxy.connect();
    says(&mut second, "<two>");
}

#[test]
fn peers_are_told_who_the_client_is() {
    for (version, length) in [("v1", None), ("v2", Some(28))] {
        let backend = Backend::script(move |mut wire, _| {
            let header = match length {
                Some(length) => wire.read_exact(length),
                None => format!("{}\r\n", wire.read_line().trim_end()).into_bytes(),
            };
            let ends = decode(&header).unwrap().unwrap().ends.unwrap();
            // The hello follows, untouched.
            let hello = wire.read_exact(5);
            wire.send(format!("{} {} {}", ends.source, ends.destination, hello[0]));
            while wire.try_read().is_ok_and(|piece| !piece.is_empty()) {}
        });
        let text = format!(
            "[upstreams.told]\npeers = [\"%b%\"]\nproxy_protocol = \"{version}\"\n\
             [[listeners]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n\
             [[streams]]\nnames = [\"a.test\"]\nupstream = \"told\"\n"
        );
        let proxy = tidegate(&text).var("b", backend.address()).start();
        for byte_by_byte in [false, true] {
            let mut wire = proxy.connect();
            let sent = [b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n", &hello("a.test", &[])[..]].concat();
            if byte_by_byte {
                sent.iter().for_each(|byte| wire.send([*byte]));
            } else {
                wire.send(&sent);
            }
            wire.expect("192.0.2.1:12345 198.51.100.2:443 22");
        }
    }
}

/// Bytes each way, counted; the sides end as they like.
#[test]
fn ends_are_passed_on() {
    for half_close in [false, true] {
        let backend = Backend::script(move |mut wire, _| {
            assert_eq!(wire.read_until_close(), b"request");
            // The client's end has come, and this side may still speak where that is wanted.
            let _ = wire.try_send("answer");
        });
        let proxy = all_to("\"%b%\"", &format!("half_close = {half_close}\n{LOG}")).var("b", backend.address()).start();
        let mut wire = proxy.connect();
        wire.send("request");
        wire.finish();
        let came = wire.read_until_close();
        assert_eq!(came, if half_close { &b"answer"[..] } else { b"" });
        let line = &lines(&proxy, 1)[0];
        assert!(line.contains(&format!(" TCP 200 {} 7 ", came.len())), "{line}");
    }
}

#[test]
fn silence_ends_a_connection() {
    let backend = Backend::silent();
    let proxy = all_to("\"%b%\"", &format!("idle_timeout = \"100ms\"\n{LOG}")).var("b", backend.address()).start();
    let mut wire = proxy.connect();
    wire.expect_end();
    let line = &lines(&proxy, 1)[0];
    assert!(line.contains(" TCP 200 0 0 0.") && line.ends_with("cause=tunnel.idle"), "{line}");
}

#[test]
fn a_reload_leaves_open_connections_alone() {
    let (a, b, port) = (echo("<a>"), echo("<b>"), HeldPort::new());
    let text = |to: &str| {
        format!("[[listeners]]\naddress = \"%port%\"\n[[streams]]\nnames = [\"{to}.test\"]\nupstream = \"%{to}%\"\n")
    };
    let setup = tidegate(&text("a")).var("port", port.address()).var("a", a.address()).var("b", b.address());
    let mut proxy = setup.in_process().start();
    let open = |proxy: &Proxy, name: &str| {
        let mut wire = proxy.connect();
        wire.send(hello(&format!("{name}.test"), &[]));
        wire
    };
    let mut old = open(&proxy, "a");
    reaches(&mut old, "<a>", &hello("a.test", &[])[..0]);
    old.read_exact(3);
    assert_eq!(proxy.open_tunnels(), 1);
    proxy.reload(&text("b")).unwrap();
    // Its stream and upstream are gone, the connection is not; a large flow is spliced.
    let mut new = open(&proxy, "b");
    new.expect("<b>");
    let mut gone = open(&proxy, "a");
    assert_eq!(gone.read_head().status(), 400, "no stream has the name");
    old.send([b'z'; 500_000]);
    let mut seen = 0;
    while seen < 500_000 {
        seen += old.try_read().unwrap().iter().filter(|byte| **byte == b'z').count();
    }
    // And one without streams or with another listener.
    proxy.reload("[[listeners]]\naddress = \"127.0.0.1:0\"\n[[sites]]\nrespond = { status = 204 }\n").unwrap();
    old.send("zz");
    new.send("zz");
    assert!(old.has_more() && new.has_more());
    assert_eq!((proxy.open_tunnels(), a.connections(), b.connections()), (2, 1, 1));
}

#[test]
fn a_drain_waits_for_connections_and_not_for_hellos() {
    let backend = echo("<b>");
    let text = "[server]\nworkers = 1\ncache_dir = \"%cache%\"\ndrain_timeout = \"1h\"\n\
                [[listeners]]\naddress = \"127.0.0.1:0\"\npreread_timeout = \"1h\"\n\
                [[streams]]\nnames = [\"a.test\"]\nupstream = \"%b%\"\n";
    let mut proxy = tidegate(text).var("b", backend.address()).binary().start();
    let mut slow = proxy.connect();
    slow.send(&hello("a.test", &[])[..100]);
    let sent = hello("a.test", &[]);
    let mut open = proxy.connect();
    open.send(&sent);
    reaches(&mut open, "<b>", &sent);
    proxy.process().signal(Signal::TERM);
    slow.expect_end();
    says(&mut open, "<b>");
    assert!(proxy.process().runs());
    drop(open);
    assert!(proxy.process().wait().success());
}

#[test]
fn the_deadline_of_a_drain_ends_what_is_left() {
    let backend = echo("<b>");
    let text = "[server]\nworkers = 1\ncache_dir = \"%cache%\"\ndrain_timeout = \"100ms\"\n\
                [[streams]]\nupstream = \"%b%\"\naccess_log = { path = \"%dir%/access.log\" }\n";
    let mut proxy = tidegate(text).var("b", backend.address()).binary().start();
    let mut wire = proxy.connect();
    says(&mut wire, "<b>");
    proxy.process().signal(Signal::TERM);
    wire.expect_end();
    proxy.process().wait();
    assert!(lines(&proxy, 1)[0].ends_with("cause=tunnel.drain"));
}

#[test]
fn connections_are_counted() {
    let (backend, port) = (echo("<b>"), HeldPort::new());
    let text = "[admin]\naddress = \"%admin%\"\n[[streams]]\nname = \"git\"\nupstream = \"%b%\"\n";
    let proxy = tidegate(text).var("b", backend.address()).var("admin", port.address()).start();
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(port.address()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let status = || serde_json::from_str::<Value>(&ask("/status")).unwrap();
    let mut open = proxy.connect();
    says(&mut open, "<b>");
    let mut over = proxy.connect();
    says(&mut over, "<b>");
    drop(over);
    let now = wait_for("one to end", || Some(status()).filter(|now| now["streams"]["git"]["tunnels"] == 1));
    let git = &now["streams"]["git"];
    assert_eq!((&git["requests"], &git["bytes_in"], &git["bytes_out"]), (&2.into(), &5.into(), &8.into()));
    assert_eq!((&now["tunnels"], &now["requests"], &now["connections"]["writing"]), (&1.into(), &0.into(), &1.into()));
    let metrics = ask("/metrics");
    for line in ["tidegate_streams_total 2", "tidegate_streams_open 1", "tidegate_stream_tunnels{stream=\"git\"} 1"] {
        assert!(metrics.lines().any(|one| one == line), "no {line} in {metrics}");
    }
}

/// Checks of peers, and what becomes of tunnels to one that fails them, are the upstream's.
#[test]
fn health_is_the_upstreams() {
    let (sick, well) = (HeldPort::new(), echo("<well>"));
    let listener = sick.listen();
    let text = r#"
        [upstreams.group]
        peers = ["%sick%", { address = "%well%", backup = true }]
        health = { kind = "tcp", interval = "50ms", on_unhealthy = "close" }
        [[streams]]
        upstream = "group"
    "#;
    let proxy = tidegate(text).var("sick", sick.address()).var("well", well.address()).start();
    let mut wire = proxy.connect();
    wire.send("x");
    // The connection is one of those that the peer has taken, beside those of checks.
    listener.set_nonblocking(true).unwrap();
    let mut taken = Vec::new();
    let mine = wait_for("the connection", || {
        taken.extend(listener.accept().ok().map(|(stream, _)| Wire::new(stream)));
        taken.iter().position(|stream| {
            stream.stream().set_nonblocking(true).unwrap();
            stream.stream().peek(&mut [0]).is_ok_and(|n| n == 1)
        })
    });
    let mut mine = taken.swap_remove(mine);
    mine.stream().set_nonblocking(false).unwrap();
    mine.expect("x");
    drop((listener, taken));
    wire.expect_end();
    mine.expect_end();
    let mut wire = proxy.connect();
    says(&mut wire, "<well>");
    wire.expect_silence(Duration::from_millis(1));
}
