//! Handshakes, pages and headers.

use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Head, Response, Subject, Wire, both};

use super::{Example, Running, connect_from, get, read, tells_who_asks};

both!(
    quick_start,
    essential_headers,
    map_upgrade,
    load_balancing,
    timeouts,
    buffering,
    status,
    cors,
    troubleshooting_site,
    troubleshooting_paths,
    proxying_basic,
    proxying_timeouts,
    proxying_complete,
    proxying_load_balancing,
    chat_application,
    first_look,
);

/// What most of the guides' first configurations share: one backend, one path for tunnels.
fn one_backend(subject: Subject, name: &str, address: &str, backend: &Backend) -> Running {
    Example::of(subject, name).backend(address, backend.address()).listen("8080").start()
}

fn quick_start(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = one_backend(subject, "guide-quick-start", "10.0.0.11:8080", &backend);
    let mut tunnel = example.talk("8080", "/ws");
    tells_who_asks(&backend.only_head(), "ws.example.com", "http");
    tunnel.echo(&Frame::close(1000));
    tunnel.expect_close();
    assert_eq!(example.get("8080", "ws.example.com", "/ws").1, "plain");
    assert_eq!(example.get("8080", "ws.example.com", "/").0.status(), 404);
    assert_eq!(backend.heads().len(), 2);
}

fn essential_headers(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = one_backend(subject, "guide-essential-headers", "127.0.0.1:9000", &backend);
    example.talk("8080", "/ws");
    let seen = backend.only_head();
    tells_who_asks(&seen, "ws.example.com", "http");
    assert_eq!(seen.get("x-forwarded-host"), Some("ws.example.com"));
    assert_eq!(seen.get("x-forwarded-port"), Some(example.address("8080").port().to_string().as_str()));
}

fn map_upgrade(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = one_backend(subject, "guide-map-upgrade", "127.0.0.1:9000", &backend);
    example.talk("8080", "/ws");
    assert_eq!(example.get("8080", "ws.example.com", "/ws").1, "plain");
    let seen = backend.heads();
    let names = ["host", "upgrade", "x-connection-upgrade", "x-real-ip"];
    let told = |head: &Head| names.map(|name| head.get(name).unwrap_or("-").to_lowercase());
    let host = backend.address().to_string();
    assert_eq!(told(&seen[0]), [host.as_str(), "websocket", "upgrade", "-"]);
    assert_eq!(told(&seen[1]), [host.as_str(), "-", "close", "-"]);
    assert!(seen[0].lists("connection", "upgrade"));
    // The deliberate difference: a plain request's connection is kept.
    assert_eq!(seen[1].lists("connection", "close"), subject == Subject::Nginx);
}

/// Who answers requests to `path`, one letter each.
fn turns(example: &Running, path: &str, count: usize) -> String {
    (0..count).map(|_| example.get("8080", "example.com", path).1).collect()
}

fn load_balancing(subject: Subject) {
    let (a, b, c) = (Backend::named("a"), Backend::named("b"), Backend::named("c"));
    let spare = Backend::named("never");
    let example = Example::of(subject, "guide-load-balancing")
        .backend("10.0.0.11:8080", a.address())
        .backend("10.0.0.12:8080", b.address())
        .backend("10.0.0.13:8080", c.address())
        .backend("10.0.0.19:8080", spare.address())
        .listen("8080")
        .start();
    let weighted = turns(&example, "/least", 6);
    let count = |letter| weighted.matches(letter).count();
    assert_eq!([count("a"), count("b"), count("c")], [3, 2, 1], "{weighted}");
    let pair = turns(&example, "/checked", 4);
    assert_eq!([pair.matches('a').count(), pair.matches('b').count()], [2, 2], "{pair}");
    // One client stays with one peer.
    let sticky = turns(&example, "/sticky", 3);
    let distinct: std::collections::BTreeSet<char> = sticky.chars().collect();
    assert_eq!(distinct.len(), 1, "{sticky}");
    assert_eq!(spare.connections(), 0);
}

fn timeouts(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = one_backend(subject, "guide-timeouts", "127.0.0.1:9000", &backend);
    let mut tunnel = example.talk("8080", "/ws");
    // `keepalive_requests 100`.
    let mut wire = Wire::connect(example.address("8080"));
    for left in (0..100).rev() {
        wire.send("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n");
        let (head, body) = wire.read_response();
        assert_eq!((head.status(), body.text().as_str()), (200, "plain"));
        assert_eq!(head.lists("connection", "close"), left == 0, "{left} left");
    }
    wire.expect_close();
    tunnel.echo(&Frame::text("still here"));
}

fn buffering(subject: Subject) {
    let backend = Backend::script(|mut wire, number| match number {
        1 => {
            // Half an answer reaches the client before there is a second half.
            wire.read_head();
            // This connection ends here: kept, it would break under the next request now and then,
            // and a POST is not repeated.
            wire.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nfirst");
            wire.expect("go on");
            wire.send("after");
        }
        _ => {
            while wire.try_read_head().is_some() {
                wire.send(Response::text("small enough").bytes());
            }
        }
    });
    let example = one_backend(subject, "guide-buffering", "127.0.0.1:9000", &backend);
    let mut wire = Wire::connect(example.address("8080"));
    // Nor is the request's body waited for.
    wire.send("POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(wire.read_head().status(), 200);
    wire.expect("first");
    wire.send("go on");
    wire.expect("after");
    drop(wire);
    let declared = |length: u64| {
        let mut wire = Wire::connect(example.address("8080"));
        wire.send(format!("POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"));
        wire.read_head().status()
    };
    assert_eq!([declared(10 * 1024 * 1024), declared(10 * 1024 * 1024 + 1)], [200, 413]);
}

fn status(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = Example::of(subject, "guide-status").backend("127.0.0.1:9000", backend.address()).listen("8080");
    let (example, at, page) = match subject {
        Subject::Nginx => (example.start(), "8080", "/nginx_status"),
        Subject::Tidegate => (example.admin().start(), "admin", "/stub_status"),
    };
    let _tunnel = example.talk("8080", "/ws");
    let (head, text) = example.get(at, "x", page);
    assert_eq!(head.status(), 200);
    assert!(text.starts_with("Active connections: ") && text.contains("\nserver accepts handled requests\n"), "{text}");
    // 127.0.0.2 is neither 127.0.0.1 nor in 10.0.0.0/8.
    let (head, _) = get(connect_from([127, 0, 0, 2], example.address(at)), "x", page);
    assert_eq!(head.status(), 403);
    let (head, _) = get(connect_from([127, 0, 0, 2], example.address("8080")), "x", "/");
    assert_eq!(head.status(), 200, "the site is open to it");
    if subject == Subject::Tidegate {
        let (head, text) = example.get(at, "x", "/status");
        assert_eq!((head.status(), head.get("content-type")), (200, Some("application/json")));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["tunnels"].as_u64(), Some(1), "{json}");
    }
}

fn cors(subject: Subject) {
    const ORIGIN: &str = "https://app.example.com";
    let backend = Backend::ws_echo();
    let example = one_backend(subject, "guide-cors", "127.0.0.1:9000", &backend);
    let ask = |method: &str, lines: &str| {
        let mut wire = Wire::connect(example.address("8080"));
        wire.send(format!("{method} /ws HTTP/1.1\r\nHost: x\r\nOrigin: {ORIGIN}\r\n{lines}\r\n"));
        wire.read_response().0
    };
    // The deliberate difference: an origin that may, in place of `*` with credentials.
    let allowed = if subject == Subject::Nginx { "*" } else { ORIGIN };
    let words = |head: &Head, name: &str| {
        let value = head.get(name).unwrap_or_default();
        value.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>()
    };
    let preflight =
        ask("OPTIONS", "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n");
    assert_eq!((preflight.status(), preflight.get("access-control-allow-origin")), (204, Some(allowed)));
    assert_eq!(words(&preflight, "access-control-allow-methods"), ["GET", "POST", "OPTIONS"]);
    assert_eq!(
        words(&preflight, "access-control-allow-headers").join(","),
        "DNT,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization"
    );
    assert_eq!(preflight.get("access-control-max-age"), Some("1728000"));
    assert_eq!(backend.connections(), 0);
    let page = ask("GET", "");
    assert_eq!((page.status(), page.get("access-control-allow-origin")), (200, Some(allowed)));
    assert_eq!(page.get("access-control-allow-credentials"), Some("true"));
    example.talk("8080", "/ws");
}

fn troubleshooting_site(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = Example::of(subject, "troubleshooting-site")
        .backend("127.0.0.1:3000", backend.address())
        .listen("8080")
        .listen("[::]:8080")
        .start();
    for port in ["8080", "[::]:8080"] {
        let (head, body) = example.get(port, "example.com", "/");
        assert_eq!((head.status(), body.as_str()), (200, "plain"));
        example.talk(port, "/socket");
    }
    let seen = backend.heads();
    tells_who_asks(&seen[0], "example.com", "http");
    tells_who_asks(&seen[1], "ws.example.com", "http");
    assert_eq!([seen[0].get("upgrade").is_some(), seen[1].get("upgrade").is_some()], [false, true]);
}

fn troubleshooting_paths(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = one_backend(subject, "troubleshooting-paths", "127.0.0.1:3000", &backend);
    for path in ["/socket.io/?EIO=4&transport=websocket", "/socket"] {
        example.talk("8080", path);
    }
    let statuses = ["/socket.io/x.js", "/x.js", "/socket/x.js", "/other"]
        .map(|path| example.get("8080", "example.com", path).0.status());
    assert_eq!(statuses, [200, 403, 403, 404], "^~ keeps the regular expression away");
    let seen: Vec<_> = backend.heads().iter().map(|head| head.target().to_owned()).collect();
    assert_eq!(seen, ["/socket.io/?EIO=4&transport=websocket", "/socket", "/socket.io/x.js"]);
    tells_who_asks(&backend.heads()[0], "ws.example.com", "http");
}

fn proxying_basic(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = one_backend(subject, "proxying-basic", "127.0.0.1:9000", &backend);
    example.talk("8080", "/socket/");
    let seen = backend.only_head();
    assert_eq!((seen.get("host"), seen.get("x-real-ip")), (Some(backend.address().to_string().as_str()), None));
    assert_eq!(seen.target(), "/socket/");
    let (head, _) = example.get("8080", "example.com", "/socket");
    let to = format!("http://example.com:{}/socket/", example.address("8080").port());
    assert_eq!((head.status(), head.get("location")), (301, Some(to.as_str())), "the automatic slash");
}

fn proxying_timeouts(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = one_backend(subject, "proxying-timeouts", "127.0.0.1:9000", &backend);
    example.talk("8080", "/socket/chat");
    assert_eq!(example.get("8080", "example.com", "/socket/").1, "plain");
    assert_eq!(example.get("8080", "example.com", "/").0.status(), 404);
}

fn proxying_complete(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = one_backend(subject, "websocket-basic", "127.0.0.1:9000", &backend);
    example.talk("8080", "/socket/");
    assert_eq!(example.get("8080", "example.com", "/socket/page").1, "plain");
    let seen = backend.heads();
    tells_who_asks(&seen[0], "ws.example.com", "http");
    tells_who_asks(&seen[1], "example.com", "http");
}

fn proxying_load_balancing(subject: Subject) {
    let backends = [Backend::ws_echo(), Backend::ws_echo(), Backend::ws_echo()];
    let example = Example::of(subject, "proxying-load-balancing")
        .backend("10.0.0.11:8080", backends[0].address())
        .backend("10.0.0.12:8080", backends[1].address())
        .backend("10.0.0.13:8080", backends[2].address())
        .listen("8080")
        .start();
    let _tunnels = [(); 3].map(|()| example.talk("8080", "/ws/"));
    let mut taken = backends.each_ref().map(Backend::connections);
    taken.sort_unstable();
    assert_eq!(taken, [0, 0, 3]);
    let seen = backends.iter().find_map(|backend| backend.heads().first().cloned()).unwrap();
    assert_eq!(seen.get("host"), Some("ws.example.com"));
}

fn chat_application(subject: Subject) {
    const NAME: &str = "proxying-chat-application";
    let (page, script) = (read(NAME, "html/index.html"), read(NAME, "html/chat.js"));
    let backend = Backend::ws_echo();
    let example = Example::of(subject, "proxying-chat-application")
        .beside(NAME, "html/index.html")
        .beside(NAME, "html/chat.js")
        .backend("127.0.0.1:9000", backend.address())
        .listen("8080")
        .start();
    let get = |path: &str| example.get("8080", "chat.example.com", path);
    for path in ["/", "/index.html", "/rooms/42", "/rooms/"] {
        let (head, body) = get(path);
        assert_eq!((head.status(), head.get("content-type"), &body), (200, Some("text/html"), &page), "{path}");
    }
    let (head, body) = get("/chat.js");
    assert_eq!((head.status(), head.get("content-type"), &body), (200, Some("application/javascript"), &script));
    assert_eq!(get("/../nginx.conf").0.status(), 400, "no way out of the folder");
    assert_eq!(backend.connections(), 0);
    example.talk("8080", "/ws/chat");
    assert_eq!(get("/ws/rooms").1, "plain");
    let seen = backend.heads();
    let names = ["host", "x-real-ip", "x-forwarded-for"];
    assert_eq!(names.map(|name| seen[1].get(name)), [Some("chat.example.com"), Some("127.0.0.1"), Some("127.0.0.1")]);
}

fn first_look(subject: Subject) {
    let backend = Backend::ws_echo();
    let example = one_backend(subject, "first-look-map", "127.0.0.1:9000", &backend);
    example.talk("8080", "/chat/");
    assert_eq!(example.get("8080", "example.com", "/chat/").1, "plain");
    let mut wire = Wire::connect(example.address("8080"));
    wire.send("GET /chat/ HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(wire.read_response().1.text(), "plain");
    let upgrades: Vec<_> = backend.heads().iter().map(|head| head.lists("connection", "upgrade")).collect();
    // The deliberate difference: with this map nginx says so to every kept connection.
    assert_eq!(upgrades, [true, false, subject == Subject::Nginx]);
}
