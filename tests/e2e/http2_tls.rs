//! HTTP/2 to peers over TLS: chosen by ALPN, asked for or left to the peer.

use tidegate_tests::certificates::{Authority, Certified};
use tidegate_tests::front::{self, Front};
use tidegate_tests::http2::Offer;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Http2, Proxy, tidegate};

const TUNNELS: Offer = Offer { tunnels: true, streams: None, window: None };

/// A proxy before a front, with this `protocol`.
fn with(protocol: &str, authority: &Authority, front: &Front) -> Proxy {
    let text = format!(
        "[upstreams.u]\nprotocol = \"{protocol}\"\ntls = {{ ca = \"ca.pem\", name = \"back.test\" }}\n\
         peers = [\"{}\"]\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n",
        front.address()
    );
    tidegate(&text).file("ca.pem", authority.certificate()).start()
}

fn certified() -> (Authority, Certified) {
    let authority = Authority::new();
    let certified = authority.issue(&["back.test"]);
    (authority, certified)
}

fn spoken(front: &Front) -> Vec<Option<String>> {
    front.handshakes().into_iter().map(|handshake| handshake.unwrap().protocol).collect()
}

#[test]
fn requests_and_tunnels_share_one_handshake() {
    let (authority, certified) = certified();
    for protocol in ["h2", "auto"] {
        let backend = Http2::echo(TUNNELS);
        let front = front::tls(&certified).protocols(&["h2", "http/1.1"]).before(backend.address());
        let proxy = with(protocol, &authority, &front);
        for _ in 0..10 {
            assert_eq!(proxy.get("/").1.text(), "GET / ws.example.com");
        }
        let mut client = proxy.open("/ws");
        let bytes = Frame::text("hello").masked();
        client.send(&bytes);
        client.expect(&bytes);
        assert_eq!(backend.connections(), 1);
        assert_eq!(spoken(&front), [Some("h2".to_owned())]);
        drop((client, proxy));
        drop(front);
        backend.join();
    }
}

/// `auto` takes HTTP/1.1 where the peer does, and keeps those connections, too.
#[test]
fn auto_takes_http_1_where_the_peer_does() {
    let (authority, certified) = certified();
    for protocols in [&["http/1.1"][..], &[]] {
        let backend = Backend::named("one");
        let front = front::tls(&certified).protocols(protocols).before(backend.address());
        let proxy = with("auto", &authority, &front);
        for _ in 0..5 {
            assert_eq!(proxy.get("/").1.text(), "one");
        }
        assert_eq!(backend.connections(), 1);
        drop(proxy);
        drop(front);
        backend.join();
    }
}

#[test]
fn auto_takes_http_1_for_tunnels_too() {
    let (authority, certified) = certified();
    let backend = Backend::ws_echo();
    let front = front::tls(&certified).before(backend.address());
    let proxy = with("auto", &authority, &front);
    proxy.open("/ws").echo(&Frame::text("hello"));
    proxy.open("/ws").echo(&Frame::text("again"));
    assert!(spoken(&front).iter().all(|protocol| protocol.as_deref() == Some("http/1.1")));
    drop(proxy);
    drop(front);
    backend.join();
}

/// Without RFC 8441 the handshake has a connection of its own, on which HTTP/1.1 is asked for.
#[test]
fn without_rfc_8441_a_tunnel_has_a_connection_of_http_1() {
    let (authority, certified) = certified();
    let backend = Http2::echo(Offer::default());
    let front = front::tls(&certified).protocols(&["h2", "http/1.1"]).before(backend.address());
    let proxy = with("h2", &authority, &front);
    proxy.open("/ws").echo(&Frame::text("hello"));
    assert_eq!((backend.connections(), backend.http1()), (1, 1));
    assert_eq!(spoken(&front), [Some("h2".to_owned()), Some("http/1.1".to_owned())]);
    drop(proxy);
    drop(front);
    backend.join();
}

/// With `h2` a peer that does not choose it is not spoken to.
#[test]
fn h2_is_not_left_to_chance() {
    let (authority, certified) = certified();
    for protocols in [&["http/1.1"][..], &[]] {
        let backend = Backend::named("one");
        let front = front::tls(&certified).protocols(protocols).before(backend.address());
        let proxy = with("h2", &authority, &front);
        assert_eq!(proxy.get("/").0.status(), 502);
        assert!(backend.heads().is_empty());
        drop(proxy);
        drop(front);
        backend.join();
    }
}
