//! What cannot be parsed in one way only: refused with the same status as nginx, the
//! connection closed after it, and nothing seen by the backend. The table in
//! `docs/parsing.md` names these cases and those where Tidegate differs on purpose.

use tidegate_tests::{Backend, Subject, both};

both!(
    heads_that_are_refused,
    bodies_that_are_refused,
    targets_that_are_refused,
    heads_that_pass,
    lines_that_are_too_long,
    answers_that_are_refused,
);

/// Send each; say which is not answered with its status, or reached the backend, or left the
/// connection open.
#[track_caller]
fn refused(subject: Subject, cases: &[(&str, u16)]) {
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|(bytes, status)| {
            let backend = Backend::named("reached");
            let proxy = subject.before(backend.address());
            let mut client = proxy.connect();
            client.send(bytes);
            let head = client.try_read_head();
            let got = head.map(|head| head.status());
            let reached = backend.heads().len();
            // Whatever stands behind a refused request must not be taken for another one.
            let _ = client.try_send("GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
            while client.try_read().is_ok_and(|piece| !piece.is_empty()) {}
            let smuggled = backend.heads().len() > reached;
            let right = got == Some(*status) && reached == 0 && !smuggled;
            (!right).then(|| format!("{bytes:?}: {got:?}, not {status}; reached {reached}, smuggled {smuggled}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn heads_that_are_refused(subject: Subject) {
    refused(
        subject,
        &[
            // Two lengths, or one that is not a number.
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello", 400),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello", 400),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello", 400),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5 5\r\n\r\nhello", 400),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nhello", 400),
            // Two framings.
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
            // Codings.
            ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
            ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501),
            ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
            ("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            // Header lines.
            ("GET / HTTP/1.1\r\nHost: x\r\nX-Nul: a\0b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 0\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: x\r\nX-Line: a\rb: c\r\n\r\n", 400),
            // Hosts.
            ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
            // Request lines.
            ("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("GET / HTTP/1.1 x\r\nHost: x\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
            ("GET / HTPT/1.1\r\nHost: x\r\n\r\n", 400),
            ("G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        ],
    );
}

fn bodies_that_are_refused(subject: Subject) {
    let chunked = |body: &str| format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    for body in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    ] {
        let backend = Backend::script(|mut wire, _| {
            let mut seen = Vec::new();
            while let Ok(piece) = wire.try_read()
                && !piece.is_empty()
            {
                seen.extend(piece);
            }
            let seen = String::from_utf8_lossy(&seen).into_owned();
            assert!(!seen.contains("0\r\n\r\n") && !seen.contains("smuggled"), "{seen:?}");
        });
        let proxy = subject.before(backend.address());
        let mut client = proxy.connect();
        client.send(chunked(body));
        let _ = client.try_send("GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        if let Some(head) = client.try_read_head() {
            assert_eq!(head.status(), 400, "{body:?}");
        }
        drop((client, proxy));
        backend.join();
    }
}

fn targets_that_are_refused(subject: Subject) {
    refused(
        subject,
        &[
            ("GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("GET /a/%2e%2e/%2e%2e/b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("GET relative HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ],
    );
}

/// What is odd but can be read in one way only.
fn heads_that_pass(subject: Subject) {
    for (head, line) in [
        // Bare line ends, in which nginx and httparse agree; they go on as CRLF.
        ("GET /lf HTTP/1.1\nHost: x\n\n", "GET /lf HTTP/1.1"),
        ("\r\n\r\nGET /empty-lines HTTP/1.1\r\nHost: x\r\n\r\n", "GET /empty-lines HTTP/1.1"),
        ("GET /ows HTTP/1.1\r\nHost:   x  \r\n\r\n", "GET /ows HTTP/1.1"),
        ("GET http://other.example/abs HTTP/1.1\r\nHost: x\r\n\r\n", "GET /abs HTTP/1.1"),
        ("GET /no-host HTTP/1.0\r\n\r\n", "GET /no-host HTTP/1.1"),
        ("GET /cased HTTP/1.1\r\nhOsT: x\r\n\r\n", "GET /cased HTTP/1.1"),
    ] {
        let backend = Backend::named("passed");
        let proxy = subject.before(backend.address());
        let mut client = proxy.connect();
        client.send(head);
        assert_eq!(client.read_head().status(), 200, "{head:?}");
        let seen = backend.only_head();
        assert_eq!(seen.start, line);
        assert!(!seen.raw.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r'), "{}", seen.raw.escape_ascii());
    }
}

fn lines_that_are_too_long(subject: Subject) {
    let long = "a".repeat(9000);
    refused(subject, &[(&format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), 414)]);
    let backend = Backend::named("reached");
    let proxy = subject.before(backend.address());
    let (head, _) = proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n"));
    // nginx has no other status for it; RFC 6585 section 5 has.
    assert_eq!(head.status(), if subject == Subject::Nginx { 400 } else { 431 });
    assert_eq!(backend.connections(), 0);
}

/// Answers that two readers could take for two things never reach the client as they are.
fn answers_that_are_refused(subject: Subject) {
    bad_gateway(subject, &["HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 0\r\n\r\n"]);
}

/// What the client sees of each of these answers is 502.
#[track_caller]
fn bad_gateway(subject: Subject, answers: &[&'static str]) {
    for &answer in answers {
        let backend = Backend::script(move |mut wire, _| {
            wire.read_head();
            let _ = wire.try_send(answer);
            wire.expect_end();
        });
        let proxy = subject.before(backend.address());
        assert_eq!(proxy.get("/").0.status(), 502, "{answer:?}");
        drop(proxy);
        backend.join();
    }
}

/// Where nginx 1.22 passes something on that a client may read in another way.
#[test]
fn answers_that_only_tidegate_refuses() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Spaced : a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ];
    bad_gateway(Subject::Tidegate, &answers);
}

/// nginx reads obs-fold and more leniently, or answers with another status.
#[test]
fn heads_that_only_tidegate_refuses() {
    refused(
        Subject::Tidegate,
        &[
            ("GET / HTTP/1.1\r\nHost: x\r\nX-Folded: a\r\n b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: x\r\nX Y: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
            ("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            ("GET /\n", 400),
        ],
    );
}
