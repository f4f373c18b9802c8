//! Tunnels of each cell: handshakes, messages, ends.

use std::sync::OnceLock;

use h2::Reason;
use tidegate_tests::cell::{Asking, Cell, Cut, Down, Peer, Running, Trust, Up};
use tidegate_tests::http2::client::run;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Noise, eventually};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A proxy of this cell before a peer that does this.
fn with<F: Future<Output = ()> + Send + 'static>(
    cell: Cell,
    route: &str,
    peer: impl Fn(Asking) -> F + Send + Sync + 'static,
) -> (Running, Peer) {
    let trust = Trust::new();
    let peer = Peer::serve(cell.up, &trust.certified, peer);
    (cell.before(trust, peer.address(), route), peer)
}

/// What a peer tells the test, which may have heard enough.
fn telling<T: Send + 'static>() -> (impl Fn(T) + Clone + Send + Sync + 'static, UnboundedReceiver<T>) {
    let (sender, told) = unbounded_channel();
    (move |what| drop(sender.send(what)), told)
}

/// The versions' own lines are asserted by [`Peer`] and by the client.
pub(super) fn a_handshake(cell: Cell) {
    let (running, peer) = with(cell, "", |asking| async move {
        assert_eq!(asking.target, "/ws%20x?room=1");
        assert_eq!(asking.line("sec-websocket-protocol"), "chat, log");
        assert_eq!(asking.line("sec-websocket-extensions"), "permessage-deflate; client_max_window_bits");
        assert_eq!((asking.line("origin"), asking.line("cookie")), ("https://a.example", "a=b; c=d"));
        let lines = [
            ("sec-websocket-protocol", "chat"),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("set-cookie", "e=f"),
        ];
        tidegate_tests::cell::echo_frames(&mut asking.accept(&lines).await).await;
    });
    run(async {
        let lines = [
            ("sec-websocket-protocol", "chat, log"),
            ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
            ("origin", "https://a.example"),
            ("cookie", "a=b; c=d"),
        ];
        let visitor = running.visit().await;
        let mut opened = visitor.open("/ws%20x?room=1", &lines).await;
        assert_eq!(opened.status, if cell.down.is_multiplexed() { 200 } else { 101 });
        assert_eq!(opened.line("sec-websocket-protocol"), "chat");
        assert_eq!(opened.line("sec-websocket-extensions"), "permessage-deflate");
        assert_eq!(opened.line("set-cookie"), "e=f");
        opened.lane.echo(&[Frame::text("hello")]).await;
    });
    drop(running);
    peer.join();
}

pub(super) fn a_refused_handshake(cell: Cell) {
    let (running, peer) =
        with(cell, "", |asking| async move { asking.refuse(403, &[("x-why", "not you")], "go away").await });
    run(async {
        let mut opened = running.visit().await.open("/ws", &[]).await;
        assert_eq!((opened.status, opened.line("x-why")), (403, "not you"));
        assert_eq!(opened.lane.receiver.read_exact(7).await, b"go away");
        if cell.down.is_multiplexed() {
            assert_eq!(opened.lane.receiver.rest().await, Ok(Vec::new()));
        }
    });
    drop(running);
    peer.join();
}

/// RFC 6455 §4.1: an accept that answers another key opens nothing. Over HTTP/2 there is none, and
/// one that a peer sends all the same is not passed on.
pub(super) fn a_wrong_accept(cell: Cell) {
    let (running, peer) = with(cell, "", |asking| async move {
        let forged = [("sec-websocket-accept", "forged")];
        let lines = if asking.line("sec-websocket-key").is_empty() { &forged[..] } else { &[] };
        let mut lane = asking.accept_key("bm90IHRoZSBrZXkhISEhIQ==", lines).await;
        let _end = lane.receiver.rest().await;
    });
    run(async {
        let opened = running.visit().await.open("/ws", &[]).await;
        let expected = match (cell.up.is_h2(), cell.down.is_multiplexed()) {
            (false, _) => 502,
            (true, true) => 200,
            (true, false) => 101,
        };
        assert_eq!(opened.status, expected);
    });
    drop(running);
    peer.join();
}

/// Around each border of RFC 6455's lengths and of HTTP/2's windows.
const SIZES: [usize; 9] = [0, 1, 125, 126, 65_535, 65_536, 65_537, 1 << 20, 16 << 20];

/// Made once: the same for all cells.
fn noise() -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    NOISE.get_or_init(|| Noise::new(51).take(16 << 20))
}

fn part(fin: bool, opcode: u8, payload: &[u8]) -> Frame {
    Frame { fin, opcode, payload: payload.to_vec() }
}

pub(super) fn messages_of_every_size(cell: Cell) {
    let trust = Trust::new();
    let peer = Peer::echo(cell.up, &trust.certified);
    let running = cell.before(trust, peer.address(), "");
    run(async {
        let mut lane = running.visit().await.tunnel("/ws").await;
        for size in SIZES {
            lane.echo(&[Frame::binary(&noise()[..size])]).await;
            if size <= 1 << 20 {
                lane.echo(&[Frame::text(&"x".repeat(size))]).await;
            }
        }
        // Fragments, with a ping between them; many at once.
        let thirds = noise()[..300_000].chunks(100_000).collect::<Vec<_>>();
        let (begin, rest) = (part(false, ws::BINARY, thirds[0]), part(true, 0, thirds[2]));
        let ping = part(true, ws::PING, b"between");
        lane.sender.send(&[&begin, &ping].map(Frame::masked).concat()).await.unwrap();
        let pong = Frame { opcode: ws::PONG, ..ping };
        lane.receiver.expect(&[&begin, &pong].map(Frame::bytes).concat()).await;
        lane.echo(&[part(false, 0, thirds[1]), rest]).await;
        let small: Vec<Frame> = (0..500).map(|number| Frame::text(&format!("message {number}"))).collect();
        lane.echo(&small).await;
        // A close frame each way, then the end of the tunnel.
        lane.echo(&[Frame::close(1000)]).await;
        assert_eq!(lane.receiver.rest().await, Ok(Vec::new()));
    });
    drop(running);
    peer.join();
}

/// What a peer sends with its answer to the handshake, and a client at once behind it.
pub(super) fn early_bytes(cell: Cell) {
    let (running, peer) = with(cell, "", |asking| async move {
        let mut lane = asking.accept(&[]).await;
        lane.sender.send(b"welcome").await.unwrap();
        lane.receiver.expect(b"ahead").await;
        lane.sender.send(b"seen").await.unwrap();
        lane.sender.finish().await;
    });
    run(async {
        let mut lane = running.visit().await.tunnel("/ws").await;
        lane.sender.send(b"ahead").await.unwrap();
        lane.receiver.expect(b"welcomeseen").await;
        assert_eq!(lane.receiver.rest().await, Ok(Vec::new()));
    });
    drop(running);
    peer.join();
}

/// What was sent is delivered. Then as in nginx both directions end; but the end of a stream is
/// that of its direction only, and what the peer answers to it is delivered, too.
pub(super) fn the_client_ends(cell: Cell) {
    let (tell, mut told) = telling();
    let (running, peer) = with(cell, "", move |asking| {
        let tell = tell.clone();
        async move {
            let mut lane = asking.accept(&[]).await;
            tell(lane.receiver.rest().await);
            // Without HTTP/2 nobody waits for it.
            let _late = lane.sender.send(b"an answer").await;
            lane.sender.finish().await;
        }
    });
    run(async {
        let mut lane = running.visit().await.tunnel("/ws").await;
        lane.sender.send(b"last words").await.unwrap();
        lane.sender.finish().await;
        let answer = if cell.down.is_multiplexed() { &b"an answer"[..] } else { b"" };
        assert_eq!(lane.receiver.rest().await, Ok(answer.to_vec()));
        assert_eq!(told.recv().await, Some(Ok(b"last words".to_vec())));
    });
    drop(running);
    peer.join();
}

pub(super) fn the_peer_ends(cell: Cell) {
    let (tell, mut told) = telling();
    let (running, peer) = with(cell, "", move |asking| {
        let tell = tell.clone();
        async move {
            let mut lane = asking.accept(&[]).await;
            lane.sender.send(b"last words").await.unwrap();
            lane.sender.finish().await;
            tell(lane.receiver.rest().await);
        }
    });
    run(async {
        let mut lane = running.visit().await.tunnel("/ws").await;
        assert_eq!(lane.receiver.rest().await, Ok(b"last words".to_vec()));
        assert_eq!(told.recv().await, Some(Ok(Vec::new())));
    });
    drop(running);
    peer.join();
}

/// With `half_close` each direction ends by itself, and the other goes on.
pub(super) fn half_close(cell: Cell) {
    let (tell, mut told) = telling();
    let (running, peer) = with(cell, "half_close = true", move |asking| {
        let tell = tell.clone();
        async move {
            let peer_first = asking.target == "/peer-first";
            let mut lane = asking.accept(&[]).await;
            if peer_first {
                lane.sender.send(b"that is all").await.unwrap();
                lane.sender.finish().await;
            }
            let got = lane.receiver.rest().await.unwrap();
            assert_eq!(got.len(), 300_000);
            Noise::new(52).expect(&got, 0);
            if !peer_first {
                lane.sender.send(&Noise::new(53).take(300_000)).await.unwrap();
                lane.sender.finish().await;
            }
            tell(());
        }
    });
    run(async {
        let visitor = running.visit().await;
        let mut lane = visitor.tunnel("/client-first").await;
        lane.sender.send(&Noise::new(52).take(300_000)).await.unwrap();
        lane.sender.finish().await;
        // Only behind its client's end does the peer begin.
        Noise::new(53).expect(&lane.receiver.rest().await.unwrap(), 0);
        let mut lane = visitor.tunnel("/peer-first").await;
        assert_eq!(lane.receiver.rest().await, Ok(b"that is all".to_vec()));
        lane.sender.send(&Noise::new(52).take(300_000)).await.unwrap();
        lane.sender.finish().await;
        for _ in 0..2 {
            let () = told.recv().await.expect("a peer that has got everything");
        }
    });
    drop(running);
    peer.join();
}

/// How a reset of the other side is seen: RFC 8441 §5 and RFC 9113 §8.5; RFC 9220 §3.
fn cut(multiplexed: bool) -> Cut {
    if multiplexed { Cut::Stream(Reason::CANCEL) } else { Cut::Connection }
}

fn cut_of(down: Down) -> Cut {
    if down == Down::H3 { Cut::Http3(0x10C) } else { cut(down.is_multiplexed()) }
}

pub(super) fn the_client_resets(cell: Cell) {
    let (tell, mut told) = telling();
    let (running, peer) = with(cell, "half_close = true", move |asking| {
        let tell = tell.clone();
        async move {
            let mut lane = asking.accept(&[]).await;
            lane.sender.send(b"hello").await.unwrap();
            tell(lane.receiver.rest().await);
        }
    });
    run(async {
        let visitor = running.visit().await;
        let mut lane = visitor.tunnel("/ws").await;
        lane.receiver.expect(b"hello").await;
        lane.reset();
        assert_eq!(told.recv().await, Some(Err(cut(cell.up.is_h2()))));
        // Nobody else on the connection notices.
        visitor.tunnel("/ws").await.receiver.expect(b"hello").await;
    });
    drop(running);
    peer.join();
}

pub(super) fn the_peer_resets(cell: Cell) {
    let (running, peer) = with(cell, "half_close = true", |asking| async move {
        let mut lane = asking.accept(&[]).await;
        lane.receiver.expect(b"go").await;
        lane.reset();
    });
    run(async {
        let visitor = running.visit().await;
        for _ in 0..2 {
            let mut lane = visitor.tunnel("/ws").await;
            lane.sender.send(b"go").await.unwrap();
            assert_eq!(lane.receiver.rest().await, Err(cut_of(cell.down)));
        }
    });
    drop(running);
    peer.join();
}

/// A client of HTTP/2 or HTTP/3 that is gone with its whole connection is gone for each peer.
#[test]
fn a_lost_connection_resets_its_tunnels() {
    for down in Down::ALL.into_iter().filter(|down| down.is_multiplexed()) {
        for up in [Up::H1, Up::H2] {
            let (tell, mut told) = telling();
            let cell = Cell { down, up };
            let trust = Trust::new();
            let peer = Peer::serve(up, &trust.certified, move |asking| {
                let tell = tell.clone();
                async move {
                    let mut lane = asking.accept(&[]).await;
                    lane.sender.send(b"hello").await.unwrap();
                    tell(lane.receiver.rest().await.is_err());
                }
            });
            let proxy = cell.set_up(&trust, peer.address(), "").in_process().start();
            let running = Running { proxy, trust, down };
            run(async {
                let visitor = running.visit().await;
                let (mut one, mut two) = (visitor.tunnel("/ws").await, visitor.tunnel("/ws").await);
                one.receiver.expect(b"hello").await;
                two.receiver.expect(b"hello").await;
                visitor.leave().await;
                // The runtime ends, and with it the connection, under both of its tunnels.
                std::mem::forget((one, two));
            });
            for _ in 0..2 {
                assert_eq!(told.blocking_recv(), Some(true), "{cell:?}");
            }
            eventually("the tunnels to end", || running.proxy.open_tunnels() == 0);
            drop(running);
            peer.join();
        }
    }
}
