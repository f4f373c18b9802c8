//! Clients and backends that break HTTP: what is refused, and what the other side sees.

use tidegate_tests::{Backend, Proxy, Response, Subject, both};

both!(
    framing_that_could_smuggle_is_refused,
    a_bad_chunk_is_refused,
    a_response_cut_short_is_cut_short,
    responses_of_broken_backends,
);

const GET: &str = "GET / HTTP/1.1\r\nHost: ws.example.com\r\n\r\n";

/// RFC 9112 section 6.3 and 11.2: a message whose length can be read in two ways is
/// refused, and the backend never sees it.
fn framing_that_could_smuggle_is_refused(subject: Subject) {
    let shapes = [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhelloX",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\nhelloX",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX-Nul: a\0b\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    let passed: Vec<_> = shapes
        .iter()
        .filter_map(|shape| {
            let backend = Backend::named("smuggled");
            let proxy = subject.before(backend.address());
            let (head, _) = proxy.ask(shape);
            let seen = backend.heads().first().map(|seen| seen.raw.escape_ascii().to_string());
            let refused = matches!(head.status(), 400 | 501) && seen.is_none();
            (!refused).then(|| format!("{}\n  answer: {}\n  backend: {seen:?}", shape.escape_default(), head.start))
        })
        .collect();
    assert!(passed.is_empty(), "not refused:\n{}", passed.join("\n"));
}

/// A body that breaks after its head was fine: the backend may have seen the head, never
/// an end of the body, and the connection serves no further request.
fn a_bad_chunk_is_refused(subject: Subject) {
    for chunk in ["zz\r\nhello\r\n0\r\n\r\n", "5\r\nhelloX0\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n"] {
        let backend = Backend::script(|mut wire, _| {
            let mut seen = Vec::new();
            while let Ok(piece) = wire.try_read() {
                if piece.is_empty() {
                    break;
                }
                seen.extend(piece);
            }
            let seen = String::from_utf8_lossy(&seen).into_owned();
            assert!(!seen.contains("0\r\n\r\n"), "the body was ended: {seen:?}");
            assert!(!seen.contains("smuggled"), "{seen:?}");
        });
        let proxy = subject.before(backend.address());
        let mut client = proxy.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"));
        // The proxy may have hung up by now.
        let _ = client.try_send("GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        if let Some(head) = client.try_read_head() {
            assert_eq!(head.status(), 400, "{}", chunk.escape_default());
        }
        drop((client, proxy));
        backend.join();
    }
}

fn a_response_cut_short_is_cut_short(subject: Subject) {
    let backend = Backend::script(|mut wire, number| {
        wire.read_head();
        wire.send(match number {
            1 => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
            _ => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
        });
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(GET);
    assert_eq!(client.read_head().get("content-length"), Some("100"));
    client.expect("only this");
    client.expect_end();
    let mut client = proxy.connect();
    client.send(GET);
    assert!(client.read_head().lists("transfer-encoding", "chunked"));
    client.expect("9\r\nonly this\r\n");
    // No last chunk: the client can tell that something is missing.
    client.expect_end();
    backend.join();
}

fn responses_of_broken_backends(subject: Subject) {
    let resetting = Backend::resetting();
    let proxy = subject.before(resetting.address());
    assert_eq!(proxy.get("/").0.status(), 502);
    let closing = Backend::script(|mut wire, _| {
        wire.read_head();
    });
    let proxy = subject.before(closing.address());
    assert_eq!(proxy.get("/").0.status(), 502);
    let halting = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Le");
    });
    let proxy = subject.before(halting.address());
    assert_eq!(proxy.get("/").0.status(), 502);
}

/// nginx takes an answer that is not HTTP for HTTP/0.9; Tidegate does not.
#[test]
fn an_answer_that_is_not_http_is_a_bad_gateway() {
    for answer in ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"] {
        let backend = Backend::script(move |mut wire, _| {
            wire.read_head();
            wire.send(answer);
            wire.expect_end();
        });
        let proxy = to_backend(&backend);
        assert_eq!(proxy.get("/").0.status(), 502, "{answer:?}");
        drop(proxy);
        backend.join();
    }
}

/// nginx answers 400 here; RFC 6585 section 5 has a status for it.
#[test]
fn a_head_that_is_too_large() {
    let backend = Backend::named("hello");
    let proxy = to_backend(&backend);
    let lines = "X-Much: 0123456789012345678901234567890123456789\r\n".repeat(2000);
    let (head, _) = proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n"));
    assert_eq!(head.status(), 431);
    assert_eq!(backend.connections(), 0);
    let lines = "X-Some: 0123456789\r\n".repeat(60);
    assert_eq!(proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n")).0.status(), 200);
}

/// nginx: `proxy_buffer_size`, with 4 or 8 KiB.
#[test]
fn an_answers_head_that_is_too_large() {
    let backend = Backend::http(|request| {
        let (lines, length) = match request.head.target() {
            "/large" => (240, 300),
            "/many" => (300, 10),
            _ => (240, 200),
        };
        let value = "x".repeat(length);
        (0..lines).fold(Response::text("hello"), |response, _| response.header("X-Line", &value))
    });
    let proxy = to_backend(&backend);
    let statuses = ["/large", "/many"].map(|path| proxy.get(path).0.status());
    assert_eq!(statuses, [502, 502]);
    let (head, body) = proxy.get("/some");
    assert_eq!((head.status(), head.all("x-line").len(), body.text().as_str()), (200, 240, "hello"));
}

fn to_backend(backend: &Backend) -> Proxy {
    Subject::Tidegate.before(backend.address())
}
