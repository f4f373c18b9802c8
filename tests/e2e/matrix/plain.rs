//! Requests of each cell: heads, bodies, trailers, answers that come early or break off.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use tidegate_tests::cell::{Answer, Ask, Cell, MessagePeer, Running, Trust};
use tidegate_tests::front::{self, Front};
use tidegate_tests::http2::{Http2, Offer, send_all};
use tidegate_tests::{Backend, Noise, wait_for};
use tokio::sync::Semaphore;

fn with(
    cell: Cell,
    answer: impl Fn(&tidegate_tests::cell::Asked) -> Answer + Send + Sync + 'static,
) -> (Running, MessagePeer) {
    let trust = Trust::new();
    let peer = MessagePeer::serve(cell.up, &trust, answer);
    (cell.before(trust, peer.address(), ""), peer)
}

pub(super) fn requests(cell: Cell) {
    let (running, peer) = with(cell, |asked| match asked.target.as_str() {
        "/hello?a=b" => {
            assert!(matches!(asked.method.as_str(), "GET" | "HEAD"));
            assert_eq!(asked.lines["x-token"], "secret");
            assert!(!asked.lines.contains_key("connection") || asked.lines["connection"] != "x-mine");
            assert!(!asked.lines.contains_key("x-mine"), "a line of the connection goes no further");
            let mut answer = Answer::with("hello").and("x-a", "1").and("x-a", "2").and("set-cookie", "a=b");
            answer.interim = vec![103];
            answer
        }
        "/nothing" => Answer::status(204),
        "/same" => Answer::status(304).and("etag", "\"e\""),
        "/gone" => Answer { status: 410, ..Answer::with("gone") },
        "/method" => Answer::with(asked.method.as_bytes()),
        other => panic!("{other}"),
    });
    let mut hello = Ask::get("/hello?a=b").line("x-token", "secret");
    if !cell.down.is_multiplexed() {
        hello = hello.line("connection", "x-mine").line("x-mine", "1");
    }
    let answer = running.ask(&hello);
    // Interim answers are the proxy's own affair (RFC 9110 §15.2 allows it).
    assert_eq!((answer.interim.as_slice(), answer.status, answer.text()), (&[][..], 200, "hello".to_owned()));
    assert_eq!(answer.lines.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((answer.line("content-length"), answer.line("set-cookie")), ("5", "a=b"));
    assert!(answer.lines.contains_key("date"));
    let head = running.ask(&hello.clone().method("HEAD"));
    assert_eq!((head.status, head.line("content-length"), head.body.len()), (200, "5", 0));
    for (path, status, body) in [("/nothing", 204, ""), ("/same", 304, ""), ("/gone", 410, "gone")] {
        let answer = running.get(path);
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{path}");
    }
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"] {
        assert_eq!(running.ask(&Ask::get("/method").method(method)).text(), method);
    }
    drop(running);
    peer.join();
}

pub(super) fn large_bodies(cell: Cell) {
    const LENGTH: usize = 16 << 20;
    let (running, peer) = with(cell, |asked| {
        assert_eq!(asked.lines["content-length"], LENGTH.to_string().as_str());
        Answer::with(asked.body.clone())
    });
    let sent = Noise::new(71).take(LENGTH);
    let answer = running.ask(&Ask::post("/", sent.clone()));
    assert_eq!((answer.status, answer.line("content-length")), (200, LENGTH.to_string().as_str()));
    assert!(answer.body == sent, "{LENGTH} bytes come back");
    drop(running);
    peer.join();
}

pub(super) fn trailers(cell: Cell) {
    let (running, peer) = with(cell, |asked| {
        assert_eq!(asked.body, b"body");
        assert_eq!(asked.trailers.get("x-sum").map(|sum| sum.as_bytes()), Some(&b"12"[..]));
        let mut trailers = HeaderMap::new();
        trailers.append("x-back", "34".parse().unwrap());
        // RFC 9110 §6.5.1: not behind a body.
        trailers.append("content-length", "4".parse().unwrap());
        Answer { trailers, ..Answer::with("answer") }
    });
    let ask = Ask { trailers: vec![("x-sum", "12")], ..Ask::post("/", b"body".to_vec()).line("te", "trailers") };
    let answer = running.ask(&ask);
    assert_eq!((answer.status, answer.text().as_str()), (200, "answer"));
    let trailers: Vec<_> = answer.trailers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    assert_eq!(trailers, [("x-back", "34")]);
    drop(running);
    peer.join();
}

/// An answer that comes before the body was sent passes; the rest of the body goes nowhere.
pub(super) fn an_early_answer(cell: Cell) {
    let trust = Trust::new();
    let ask = |running: &Running| {
        let answer = running.ask(&Ask::post("/", Noise::new(72).take(16 << 20)));
        assert_eq!((answer.status, answer.line("x-why")), (413, "too much"));
    };
    if cell.up.is_h2() {
        let backend = Http2::serve(Offer::default(), |mut call| async move {
            let answer = http::Response::builder().status(413).header("x-why", "too much").body(()).unwrap();
            call.respond.send_response(answer, true).unwrap();
        });
        let (running, front) = stand(cell, trust, backend.address());
        ask(&running);
        drop((running, front));
        backend.join();
    } else {
        let backend = Backend::script(|mut wire, _| {
            wire.read_head();
            wire.send("HTTP/1.1 413 Too Much\r\nX-Why: too much\r\nContent-Length: 0\r\n\r\n");
            // Until the proxy gives up to send the rest.
            while wire.try_read().is_ok_and(|piece| !piece.is_empty()) {}
        });
        let (running, front) = stand(cell, trust, backend.address());
        ask(&running);
        drop((running, front));
        backend.join();
    }
}

/// Half an answer must not look whole (RFC 9112 §8, RFC 9113 §8.1.1).
pub(super) fn a_body_that_breaks_off(cell: Cell) {
    let (trust, arrived) = (Trust::new(), Arc::new(Semaphore::new(0)));
    // What a reset overtakes is lost: the first half has to be there first.
    let broken = |running: &Running| {
        assert_eq!(running.get_broken("/", b"half of", || arrived.add_permits(1)), b"half of");
    };
    let waits = Arc::clone(&arrived);
    if cell.up.is_h2() {
        let backend = Http2::serve(Offer::default(), move |mut call| {
            let waits = Arc::clone(&waits);
            async move {
                let mut send = call.respond.send_response(http::Response::new(()), false).unwrap();
                send_all(&mut send, b"half of").await;
                let _arrived = waits.acquire().await.unwrap();
                send.send_reset(h2::Reason::INTERNAL_ERROR);
            }
        });
        let (running, front) = stand(cell, trust, backend.address());
        broken(&running);
        drop((running, front));
        backend.join();
    } else {
        let backend = Backend::script(move |mut wire, _| {
            wire.read_head();
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nhalf of\r\n");
            wait_for("the first half to arrive", || waits.try_acquire().ok().map(drop));
        });
        let (running, front) = stand(cell, trust, backend.address());
        broken(&running);
        drop((running, front));
        backend.join();
    }
}

/// A proxy before a backend, with TLS between them where the cell has it.
fn stand(cell: Cell, trust: Trust, backend: SocketAddr) -> (Running, Option<Front>) {
    let protocols: &[&str] = if cell.up.is_h2() { &["h2"] } else { &["http/1.1"] };
    let front = cell.up.is_tls().then(|| front::tls(&trust.certified).protocols(protocols).before(backend));
    let address = front.as_ref().map_or(backend, Front::address);
    (cell.before(trust, address, ""), front)
}
