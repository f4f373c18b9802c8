//! `auth_request` where the authority fails or is slow, what goes beyond nginx, and grants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Response, eventually, tidegate};

/// A route that asks `auth`, with more keys for the question, and one that does not.
fn guarded(auth: impl ToString, backend: &Backend, keys: &str, more: &str) -> Proxy {
    let text = format!(
        "{more}\n[[sites]]\nupstream = \"%backend%\"\n[[sites.routes]]\nmatch = \"/open\"\n\
         [[sites.routes]]\nmatch = \"/\"\n[sites.routes.auth_request]\nupstream = \"%auth%\"\npath = \"/verify\"\n{keys}\n"
    );
    tidegate(&text).var("auth", auth).var("backend", backend.address()).start()
}

#[test]
fn the_answers_headers_are_copied_and_the_clients_never_pass_for_them() {
    let auth = Backend::http(|request| match request.head.get("x-user") {
        Some(_) => Response::new(403).header("Set-Cookie", "a=1").header("Set-Cookie", "b=2").header("X-Why", "no"),
        None => Response::new(204).header("X-Groups", "a").header("X-Groups", "b"),
    });
    let backend = Backend::ws_echo();
    let keys = "copy_headers = [\"X-Groups\", \"X-Role\"]\ndeny_headers = [\"Set-Cookie\"]";
    let proxy = guarded(auth.address(), &backend, keys, "");
    let forged = "X-Groups: admin\r\nX-Role: admin\r\n";
    proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{forged}\r\n"));
    let seen = backend.only_head();
    assert_eq!(seen.all("x-groups"), ["a", "b"]);
    assert_eq!(seen.get("x-role"), None);
    let (head, _) = proxy.ask("GET / HTTP/1.1\r\nHost: x\r\nX-User: 1\r\n\r\n");
    assert_eq!(head.status(), 403);
    assert_eq!(head.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(head.get("x-why"), None);
}

/// An authority of this temper: what is guarded is a 500, what is not goes on, and no
/// guarded request reaches the backend.
#[track_caller]
fn fails(auth: &Backend, keys: &str) -> Duration {
    let backend = Backend::ws_echo();
    let proxy = guarded(auth.address(), &backend, keys, "");
    let since = Instant::now();
    assert_eq!(proxy.get("/").0.status(), 500);
    let took = since.elapsed();
    assert_eq!(proxy.ask(ws::handshake("/", "")).0.status(), 500);
    assert_eq!(backend.connections(), 0);
    assert_eq!(proxy.get("/open").0.status(), 200);
    took
}

#[test]
fn a_silent_authority_is_given_up_after_its_time() {
    let took = fails(&Backend::silent(), "timeout = \"200ms\"");
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn an_authority_that_resets_or_closes_lets_nobody_in() {
    fails(&Backend::resetting(), "");
    fails(
        &Backend::script(|mut wire, _| {
            wire.read_head();
            wire.send("HTTP/1.1 20");
        }),
        "",
    );
}

#[test]
fn garbage_is_no_answer() {
    for answer in [
        "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
    ] {
        let auth = Backend::script(move |mut wire, _| {
            wire.read_head();
            wire.send(answer);
            wire.expect_end();
        });
        fails(&auth, "");
    }
    let auth = Backend::script(|mut wire, _| {
        wire.read_head();
        let _whole = wire.try_send(format!("HTTP/1.1 200 OK\r\nX-Large: {}", "x".repeat(100_000)));
        wire.expect_end();
    });
    fails(&auth, "");
}

#[test]
fn no_authority_lets_nobody_in_and_the_next_peer_is_asked() {
    let (held, backend) = (HeldPort::new(), Backend::ws_echo());
    let proxy = guarded(held.address(), &backend, "", "");
    assert_eq!(proxy.get("/").0.status(), 500);
    assert_eq!(backend.connections(), 0);
    let auth = Backend::http(|_| Response::new(204));
    let peers = format!("[upstreams.authority]\npeers = [\"{}\", \"{}\"]\n", held.address(), auth.address());
    let proxy = guarded("authority", &backend, "", &peers);
    for _ in 0..4 {
        assert_eq!(proxy.get("/").0.status(), 200);
    }
    assert_eq!(auth.heads().len(), 4);
}

/// The head is the answer: a body without end is not waited for, and its connection closed.
#[test]
fn a_huge_body_is_not_waited_for() {
    let backend = Backend::ws_echo();
    let auth = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n");
        wire.send("x".repeat(1000));
        wire.expect_end();
    });
    let proxy = guarded(auth.address(), &backend, "", "");
    assert_eq!(proxy.get("/").0.status(), 200);
    auth.join();
}

#[test]
fn connections_to_the_authority_are_kept() {
    let backend = Backend::ws_echo();
    let auth = Backend::http(|request| match request.head.get("x-chunked") {
        Some(_) => Response::new(200).chunked(&["some", "text"], ""),
        None => Response::text("yes"),
    });
    let proxy = guarded(auth.address(), &backend, "", "");
    for lines in ["", "X-Chunked: 1\r\n", "", "X-Chunked: 1\r\n", ""] {
        assert_eq!(proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n")).0.status(), 200);
    }
    assert_eq!((auth.heads().len(), auth.connections()), (5, 1));
}

/// The peer closes a kept connection when the next question comes: it is asked again.
#[test]
fn a_kept_connection_that_was_closed_is_not_an_answer() {
    let backend = Backend::ws_echo();
    let auth = Backend::script(|mut wire, number| {
        wire.read_head();
        wire.send("HTTP/1.1 204 No Content\r\n\r\n");
        if number == 1 {
            // Takes the second question, and closes without a word.
            wire.read_head();
        }
    });
    let proxy = guarded(auth.address(), &backend, "", "");
    assert_eq!([proxy.get("/").0.status(), proxy.get("/").0.status()], [200, 200]);
    assert_eq!(auth.connections(), 2);
}

/// The plugin's own deadline is below the question's time: `on_failure` decides.
#[test]
fn a_deadline_is_a_failure_of_the_plugin() {
    let auth = Backend::silent();
    for (settings, wanted) in [("", 500), ("on_failure = \"open\"", 200)] {
        let backend = Backend::ws_echo();
        let more = format!("[plugins.auth-request]\ndeadline = \"100ms\"\n{settings}\n");
        let proxy = guarded(auth.address(), &backend, "", &more);
        assert_eq!(proxy.get("/").0.status(), wanted, "{settings}");
    }
}

/// A hundred wait for a slow authority, all of them asked about at once, and nobody else does.
#[test]
fn a_slow_authority_holds_up_nobody_else() {
    const MANY: usize = 100;
    let (waiting, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let auth = {
        let (waiting, go) = (Arc::clone(&waiting), Arc::clone(&go));
        Backend::http(move |_| {
            waiting.fetch_add(1, Ordering::SeqCst);
            eventually("the test to let them in", || go.load(Ordering::SeqCst));
            Response::new(204)
        })
    };
    let backend = Backend::ws_echo();
    let proxy = guarded(auth.address(), &backend, "", "");
    let mut tunnel = proxy.open("/open");
    let mut clients: Vec<_> = (0..MANY).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    eventually("all questions to be asked", || waiting.load(Ordering::SeqCst) == MANY);
    for _ in 0..5 {
        assert_eq!(proxy.get("/open").0.status(), 200);
        tunnel.echo(&Frame::text("meanwhile"));
    }
    assert_eq!(waiting.load(Ordering::SeqCst), MANY);
    go.store(true, Ordering::SeqCst);
    for mut client in clients {
        assert_eq!(client.read_response().0.status(), 200);
    }
}

/// A question that is out when the configuration changes is answered by the old one.
#[test]
fn a_reload_leaves_questions_alone() {
    let (waiting, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let auth = {
        let (waiting, go) = (Arc::clone(&waiting), Arc::clone(&go));
        Backend::http(move |_| {
            waiting.fetch_add(1, Ordering::SeqCst);
            eventually("the test to let them in", || go.load(Ordering::SeqCst));
            Response::new(204)
        })
    };
    let (backend, strict) = (Backend::ws_echo(), Backend::http(|_| Response::new(403)));
    let port = HeldPort::new();
    let with = |auth| {
        format!(
            "[[listeners]]\naddress = \"{}\"\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n\
             auth_request = {{ upstream = \"{auth}\", path = \"/\" }}\n",
            port.address()
        )
    };
    let mut proxy = tidegate(&with(auth.address())).var("backend", backend.address()).in_process().start();
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("the question", || waiting.load(Ordering::SeqCst) == 1);
    proxy.reload(&with(strict.address())).unwrap();
    assert_eq!(proxy.get("/").0.status(), 403);
    go.store(true, Ordering::SeqCst);
    assert_eq!(client.read_response().0.status(), 200);
}

/// A client that leaves takes its question with it.
#[test]
fn nobody_is_asked_on_for_a_client_that_left() {
    let backend = Backend::ws_echo();
    let auth = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.expect_end();
    });
    let proxy = guarded(auth.address(), &backend, "", "");
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("the question", || auth.connections() == 1);
    drop(client);
    auth.join();
    assert_eq!(backend.connections(), 0);
}

/// The stock component under a name of one's own, with no key that grants it anything.
#[test]
fn a_plugin_without_a_grant_is_denied() {
    let (auth, backend) = (Backend::http(|_| Response::new(204)), Backend::ws_echo());
    let at = auth.address();
    let status = |grants: &str, destination: &str| {
        let text = format!(
            "[upstreams.auth]\npeers = [\"{at}\"]\n\
             [plugins.mine]\ncomponent = \"stock:auth-request\"\n{grants}\n\
             config = {{ destination = \"{destination}\", path = \"/\", timeout_ms = 5000 }}\n\
             [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nplugins = [\"mine\"]\n"
        );
        let proxy = tidegate(&text).var("backend", backend.address()).start();
        proxy.get("/").0.status()
    };
    let address = format!("http://{at}");
    for (grants, destination) in [
        ("", "upstream:auth"),
        ("grants = []", address.as_str()),
        ("grants = [\"http-client:upstream:auth\"]", address.as_str()),
        ("grants = [\"http-client:http://127.0.0.1:1\"]", address.as_str()),
        ("grants = [\"http-client:upstream:auth\"]", "upstream:other"),
        ("grants = [\"http-client:upstream:auth\"]", "https://127.0.0.1"),
    ] {
        assert_eq!(status(grants, destination), 500, "{grants} {destination}");
    }
    assert_eq!(auth.connections(), 0);
    assert_eq!(status("grants = [\"http-client:upstream:auth\"]", "upstream:auth"), 200);
    assert_eq!(status(&format!("grants = [\"http-client:{address}\"]"), &address), 200);
    assert_eq!(auth.heads()[1].get("host"), Some("ws.example.com"));
}
