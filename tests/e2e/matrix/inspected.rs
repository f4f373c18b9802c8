//! Tunnels of each cell whose messages a plugin sees.

use tidegate_tests::Noise;
use tidegate_tests::cell::{Cell, Peer, Running, Trust, echo_frames};
use tidegate_tests::guests::guest;
use tidegate_tests::http2::client::run;
use tidegate_tests::ws::{self, Frame};

const ROUTE: &str = "plugins = [\"m\"]\nmessages = { max_size = \"2MiB\" }\n[plugins.m]\ncomponent = \"%messenger%\"\n";

/// A proxy of this cell with the messenger, before a peer that echoes.
fn with_messenger(cell: Cell) -> (Running, Peer) {
    let trust = Trust::new();
    let peer = Peer::serve(cell.up, &trust.certified, |asking| async move {
        echo_frames(&mut asking.accept(&[]).await).await;
    });
    let proxy = cell.set_up(&trust, peer.address(), ROUTE).var("messenger", guest("messenger")).start();
    (Running { proxy, trust, down: cell.down }, peer)
}

fn part(opcode: u8, fin: bool, payload: &[u8]) -> Vec<u8> {
    Frame { fin, opcode, payload: payload.to_vec() }.masked()
}

pub(super) fn messages_that_a_plugin_sees(cell: Cell) {
    let (running, peer) = with_messenger(cell);
    run(async {
        let visitor = running.visit().await;
        let (mut lane, mut other) = (visitor.tunnel("/ws").await, visitor.tunnel("/ws").await);
        let mut noise = Noise::new(71);
        let sizes = [0, 1, 125, 126, 1000, 16_384, 65_535, 65_536, 300_000, 1 << 20];
        for size in sizes {
            lane.echo(&[Frame::binary(&noise.take(size))]).await;
        }
        // Both ways are busy with messages that are longer than a read.
        let busy: Vec<Frame> = (0..30).map(|_| Frame::binary(&noise.take(100_000))).collect();
        tokio::join!(lane.echo(&busy), other.echo(&busy));
        // What it makes of texts; on their way back they are other texts.
        for (said, heard) in [("!replace with this", "with this"), ("hello", "hello"), ("!replace äöü", "äöü")] {
            lane.sender.send(&Frame::text(said).masked()).await.unwrap();
            lane.receiver.expect(&Frame::text(heard).bytes()).await;
        }
        let parts = [
            part(ws::TEXT, false, b"!drop"),
            part(0, true, b""),
            part(ws::TEXT, false, b"in "),
            part(0, true, b"parts"),
        ];
        lane.sender.send(&parts.concat()).await.unwrap();
        lane.receiver.expect(&Frame::text("in parts").bytes()).await;
        lane.sender.send(&Frame::text("!to-client psst").masked()).await.unwrap();
        lane.receiver.expect(&Frame::text("psst").bytes()).await;
        other.echo(&[Frame::text("not disturbed")]).await;
    });
    drop(running);
    peer.join();
}

pub(super) fn a_plugin_ends_the_tunnel(cell: Cell) {
    let (running, peer) = with_messenger(cell);
    run(async {
        let visitor = running.visit().await;
        let (mut lane, mut other) = (visitor.tunnel("/ws").await, visitor.tunnel("/ws").await);
        lane.sender.send(&Frame::text("!close 4001 bye").masked()).await.unwrap();
        let mut closing = Frame::close(4001);
        closing.payload.extend_from_slice(b"bye");
        lane.receiver.expect(&closing.bytes()).await;
        lane.sender.send(&closing.masked()).await.unwrap();
        assert_eq!(lane.receiver.rest().await, Ok(Vec::new()));
        other.echo(&[Frame::text("goes on")]).await;
    });
    drop(running);
    peer.join();
}
