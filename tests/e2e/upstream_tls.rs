//! TLS towards peers: who is believed, what passes, how it ends.

use std::sync::mpsc::channel;
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_tests::certificates::{Authority, Certified};
use tidegate_tests::front::{self, Front, ONLY_12};
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Noise, Proxy, Setup, Wire, eventually, tidegate, wait_for};

/// Everything to one upstream with these keys of `tls`, and a log of how each request ended.
fn with(tls: &str, authority: &Authority, front: &Front) -> Setup {
    let text = format!(
        r#"
        access_log = {{ path = "access.log", format = "cause" }}
        [log_formats.cause]
        template = "$status $cause"
        [upstreams.secure]
        tls = {{ {tls} }}
        peers = ["%front%"]
        [[sites]]
        limits = {{ max_body = 0 }}
        timeouts = {{ connect = "1s" }}
        [[sites.routes]]
        match = "/"
        upstream = "secure"
        [[sites.routes]]
        match = "/half"
        upstream = "secure"
        half_close = true
        "#
    );
    tidegate(&text).file("ca.pem", authority.certificate()).var("front", front.address())
}

const CA: &str = r#"ca = "ca.pem""#;

/// One request, and how it ended by the log.
#[track_caller]
fn outcome(proxy: &Proxy) -> String {
    proxy.get("/");
    wait_for("a line of the log", || Some(proxy.read_file("access.log")).filter(|text| text.ends_with('\n')))
}

#[test]
fn messages_of_all_sizes() {
    let authority = Authority::new();
    let backend = Backend::ws_echo();
    for versions in [rustls::ALL_VERSIONS, ONLY_12] {
        let certified = authority.issue(&["127.0.0.1"]);
        let front = front::tls(&certified).versions(versions).before(backend.address());
        let proxy = with(CA, &authority, &front).start();
        let mut client = proxy.open("/ws");
        let mut noise = Noise::new(3);
        for size in [0, 1, 125, 126, 4096, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 65_535, 65_536, 1 << 20] {
            client.echo(&Frame::binary(&noise.take(size)));
        }
        client.echo(&Frame::text("and a small one behind"));
        let handshakes = front.handshakes();
        let [Ok(handshake)] = &handshakes[..] else { panic!("{handshakes:?}") };
        assert_eq!(handshake.is_13, versions.len() == 2);
        // No name is sent for an IP address (RFC 6066 §3).
        assert_eq!((handshake.name.as_deref(), handshake.protocol.as_deref()), (None, Some("http/1.1")));
    }
}

#[test]
fn many_requests_share_one_handshake() {
    let authority = Authority::new();
    let certified = authority.issue(&["backend.test"]);
    let backend = Backend::http(|request| tidegate_tests::Response::text(&request.body.data));
    let front = front::tls(&certified).before(backend.address());
    let proxy = with(&format!("{CA}, name = \"backend.test\""), &authority, &front).start();
    for size in [0usize, 1, 1000, 100_000] {
        let body = Noise::new(4).take(size);
        for _ in 0..5 {
            let mut wire = proxy.connect();
            wire.send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"));
            wire.send(&body);
            let (head, answer) = wire.read_response();
            assert_eq!(head.status(), 200);
            assert!(answer.data == body, "{size} bytes come back as they were");
        }
    }
    let handshakes = front.handshakes();
    let [Ok(handshake)] = &handshakes[..] else { panic!("{handshakes:?}") };
    assert_eq!(handshake.name.as_deref(), Some("backend.test"));
    assert_eq!((handshake.resumed, handshake.client), (false, false));
}

#[test]
fn sessions_are_resumed_also_after_a_reload() {
    let authority = Authority::new();
    let backend = Backend::named("hello");
    for versions in [rustls::ALL_VERSIONS, ONLY_12] {
        let certified = authority.issue(&["127.0.0.1"]);
        let front = front::tls(&certified).versions(versions).before(backend.address());
        let text = "[upstreams.u]\nkeepalive = 0\ntls = { ca = \"ca.pem\" }\npeers = [\"%front%\"]\n[[sites]]\n\
                    upstream = \"u\"\n[[sites.routes]]\nmatch = \"/\"\n";
        let setup = tidegate(text).file("ca.pem", authority.certificate()).var("front", front.address());
        let mut proxy = setup.in_process().start();
        for _ in 0..2 {
            assert_eq!(proxy.get("/").1.text(), "hello");
        }
        proxy.reload(&format!("{text}[[sites.routes]]\nmatch = \"/more\"\n")).unwrap();
        assert_eq!(proxy.get("/").1.text(), "hello");
        let resumed: Vec<bool> = front.handshakes().into_iter().map(|one| one.unwrap().resumed).collect();
        assert_eq!(resumed, [false, true, true]);
        // Each said that it was done, not just hung up.
        eventually("the connections to end in order", || front.whole() == 3);
        assert_eq!(front.cut(), 0);
    }
}

#[test]
fn who_is_not_to_be_believed_is_not() {
    let (authority, other) = (Authority::new(), Authority::new());
    let backend = Backend::named("secret");
    let right = authority.issue(&["127.0.0.1", "a.test"]);
    let cases = [
        (other.issue(&["127.0.0.1"]), CA, false),
        (Certified::by_itself(&["127.0.0.1"]), CA, false),
        (authority.issue(&["a.test"]), CA, false),
        (authority.issue(&["127.0.0.2"]), CA, false),
        (authority.issue_expired(&["127.0.0.1"]), CA, false),
        (right.clone(), r#"ca = "ca.pem", name = "b.test""#, false),
        // The system knows nothing of the test's authority.
        (right.clone(), "verify = true", false),
        (right.clone(), r#"ca = "ca.pem", name = "a.test""#, true),
        (right, CA, true),
        (Certified::by_itself(&["x.test"]), "verify = false", true),
        (authority.issue_expired(&["x.test"]), "verify = false", true),
    ];
    for (certified, tls, believed) in cases {
        let front = front::tls(&certified).before(backend.address());
        let proxy = with(tls, &authority, &front).start();
        let expected = if believed { "200 done\n" } else { "502 upstream.tls\n" };
        assert_eq!(outcome(&proxy), expected, "{tls}");
        // The peer is told why, and was sent nothing.
        eventually("a handshake", || front.handshakes().len() == 1);
        assert_eq!(front.handshakes()[0].is_ok(), believed, "{:?}", front.handshakes());
    }
}

#[test]
fn the_reason_is_in_the_log_and_the_next_peer_is_tried() {
    let authority = Authority::new();
    let (wrong, right) = (authority.issue(&["other.test"]), authority.issue(&["127.0.0.1"]));
    let backend = Backend::named("hello");
    let (first, second) = (front::tls(&wrong).before(backend.address()), front::tls(&right).before(backend.address()));
    let text = r#"
        [upstreams.both]
        tls = { ca = "ca.pem" }
        peers = ["%first%", "%second%"]
        [upstreams.wrong]
        tls = { ca = "ca.pem" }
        peers = ["%first%"]
        [[sites]]
        routes = [{ match = "/", upstream = "both" }, { match = "/wrong", upstream = "wrong" }]
    "#;
    let mut proxy = tidegate(text)
        .file("ca.pem", authority.certificate())
        .var("first", first.address())
        .var("second", second.address())
        .binary()
        .start();
    for _ in 0..4 {
        assert_eq!(proxy.get("/").1.text(), "hello");
    }
    assert!(!first.handshakes().is_empty());
    assert_eq!(proxy.get("/wrong").0.status(), 502);
    let log = wait_for("the reason", || Some(proxy.process().stderr()).filter(|log| log.contains("upstream.tls")));
    let line = log.lines().find(|line| line.contains("upstream.tls")).unwrap();
    assert!(line.contains("certificate not valid for name") && line.contains("other.test"), "{line}");
}

#[test]
fn a_peer_may_ask_for_the_proxys_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let backend = Backend::named("hello");
    let certified = authority.issue(&["127.0.0.1"]);
    let own = format!("{CA}, certificate = \"own.pem\", key = \"own.key\"");
    for versions in [rustls::ALL_VERSIONS, ONLY_12] {
        // With TLS 1.3 the peer looks at it when for the proxy the handshake is over.
        let refused = if versions.len() == 2 { "502 upstream.tls_broken\n" } else { "502 upstream.tls\n" };
        for (tls, signed_by, expected) in
            [(CA, &authority, refused), (&*own, &other, refused), (&*own, &authority, "200 done\n")]
        {
            let client = signed_by.issue(&["proxy.test"]);
            let front = front::tls(&certified)
                .versions(versions)
                .clients_of(&authority.certificate())
                .before(backend.address());
            let proxy =
                with(tls, &authority, &front).file("own.pem", &client.certificate).file("own.key", &client.key).start();
            assert_eq!(outcome(&proxy), expected, "{tls}");
            let handshakes = front.handshakes();
            assert_eq!(
                matches!(&handshakes[..], [Ok(one)] if one.client),
                expected.starts_with("200"),
                "{handshakes:?}"
            );
        }
    }
}

#[test]
fn versions_can_be_narrowed() {
    let authority = Authority::new();
    let certified = authority.issue(&["127.0.0.1"]);
    let backend = Backend::named("hello");
    let front = front::tls(&certified).versions(ONLY_12).before(backend.address());
    let proxy = with(&format!("{CA}, versions = [\"1.3\"]"), &authority, &front).start();
    assert_eq!(outcome(&proxy), "502 upstream.tls\n");
    let front = front::tls(&certified).before(backend.address());
    let proxy = with(&format!("{CA}, versions = [\"1.2\"]"), &authority, &front).start();
    assert_eq!(outcome(&proxy), "200 done\n");
    assert!(front.handshakes().iter().all(|one| one.as_ref().is_ok_and(|one| !one.is_13)));
}

#[test]
fn a_handshake_that_hangs_and_one_that_is_no_tls() {
    let no_tls = Backend::script(|mut wire, _| {
        assert!(!wire.try_read().expect("the proxy's hello").is_empty());
        wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        // The proxy says what it thinks of that (an alert), and hangs up.
        while wire.try_read().is_ok_and(|piece| !piece.is_empty()) {}
    });
    for (backend, expected) in [(Backend::silent(), "504 upstream.connect_timeout\n"), (no_tls, "502 upstream.tls\n")] {
        let proxy = tidegate(
            r#"
            access_log = { path = "access.log", format = "cause" }
            [log_formats.cause]
            template = "$status $cause"
            [upstreams.secure]
            tls = { verify = false }
            peers = ["%backend%"]
            [[sites]]
            timeouts = { connect = "300ms" }
            routes = [{ match = "/", upstream = "secure" }]
            "#,
        )
        .var("backend", backend.address())
        .start();
        assert_eq!(outcome(&proxy), expected);
        drop(proxy);
        backend.join();
    }
}

#[test]
fn an_address_of_a_route_has_tls_by_its_scheme() {
    let certified = Authority::new().issue(&["127.0.0.1"]);
    let backend = Backend::named("secret");
    let front = front::tls(&certified).before(backend.address());
    for scheme in ["https", "wss"] {
        let text = format!("[[sites]]\nroutes = [{{ match = \"/\", upstream = \"{scheme}://%front%\" }}]");
        let proxy = tidegate(&text).var("front", front.address()).start();
        // Nobody told the proxy of the test's authority: that it looks is what can be seen.
        assert_eq!(proxy.get("/").0.status(), 502);
    }
    eventually("both handshakes are over", || front.handshakes().len() == 2);
    let handshakes = front.handshakes();
    assert!(handshakes.len() == 2 && handshakes.iter().all(Result::is_err), "{handshakes:?}");
}

#[test]
fn one_direction_may_outlive_the_other() {
    let authority = Authority::new();
    let certified = authority.issue(&["127.0.0.1"]);
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect("last words");
        wire.expect_close();
        wire.send(Noise::new(6).take(1 << 20));
    });
    let front = front::tls(&certified).before(backend.address());
    let proxy = with(CA, &authority, &front).start();
    let mut client = proxy.open("/half");
    client.send("last words");
    client.finish();
    client.expect_noise(&mut Noise::new(6), 1 << 20);
    client.expect_close();
    eventually("an end in order", || front.whole() == 1);
    backend.join();
}

#[test]
fn an_end_is_passed_on_in_order() {
    let authority = Authority::new();
    let certified = authority.issue(&["127.0.0.1"]);
    let backend = Backend::script(|mut wire, number| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        match number {
            1 => wire.expect_close(),
            _ => wire.send(Noise::new(7).take(4 << 20)),
        }
    });
    let front = front::tls(&certified).before(backend.address());
    let proxy = with(CA, &authority, &front).start();
    drop(proxy.open("/ws"));
    eventually("the client's end at the peer", || front.whole() == 1);
    let mut client = proxy.open("/ws");
    client.expect_noise(&mut Noise::new(7), 4 << 20);
    client.expect_close();
    eventually("the peer's own end", || front.whole() == 2);
    assert_eq!(front.cut(), 0);
    backend.join();
}

/// What is under way lies in the sockets: the process itself holds next to nothing of it, in
/// both directions, and all of it comes once there is a reader.
#[test]
fn slow_readers_do_not_make_the_process_grow() {
    const MOST: usize = 64 << 20;
    const ROOM: usize = 4 << 20;
    const QUIET: Duration = Duration::from_millis(500);
    let (stalled, at) = channel::<usize>();
    let (go, told) = channel::<()>();
    let (stalled, told) = (Mutex::new(stalled), Mutex::new(told));
    let authority = Authority::new();
    let certified = authority.issue(&["127.0.0.1"]);
    let backend = Backend::script(move |mut wire, number| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect("ready");
        wire.send("ready");
        let mut noise = Noise::new(8);
        if number == 2 {
            let sent = wire.send_until_stalled(&mut noise, MOST, QUIET);
            stalled.lock().send(sent).unwrap();
        }
        told.lock().recv().unwrap();
        if number == 2 {
            wire.send("end");
        } else {
            wire.expect_noise(&mut Noise::new(9), 1 << 20);
        }
    });
    let front = front::tls(&certified).before(backend.address());
    let mut proxy = with(CA, &authority, &front).binary().start();
    let (mut up, mut down) = (proxy.connect(), Wire::connect_narrow(proxy.address()));
    up.upgrade("/warm");
    up.send("ready");
    up.expect("ready");
    let before = proxy.process().memory();
    down.upgrade("/ws");
    down.send("ready");
    down.expect("ready");
    let mut noise = Noise::new(9);
    let sent = up.send_until_stalled(&mut noise, MOST, QUIET);
    assert!(sent < MOST, "{sent} bytes went into the proxy while nobody read");
    let owed = at.recv().expect("the backend stalls");
    assert!(owed < MOST, "{owed} bytes went into the proxy while nobody read");
    let after = proxy.process().memory();
    assert!(after < before + ROOM, "from {before} to {after} bytes");
    go.send(()).unwrap();
    go.send(()).unwrap();
    if sent < 1 << 20 {
        up.send(noise.take((1 << 20) - sent));
    }
    down.expect_noise(&mut Noise::new(8), owed);
    down.expect("end");
    drop((up, down, proxy, front));
    backend.join();
}

#[test]
fn a_kept_connection_serves_nobody_else() {
    let authority = Authority::new();
    let certified = authority.issue(&["127.0.0.1", "a.test", "b.test"]);
    let backend = Backend::named("hello");
    let front = front::tls(&certified).before(backend.address());
    let text = |more: &str, routes: &str| {
        format!(
            "[upstreams.u]\ntls = {{ ca = \"ca.pem\"{more} }}\npeers = [\"%front%\"]\n[[sites]]\nroutes = [{routes}]\n"
        )
    };
    let route = "{ match = \"/\", upstream = \"u\" }";
    let setup = tidegate(&text(", name = \"a.test\"", route)).file("ca.pem", authority.certificate());
    let mut proxy = setup.var("front", front.address()).in_process().start();
    let handshakes = |proxy: &Proxy| {
        assert_eq!((proxy.get("/").1.text(), proxy.get("/").1.text()), ("hello".to_owned(), "hello".to_owned()));
        front.handshakes().len()
    };
    assert_eq!(handshakes(&proxy), 1);
    // The same settings: the same connection.
    proxy.reload(&text(", name = \"a.test\"", &format!("{route}, {{ match = \"/more\", upstream = \"u\" }}"))).unwrap();
    assert_eq!(handshakes(&proxy), 1);
    // Another name: nothing that was verified for the first one.
    proxy.reload(&text(", name = \"b.test\"", route)).unwrap();
    assert_eq!(handshakes(&proxy), 2);
    eventually("the end of the first, which leads to nobody now", || front.whole() == 1);
    proxy.reload("[[sites]]\nroutes = [{ match = \"/\", respond = { status = 204 } }]").unwrap();
    eventually("the end of the second", || front.whole() == 2);
    assert_eq!(front.cut(), 0);
}
