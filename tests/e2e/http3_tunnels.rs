//! WebSockets over HTTP/3 (RFC 9220), to peers of both versions.

use std::time::Duration;

use tidegate::http3::frame;
use tidegate_tests::http3::{code, framed, get, run};
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Authority, Backend, Http2, Noise, eventually};

use crate::http3::{TUNNELS, before, client, set_up};

const SIZES: [usize; 6] = [1, 125, 126, 65_535, 65_536, 1 << 20];

#[test]
fn messages_of_all_sizes_to_a_peer_of_http_1() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let proxy = set_up(&authority, backend.address(), ["", "", ""]).in_process().start();
    run(async {
        let client = client(&proxy, &authority).await;
        let (head, mut tunnel) = client.connect_websocket("/ws", &[]).await;
        assert_eq!(get(&head, ":status"), Some("200"));
        for name in ["upgrade", "connection", "sec-websocket-accept", "content-length"] {
            assert_eq!(get(&head, name), None, "{name}");
        }
        for size in SIZES {
            tunnel.echo(&Frame::binary(&vec![0x5A; size])).await;
        }
        tunnel.end();
        assert_eq!(tunnel.frame().await.unwrap(), None);
    });
    eventually("the tunnel is gone", || proxy.open_tunnels() == 0);
}

#[test]
fn messages_of_all_sizes_to_a_peer_of_http_2() {
    let (backend, authority) = (Http2::echo(TUNNELS), Authority::new());
    let proxy = set_up(&authority, backend.address(), ["protocol = \"h2\"", "", ""]).in_process().start();
    let mut noise = Noise::new(3);
    run(async {
        let client = client(&proxy, &authority).await;
        let (head, mut tunnel) = client.connect_websocket("/ws", &[]).await;
        assert_eq!(get(&head, ":status"), Some("200"));
        for size in SIZES {
            // This backend sends back what it got, mask and all.
            let bytes = noise.take(size);
            tunnel.send_for(&bytes, &bytes).await;
        }
        tunnel.end();
        assert_eq!(tunnel.frame().await.unwrap(), None);
    });
    eventually("the tunnel is gone", || proxy.open_tunnels() == 0);
    backend.join();
}

#[test]
fn many_tunnels_and_requests_share_a_connection() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let proxy = before(&authority, backend.address(), "");
    run(async {
        let client = client(&proxy, &authority).await;
        let mut tunnels = Vec::new();
        for _ in 0..20 {
            tunnels.push(client.connect_websocket("/ws", &[]).await.1);
        }
        for (number, tunnel) in tunnels.iter_mut().enumerate() {
            tunnel.echo(&Frame::text(&format!("tunnel {number}"))).await;
            assert_eq!(client.ask("GET", "/", b"").await.1, b"plain");
        }
    });
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
    let authority = Authority::new();
    let proxy = before(&authority, backend.address(), "");
    run(async {
        let client = client(&proxy, &authority).await;
        let (head, mut tunnel) = client.connect_websocket("/ws", &[("sec-websocket-protocol", "chat")]).await;
        assert_eq!(get(&head, ":status"), Some("403"));
        assert_eq!(tunnel.body().await, b"no");
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
    let authority = Authority::new();
    let proxy = before(&authority, backend.address(), "");
    run(async {
        let client = client(&proxy, &authority).await;
        let (head, _) = client.connect_websocket("/ws", &[]).await;
        assert_eq!(get(&head, ":status"), Some("502"));
    });
    backend.join();
}

/// A peer that opens and then does as a script says; the script begins behind its 101.
fn scripted(script: impl Fn(&mut tidegate_tests::Wire) + Send + Sync + 'static) -> Backend {
    Backend::script(move |mut wire, _| {
        let head = wire.read_head();
        wire.send(ws::switching(head.get("sec-websocket-key").unwrap(), ""));
        script(&mut wire);
    })
}

#[test]
fn one_direction_outlives_the_other() {
    let backend = scripted(|wire| {
        wire.expect("up");
        wire.expect_close();
        wire.send("down, later");
    });
    let authority = Authority::new();
    let setup = set_up(&authority, backend.address(), ["", "", ""]);
    let text = crate::http3::CONFIG.replace("match = \"/\"", "match = \"/\"\nhalf_close = true");
    let text = text.replace("%upstream%", "").replace("%listener%", "").replace("%server%", "");
    let proxy = setup.tidegate(&text).start();
    run(async {
        let client = client(&proxy, &authority).await;
        let (_, mut tunnel) = client.connect_websocket("/ws", &[]).await;
        tunnel.data(b"up").await;
        tunnel.end();
        assert_eq!(tunnel.body().await, b"down, later");
    });
    backend.join();
}

#[test]
fn what_the_peer_ends_is_whole_and_what_it_resets_is_reset() {
    let whole = scripted(|wire| wire.send("last words"));
    let authority = Authority::new();
    let proxy = before(&authority, whole.address(), "");
    run(async {
        let client = client(&proxy, &authority).await;
        let (_, mut tunnel) = client.connect_websocket("/ws", &[]).await;
        assert_eq!(tunnel.body().await, b"last words");
    });
    let torn = Backend::script(|mut wire, _| {
        let head = wire.read_head();
        wire.send(ws::switching(head.get("sec-websocket-key").unwrap(), ""));
        wire.expect("now");
        wire.reset();
    });
    let proxy = before(&authority, torn.address(), "");
    run(async {
        let client = client(&proxy, &authority).await;
        let (_, mut tunnel) = client.connect_websocket("/ws", &[]).await;
        tunnel.data(b"now").await;
        assert_eq!(tunnel.frame().await, Err(quinn::ReadError::Reset(code(0x10c))));
    });
}

#[test]
fn a_client_that_resets_its_stream_ends_the_tunnel() {
    let backend = scripted(|wire| {
        wire.expect("before");
        wire.send("seen");
        wire.expect_reset();
    });
    let authority = Authority::new();
    let proxy = set_up(&authority, backend.address(), ["", "", ""]).in_process().start();
    run(async {
        let client = client(&proxy, &authority).await;
        let (_, mut tunnel) = client.connect_websocket("/ws", &[]).await;
        tunnel.data(b"before").await;
        assert_eq!(tunnel.read_exact(4).await, b"seen");
        tunnel.send.reset(code(0x10c)).unwrap();
        // Other streams go on.
        assert_eq!(get(&client.ask("GET", "/facts", b"").await.0, ":status"), Some("200"));
        backend.join();
    });
    eventually("the tunnel is gone", || proxy.open_tunnels() == 0);
}

#[test]
fn frames_that_have_no_place_in_a_tunnel_end_the_connection() {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let proxy = before(&authority, backend.address(), "");
    run(async {
        let client = client(&proxy, &authority).await;
        let (_, mut tunnel) = client.connect_websocket("/ws", &[]).await;
        // A frame that nobody knows is passed over.
        tunnel.raw(&framed(0x21, b"grease")).await;
        tunnel.echo(&Frame::text("hello")).await;
        tunnel.raw(&framed(frame::HEADERS, &[0, 0])).await;
        assert_eq!(client.end().await, 0x105);
    });
}

/// A client that takes nothing holds the peer up: what is between has a bound, and is not lost.
#[test]
fn a_client_that_reads_slowly_slows_the_peer_down() {
    /// Far beyond all windows and buffers between.
    const MOST: usize = 256 << 20;
    /// QUIC's windows, and what the sockets on the way may hold.
    const BOUND: usize = 32 << 20;
    const QUIET: Duration = Duration::from_millis(700);
    let (stalled, at) = tokio::sync::mpsc::unbounded_channel();
    let backend = scripted(move |wire| {
        let mut noise = Noise::new(11);
        let sent = wire.send_until_stalled(&mut noise, MOST, QUIET);
        stalled.send(sent).unwrap();
        wire.send(noise.take(1 << 20));
    });
    let authority = Authority::new();
    let proxy = before(&authority, backend.address(), "");
    run(async {
        let mut at = at;
        let client = client(&proxy, &authority).await;
        let (_, mut tunnel) = client.connect_websocket("/ws", &[]).await;
        // QUIC goes on meanwhile, as far as its window reaches.
        let sent = at.recv().await.unwrap();
        assert!(sent < BOUND, "{sent} bytes went into the proxy while nobody read");
        let whole = tunnel.body().await;
        assert!(whole == Noise::new(11).take(sent + (1 << 20)), "{} bytes of {sent} and a mebibyte", whole.len());
    });
    backend.join();
}
