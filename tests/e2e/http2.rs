//! Requests over HTTP/2 to the peer: heads, bodies as the windows allow, trailers, many streams
//! on one connection.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use parking_lot::Mutex;
use tidegate_tests::http2::{Call, Offer, copy, end, read, read_all, send_all};
use tidegate_tests::{Backend, Http2, Noise, Proxy, Wire, eventually, patience, tidegate};
use tokio::sync::Semaphore;

/// A proxy before peers of HTTP/2; `more` are keys of the upstream.
pub(super) fn before(backend: &Http2, more: &str) -> Proxy {
    started(&format!("peers = [\"{}\"]\n{more}", backend.address()))
}

/// A proxy with these keys of the upstream.
pub(super) fn started(keys: &str) -> Proxy {
    let route = "[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"peers\"\nlimits = { max_body = 0 }\n";
    tidegate(&format!("[upstreams.peers]\nprotocol = \"h2\"\n{keys}\n{route}")).in_process().start()
}

#[test]
fn many_requests_share_a_connection() {
    let backend = Http2::echo(Offer::default());
    let proxy = before(&backend, "");
    let mut client = proxy.connect();
    for number in 0..50 {
        client.send(format!("GET /{number}?q HTTP/1.1\r\nHost: a.example\r\n\r\n"));
        let (head, body) = client.read_response();
        assert_eq!((head.status(), body.text()), (200, format!("GET /{number} a.example")));
    }
    for number in 0..50 {
        assert_eq!(proxy.get(&format!("/{number}")).0.status(), 200);
    }
    assert_eq!(backend.connections(), 1);
    backend.join();
}

/// All of them wait at the backend at the same time.
#[test]
fn many_requests_at_once_share_a_connection() {
    const MANY: usize = 40;
    let arrived = Arc::new(Semaphore::new(0));
    let backend = Http2::serve(Offer::default(), move |call| {
        let arrived = Arc::clone(&arrived);
        async move {
            arrived.add_permits(1);
            let _all = arrived.acquire_many(u32::try_from(MANY).unwrap()).await.unwrap();
            call.text("together").await;
        }
    });
    let proxy = before(&backend, "");
    let mut clients: Vec<Wire> = (0..MANY).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.read_response().1.text(), "together");
    }
    assert_eq!(backend.connections(), 1);
    backend.join();
}

#[test]
fn a_peer_that_allows_two_streams_gets_more_connections() {
    const MANY: usize = 7;
    let arrived = Arc::new(Semaphore::new(0));
    let most = Arc::new(Mutex::new(vec![0; 2 * MANY]));
    let seen = Arc::clone(&most);
    let backend = Http2::serve(Offer { streams: Some(2), ..Offer::default() }, move |call| {
        let (arrived, seen) = (Arc::clone(&arrived), Arc::clone(&seen));
        async move {
            seen.lock()[call.connection] += 1;
            arrived.add_permits(1);
            let _all = arrived.acquire_many(u32::try_from(MANY).unwrap()).await.unwrap();
            call.text("together").await;
        }
    });
    let proxy = before(&backend, "");
    let mut clients: Vec<Wire> = (0..MANY).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.read_response().1.text(), "together");
    }
    assert!(most.lock().iter().all(|streams| *streams <= 2), "{:?}", most.lock());
    assert!(backend.connections() >= MANY.div_ceil(2));
    backend.join();
}

#[test]
fn what_a_request_becomes() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let backend = Http2::serve(Offer::default(), move |call| {
        let lines: Vec<String> =
            call.request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        tell.lock().send((call.request.uri().to_string(), lines)).unwrap();
        call.text("")
    });
    let proxy = before(&backend, "");
    let mut client = proxy.connect();
    client.send(
        "GET /a%20b?c=d HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, x-mine, te\r\nX-Mine: 1\r\n\
         Keep-Alive: timeout=5\r\nTE: gzip, trailers\r\nUpgrade: h2c\r\nCookie: a=b; c=d\r\nX-Two: 1\r\nx-two: 2\r\n\r\n",
    );
    assert_eq!(client.read_response().0.status(), 200);
    let (uri, mut lines) = told.recv_timeout(patience()).unwrap();
    assert_eq!(uri, "http://a.example/a%20b?c=d");
    lines.retain(|line| !line.starts_with("x-real-ip") && !line.starts_with("x-forwarded"));
    lines.sort();
    assert_eq!(lines, ["cookie: a=b; c=d", "te: trailers", "x-two: 1", "x-two: 2"]);
    backend.join();
}

#[test]
fn what_an_answer_becomes() {
    let backend = Http2::serve(Offer::default(), |mut call: Call| async move {
        let mut early = Response::new(());
        *early.status_mut() = 103.try_into().unwrap();
        call.respond.send_informational(early).unwrap();
        let answer =
            Response::builder().status(404).header("x-a", "1").header("x-a", "2").header("content-length", "5");
        let is_head = call.request.method() == "HEAD";
        let mut send = call.respond.send_response(answer.body(()).unwrap(), is_head).unwrap();
        if !is_head {
            send_all(&mut send, b"hello").await;
            end(&mut send);
        }
    });
    let proxy = before(&backend, "");
    let (head, body) = proxy.get("/");
    assert_eq!((head.status(), head.all("x-a"), head.get("content-length")), (404, vec!["1", "2"], Some("5")));
    assert!(!body.chunked);
    assert_eq!(body.text(), "hello");
    let mut client = proxy.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_head().get("content-length"), Some("5"));
    assert_eq!(client.read_response().1.text(), "hello");
    backend.join();
}

/// Larger than every window, both ways at once.
#[test]
fn large_bodies_go_both_ways() {
    const LENGTH: usize = 8 << 20;
    let backend = Http2::echo(Offer { window: Some(1 << 10), ..Offer::default() });
    let proxy = before(&backend, "");
    let mut client = proxy.connect();
    let mut writer = client.writer();
    let sending = std::thread::spawn(move || {
        writer.send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LENGTH}\r\n\r\n"));
        writer.send(Noise::new(1).take(LENGTH));
    });
    let (head, body) = client.read_response();
    sending.join().unwrap();
    assert_eq!((head.status(), body.chunked, body.data.len()), (200, true, LENGTH));
    Noise::new(1).expect(&body.data, 0);
    assert_eq!(backend.connections(), 1);
    backend.join();
}

#[test]
fn trailers_go_both_ways() {
    let backend = Http2::serve(Offer::default(), |mut call: Call| async move {
        let mut recv = call.request.into_body();
        let body = read_all(&mut recv).await;
        let trailers = recv.trailers().await.unwrap().expect("trailers");
        let mut send = call.respond.send_response(Response::new(()), false).unwrap();
        send_all(&mut send, &body).await;
        let mut back = HeaderMap::new();
        back.append("x-sum", trailers["x-sum"].clone());
        // RFC 9110 §6.5.1: not behind a body.
        back.append("content-length", "5".parse().unwrap());
        send.send_trailers(back).unwrap();
    });
    let proxy = before(&backend, "");
    let mut client = proxy.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Sum: 12\r\n\r\n",
    );
    let (_, body) = client.read_response();
    assert_eq!(body.text(), "hello");
    assert_eq!(body.trailers, [("x-sum".to_owned(), "12".to_owned())]);
    backend.join();
}

/// An answer that comes before the body was sent passes, and the rest of the body is not sent
/// (RFC 9113 §8.1); the connection goes on.
#[test]
fn an_answer_before_the_body_was_sent() {
    let backend = Http2::serve(Offer::default(), |call| async move {
        if call.request.method() == "GET" {
            return call.text("next").await;
        }
        call.status(413);
    });
    let proxy = before(&backend, "");
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome");
    assert_eq!(client.read_response().0.status(), 413);
    assert_eq!(proxy.get("/").1.text(), "next");
    assert_eq!(backend.connections(), 1);
    backend.join();
}

/// Back-pressure to the peer: its window is not opened for a client that does not read, and
/// streams beside it go on.
#[test]
fn a_slow_client_stalls_its_own_stream() {
    const MOST: usize = 64 << 20;
    let (stalled, at) = channel();
    let stalled = Mutex::new(stalled);
    let backend = Http2::serve(Offer::default(), move |mut call: Call| {
        let stalled = stalled.lock().clone();
        async move {
            if call.request.uri().path() == "/quick" {
                return call.text("quick").await;
            }
            let mut send = call.respond.send_response(Response::new(()), false).unwrap();
            let mut sent = 0;
            let mut noise = Noise::new(3);
            while sent < MOST {
                let piece = noise.take(16 << 10);
                // So long without a window means that nobody reads.
                match tokio::time::timeout(Duration::from_millis(700), send_all(&mut send, &piece)).await {
                    Ok(true) => sent += piece.len(),
                    _ => break,
                }
            }
            stalled.send(sent).unwrap();
            // The rest of the piece, which the proxy is owed.
            let _gone = std::future::poll_fn(|cx| send.poll_reset(cx)).await;
        }
    });
    let proxy = before(&backend, "");
    let mut slow = Wire::connect_narrow(proxy.address());
    slow.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    let sent = at.recv_timeout(patience()).expect("the backend stalls");
    // A stream's window, and what sockets of the kernel's own size hold on the way to the client.
    assert!(sent < 16 << 20, "{sent} bytes went into the proxy while nobody read");
    assert_eq!(proxy.get("/quick").1.text(), "quick");
    assert_eq!(backend.connections(), 1);
    drop(slow);
    backend.join();
}

/// Back-pressure to the client: a peer that opens no window makes the proxy take no more than
/// it may hold.
#[test]
fn a_slow_peer_stalls_the_client() {
    let (go, told) = channel::<usize>();
    let told = Arc::new(Mutex::new(told));
    let backend = Http2::serve(Offer::default(), move |mut call: Call| {
        let told = Arc::clone(&told);
        async move {
            let sent =
                tokio::task::spawn_blocking(move || told.lock().recv_timeout(patience()).unwrap()).await.unwrap();
            let mut recv = call.request.into_body();
            let (mut noise, mut got) = (Noise::new(4), 0);
            while let Some(data) = read(&mut recv).await.unwrap() {
                noise.expect(&data, got);
                got += data.len();
            }
            assert_eq!(got, sent);
            call.respond.send_response(Response::new(()), true).unwrap();
        }
    });
    let proxy = before(&backend, "");
    let mut client = proxy.connect();
    const LENGTH: usize = 64 << 20;
    client.send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LENGTH}\r\n\r\n"));
    let mut noise = Noise::new(4);
    let sent = client.send_until_stalled(&mut noise, LENGTH, Duration::from_millis(700));
    assert!(sent < 16 << 20, "{sent} bytes went into the proxy while nobody read");
    go.send(LENGTH).unwrap();
    client.send(noise.take(LENGTH - sent));
    assert_eq!(client.read_response().0.status(), 200);
    backend.join();
}

#[test]
fn idle_connections_are_closed() {
    let backend = Http2::echo(Offer::default());
    let proxy = before(&backend, "keepalive_timeout = \"50ms\"");
    assert_eq!(proxy.get("/").0.status(), 200);
    eventually("the idle connection to end", || backend.ended() == 1);
    assert_eq!(proxy.get("/").0.status(), 200);
    assert_eq!(backend.connections(), 2);
    backend.join();
}

#[test]
fn without_keepalive_a_connection_ends_with_its_last_stream() {
    let backend = Http2::echo(Offer::default());
    let proxy = before(&backend, "keepalive = 0");
    assert_eq!(proxy.get("/").0.status(), 200);
    eventually("the connection to end", || backend.ended() == 1);
    backend.join();
}

#[test]
fn auto_without_tls_is_http_1() {
    let backend = Backend::named("one");
    let text = format!(
        "[upstreams.u]\nprotocol = \"auto\"\npeers = [\"{}\"]\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n",
        backend.address()
    );
    let proxy = tidegate(&text).start();
    assert_eq!(proxy.get("/").1.text(), "one");
    assert_eq!(backend.only_head().start, "GET / HTTP/1.1");
}

/// Requests of the proxy's own go over HTTP/2 too.
#[test]
fn auth_request_over_http2() {
    let backend = Http2::serve(Offer::default(), |call| async move {
        match call.header("x-user") {
            "friend" => call.text("").await,
            _ => call.status(403),
        }
    });
    let content = Backend::named("content");
    let text = format!(
        "[upstreams.auth]\nprotocol = \"h2\"\npeers = [\"{}\"]\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\n\
         upstream = \"{}\"\nauth_request = {{ upstream = \"auth\", path = \"/check\" }}\n",
        backend.address(),
        content.address()
    );
    let proxy = tidegate(&text).start();
    assert_eq!(proxy.ask("GET / HTTP/1.1\r\nHost: x\r\nX-User: friend\r\n\r\n").1.text(), "content");
    assert_eq!(proxy.ask("GET / HTTP/1.1\r\nHost: x\r\nX-User: foe\r\n\r\n").0.status(), 403);
    backend.join();
}

/// A body that the client takes back resets its stream, and only that.
#[test]
fn a_client_that_leaves_resets_its_stream() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let backend = Http2::serve(Offer::default(), move |mut call: Call| {
        let tell = tell.lock().clone();
        async move {
            if call.request.method() == "GET" {
                return call.text("next").await;
            }
            let mut send = call.respond.send_response(Response::new(()), false).unwrap();
            send.send_data(Bytes::from_static(b"go on"), false).unwrap();
            let whole = copy(call.request.body_mut(), &mut send).await;
            tell.send(whole).unwrap();
        }
    });
    let proxy = before(&backend, "");
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nsome");
    assert_eq!(client.read_head().status(), 200);
    client.reset();
    assert!(!told.recv_timeout(patience()).unwrap(), "the body broke off, and must not look whole");
    assert_eq!(proxy.get("/").1.text(), "next");
    assert_eq!(backend.connections(), 1);
    backend.join();
}
