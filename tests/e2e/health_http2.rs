//! Checks of peers that speak HTTP/2.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use tidegate_tests::front;
use tidegate_tests::http2::{Offer, read_all};
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Authority, Backend, Http2, Proxy, eventually, tidegate, wait_for};

const TUNNELS: Offer = Offer { tunnels: true, streams: None, window: None };
const NO_TUNNELS: Offer = Offer { tunnels: false, streams: None, window: None };

struct Checked {
    proxy: Proxy,
    admin: HeldPort,
}

impl Checked {
    fn new(peer: SocketAddr, upstream: &str, health: &str, files: &[(&str, String)]) -> Self {
        let admin = HeldPort::new();
        let setup = tidegate(
            r#"
            [admin]
            address = "%admin%"
            [upstreams.u]
            peers = ["%peer%"]
            %upstream%
            health = { interval = "20ms", jitter = "0s", fails = 1, passes = 1, mandatory = true, %health% }
            [[sites]]
            routes = [{ match = "/", upstream = "u" }]
            "#,
        );
        let setup =
            setup.var("admin", admin.address()).var("peer", peer).var("upstream", upstream).var("health", health);
        let proxy = files.iter().fold(setup, |setup, (name, text)| setup.file(name, text)).start();
        Self { proxy, admin }
    }

    fn peer(&self) -> Value {
        // A binary may listen there a moment after it listens for clients.
        let mut stream = wait_for("the admin address", || TcpStream::connect(self.admin.address()).ok());
        write!(stream, "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        status["upstreams"]["u"]["peers"].as_object().unwrap().values().next().unwrap().clone()
    }

    #[track_caller]
    fn until(&self, state: &str) -> Value {
        wait_for(&format!("the peer to be {state}"), || Some(self.peer()).filter(|peer| peer["state"] == state))
    }
}

#[test]
fn a_request_and_its_body() {
    let (well, checks) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (mood, seen) = (Arc::clone(&well), Arc::clone(&checks));
    let backend = Http2::serve(TUNNELS, move |call| {
        let (mood, seen) = (Arc::clone(&mood), Arc::clone(&seen));
        async move {
            if call.request.uri().path() != "/check" {
                return call.text("a page").await;
            }
            assert_eq!(call.request.version(), http::Version::HTTP_2);
            assert_eq!((call.request.method().as_str(), call.header("x-why")), ("POST", "check"));
            assert_eq!(call.request.uri().authority().unwrap(), "well.test");
            assert_eq!(call.request.headers().get("connection"), None);
            seen.fetch_add(1, Ordering::SeqCst);
            match mood.load(Ordering::SeqCst) {
                true => call.text("version 7: all is well").await,
                false => call.text("all is lost").await,
            }
        }
    });
    let health = "path = \"/check\", method = \"POST\", host = \"well.test\", headers = { X-Why = \"check\" }, \
                  contains = \"well\", matches = \"version [0-9]\"";
    let checked = Checked::new(backend.address(), "protocol = \"h2\"", health, &[]);
    checked.until("up");
    assert_eq!(checked.proxy.get("/").1.text(), "a page");
    well.store(false, Ordering::SeqCst);
    let ill = checked.until("unhealthy");
    assert_eq!(ill["last_failure"]["text"], "check: the body has no \"well\"");
    well.store(true, Ordering::SeqCst);
    checked.until("up");
    // Each check has a connection of its own, which ends with it.
    let before = checks.load(Ordering::SeqCst);
    eventually("more checks", || checks.load(Ordering::SeqCst) > before + 3);
    eventually("their connections to end", || backend.ended() > 3);
    drop(checked);
    backend.join();
}

#[test]
fn a_status_that_is_none_of_a_healthy_peer() {
    let backend = Http2::serve(TUNNELS, |call| async move { call.status(503) });
    let checked = Checked::new(backend.address(), "protocol = \"h2\"", "path = \"/check\"", &[]);
    let ill = checked.until("unhealthy");
    assert_eq!(ill["last_failure"]["text"], "check: status 503");
}

#[test]
fn a_handshake_is_extended_connect_and_ends_cleanly() {
    let (closed, accepts) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
    let (ends, mood) = (Arc::clone(&closed), Arc::clone(&accepts));
    let backend = Http2::serve(TUNNELS, move |call| {
        let (ends, mood) = (Arc::clone(&ends), Arc::clone(&mood));
        async move {
            assert!(call.is_tunnel());
            assert_eq!((call.header("origin"), call.header("sec-websocket-version")), ("https://check.test", "13"));
            assert_eq!(call.header("sec-websocket-key"), "");
            if !mood.load(Ordering::SeqCst) {
                return call.status(403);
            }
            let (mut recv, mut send) = call.open_tunnel(&[("sec-websocket-protocol", "chat")]);
            let said = tidegate_tests::http2::read(&mut recv).await.unwrap().unwrap();
            assert_eq!(said, &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8][..], "a close frame with 1000");
            send.send_data(Frame::close(1000).bytes().into(), true).unwrap();
            ends.fetch_add(1, Ordering::SeqCst);
            let _reset = read_all_or_reset(recv).await;
        }
    });
    let health = "kind = \"websocket\", path = \"/ws\", origin = \"https://check.test\", subprotocol = \"chat\"";
    let checked = Checked::new(backend.address(), "protocol = \"h2\"", health, &[]);
    checked.until("up");
    eventually("checks that end cleanly", || closed.load(Ordering::SeqCst) > 2);
    accepts.store(false, Ordering::SeqCst);
    let ill = checked.until("unhealthy");
    assert_eq!(ill["last_failure"]["text"], "check: the handshake is answered with 403");
    assert_eq!(backend.http1(), 0);
    drop(checked);
    backend.join();
}

async fn read_all_or_reset(mut recv: h2::RecvStream) {
    while let Some(Ok(_more)) = recv.data().await {}
}

#[test]
fn without_rfc_8441_a_handshake_goes_over_http_1() {
    let backend = Http2::serve(NO_TUNNELS, |mut call| async move {
        read_all(call.request.body_mut()).await;
        call.status(500);
    });
    let health = "kind = \"websocket\", path = \"/ws\"";
    let checked = Checked::new(backend.address(), "protocol = \"h2\"", health, &[]);
    checked.until("up");
    assert!(backend.http1() > 0);
}

#[test]
fn over_tls_http_2_is_chosen_by_alpn() {
    let authority = Authority::new();
    let certified = authority.issue(&["back.test"]);
    let files = [("ca.pem", authority.certificate())];
    let upstream =
        |protocol: &str| format!("protocol = \"{protocol}\"\ntls = {{ ca = \"ca.pem\", name = \"back.test\" }}");
    let backend = Http2::echo(TUNNELS);
    let front = front::tls(&certified).protocols(&["h2"]).before(backend.address());
    for protocol in ["h2", "auto"] {
        for health in ["contains = \"GET / \"", "kind = \"tcp\""] {
            let checked = Checked::new(front.address(), &upstream(protocol), health, &files);
            checked.until("up");
        }
    }
    // A health port may speak another version.
    let plain = Backend::named("old");
    let front = front::tls(&certified).protocols(&["http/1.1"]).before(plain.address());
    for (protocol, health) in [("auto", "contains = \"old\""), ("h2", "contains = \"old\", protocol = \"h1\"")] {
        let checked = Checked::new(front.address(), &upstream(protocol), health, &files);
        checked.until("up");
    }
    let checked = Checked::new(front.address(), &upstream("h2"), "path = \"/\"", &files);
    let ill = checked.until("unhealthy");
    let text = ill["last_failure"]["text"].as_str().unwrap();
    assert!(text.starts_with("check: upstream.tls"), "{text}");
}

#[test]
fn a_peer_that_speaks_http_1_only_is_told_of() {
    let backend = Backend::script(|mut wire, _| {
        wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let checked = Checked::new(backend.address(), "protocol = \"h2\"", "path = \"/\"", &[]);
    let ill = checked.until("unhealthy");
    let text = ill["last_failure"]["text"].as_str().unwrap();
    assert!(text.starts_with("check: upstream.not_http2"), "{text}");
}
