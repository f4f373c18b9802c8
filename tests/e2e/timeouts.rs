//! The deadlines on the way to an upstream and of a client that dawdles.

use std::thread::spawn;
use std::time::{Duration, Instant};

use tidegate_tests::backend::{Hanging, Refusing};
use tidegate_tests::{Backend, Noise, Proxy, Subject, both, ws};

both!(
    refused_is_a_bad_gateway,
    connect_that_hangs,
    handshake_that_hangs,
    no_answer,
    no_answer_to_a_handshake,
    the_clock_restarts_with_every_read,
    a_backend_that_does_not_take_the_body,
    a_head_that_never_ends,
    an_idle_client,
);

const SHORT: Duration = Duration::from_millis(800);

fn with_timeouts(subject: Subject, backend: std::net::SocketAddr) -> Proxy {
    subject
        .setup()
        .nginx(
            "client_header_timeout 1s; keepalive_timeout 1s;
             location / {
                 proxy_pass http://%backend%; %guide%
                 proxy_connect_timeout 800ms; proxy_read_timeout 800ms; proxy_send_timeout 800ms;
             }",
        )
        .tidegate(
            r#"
            [server]
            workers = 1
            cache_dir = "%cache%"
            header_timeout = "1s"
            keepalive_timeout = "1s"
            [[sites]]
            [[sites.routes]]
            match = "/"
            upstream = "%backend%"
            limits = { max_body = 0 }
            timeouts = { connect = "800ms", read = "800ms", send = "800ms" }
            "#,
        )
        .var("backend", backend)
        .start()
}

fn refused_is_a_bad_gateway(subject: Subject) {
    let refusing = Refusing::new();
    let proxy = with_timeouts(subject, refusing.address());
    assert_eq!(proxy.get("/").0.status(), 502);
    assert_eq!(proxy.ask(ws::handshake("/ws", "")).0.status(), 502);
}

fn timed(ask: impl FnOnce() -> u16) -> u16 {
    let since = Instant::now();
    let status = ask();
    let took = since.elapsed();
    assert!(took >= SHORT - Duration::from_millis(100), "{status} after {took:?}");
    assert!(took < SHORT * 6, "{status} only after {took:?}");
    status
}

fn connect_that_hangs(subject: Subject) {
    let hanging = Hanging::new();
    let proxy = with_timeouts(subject, hanging.address());
    assert_eq!(timed(|| proxy.get("/").0.status()), 504);
}

fn handshake_that_hangs(subject: Subject) {
    let hanging = Hanging::new();
    let proxy = with_timeouts(subject, hanging.address());
    assert_eq!(timed(|| proxy.ask(ws::handshake("/ws", "")).0.status()), 504);
}

fn no_answer(subject: Subject) {
    let silent = Backend::silent();
    let proxy = with_timeouts(subject, silent.address());
    assert_eq!(timed(|| proxy.get("/").0.status()), 504);
}

fn no_answer_to_a_handshake(subject: Subject) {
    let silent = Backend::silent();
    let proxy = with_timeouts(subject, silent.address());
    assert_eq!(timed(|| proxy.ask(ws::handshake("/ws", "")).0.status()), 504);
}

fn the_clock_restarts_with_every_read(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n");
        for byte in "12345678".bytes() {
            // Twice the timeout in all.
            wire.expect_silence(SHORT / 4);
            wire.send([byte]);
        }
        wire.expect_close();
    });
    let proxy = with_timeouts(subject, backend.address());
    let (head, body) = proxy.get("/");
    assert_eq!((head.status(), body.text().as_str()), (200, "12345678"));
    drop(proxy);
    backend.join();
}

fn a_backend_that_does_not_take_the_body(subject: Subject) {
    const LENGTH: usize = 256 << 20;
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let wait = parking_lot::Mutex::new(wait);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        // Holds the connection without reading until the client has its answer.
        wait.lock().recv().unwrap();
    });
    let proxy = with_timeouts(subject, backend.address());
    let mut client = proxy.connect();
    let mut writer = client.writer();
    let writing = spawn(move || {
        let _ = writer.try_send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LENGTH}\r\n\r\n"));
        let piece = Noise::new(51).take(1 << 20);
        (0..LENGTH / piece.len()).take_while(|_| writer.try_send(&piece).is_ok()).count()
    });
    assert_eq!(client.read_head().status(), 504);
    done.send(()).unwrap();
    drop((client, proxy));
    let sent = writing.join().unwrap();
    assert!(sent < 256, "all of the body went somewhere");
    backend.join();
}

/// nginx closes without a word; 408 is as good.
fn a_head_that_never_ends(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = with_timeouts(subject, backend.address());
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nX-More: to co");
    let since = Instant::now();
    let rest = client.read_until_close();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{}", rest.escape_ascii());
    assert!(since.elapsed() < Duration::from_secs(8), "ended only after {:?}", since.elapsed());
    assert_eq!(backend.connections(), 0);
}

fn an_idle_client(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = with_timeouts(subject, backend.address());
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_response().1.text(), "hello");
    let since = Instant::now();
    client.expect_close();
    let idle = since.elapsed();
    assert!(idle > Duration::from_millis(500) && idle < Duration::from_secs(8), "ended after {idle:?}");
}
