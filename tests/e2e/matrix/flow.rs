//! Flow control from end to end: a slow reader stops its writer, the proxy holds a bounded number
//! of bytes, nothing is lost, and what shares a connection goes on.

use std::sync::Arc;
use std::time::Duration;

use tidegate_tests::cell::{Cell, Down, Peer, Trust, Up, Visitor};
use tidegate_tests::http2::client::run;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Noise, tidegate};
use tokio::sync::{Notify, mpsc};

/// Far more than all sockets and windows on the way hold.
const MOST: usize = 128 << 20;
/// What they may hold: the kernel's own limits for two connections, with room.
const BOUND: usize = 48 << 20;
const AFTER: usize = 1 << 20;
/// So long without room means that nobody reads. One that is too short for a busy machine only
/// makes the test easier.
const QUIET: Duration = Duration::from_millis(300);

/// A peer that sends until it stalls, says how much that was, and sends more.
fn sending_peer(up: Up, trust: &Trust) -> (Peer, mpsc::UnboundedReceiver<usize>) {
    let (stalled, at) = mpsc::unbounded_channel();
    let peer = Peer::serve(up, &trust.certified, move |asking| {
        let stalled = stalled.clone();
        async move {
            let echoes = asking.target == "/echo";
            let mut lane = asking.accept(&[]).await;
            if echoes {
                return tidegate_tests::cell::echo_frames(&mut lane).await;
            }
            let mut noise = Noise::new(61);
            let sent = lane.sender.send_until_stalled(&mut noise, MOST, QUIET).await;
            stalled.send(sent).expect("a test that listens");
            // The test may be over: it need not read this.
            if lane.sender.send(&noise.take(AFTER)).await.is_ok() {
                lane.sender.finish().await;
            }
            let _gone = lane.receiver.rest().await;
        }
    });
    (peer, at)
}

/// A peer that reads nothing until it is woken, and then says how much noise has come.
fn deaf_peer(up: Up, trust: &Trust) -> (Peer, Arc<Notify>, mpsc::UnboundedReceiver<usize>) {
    let wake = Arc::new(Notify::new());
    let (tell, told) = mpsc::unbounded_channel();
    let woken = Arc::clone(&wake);
    let peer = Peer::serve(up, &trust.certified, move |asking| {
        let (woken, tell) = (Arc::clone(&woken), tell.clone());
        async move {
            let echoes = asking.target == "/echo";
            let mut lane = asking.accept(&[]).await;
            if echoes {
                return tidegate_tests::cell::echo_frames(&mut lane).await;
            }
            woken.notified().await;
            let (mut noise, mut got) = (Noise::new(62), 0);
            while let Ok(Some(piece)) = lane.receiver.read().await {
                noise.expect(&piece, got);
                got += piece.len();
            }
            let _over = tell.send(got);
        }
    });
    (peer, wake, told)
}

pub(super) fn a_slow_client(cell: Cell) {
    let trust = Trust::new();
    let (peer, mut at) = sending_peer(cell.up, &trust);
    let running = cell.before(trust, peer.address(), "");
    run(async {
        let mut lane = running.visit_narrow().await.tunnel("/slow").await;
        let sent = at.recv().await.expect("the peer stalls");
        assert!(0 < sent && sent < BOUND, "{sent} bytes went into the proxy while nobody read");
        lane.receiver.expect_noise(&mut Noise::new(61), sent + AFTER).await;
        assert_eq!(lane.receiver.rest().await, Ok(Vec::new()));
    });
    drop(running);
    peer.join();
}

pub(super) fn a_slow_peer(cell: Cell) {
    let trust = Trust::new();
    let (peer, wake, mut told) = deaf_peer(cell.up, &trust);
    let running = cell.before(trust, peer.address(), "");
    run(async {
        let mut lane = running.visit().await.tunnel("/slow").await;
        let mut noise = Noise::new(62);
        let sent = lane.sender.send_until_stalled(&mut noise, MOST, QUIET).await;
        assert!(0 < sent && sent < BOUND, "{sent} bytes went into the proxy while nobody read");
        wake.notify_one();
        lane.sender.send(&noise.take(AFTER)).await.unwrap();
        lane.sender.finish().await;
        assert_eq!(told.recv().await, Some(sent + AFTER));
    });
    drop(running);
    peer.join();
}

/// A tunnel whose client does not read stops nobody who shares its connections.
pub(super) fn beside_a_stuck_client(cell: Cell) {
    let trust = Trust::new();
    let (peer, mut at) = sending_peer(cell.up, &trust);
    let running = cell.before(trust, peer.address(), "");
    run(async {
        let visitor = running.visit_narrow().await;
        let _stuck = visitor.tunnel("/stuck").await;
        at.recv().await.expect("the peer stalls");
        let mut other = visitor.tunnel("/echo").await;
        other.echo(&[Frame::text("quick"), Frame::binary(&Noise::new(63).take(1 << 20))]).await;
    });
    drop(running);
    peer.join();
}

pub(super) fn beside_a_stuck_peer(cell: Cell) {
    let trust = Trust::new();
    let (peer, _wake, _told) = deaf_peer(cell.up, &trust);
    let running = cell.before(trust, peer.address(), "");
    run(async {
        let visitor = running.visit().await;
        let mut stuck = visitor.tunnel("/stuck").await;
        stuck.sender.send_until_stalled(&mut Noise::new(62), MOST, QUIET).await;
        let mut other = visitor.tunnel("/echo").await;
        other.echo(&[Frame::text("quick"), Frame::binary(&Noise::new(63).take(1 << 20))]).await;
    });
    drop(running);
    peer.join();
}

/// What the process may hold more for two stuck tunnels. With QUIC it holds what a client has not
/// acknowledged (2 MiB a connection), which with TCP is the kernel's.
fn room(down: Down) -> usize {
    const ROOM: usize = 6 << 20;
    if down == Down::H3 { ROOM + (2 << 20) } else { ROOM }
}

/// What is under way lies in the kernel's buffers and the windows of HTTP/2 and QUIC: two stuck
/// tunnels, one each way, make the process hold little, whatever the versions.
#[test]
fn the_process_does_not_grow() {
    let trust = Trust::new();
    let (tell, mut told) = mpsc::unbounded_channel();
    let ups = [Up::H1, Up::H1Tls, Up::H2, Up::H2Tls];
    let peers = ups.map(|up| {
        let tell = tell.clone();
        Peer::serve(up, &trust.certified, move |asking| {
            let tell = tell.clone();
            async move {
                let sends = asking.target.starts_with("/down");
                let mut lane = asking.accept(&[]).await;
                lane.sender.send(b"ready").await.unwrap();
                if sends {
                    lane.sender.send_until_stalled(&mut Noise::new(64), MOST, QUIET).await;
                    tell.send(()).unwrap();
                }
                std::future::pending::<()>().await;
            }
        })
    });
    let mut text = String::from("[server]\nworkers = 1\n[[sites]]\n");
    for (number, (up, peer)) in ups.iter().zip(&peers).enumerate() {
        let upstream = up.upstream(&format!("peers{number}"), peer.address());
        let route = format!("[[sites.routes]]\nmatch = \"~ {number}$\"\nupstream = \"peers{number}\"\n");
        text = format!("{upstream}{text}{route}");
    }
    let listeners: String = Down::ALL.iter().map(|down| down.listener()).collect();
    let mut proxy = trust.files(tidegate(&format!("{listeners}{text}"))).binary().start();
    let addresses = proxy.addresses();
    for (down, address) in Down::ALL.into_iter().zip(addresses) {
        for (number, up) in ups.into_iter().enumerate() {
            run(async {
                let visitor = Visitor::connect_narrow(down, address, &trust.client()).await;
                let mut to_peer = visitor.tunnel(&format!("/up{number}")).await;
                to_peer.receiver.expect(b"ready").await;
                let before = proxy.process().memory();
                let mut to_client = visitor.tunnel(&format!("/down{number}")).await;
                to_client.receiver.expect(b"ready").await;
                let sent = to_peer.sender.send_until_stalled(&mut Noise::new(65), MOST, QUIET).await;
                assert!(sent > 0);
                told.recv().await.expect("the peer stalls");
                let after = proxy.process().memory();
                assert!(after < before + room(down), "{down:?} to {up:?}: from {before} to {after} bytes");
            });
        }
    }
    drop(proxy);
    peers.into_iter().for_each(Peer::join);
}
