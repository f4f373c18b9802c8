//! WebSockets over HTTP/2 to the peer (RFC 8441), and over HTTP/1.1 where it does not offer that.

use std::sync::mpsc::channel;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::Response;
use parking_lot::Mutex;
use tidegate_tests::http2::{Call, Offer, copy, end, read, read_all, send_all};
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Http2, Noise, Wire, eventually, patience};

use crate::http2::before;

const TUNNELS: Offer = Offer { tunnels: true, streams: None, window: None };

/// Send bytes that look like a frame and read them back.
#[track_caller]
fn back_and_forth(client: &mut Wire, text: &str) {
    let bytes = Frame::text(text).masked();
    client.send(&bytes);
    client.expect(&bytes);
}

#[test]
fn a_handshake_becomes_extended_connect() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let backend = Http2::serve(TUNNELS, move |call| {
        let tell = tell.lock().clone();
        async move {
            assert!(call.is_tunnel());
            let lines: Vec<String> = call.request.headers().keys().map(|name| name.as_str().to_owned()).collect();
            let uri = call.request.uri().to_string();
            let of = |name: &str| call.header(name).to_owned();
            let values = [of("sec-websocket-version"), of("sec-websocket-protocol"), of("origin"), of("cookie")];
            tell.send((uri, lines, values)).unwrap();
            let lines = [("sec-websocket-protocol", "chat"), ("set-cookie", "a=b"), ("sec-websocket-accept", "forged")];
            let (mut recv, mut send) = call.open_tunnel(&lines);
            copy(&mut recv, &mut send).await;
            end(&mut send);
        }
    });
    let proxy = before(&backend, "");
    let mut client = proxy.connect();
    client.send(ws::handshake(
        "/chat?room=1",
        "Sec-WebSocket-Protocol: chat, log\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
         Origin: https://a.example\r\nCookie: c=d\r\n",
    ));
    let head = client.read_head();
    assert_eq!(head.status(), 101);
    assert_eq!(head.all("sec-websocket-accept"), [ws::accept(ws::KEY)]);
    assert_eq!((head.get("upgrade"), head.get("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!((head.get("sec-websocket-protocol"), head.get("set-cookie")), (Some("chat"), Some("a=b")));
    assert!(head.get("content-length").is_none() && head.get("transfer-encoding").is_none());
    back_and_forth(&mut client, "hello");

    let (uri, lines, values) = told.recv_timeout(patience()).unwrap();
    assert_eq!(uri, "http://ws.example.com/chat?room=1");
    assert_eq!(values, ["13", "chat, log", "https://a.example", "c=d"]);
    assert!(lines.contains(&"sec-websocket-extensions".to_owned()));
    for gone in ["sec-websocket-key", "connection", "upgrade", "host", "content-length"] {
        assert!(!lines.contains(&gone.to_owned()), "{gone} in {lines:?}");
    }
    drop(client);
    backend.join();
}

#[test]
fn messages_of_all_sizes() {
    let backend = Http2::echo(TUNNELS);
    let proxy = before(&backend, "");
    let mut client = proxy.open("/ws");
    let mut noise = Noise::new(21);
    for size in [1, 2, 125, 126, 1000, 16_383, 16_384, 65_535, 65_536, 300_000, 1 << 20] {
        let mut writer = client.writer();
        let payload = noise.take(size);
        // The echo comes while the rest is still on its way.
        let sending = {
            let payload = payload.clone();
            std::thread::spawn(move || writer.send(payload))
        };
        assert_eq!(client.read_exact(size), payload, "{size} bytes");
        sending.join().unwrap();
    }
    back_and_forth(&mut client, "still here");
    assert_eq!((backend.connections(), backend.http1()), (1, 0));
    drop(client);
    backend.join();
}

#[test]
fn tunnels_and_requests_share_a_connection() {
    let backend = Http2::echo(TUNNELS);
    let proxy = before(&backend, "");
    let mut tunnels: Vec<Wire> = (0..10).map(|_| proxy.open("/ws")).collect();
    for (number, tunnel) in tunnels.iter_mut().enumerate() {
        back_and_forth(tunnel, &format!("tunnel {number}"));
        assert_eq!(proxy.get("/between").0.status(), 200);
    }
    assert_eq!(backend.connections(), 1);
    eventually("the tunnels to be counted", || proxy.open_tunnels() == 10);
    drop(tunnels);
    eventually("the tunnels to end", || proxy.open_tunnels() == 0);
    assert_eq!(proxy.get("/after").0.status(), 200);
    assert_eq!(backend.connections(), 1);
    backend.join();
}

#[test]
fn a_peer_that_allows_one_stream_gets_a_connection_for_each_tunnel() {
    let backend = Http2::echo(Offer { tunnels: true, streams: Some(1), window: None });
    let proxy = before(&backend, "");
    let mut tunnels: Vec<Wire> = (0..4).map(|_| proxy.open("/ws")).collect();
    for tunnel in &mut tunnels {
        back_and_forth(tunnel, "hello");
    }
    assert_eq!(backend.connections(), 4);
    tunnels.truncate(1);
    eventually("places to be free", || proxy.open_tunnels() == 1);
    back_and_forth(&mut proxy.open("/ws"), "again");
    assert_eq!(backend.connections(), 4);
    drop(tunnels);
    backend.join();
}

#[test]
fn a_refusal_passes() {
    let backend = Http2::serve(TUNNELS, |mut call: Call| async move {
        let answer = Response::builder().status(403).header("x-why", "no").body(()).unwrap();
        let mut send = call.respond.send_response(answer, false).unwrap();
        send_all(&mut send, b"not you").await;
        end(&mut send);
    });
    let proxy = before(&backend, "");
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", ""));
    let (head, body) = client.read_response();
    assert_eq!((head.status(), head.get("x-why"), body.text()), (403, Some("no"), "not you".to_owned()));
    assert!(head.get("sec-websocket-accept").is_none() && head.get("upgrade").is_none());
    // The connection to the client is one of HTTP still.
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_response().0.status(), 403);
    backend.join();
}

#[test]
fn what_the_client_sent_ahead_goes_first() {
    let backend = Http2::serve(TUNNELS, |call| async move {
        let (mut recv, mut send) = call.open_tunnel(&[]);
        send_all(&mut send, b"welcome").await;
        copy(&mut recv, &mut send).await;
        end(&mut send);
    });
    let proxy = before(&backend, "");
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", "") + "ahead");
    assert_eq!(client.read_head().status(), 101);
    client.expect("welcomeahead");
    drop(client);
    backend.join();
}

/// As over HTTP/1.1 and in nginx: what the client sent is delivered, then both sides end.
#[test]
fn the_client_ends() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let backend = Http2::serve(TUNNELS, move |call| {
        let tell = tell.lock().clone();
        async move {
            let (mut recv, _send) = call.open_tunnel(&[]);
            tell.send(read_all(&mut recv).await).unwrap();
        }
    });
    let proxy = before(&backend, "");
    let mut client = proxy.open("/ws");
    client.send("last words");
    client.finish();
    assert_eq!(told.recv_timeout(patience()).unwrap(), b"last words");
    client.expect_close();
    backend.join();
}

#[test]
fn the_server_ends() {
    let backend = Http2::serve(TUNNELS, |call| async move {
        let (mut recv, mut send) = call.open_tunnel(&[]);
        assert_eq!(read(&mut recv).await.unwrap().as_deref(), Some(&b"question"[..]));
        send_all(&mut send, b"answer").await;
        end(&mut send);
        assert!(read_all(&mut recv).await.is_empty());
    });
    let proxy = before(&backend, "");
    let mut client = proxy.open("/ws");
    client.send("question");
    client.expect("answer");
    client.expect_close();
    backend.join();
}

#[test]
fn with_half_close_the_other_direction_goes_on() {
    let backend = Http2::serve(TUNNELS, |call| async move {
        let quits_first = call.request.uri().path() == "/server-first";
        let (mut recv, mut send) = call.open_tunnel(&[]);
        if quits_first {
            send_all(&mut send, b"that is all").await;
            end(&mut send);
            assert_eq!(read_all(&mut recv).await, b"much later");
        } else {
            assert_eq!(read_all(&mut recv).await, b"that is all");
            send_all(&mut send, b"much later").await;
            end(&mut send);
        }
    });
    let text = format!(
        "[upstreams.peers]\nprotocol = \"h2\"\npeers = [\"{}\"]\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\n\
         upstream = \"peers\"\nhalf_close = true\n",
        backend.address()
    );
    let proxy = tidegate_tests::tidegate(&text).in_process().start();
    let mut client = proxy.open("/client-first");
    client.send("that is all");
    client.finish();
    client.expect("much later");
    client.expect_close();
    let mut client = proxy.open("/server-first");
    assert_eq!(client.read_until_close(), b"that is all");
    client.send("much later");
    client.finish();
    eventually("the tunnels to end", || proxy.open_tunnels() == 0);
    backend.join();
}

/// A reset of one side is one for the other: CANCEL (RFC 8441 §5).
#[test]
fn a_client_that_resets() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let backend = Http2::serve(TUNNELS, move |call| {
        let tell = tell.lock().clone();
        async move {
            let (mut recv, mut send) = call.open_tunnel(&[]);
            send_all(&mut send, b"hello").await;
            let end = loop {
                match read(&mut recv).await {
                    Ok(Some(_)) => {}
                    Ok(None) => break None,
                    Err(error) => break error.reason(),
                }
            };
            tell.send(end).unwrap();
        }
    });
    let proxy = before(&backend, "");
    let mut client = proxy.open("/ws");
    client.expect("hello");
    client.reset();
    assert_eq!(told.recv_timeout(patience()).unwrap(), Some(Reason::CANCEL));
    backend.join();
}

#[test]
fn a_server_that_resets() {
    let backend = Http2::serve(TUNNELS, |call| async move {
        let (mut recv, mut send) = call.open_tunnel(&[]);
        read(&mut recv).await.unwrap();
        send.send_reset(Reason::INTERNAL_ERROR);
    });
    let proxy = before(&backend, "");
    let mut client = proxy.open("/ws");
    client.send("go");
    client.expect_end();
    backend.join();
}

#[test]
fn a_slow_client_stalls_its_tunnel_only() {
    const MOST: usize = 64 << 20;
    const AFTER: usize = 1 << 20;
    let (stalled, at) = channel();
    let stalled = Mutex::new(stalled);
    let backend = Http2::serve(TUNNELS, move |call| {
        let stalled = stalled.lock().clone();
        async move {
            let echoes = call.request.uri().path() == "/echo";
            let (mut recv, mut send) = call.open_tunnel(&[]);
            if echoes {
                copy(&mut recv, &mut send).await;
                return end(&mut send);
            }
            let (mut noise, mut sent) = (Noise::new(5), 0);
            loop {
                let piece = Bytes::from(noise.take(16 << 10));
                send.reserve_capacity(piece.len());
                let mut room = 0;
                // So long without a window means that nobody reads.
                let more = async {
                    while room < piece.len() {
                        room = std::future::poll_fn(|cx| send.poll_capacity(cx)).await.unwrap().unwrap();
                    }
                };
                let stalls = tokio::time::timeout(Duration::from_millis(700), more).await.is_err();
                if stalls || sent >= MOST {
                    stalled.send(sent).unwrap();
                    send_all(&mut send, &piece).await;
                    send_all(&mut send, &noise.take(AFTER)).await;
                    return end(&mut send);
                }
                sent += piece.len();
                send.send_data(piece, false).unwrap();
            }
        }
    });
    let proxy = before(&backend, "");
    let mut slow = Wire::connect_narrow(proxy.address());
    slow.upgrade("/slow");
    let sent = at.recv_timeout(patience()).expect("the backend stalls");
    assert!(sent < 16 << 20, "{sent} bytes went into the proxy while nobody read");
    back_and_forth(&mut proxy.open("/echo"), "quick");
    assert_eq!(backend.connections(), 1);
    slow.expect_noise(&mut Noise::new(5), sent + (16 << 10) + AFTER);
    slow.expect_close();
    backend.join();
}

#[test]
fn without_rfc_8441_a_tunnel_has_a_connection_of_http_1() {
    let backend = Http2::echo(Offer::default());
    let proxy = before(&backend, "");
    for number in 1..=3 {
        let mut client = proxy.open("/ws");
        client.echo(&Frame::text("hello"));
        assert_eq!((backend.connections(), backend.http1()), (1, number));
    }
    // Requests still go over HTTP/2.
    assert_eq!(proxy.get("/").0.status(), 200);
    assert_eq!((backend.connections(), backend.http1()), (1, 3));
    backend.join();
}

/// What the peer does not offer is remembered where no connection tells: none is opened in vain.
#[test]
fn without_rfc_8441_no_connection_is_opened_in_vain() {
    let backend = Http2::echo(Offer::default());
    let proxy = before(&backend, "keepalive = 0");
    for number in 1..=3 {
        let mut client = proxy.open("/ws");
        client.echo(&Frame::text("hello"));
        assert_eq!((backend.connections(), backend.http1()), (1, number));
    }
    backend.join();
}

/// Tokens other than `websocket` have no place in HTTP/2 here: they go over HTTP/1.1.
#[test]
fn other_upgrades_go_over_http_1() {
    let backend = tidegate_tests::Backend::script(|mut wire, _| {
        assert_eq!(wire.read_head().get("upgrade"), Some("thing"));
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: thing\r\n\r\nhello");
        wire.expect("bye");
        wire.expect_close();
    });
    let text = format!(
        "[upstreams.peers]\nprotocol = \"h2\"\npeers = [\"{}\"]\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\n\
         upstream = \"peers\"\nupgrade = [\"thing\"]\n",
        backend.address()
    );
    let proxy = tidegate_tests::tidegate(&text).start();
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: thing\r\n\r\n");
    assert_eq!(client.read_head().status(), 101);
    client.expect("hello");
    client.send("bye");
    client.finish();
    backend.join();
}
