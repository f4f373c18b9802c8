//! How many requests a client's connection serves, and how long one may dawdle on it.

use std::time::Duration;

use tidegate_tests::{Backend, Subject, both};

both!(the_last_request_closes, a_body_that_stops);

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn the_last_request_closes(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = subject
        .setup()
        .nginx("keepalive_requests 3; location / { proxy_pass http://%backend%; %guide% }")
        .tidegate(
            r#"
            [server]
            workers = 1
            cache_dir = "%cache%"
            keepalive_requests = 3
            [[sites]]
            upstream = "%backend%"
            [[sites.routes]]
            match = "/"
            "#,
        )
        .var("backend", backend.address())
        .start();
    let mut client = proxy.connect();
    for number in 1..=3 {
        client.send(GET);
        let (head, _) = client.read_response();
        assert_eq!(head.lists("connection", "close"), number == 3, "request {number}");
    }
    client.expect_end();
}

/// The rest of the body never comes: the connection ends. Tidegate says why.
fn a_body_that_stops(subject: Subject) {
    let backend = Backend::script(|mut wire, _| while wire.try_read().is_ok_and(|piece| !piece.is_empty()) {});
    let proxy = subject
        .setup()
        .nginx("client_body_timeout 1s; location / { proxy_pass http://%backend%; %guide% }")
        .tidegate(
            r#"
            [server]
            workers = 1
            cache_dir = "%cache%"
            body_timeout = "1s"
            [[sites]]
            upstream = "%backend%"
            [[sites.routes]]
            match = "/"
            "#,
        )
        .var("backend", backend.address())
        .start();
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
    client.expect_silence(Duration::from_millis(300));
    let head = client.try_read_head();
    assert_eq!(head.map(|head| head.status()), (subject == Subject::Tidegate).then_some(408));
    drop((client, proxy));
    backend.join();
}
