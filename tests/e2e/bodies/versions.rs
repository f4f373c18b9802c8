//! Bodies over HTTP/2 and HTTP/3, towards clients and towards peers.

use std::net::SocketAddr;
use std::sync::mpsc::channel;

use http::{Method, Request};
use parking_lot::Mutex;
use tidegate_tests::http2::client::{Client, run};
use tidegate_tests::http2::{Offer, read_all, send_all};
use tidegate_tests::{Authority, Backend, Http2, Setup, TlsClient, http3};

use super::{patient, telling, with};

const OFFER: Offer = Offer { tunnels: false, streams: None, window: None };

/// Before clients of HTTP/2 and an upstream of one version.
fn listening(hook: &str, config: &str, upstream: &str) -> Setup {
    let listener = "[[listeners]]\naddress = \"127.0.0.1:0\"\nprotocols = [\"h1\", \"h2\"]\n";
    let tables = format!("{listener}[upstreams.u]\npeers = [\"%peer%\"]\n{upstream}\n");
    with(&tables, hook, &[config], "", "").var("backend", "u")
}

#[test]
fn whole_and_in_pieces_over_http_2() {
    for (config, told) in [
        ("wish = \"whole\"", "5|HELLO||5 bytes at /"),
        ("wish = \"chunks\", tally = true", "chunked|HELLO[5 bytes, some]||"),
    ] {
        let backend = telling();
        let proxy = listening("request-body", config, "").var("peer", backend.address()).start();
        run(async {
            let client = Client::connect(proxy.address()).await;
            let (head, body) = client.ask(Method::POST, "http://x/", b"hello").await;
            assert_eq!((head.status().as_u16(), String::from_utf8(body).unwrap().as_str()), (200, told));
        });
        let backend = patient();
        let proxy = listening("request-body", config, "").var("peer", backend.address()).start();
        run(async {
            let client = Client::connect(proxy.address()).await;
            let (head, body) = client.ask(Method::POST, "http://x/", b"!reply no").await;
            assert_eq!((head.status().as_u16(), body.as_slice()), (403, &b"no"[..]));
        });
    }
}

#[test]
fn peers_of_http_2_and_trailers() {
    let backend = Http2::serve(OFFER, |mut call| async move {
        let length = call.header("content-length").to_owned();
        let recv = call.request.body_mut();
        let body = String::from_utf8(read_all(recv).await).unwrap();
        let trailers = recv.trailers().await.unwrap();
        let sum = trailers.as_ref().and_then(|trailers| trailers.get("x-sum")).map_or("none", |v| v.to_str().unwrap());
        let told = format!("{length}|{body}|{sum}");
        call.text(&told).await;
    });
    let setup = listening("request-body", "wish = \"chunks\", tally = true", "protocol = \"h2\"");
    let proxy = setup.var("peer", backend.address()).start();
    run(async {
        let client = Client::connect(proxy.address()).await;
        let request = Request::post("http://x/").header("content-length", "5").body(()).unwrap();
        let (answer, mut send) = client.begin(request, false).await;
        send_all(&mut send, b"hello").await;
        let trailers = [("x-sum", "12")].into_iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        send.send_trailers(trailers).unwrap();
        let mut recv = answer.await.unwrap().into_body();
        assert_eq!(read_all(&mut recv).await, b"|HELLO[5 bytes, some]|2:12");
    });
}

/// A stream that breaks off is reset, and others of its connection go on.
#[test]
fn a_broken_answer_over_http_2() {
    let (had, go_on) = channel();
    let go_on = Mutex::new(go_on);
    let backend = Backend::script(move |mut wire, _| {
        while let Some(head) = wire.try_read_head() {
            if head.target() == "/abort" {
                wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n");
                go_on.lock().recv().unwrap();
                wire.send("a\r\n!abort bad\r\n0\r\n\r\n");
            } else {
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell");
            }
        }
    });
    let setup = listening("response-body", "wish = \"chunks\"", "");
    let proxy = setup.var("peer", backend.address()).start();
    run(async {
        let client = Client::connect(proxy.address()).await;
        let request = Request::get("http://x/abort").body(()).unwrap();
        let (answer, _send) = client.begin(request, true).await;
        let mut recv = answer.await.unwrap().into_body();
        assert_eq!(recv.data().await.unwrap().unwrap(), b"SOME"[..]);
        had.send(()).unwrap();
        let error = recv.data().await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
        let (_, body) = client.ask(Method::GET, "http://x/", b"").await;
        assert_eq!(body, b"WELL");
    });
}

#[test]
fn over_http_3() {
    let authority = Authority::new();
    let own = authority.issue(&["example.com"]);
    let backend = telling();
    for (config, told) in [
        ("wish = \"whole\"", "5|HELLO||5 bytes at /"),
        ("wish = \"chunks\", tally = true", "chunked|HELLO[5 bytes, some]||"),
    ] {
        let listener = "[[listeners]]\naddress = \"127.0.0.1:0\"\nprotocols = [\"h1\", \"h2\", \"h3\"]\n\
                        tls = { certificate = \"server.pem\", key = \"server.key\" }\n";
        let secured = |backend: SocketAddr| {
            let setup = with(listener, "request-body", &[config], "", "").var("backend", backend);
            setup.file("server.pem", &own.certificate).file("server.key", &own.key).start()
        };
        let proxy = secured(backend.address());
        run(async {
            let tls = TlsClient::new(&authority, "example.com");
            let client = http3::Client::connect(proxy.address(), &tls).await;
            let (head, body) = client.ask("POST", "/", b"hello").await;
            assert_eq!(http3::get(&head, ":status"), Some("200"));
            assert_eq!(String::from_utf8(body).unwrap(), told);
        });
        let backend = patient();
        let proxy = secured(backend.address());
        run(async {
            let tls = TlsClient::new(&authority, "example.com");
            let client = http3::Client::connect(proxy.address(), &tls).await;
            let (head, body) = client.ask("POST", "/", b"!reply no").await;
            assert_eq!((http3::get(&head, ":status"), body.as_slice()), (Some("403"), &b"no"[..]));
        });
    }
}
