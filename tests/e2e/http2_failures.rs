//! Peers of HTTP/2 that refuse, leave, reset, hang, or do not speak it: what is sent again, and
//! what the client is told.

use std::sync::Arc;
use std::sync::mpsc::channel;

use parking_lot::Mutex;
use tidegate_tests::http2::frames::{self, greet, wait_for};
use tidegate_tests::http2::{Offer, end, read_all, send_all};
use tidegate_tests::{Backend, Http2, Noise, Wire, eventually, patience};
use tokio::sync::Semaphore;

use crate::http2::{before, started};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";

fn peers(addresses: &[std::net::SocketAddr]) -> String {
    let quoted: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!("peers = [{}]", quoted.join(", "))
}

/// RFC 9113 §8.7: what was refused was not processed, and is sent again, a POST with its body
/// too.
#[test]
fn a_refused_stream_is_sent_again() {
    for request in [GET, POST] {
        let backend = Backend::script(|mut wire, _| {
            greet(&mut wire);
            let stream = wait_for(&mut wire, frames::HEADERS).stream;
            wire.send(frames::reset(stream, frames::REFUSED_STREAM));
            let again = wait_for(&mut wire, frames::HEADERS);
            assert!(again.stream > stream);
            if again.flags & frames::END_STREAM == 0 {
                assert_eq!(wait_for(&mut wire, frames::DATA).payload, b"hello");
            }
            wire.send(frames::answer(again.stream, "second"));
            while wire.try_read().is_ok_and(|bytes| !bytes.is_empty()) {}
        });
        let proxy = started(&peers(&[backend.address()]));
        assert_eq!(proxy.ask(request).1.text(), "second");
        drop(proxy);
        backend.join();
    }
}

/// A peer that refuses again and again has its last word, and the next peer is asked.
#[test]
fn the_next_peer_is_asked_where_one_refuses() {
    let refusing = || {
        Backend::script(|mut wire, _| {
            greet(&mut wire);
            while let Ok(frame) =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| frames::read_frame(&mut wire)))
            {
                if frame.kind == frames::HEADERS {
                    wire.send(frames::reset(frame.stream, frames::REFUSED_STREAM));
                }
            }
        })
    };
    let (first, second) = (refusing(), Http2::echo(Offer::default()));
    let proxy = started(&peers(&[first.address(), second.address()]));
    for _ in 0..4 {
        assert_eq!(proxy.ask(POST).1.text(), "hello");
    }
    drop(proxy);
    let proxy = started(&peers(&[first.address()]));
    assert_eq!(proxy.ask(GET).0.status(), 502);
    drop(proxy);
    first.join();
    second.join();
}

/// GOAWAY in the middle: the stream that it names is answered, the later one goes over a new
/// connection, and nothing is lost or sent twice.
#[test]
fn what_a_goaway_left_undone_is_sent_again() {
    let (both, begun) = channel();
    let both = Mutex::new(both);
    let backend = Backend::script(move |mut wire, number| {
        greet(&mut wire);
        let first = wait_for(&mut wire, frames::HEADERS);
        if number == 1 {
            both.lock().send(()).unwrap();
            let second = wait_for(&mut wire, frames::HEADERS);
            assert!(second.stream > first.stream);
            wire.send(frames::go_away(first.stream, frames::NO_ERROR));
            wire.send(frames::answer(first.stream, "old"));
        } else {
            assert_eq!(wait_for(&mut wire, frames::DATA).payload, b"hello");
            wire.send(frames::answer(first.stream, "new"));
        }
        while wire.try_read().is_ok_and(|bytes| !bytes.is_empty()) {}
    });
    let proxy = started(&peers(&[backend.address()]));
    let (mut one, mut two) = (proxy.connect(), proxy.connect());
    one.send(GET);
    begun.recv_timeout(patience()).unwrap();
    two.send(POST);
    assert_eq!(two.read_response().1.text(), "new");
    assert_eq!(one.read_response().1.text(), "old");
    assert_eq!(backend.connections(), 2);
    drop((one, two, proxy));
    backend.join();
}

/// A server that leaves in order, under load: every request is answered.
#[test]
fn a_server_that_leaves_again_and_again_loses_nothing() {
    const EACH: usize = 60;
    let backend = Http2::serve(Offer::default(), |call| async move {
        if call.request.uri().path().ends_with('7') {
            call.control.leave();
        }
        let path = call.request.uri().path().to_owned();
        call.text(&path).await;
    });
    let proxy = before(&backend, "");
    let address = proxy.address();
    let clients: Vec<_> = (0..4)
        .map(|client| {
            std::thread::spawn(move || {
                let mut wire = Wire::connect(address);
                for number in 0..EACH {
                    let path = format!("/{client}/{number}");
                    wire.send(format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"));
                    let (head, body) = wire.read_response();
                    assert_eq!((head.status(), body.text()), (200, path));
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    assert!(backend.connections() > 1, "it left");
    backend.join();
}

/// Streams that were under way when the server left are let end.
#[test]
fn a_tunnel_outlives_its_connections_goaway() {
    let go = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&go);
    let backend = Http2::serve(Offer { tunnels: true, ..Offer::default() }, move |call| {
        let told = Arc::clone(&told);
        async move {
            let control = call.control.clone();
            if !call.is_tunnel() {
                return call.text("new").await;
            }
            let (mut recv, mut send) = call.open_tunnel(&[]);
            control.leave();
            let _go = told.acquire().await.unwrap();
            send_all(&mut send, b"still here").await;
            assert!(read_all(&mut recv).await.is_empty());
            end(&mut send);
        }
    });
    let proxy = before(&backend, "");
    let mut client = proxy.open("/ws");
    eventually("a new connection for new streams", || {
        assert_eq!(proxy.get("/").1.text(), "new");
        backend.connections() == 2
    });
    go.add_permits(1);
    client.expect("still here");
    drop(client);
    backend.join();
}

/// A stream that was reset may have been processed: a GET is not sent again to the same peer,
/// which is alive, and a POST to none.
#[test]
fn a_reset_stream_is_no_refusal() {
    let backend = Backend::script(|mut wire, _| {
        greet(&mut wire);
        for _ in 0..2 {
            let stream = wait_for(&mut wire, frames::HEADERS).stream;
            wire.send(frames::reset(stream, frames::INTERNAL_ERROR));
        }
        while wire.try_read().is_ok_and(|bytes| !bytes.is_empty()) {}
    });
    let proxy = started(&peers(&[backend.address()]));
    assert_eq!(proxy.ask(POST).0.status(), 502);
    assert_eq!(proxy.ask(GET).0.status(), 502);
    drop(proxy);
    backend.join();
}

/// A body that breaks off is cut short for the client, too.
#[test]
fn a_reset_within_a_body_is_not_its_end() {
    let backend = Backend::script(|mut wire, _| {
        greet(&mut wire);
        let stream = wait_for(&mut wire, frames::HEADERS).stream;
        wire.send(frames::frame(frames::HEADERS, frames::END_HEADERS, stream, frames::STATUS_200));
        wire.send(frames::frame(frames::DATA, 0, stream, b"half"));
        wire.send(frames::reset(stream, frames::CANCEL));
        while wire.try_read().is_ok_and(|bytes| !bytes.is_empty()) {}
    });
    let proxy = started(&peers(&[backend.address()]));
    let mut client = proxy.connect();
    client.send(GET);
    let head = client.read_head();
    assert!(head.lists("transfer-encoding", "chunked"));
    let rest = String::from_utf8(client.read_until_close()).unwrap();
    assert!(!rest.contains("\r\n0\r\n"), "{rest:?}");
    drop(proxy);
    backend.join();
}

/// As with HTTP/1.1: a connection that was idle and is lost with the first bytes of a request
/// is replaced where that does nothing twice.
#[test]
fn a_kept_connection_that_is_lost_is_replaced() {
    let backend = Backend::script(|mut wire, number| {
        greet(&mut wire);
        let stream = wait_for(&mut wire, frames::HEADERS).stream;
        wire.send(frames::answer(stream, &format!("over {number}")));
        if number == 1 {
            wait_for(&mut wire, frames::HEADERS);
            return wire.reset();
        }
        while wire.try_read().is_ok_and(|bytes| !bytes.is_empty()) {}
    });
    let proxy = started(&peers(&[backend.address()]));
    assert_eq!(proxy.ask(GET).1.text(), "over 1");
    assert_eq!(proxy.ask(GET).1.text(), "over 2");
    drop(proxy);
    backend.join();
}

#[test]
fn a_post_over_a_lost_connection_is_not_repeated() {
    let backend = Backend::script(|mut wire, _| {
        greet(&mut wire);
        let stream = wait_for(&mut wire, frames::HEADERS).stream;
        wire.send(frames::answer(stream, "first"));
        wait_for(&mut wire, frames::HEADERS);
        wire.reset();
    });
    let proxy = started(&peers(&[backend.address()]));
    assert_eq!(proxy.ask(GET).1.text(), "first");
    assert_eq!(proxy.ask(POST).0.status(), 502);
    assert_eq!(backend.connections(), 1);
    drop(proxy);
    backend.join();
}

#[test]
fn a_peer_that_speaks_http_1_only() {
    let http1 = Backend::script(|mut wire, _| {
        wire.expect(frames::PREFACE);
        wire.send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    });
    let second = Http2::echo(Offer::default());
    let proxy = started(&peers(&[http1.address()]));
    assert_eq!(proxy.ask(POST).0.status(), 502);
    drop(proxy);
    // Nothing was sent, so the next peer is asked.
    let proxy = started(&peers(&[http1.address(), second.address()]));
    for _ in 0..2 {
        assert_eq!(proxy.ask(POST).1.text(), "hello");
    }
    drop(proxy);
    http1.join();
    second.join();
}

/// A peer that takes connections and says nothing, not even SETTINGS.
#[test]
fn a_peer_without_settings_is_a_connect_timeout() {
    let backend = Backend::silent();
    let text = format!(
        "[upstreams.peers]\nprotocol = \"h2\"\npeers = [\"{}\"]\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\n\
         upstream = \"peers\"\ntimeouts = {{ connect = \"200ms\" }}\n",
        backend.address()
    );
    let proxy = tidegate_tests::tidegate(&text).start();
    assert_eq!(proxy.ask(GET).0.status(), 504);
    drop(proxy);
}

/// A peer that is gone without a word is noticed by a PING, and what waits for it is told; the
/// next request has a new connection.
#[test]
fn a_dead_peer_is_noticed() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let backend = Backend::script(move |mut wire, number| {
        greet(&mut wire);
        let stream = wait_for(&mut wire, frames::HEADERS).stream;
        if number == 1 {
            // Asked whether it lives, and silent.
            wait_for(&mut wire, frames::PING);
            tell.lock().send(()).unwrap();
            while wire.try_read().is_ok_and(|bytes| !bytes.is_empty()) {}
            return;
        }
        wire.send(frames::answer(stream, "alive"));
        while wire.try_read().is_ok_and(|bytes| !bytes.is_empty()) {}
    });
    let proxy = started(&format!("{}\nping = \"100ms\"", peers(&[backend.address()])));
    let mut client = proxy.connect();
    client.send(GET);
    told.recv_timeout(patience()).expect("a PING");
    assert_eq!(client.read_response().0.status(), 502);
    assert_eq!(proxy.ask(GET).1.text(), "alive");
    drop((client, proxy));
    backend.join();
}

/// A peer that answers slowly, and its PINGs at once, is left in peace.
#[test]
fn a_slow_peer_is_asked_once_and_kept() {
    let backend = Backend::script(|mut wire, _| {
        greet(&mut wire);
        let stream = wait_for(&mut wire, frames::HEADERS).stream;
        let ping = wait_for(&mut wire, frames::PING);
        wire.send(frames::frame(frames::PING, frames::ACK, 0, &ping.payload));
        // Several times the interval, without another one.
        wire.expect_silence(std::time::Duration::from_millis(600));
        wire.send(frames::answer(stream, "slow"));
        while wire.try_read().is_ok_and(|bytes| !bytes.is_empty()) {}
    });
    let proxy = started(&format!("{}\nping = \"100ms\"", peers(&[backend.address()])));
    assert_eq!(proxy.ask(GET).1.text(), "slow");
    drop(proxy);
    backend.join();
}

#[test]
fn a_peer_that_takes_no_body_is_a_send_timeout() {
    let backend = Backend::script(|mut wire, _| {
        greet(&mut wire);
        wait_for(&mut wire, frames::HEADERS);
        // The window of 65,535 bytes (RFC 9113 §6.9.2) is never opened again.
        while wire.try_read().is_ok_and(|bytes| !bytes.is_empty()) {}
    });
    let text = format!(
        "[upstreams.peers]\nprotocol = \"h2\"\npeers = [\"{}\"]\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\n\
         upstream = \"peers\"\ntimeouts = {{ send = \"300ms\" }}\n",
        backend.address()
    );
    let proxy = tidegate_tests::tidegate(&text).start();
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    client.send(Noise::new(9).take(200_000));
    assert_eq!(client.read_head().status(), 504);
    drop((client, proxy));
    backend.join();
}
