//! HTTP/3 towards clients: requests and their answers.

use std::net::SocketAddr;

use bytes::{Buf as _, Bytes};
use http::Request;
use tidegate_tests::http2::Offer;
use tidegate_tests::http3::{Client, get, request, run};
use tidegate_tests::{Authority, Backend, Http2, Noise, Proxy, Response, Setup, TlsClient, eventually, tidegate};

pub(crate) const CONFIG: &str = r#"
[server]
workers = 2
cache_dir = "%cache%"
%server%
[[listeners]]
address = "127.0.0.1:0"
protocols = ["h1", "h2", "h3"]
tls = { certificate = "server.pem", key = "server.key" }
%listener%
[upstreams.u]
peers = ["%backend%"]
%upstream%
[[sites]]
limits = { max_body = 0 }
[[sites.routes]]
match = "/"
upstream = "u"
[[sites.routes]]
match = "= /facts"
respond = { status = 200, body = "$server_protocol $scheme $host $http_cookie $request_method $ssl_alpn_protocol $ssl_protocol $ssl_server_name\n" }
"#;

pub(crate) const TUNNELS: Offer = Offer { tunnels: true, streams: None, window: None };

/// What is before a backend, with lines of the upstream, the listener and `[server]`.
pub(crate) fn set_up(authority: &Authority, backend: SocketAddr, [upstream, listener, server]: [&str; 3]) -> Setup {
    let own = authority.issue(&["example.com"]);
    let text = CONFIG.replace("%upstream%", upstream).replace("%listener%", listener).replace("%server%", server);
    tidegate(&text).var("backend", backend).file("server.pem", own.certificate).file("server.key", own.key)
}

pub(crate) fn before(authority: &Authority, backend: SocketAddr, upstream: &str) -> Proxy {
    set_up(authority, backend, [upstream, "", ""]).start()
}

pub(crate) async fn client(proxy: &Proxy, authority: &Authority) -> Client {
    Client::connect(proxy.address(), &TlsClient::new(authority, "example.com")).await
}

#[test]
fn requests_to_a_peer_of_http_1() {
    let backend = Backend::script(|mut wire, _| {
        let head = wire.read_head();
        assert_eq!(head.raw.split(|byte| *byte == b'\r').next().unwrap(), b"POST /p HTTP/1.1");
        assert_eq!((head.get("host"), head.get("content-length")), (Some("example.com"), None));
        assert_eq!(head.get("transfer-encoding"), Some("chunked"));
        wire.expect("5\r\nhello\r\n0\r\n");
        wire.expect("\r\n");
        wire.send("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nKeep-Alive: x\r\n\r\n3\r\nyes\r\n0\r\nX-Sum: 1\r\n\r\n");
    });
    let authority = Authority::new();
    let proxy = before(&authority, backend.address(), "");
    run(async {
        let client = client(&proxy, &authority).await;
        let mut stream = client.begin(&request("POST", "/p")).await;
        stream.data(b"hello").await;
        stream.end();
        let head = stream.head().await;
        assert_eq!(get(&head, ":status"), Some("201"));
        assert!(get(&head, "date").is_some() && get(&head, "transfer-encoding").is_none());
        assert!(get(&head, "keep-alive").is_none() && get(&head, "alt-svc").is_none());
        let (body, trailers) = stream.body_and_trailers().await;
        assert_eq!(body, b"yes");
        assert_eq!(trailers.unwrap(), [("x-sum".to_owned(), "1".to_owned())]);
    });
    backend.join();
}

#[test]
fn large_bodies_both_ways_to_a_peer_of_http_2() {
    let (backend, authority) = (Http2::echo(TUNNELS), Authority::new());
    let proxy = before(&authority, backend.address(), "protocol = \"h2\"");
    run(async {
        let client = client(&proxy, &authority).await;
        let (head, body) = client.ask("GET", "/a?b=c", b"").await;
        assert_eq!((get(&head, ":status"), body.as_slice()), (Some("200"), &b"GET /a example.com"[..]));
        let large = Noise::new(7).take(3 << 20);
        let mut stream = client.begin(&request("POST", "/")).await;
        let (mut send, mut recv) = (Vec::new(), Vec::new());
        for piece in large.chunks(100_000) {
            send.extend(tidegate_tests::http3::framed(0, piece));
        }
        // The echo comes while the rest is still on its way.
        let sending = async {
            stream.send.write_all(&send).await.unwrap();
            stream.send.finish().unwrap();
        };
        let reading = async {
            while let Some(chunk) = stream.recv.read_chunk(1 << 16, true).await.unwrap() {
                recv.extend_from_slice(&chunk.bytes);
            }
        };
        tokio::join!(sending, reading);
        let mut rest = recv.as_slice();
        let mut back = Vec::new();
        while !rest.is_empty() {
            let (kind, first) = tidegate::http3::varint::read(rest).unwrap();
            let (length, second) = tidegate::http3::varint::read(&rest[first..]).unwrap();
            let content = &rest[first + second..][..usize::try_from(length).unwrap()];
            if kind == 0 {
                back.extend_from_slice(content);
            }
            rest = &rest[first + second + content.len()..];
        }
        assert!(back == large, "3 MiB come back");
    });
    backend.join();
}

/// Another implementation: the crate `h3`, which writes names and values in the Huffman code.
#[test]
fn the_client_of_another_crate() {
    let (backend, authority) = (Backend::reflect(), Authority::new());
    let proxy = before(&authority, backend.address(), "");
    run(async {
        let quic = client(&proxy, &authority).await;
        let silent = Client::silent(proxy.address(), &TlsClient::new(&authority, "example.com")).await.unwrap();
        let (mut driver, mut requests) = h3::client::new(h3_quinn::Connection::new(silent.quic.clone())).await.unwrap();
        let driving = tokio::spawn(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
        for path in ["/first", "/second?x=%20y"] {
            let ask = Request::get(format!("https://example.com{path}")).header("x-custom-header", "some value");
            let mut stream = requests.send_request(ask.body(()).unwrap()).await.unwrap();
            stream.finish().await.unwrap();
            assert_eq!(stream.recv_response().await.unwrap().status().as_u16(), 200);
            let mut body = Vec::new();
            while let Some(mut data) = stream.recv_data().await.unwrap() {
                body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
            }
            assert_eq!(String::from_utf8(body).unwrap(), format!("GET {path} HTTP/1.1"));
        }
        let ask = Request::post("https://example.com/post").body(()).unwrap();
        let mut stream = requests.send_request(ask).await.unwrap();
        stream.send_data(Bytes::from_static(b"body")).await.unwrap();
        stream.finish().await.unwrap();
        assert_eq!(stream.recv_response().await.unwrap().status().as_u16(), 200);
        drop((requests, stream, quic));
        driving.await.unwrap();
    });
    // An end that comes in a packet of its own makes no body of a GET.
    let heads = backend.heads();
    assert!(heads.iter().take(2).all(|head| head.get("transfer-encoding").is_none()), "{heads:?}");
    assert_eq!(heads[0].get("x-custom-header"), Some("some value"));
    backend.join();
}

#[test]
fn variables_say_what_is_spoken() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let proxy = before(&authority, backend.address(), "");
    run(async {
        let client = client(&proxy, &authority).await;
        let lines = [&request("GET", "/facts")[..], &[("cookie", "a=b"), ("cookie", "c=d")]].concat();
        let mut stream = client.begin(&lines).await;
        stream.end();
        stream.head().await;
        let text = String::from_utf8(stream.body().await).unwrap();
        assert_eq!(text, "HTTP/3.0 https example.com a=b; c=d GET h3 TLSv1.3 example.com\n");
    });
    // The same listener speaks HTTP/1.1 over TCP.
    TlsClient::new(&authority, "example.com").connect(proxy.address()).upgrade("/ws");
}

#[test]
fn head_and_files_have_no_body_where_none_belongs() {
    let backend = Backend::http(|_| Response::text("twelve bytes"));
    let authority = Authority::new();
    let proxy = before(&authority, backend.address(), "");
    run(async {
        let client = client(&proxy, &authority).await;
        let (head, body) = client.ask("HEAD", "/", b"").await;
        assert_eq!((get(&head, ":status"), get(&head, "content-length")), (Some("200"), Some("12")));
        assert_eq!(body, b"");
        let (head, _) = client.ask("DELETE", "/", b"").await;
        assert_eq!(get(&head, ":status"), Some("200"));
    });
    backend.join();
}

#[test]
fn many_streams_share_one_connection() {
    let (backend, authority) = (Http2::echo(TUNNELS), Authority::new());
    let proxy = before(&authority, backend.address(), "protocol = \"h2\"");
    run(async {
        let client = std::sync::Arc::new(client(&proxy, &authority).await);
        let asked = (0..300).map(|number| {
            let client = std::sync::Arc::clone(&client);
            tokio::spawn(async move { client.ask("GET", &format!("/{number}"), b"").await.1 })
        });
        for (number, asked) in asked.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(asked.await.unwrap(), format!("GET /{number} example.com").as_bytes());
        }
    });
    backend.join();
}

#[test]
fn connections_go_to_all_workers() {
    let (backend, authority) = (Backend::reflect(), Authority::new());
    let proxy = before(&authority, backend.address(), "");
    run(async {
        for number in 0..5 {
            let client = client(&proxy, &authority).await;
            let path = format!("/{number}");
            assert_eq!(client.ask("GET", &path, b"").await.1, format!("GET {path} HTTP/1.1").as_bytes());
        }
    });
    // Kept connections to peers are a worker's own: each has needed one.
    assert_eq!(backend.connections(), 2);
    backend.join();
}

#[test]
fn trailers_of_requests_are_passed_on() {
    let backend = Backend::script(|mut wire, _| {
        assert_eq!(wire.read_head().get("te"), None);
        wire.expect("2\r\nhi\r\n0\r\nx-sum: 2\r\n\r\n");
        wire.send("HTTP/1.1 204 No Content\r\n\r\n");
    });
    let authority = Authority::new();
    let proxy = before(&authority, backend.address(), "");
    run(async {
        let client = client(&proxy, &authority).await;
        let mut stream = client.begin(&request("PUT", "/")).await;
        stream.data(b"hi").await;
        stream.headers(&[("x-sum", "2")]).await;
        stream.end();
        let head = stream.head().await;
        assert_eq!((get(&head, ":status"), get(&head, "content-length")), (Some("204"), None));
        assert_eq!(stream.body().await, b"");
    });
    backend.join();
}

#[test]
fn a_client_that_leaves_ends_its_request() {
    let (sender, had) = std::sync::mpsc::channel();
    let sender = parking_lot::Mutex::new(sender);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        sender.lock().send(()).unwrap();
        wire.expect_close();
    });
    let authority = Authority::new();
    let proxy = set_up(&authority, backend.address(), ["", "", ""]).start();
    run(async {
        let client = client(&proxy, &authority).await;
        let mut stream = client.begin(&request("GET", "/slow")).await;
        stream.end();
        // The peer has it before the client goes.
        while had.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        stream.recv.stop(tidegate_tests::http3::code(0x10c)).unwrap();
        let (head, _) = client.ask("GET", "/facts", b"").await;
        assert_eq!(get(&head, ":status"), Some("200"), "the connection goes on");
        eventually("the peer sees it", || backend.connections() == 1);
        backend.join();
    });
}

#[test]
fn a_head_that_is_too_large_is_answered() {
    let (backend, authority) = (Backend::reflect(), Authority::new());
    let proxy = set_up(&authority, backend.address(), ["", "", "max_head = \"8KiB\""]).start();
    run(async {
        let client = client(&proxy, &authority).await;
        let long = "x".repeat(9000);
        for lines in [vec![("x-long", long.as_str())], vec![("x", "1"); 300]] {
            let mut stream = client.begin(&[&request("GET", "/")[..], &lines].concat()).await;
            let head = stream.head().await;
            assert_eq!(get(&head, ":status"), Some("431"));
        }
        let (head, _) = client.ask("GET", "/", b"").await;
        assert_eq!(get(&head, ":status"), Some("200"), "the connection goes on");
    });
    backend.join();
}
