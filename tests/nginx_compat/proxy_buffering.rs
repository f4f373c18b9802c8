//! `proxy_buffering` and `proxy_request_buffering`, on and off.

use std::sync::mpsc::channel;
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_tests::{Backend, Noise, Subject, Wire, both};

use super::mirror;

both!(
    a_slow_client_does_not_hold_the_backend,
    the_backend_may_switch_it_off,
    a_body_is_whole_before_the_backend_is_asked,
    a_body_passes_as_it_comes
);

/// Less than the buffers, and more than the sockets on the way hold.
const LARGE: usize = 40 << 20;

fn a_slow_client_does_not_hold_the_backend(subject: Subject) {
    let (sent, was_sent) = channel();
    let sent = Mutex::new(sent);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
        wire.send(Noise::new(3).take(LARGE));
        sent.lock().send(()).unwrap();
    });
    let proxy = subject
        .setup()
        .nginx("location / { proxy_pass http://%backend%; }")
        .tidegate(
            "[[sites]]\nupstream = \"%backend%\"\nbuffer_responses = \"64MiB\"\n[[sites.routes]]\nmatch = \"/\"\n",
        )
        .var("backend", backend.address())
        .start();
    let mut client = Wire::connect_narrow(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_head().status(), 200);
    was_sent.recv_timeout(tidegate_tests::patience()).expect("the backend sends all of it while nobody reads");
    client.expect_noise(&mut Noise::new(3), LARGE);
}

fn the_backend_may_switch_it_off(subject: Subject) {
    let (stalled, at) = channel();
    let stalled = Mutex::new(stalled);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        wire.send("HTTP/1.1 200 OK\r\nX-Accel-Buffering: no\r\nContent-Length: 268435456\r\n\r\n");
        stalled
            .lock()
            .send(wire.send_until_stalled(&mut Noise::new(4), 256 << 20, Duration::from_millis(700)))
            .unwrap();
    });
    let proxy = subject
        .setup()
        .nginx("location / { proxy_pass http://%backend%; }")
        .tidegate("[[sites]]\nupstream = \"%backend%\"\nbuffer_responses = \"1GiB\"\n[[sites.routes]]\nmatch = \"/\"\n")
        .var("backend", backend.address())
        .start();
    let mut client = Wire::connect_narrow(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = client.read_head();
    assert_eq!((head.status(), head.get("x-accel-buffering")), (200, None));
    let sent: usize = at.recv_timeout(tidegate_tests::patience()).expect("the backend stalls");
    assert!(sent < 64 << 20, "{sent} bytes went into the proxy while nobody read");
}

fn a_body_is_whole_before_the_backend_is_asked(subject: Subject) {
    let backend = mirror();
    let proxy = subject
        .setup()
        .nginx("location / { proxy_pass http://%backend%; proxy_http_version 1.1; }")
        .tidegate("[[sites]]\nupstream = \"%backend%\"\nbuffer_requests = \"1MiB\"\n[[sites.routes]]\nmatch = \"/\"\n")
        .var("backend", backend.address())
        .start();
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    client.expect_silence(Duration::from_millis(200));
    assert_eq!(backend.connections(), 0);
    client.send("6\r\n world\r\n0\r\n\r\n");
    let (head, body) = client.read_response();
    let text = body.text();
    assert_eq!(head.status(), 200);
    let lower = text.to_ascii_lowercase();
    assert!(lower.contains("content-length: 11") && !lower.contains("transfer-encoding"), "{text}");
    assert!(text.ends_with("\n\nhello world"), "{text}");
    // The connection goes on, and an empty body has a length too.
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    let (_, body) = client.read_response();
    assert!(body.text().to_ascii_lowercase().contains("content-length: 0"), "{}", body.text());
    // 100-continue is answered before, since the body is wanted at once.
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.read_head().status(), 100);
    client.send("ok");
    assert!(client.read_response().1.text().ends_with("\n\nok"));
}

fn a_body_passes_as_it_comes(subject: Subject) {
    let (seen, was_seen) = channel();
    let seen = Mutex::new(seen);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        wire.expect("5\r\nhello\r\n");
        seen.lock().send(()).unwrap();
        wire.expect("0\r\n\r\n");
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let proxy = subject
        .setup()
        .nginx("location / { proxy_pass http://%backend%; proxy_http_version 1.1; proxy_request_buffering off; }")
        .tidegate("[[sites]]\nupstream = \"%backend%\"\n[[sites.routes]]\nmatch = \"/\"\n")
        .var("backend", backend.address())
        .start();
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    was_seen.recv_timeout(tidegate_tests::patience()).expect("the first chunk comes before the last");
    client.send("0\r\n\r\n");
    assert_eq!(client.read_response().0.status(), 200);
}
