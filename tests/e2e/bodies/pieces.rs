//! Bodies that plugins see piece by piece, while they go on.

use std::sync::mpsc::channel;

use parking_lot::Mutex;
use tidegate_tests::http::read_chunk;
use tidegate_tests::{Backend, Response};

use super::{LANES, before, chunked, patient, post, set_up, status_and_text, telling};

const CHUNKS: &str = "wish = \"chunks\", tally = true";

#[test]
fn what_becomes_of_a_requests_pieces() {
    let backend = telling();
    for lane in LANES {
        let proxy = before(backend.address(), set_up("request-body", &[CHUNKS], lane, ""));
        let mut client = proxy.connect();
        for (sent, told) in [
            (post("hello", ""), "chunked|HELLO[5 bytes, some]||"),
            (chunked(&["a", "!pass", "!drop", "b"], ""), "chunked|A!passB[12 bytes, some]||"),
            (chunked(&["a"], "X-Sum: 12\r\n"), "chunked|A[1 bytes, some]|x-sum=2:12|"),
            (chunked(&[], ""), "chunked|[0 bytes, none]||"),
            (post("hello", "X-Unseen: 1\r\n"), "5|hello||"),
            (post("", ""), "0|||"),
        ] {
            client.send(&sent);
            assert_eq!(status_and_text(&client.read_response()), (200, told.to_owned()), "{sent}");
        }
        // More than a plugin is shown at once, and more than its answer may have.
        let large = "x".repeat(3 << 20);
        client.send(post(&large, ""));
        let (_, body) = client.read_response();
        assert_eq!(body.data.len(), "chunked|[3145728 bytes, some]||".len() + large.len());
        assert!(body.text().ends_with("X[3145728 bytes, some]||"));
    }
}

/// Each piece goes on before the next has come: nothing waits for the end.
#[test]
fn pieces_go_on_at_once() {
    let (sender, pieces) = channel();
    let sender = Mutex::new(sender);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        for _ in 0..3 {
            let piece = read_chunk(&mut wire);
            sender.lock().send(String::from_utf8(piece).unwrap()).unwrap();
        }
        wire.expect("0\r\n\r\n");
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let proxy = before(backend.address(), set_up("request-body", &["wish = \"chunks\""], "", ""));
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in ["one", "two", "six"] {
        client.send(format!("3\r\n{piece}\r\n"));
        assert_eq!(pieces.recv().unwrap(), piece.to_uppercase());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.read_head().status(), 200);
    drop(client);
}

#[test]
fn an_answers_pieces_go_on_at_once() {
    for lane in LANES {
        let (go_on, wait) = channel::<()>();
        let wait = Mutex::new(wait);
        let backend = Backend::script(move |mut wire, _| {
            wire.read_head();
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 11\r\nETag: \"a\"\r\n\r\n");
            for piece in ["one", "two", "!drop"] {
                wire.send(piece);
                if piece != "!drop" {
                    wait.lock().recv().unwrap();
                }
            }
            wire.expect_close();
        });
        let proxy = before(backend.address(), set_up("response-body", &[CHUNKS], lane, ""));
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let head = client.read_head();
        assert_eq!((head.get("content-length"), head.get("etag")), (None, Some("W/\"a\"")));
        for piece in ["ONE", "TWO"] {
            assert_eq!(read_chunk(&mut client), piece.as_bytes());
            go_on.send(()).unwrap();
        }
        assert_eq!(read_chunk(&mut client), b"[11 bytes, some]");
        client.expect("0\r\n\r\n");
        drop((client, proxy));
        backend.join();
    }
}

/// A client of HTTP/1.0 is told of the end by the connection's.
#[test]
fn an_answer_to_a_client_of_http_1_0() {
    let backend = Backend::named("hello");
    let proxy = before(backend.address(), set_up("response-body", &[CHUNKS], "", ""));
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n");
    let head = client.read_head();
    assert_eq!((head.get("content-length"), head.get("transfer-encoding")), (None, None));
    assert_eq!(client.read_until_close(), b"HELLO[5 bytes, some]");
}

/// While nobody has answered, a plugin can: with whatever it likes, or as for a failed upstream.
#[test]
fn a_plugin_ends_a_request() {
    let backend = patient();
    for lane in LANES {
        let proxy = before(backend.address(), set_up("request-body", &[CHUNKS], lane, ""));
        for (sent, status, text) in [
            (post("!reply no", ""), 403, "no"),
            (chunked(&["some", "!reply no"], ""), 403, "no"),
            (chunked(&["some"], "X-End: reply\r\n"), 409, "at the end"),
            (post("!abort it is bad", ""), 502, "502 Bad Gateway\n"),
            (chunked(&["some"], "X-End: abort\r\n"), 502, "502 Bad Gateway\n"),
        ] {
            let answer = proxy.ask(&sent);
            assert_eq!(status_and_text(&answer), (status, text.to_owned()), "{sent}");
        }
    }
}

/// The upstream never takes a broken request for a whole one.
#[test]
fn the_upstream_sees_that_a_request_broke_off() {
    let (sender, had) = channel();
    let sender = Mutex::new(sender);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        assert_eq!(read_chunk(&mut wire), b"SOME");
        sender.lock().send(()).unwrap();
        let rest = wire.read_until_close();
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    });
    let proxy = before(backend.address(), set_up("request-body", &["wish = \"chunks\""], "", ""));
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n");
    had.recv().unwrap();
    client.send("10\r\n!abort it is bad\r\n4\r\nmore\r\n0\r\n\r\n");
    assert_eq!(client.read_head().status(), 502);
    backend.join();
}

/// The head has gone: what is left is to break off.
#[test]
fn a_plugin_ends_an_answer() {
    let backend = Backend::http(|request| match request.head.target() {
        "/abort" => Response::new(200).chunked(&["some", "!abort bad", "more"], ""),
        "/reply" => Response::new(200).chunked(&["some", "!reply no", "more"], ""),
        _ => Response::new(200).chunked(&["some"], "X-End: abort\r\n"),
    });
    for lane in LANES {
        let proxy = before(backend.address(), set_up("response-body", &[CHUNKS], lane, ""));
        for path in ["/abort", "/reply", "/end"] {
            let mut client = proxy.connect();
            client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
            assert_eq!(client.read_head().status(), 200, "{path}");
            let rest = client.read_until_close();
            assert_eq!(rest, b"4\r\nSOME\r\n", "{path}: {}", rest.escape_ascii());
        }
    }
}
