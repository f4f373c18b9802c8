//! HTTP/2 towards clients: requests and tunnels on one connection, to peers of either version.

use std::net::SocketAddr;

use h2::Reason;
use http::{Method, Request};
use tidegate_tests::http2::client::{Client, run};
use tidegate_tests::http2::{Offer, end, read_all, send_all};
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Authority, Backend, Http2, Noise, Proxy, Setup, TlsClient, eventually, tidegate};

const CONFIG: &str = r#"
[server]
workers = 1
[[listeners]]
address = "127.0.0.1:0"
protocols = ["h1", "h2"]
%tls%
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
respond = { status = 200, body = "$server_protocol $scheme $host $http_cookie $request_method $ssl_alpn_protocol\n" }
"#;

const TUNNELS: Offer = Offer { tunnels: true, streams: None, window: None };

fn plain(backend: SocketAddr, upstream: &str) -> Proxy {
    set_up(backend, upstream).start()
}

fn set_up(backend: SocketAddr, upstream: &str) -> Setup {
    tidegate(&CONFIG.replace("%tls%", "").replace("%upstream%", upstream)).var("backend", backend)
}

fn with_tls(authority: &Authority, backend: SocketAddr, upstream: &str) -> Proxy {
    set_up_with_tls(authority, backend, upstream).start()
}

fn set_up_with_tls(authority: &Authority, backend: SocketAddr, upstream: &str) -> Setup {
    let server = authority.issue(&["example.com"]);
    let tls = r#"tls = { certificate = "server.pem", key = "server.key" }"#;
    tidegate(&CONFIG.replace("%tls%", tls).replace("%upstream%", upstream))
        .var("backend", backend)
        .file("server.pem", server.certificate)
        .file("server.key", server.key)
}

#[test]
fn requests_to_a_peer_of_http_2() {
    let backend = Http2::echo(TUNNELS);
    let proxy = plain(backend.address(), "protocol = \"h2\"");
    run(async {
        let client = Client::connect(proxy.address()).await;
        let (head, body) = client.ask(Method::GET, "http://example.com/a?b=c", b"").await;
        assert_eq!((head.status().as_u16(), body.as_slice()), (200, &b"GET /a example.com"[..]));
        assert!(head.headers().contains_key("date") && !head.headers().contains_key("connection"));
        let large = Noise::new(7).take(3 << 20);
        let (head, body) = client.ask(Method::POST, "http://example.com/", &large).await;
        assert_eq!(head.status().as_u16(), 200);
        assert!(body == large, "3 MiB come back");
    });
    backend.join();
}

#[test]
fn requests_to_a_peer_of_http_1() {
    let backend = Backend::script(|mut wire, _| {
        let head = wire.read_head();
        assert_eq!(head.raw.split(|byte| *byte == b'\r').next().unwrap(), b"POST /p HTTP/1.1");
        assert_eq!((head.get("host"), head.get("content-length")), (Some("example.com"), None));
        assert_eq!(head.get("transfer-encoding"), Some("chunked"));
        wire.expect("5\r\nhello\r\n0\r\n\r\n");
        wire.send("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nKeep-Alive: x\r\n\r\n3\r\nyes\r\n0\r\nX-Sum: 1\r\n\r\n");
    });
    let proxy = plain(backend.address(), "");
    run(async {
        let client = Client::connect(proxy.address()).await;
        let request = Request::post("http://example.com/p").body(()).unwrap();
        let (answer, mut send) = client.begin(request, false).await;
        assert!(send_all(&mut send, b"hello").await);
        end(&mut send);
        let (parts, mut recv) = answer.await.unwrap().into_parts();
        assert_eq!(parts.status.as_u16(), 201);
        assert!(!parts.headers.contains_key("transfer-encoding") && !parts.headers.contains_key("keep-alive"));
        assert_eq!(read_all(&mut recv).await, b"yes");
        let trailers = recv.trailers().await.unwrap().unwrap();
        assert_eq!(trailers.get("x-sum").unwrap(), "1");
    });
    backend.join();
}

#[test]
fn tunnels_to_peers_of_both_versions() {
    let (old, new) = (Backend::ws_echo(), Http2::echo(TUNNELS));
    let authority = Authority::new();
    for (backend, upstream) in [(old.address(), ""), (new.address(), "protocol = \"h2\"")] {
        let proxies = [set_up(backend, upstream), set_up_with_tls(&authority, backend, upstream)];
        let proxies = proxies.map(|setup| setup.in_process().start());
        for (proxy, tls) in proxies.iter().zip([None, Some(TlsClient::new(&authority, "example.com"))]) {
            run(async {
                let client = match &tls {
                    None => Client::connect(proxy.address()).await,
                    Some(tls) => Client::connect_tls(proxy.address(), tls).await,
                };
                let (head, mut tunnel) = client.connect_websocket("http://example.com/ws", &[]).await;
                assert_eq!(head.status().as_u16(), 200);
                for name in ["upgrade", "connection", "sec-websocket-accept", "content-length"] {
                    assert!(!head.headers().contains_key(name), "{name}");
                }
                for size in [1, 125, 65_536, 1 << 20] {
                    // The backend of HTTP/2 sends back what it got, mask and all.
                    let frame = Frame::binary(&vec![0x5A; size]);
                    if upstream.is_empty() {
                        tunnel.echo(&frame).await;
                    } else {
                        let sent = frame.masked();
                        let (taken, back) = tokio::join!(send_all(&mut tunnel.send, &sent), async {
                            let mut back = Vec::new();
                            while back.len() < sent.len() {
                                back.extend_from_slice(
                                    &tidegate_tests::http2::read(&mut tunnel.recv).await.unwrap().unwrap(),
                                );
                            }
                            back
                        });
                        assert!(taken && back == sent, "{size} bytes come back");
                    }
                }
                end(&mut tunnel.send);
                assert_eq!(tunnel.rest().await, b"");
            });
            eventually("the tunnel is gone", || proxy.open_tunnels() == 0);
        }
    }
}

#[test]
fn a_refused_handshake_is_an_answer() {
    let backend = Backend::script(|mut wire, _| {
        let head = wire.read_head();
        assert_eq!(head.get("upgrade"), Some("websocket"));
        assert_eq!(head.get("sec-websocket-protocol"), Some("chat"));
        assert!(head.get("sec-websocket-key").is_some_and(|key| key.len() == 24));
        wire.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    });
    let proxy = plain(backend.address(), "");
    run(async {
        let client = Client::connect(proxy.address()).await;
        let lines = [("sec-websocket-protocol", "chat")];
        let (head, tunnel) = client.connect_websocket("http://example.com/ws", &lines).await;
        assert_eq!(head.status().as_u16(), 403);
        assert_eq!(tunnel.rest().await, b"no");
    });
    backend.join();
}

#[test]
fn a_peer_that_answers_with_a_wrong_accept_opens_nothing() {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        // The answer to another key.
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect_close();
    });
    let proxy = plain(backend.address(), "");
    run(async {
        let client = Client::connect(proxy.address()).await;
        let (head, _) = client.connect_websocket("http://example.com/ws", &[]).await;
        assert_eq!(head.status().as_u16(), 502);
    });
    backend.join();
}

#[test]
fn many_streams_share_one_connection() {
    let backend = Http2::echo(TUNNELS);
    let proxy = plain(backend.address(), "protocol = \"h2\"");
    run(async {
        let client = Client::connect(proxy.address()).await;
        let asked = (0..100).map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.ask(Method::GET, &format!("http://example.com/{number}"), b"").await.1 })
        });
        for (number, asked) in asked.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(asked.await.unwrap(), format!("GET /{number} example.com").as_bytes());
        }
    });
    backend.join();
}

#[test]
fn variables_say_what_is_spoken() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let proxy = with_tls(&authority, backend.address(), "");
    run(async {
        let client = Client::connect_tls(proxy.address(), &TlsClient::new(&authority, "example.com")).await;
        let request = Request::get("https://example.com/facts").header("cookie", "a=b").header("cookie", "c=d");
        let (answer, _) = client.begin(request.body(()).unwrap(), true).await;
        let text = read_all(&mut answer.await.unwrap().into_body()).await;
        assert_eq!(text, b"HTTP/2.0 https example.com a=b; c=d GET h2\n");
    });
    // The same listener speaks HTTP/1.1 with who asks for nothing.
    TlsClient::new(&authority, "example.com").connect(proxy.address()).upgrade("/ws");
}

#[test]
fn a_client_that_resets_again_and_again_is_left() {
    let backend = Backend::ws_echo();
    let proxy = plain(backend.address(), "");
    run(async {
        let client = Client::connect(proxy.address()).await;
        let mut ended = false;
        for _ in 0..2000 {
            let request = Request::get("http://example.com/").body(()).unwrap();
            let Ok(mut ready) = client.try_ready().await else {
                ended = true;
                break;
            };
            let Ok((_, mut send)) = ready.send_request(request, false) else {
                ended = true;
                break;
            };
            // A stream that is reset before it is sent is never sent.
            tokio::task::yield_now().await;
            send.send_reset(Reason::CANCEL);
            tokio::task::yield_now().await;
        }
        assert!(ended, "the connection is ended");
        // Others are served.
        let other = Client::connect(proxy.address()).await;
        let (head, _) = other.ask(Method::GET, "http://example.com/", b"").await;
        assert_eq!(head.status().as_u16(), 200);
    });
}

#[test]
fn a_drain_lets_streams_end() {
    let backend = Backend::ws_echo();
    let proxy = set_up(backend.address(), "").in_process().start();
    run(async {
        let client = Client::connect(proxy.address()).await;
        let (_, mut tunnel) = client.connect_websocket("http://example.com/ws", &[]).await;
        tunnel.echo(&Frame::text("before")).await;
        let draining = tokio::task::spawn_blocking(move || proxy.drain());
        tunnel.echo(&Frame::text("meanwhile")).await;
        end(&mut tunnel.send);
        assert_eq!(tunnel.rest().await, b"");
        draining.await.unwrap();
    });
}
