//! Connections that serve several requests, on both sides: when they are kept and shared, and
//! what happens to a request when one ends under it.

use std::sync::mpsc::channel;

use parking_lot::Mutex;
use tidegate_tests::http::read_body;
use tidegate_tests::{Backend, Proxy, Response, Subject, both};

both!(
    connections_are_kept,
    connections_are_shared_by_clients,
    pipelined_requests_are_answered_in_order,
    connection_close,
    a_client_that_leaves_ends_the_request,
    a_kept_connection_that_ended_is_not_used,
    a_kept_connection_that_ends_under_a_get_is_replaced,
    a_post_is_not_repeated,
    a_kept_connection_that_ends_under_a_handshake_is_replaced,
    an_answer_before_the_body_was_sent,
    a_waiting_request_holds_up_nobody,
    a_tunnel_after_requests_on_one_connection,
);

const GET: &str = "GET / HTTP/1.1\r\nHost: ws.example.com\r\n\r\n";

fn connections_are_kept(subject: Subject) {
    let backend = Backend::http(|request| Response::text(format!("over {}", request.connection)));
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    for _ in 0..5 {
        client.send(GET);
        assert_eq!(client.read_response().1.text(), "over 1");
    }
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    assert_eq!(client.read_response().1.text(), "over 1");
    assert_eq!(backend.connections(), 1);
}

fn connections_are_shared_by_clients(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = subject.before(backend.address());
    for _ in 0..5 {
        assert_eq!(proxy.get("/").1.text(), "hello");
    }
    assert_eq!(backend.connections(), 1);
}

fn pipelined_requests_are_answered_in_order(subject: Subject) {
    let backend = Backend::http(|request| Response::text(format!("{}{}", request.head.target(), request.body.text())));
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(
        "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
         GET /3 HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    for wanted in ["/1", "/2abc", "/3"] {
        assert_eq!(client.read_response().1.text(), wanted);
    }
}

fn connection_close(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let (head, body) = client.read_response();
    assert_eq!(body.text(), "hello");
    assert!(head.lists("connection", "close"), "{}", head.raw.escape_ascii());
    client.expect_close();
}

fn a_client_that_leaves_ends_the_request(subject: Subject) {
    let (asked, told) = channel();
    let asked = Mutex::new(asked);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        asked.lock().send(()).unwrap();
        wire.expect_end();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(GET);
    let () = told.recv().expect("the backend is asked");
    client.reset();
    backend.join();
}

fn a_kept_connection_that_ended_is_not_used(subject: Subject) {
    let backend = Backend::script(|mut wire, number| {
        wire.read_head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if number == 1 {
            wire.finish();
        }
        wire.expect_end();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send(GET);
        let (head, body) = client.read_response();
        assert_eq!((head.status(), body.text().as_str()), (200, "ok"));
        // Gives the end time to reach the proxy.
        client.expect_silence(std::time::Duration::from_millis(100));
    }
    assert_eq!(backend.connections(), 2);
    drop((client, proxy));
    backend.join();
}

/// RFC 9110 section 9.2.2: the backend was about to close the kept connection when the
/// proxy sent a request over it; a request that may be repeated goes over another one.
fn a_kept_connection_that_ends_under_a_get_is_replaced(subject: Subject) {
    let backend = Backend::script(|mut wire, number| {
        wire.read_head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if number == 1 {
            wire.read_head();
            return;
        }
        wire.expect_end();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send(GET);
        let (head, body) = client.read_response();
        assert_eq!((head.status(), body.text().as_str()), (200, "ok"));
    }
    assert_eq!(backend.connections(), 2);
    drop((client, proxy));
    backend.join();
}

/// Its backend may have acted on it before it closed.
fn a_post_is_not_repeated(subject: Subject) {
    let backend = Backend::script(|mut wire, number| {
        assert_eq!(number, 1, "the POST came again");
        wire.read_head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let head = wire.read_head();
        assert_eq!(head.method(), "POST");
        read_body(&mut wire, &head, false);
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(GET);
    assert_eq!(client.read_response().1.text(), "ok");
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.read_response().0.status(), 502);
    drop((client, proxy));
    backend.join();
}

fn a_kept_connection_that_ends_under_a_handshake_is_replaced(subject: Subject) {
    let backend = Backend::script(|mut wire, number| {
        wire.read_head();
        if number == 1 {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            // Tidegate opens a connection for each handshake; nginx takes this one first.
            wire.try_read_head();
            return;
        }
        wire.send(tidegate_tests::ws::switching(tidegate_tests::ws::KEY, ""));
        wire.expect("hello");
        wire.send("hello");
    });
    let proxy = subject.before(backend.address());
    assert_eq!(proxy.get("/").1.text(), "ok");
    let mut client = proxy.open("/ws");
    client.send("hello");
    client.expect("hello");
    client.expect_close();
    drop(proxy);
    backend.join();
}

/// The rest of the body is not taken for a request.
fn an_answer_before_the_body_was_sent(subject: Subject) {
    const LENGTH: usize = 2 << 20;
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send("HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo much");
        // Takes the rest, so that no reset overtakes the answer.
        while wire.try_read().is_ok_and(|piece| !piece.is_empty()) {}
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LENGTH}\r\n\r\n"));
    let (head, body) = client.read_response();
    assert_eq!((head.status(), body.text().as_str()), (413, "too much"));
    // The proxy may have hung up, or takes the body; what it must not do is to answer it.
    let _ = client.try_send("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(LENGTH / 27 + 1));
    client.finish();
    let mut answers = 0;
    while client.try_read_head().is_some() {
        answers += 1;
    }
    assert!(answers <= 1, "{answers} answers to the rest of a body");
    drop((client, proxy));
    backend.join();
}

fn a_waiting_request_holds_up_nobody(subject: Subject) {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let backend = Backend::http(move |request| {
        if request.head.target() == "/slow" {
            told.lock().recv().unwrap();
        }
        Response::text(request.head.target())
    });
    let proxy = subject.before(backend.address());
    let mut slow = proxy.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    for _ in 0..20 {
        assert_eq!(proxy.get("/fast").1.text(), "/fast");
    }
    go.send(()).unwrap();
    assert_eq!(slow.read_response().1.text(), "/slow");
}

fn a_tunnel_after_requests_on_one_connection(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    for _ in 0..3 {
        client.send(GET);
        assert_eq!(client.read_response().1.text(), "plain");
    }
    client.upgrade("/ws");
    client.echo(&tidegate_tests::ws::Frame::text("hello"));
    // The tunnel's connection to the backend is nobody else's.
    assert_eq!(proxy.get("/").1.text(), "plain");
    client.echo(&tidegate_tests::ws::Frame::text("still mine"));
}

/// A body that has gone out cannot go out again; one that is kept may. Never a part of it.
#[test]
fn a_body_is_sent_whole_or_not_again() {
    let backend = Backend::script(|mut wire, number| {
        if number == 1 {
            wire.read_head();
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
        let head = wire.read_head();
        assert_eq!(head.method(), "PUT");
        if number == 1 {
            wire.expect("hel");
            return;
        }
        assert_eq!(read_body(&mut wire, &head, false).text(), "hello");
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nput");
        wire.expect_end();
    });
    let proxy = to_backend(&backend);
    let mut client = proxy.connect();
    client.send(GET);
    assert_eq!(client.read_response().1.text(), "ok");
    client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
    // The backend goes when it has the first part; the answer may come before the rest went.
    let _ = client.try_send("lo");
    let (head, body) = client.read_response();
    match head.status() {
        200 => assert_eq!(body.text(), "put"),
        status => assert_eq!(status, 502),
    }
    drop((client, proxy));
    backend.join();
}

fn to_backend(backend: &Backend) -> Proxy {
    Subject::Tidegate.before(backend.address())
}
