//! Large flows through a tunnel, checked byte by byte.

use std::thread::spawn;

use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Noise, Subject, both};

both!(down, up, both_ways_at_once, small_frames_after_large_flows);

const BULK: usize = 64 << 20;
const PIECE: usize = 256 << 10;

fn send_bulk(wire: &mut tidegate_tests::Wire, seed: u64, length: usize) {
    let mut noise = Noise::new(seed);
    for _ in 0..length / PIECE {
        wire.send(noise.take(PIECE));
    }
}

fn down(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        send_bulk(&mut wire, 21, BULK);
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    client.expect_noise(&mut Noise::new(21), BULK);
    client.expect_close();
    backend.join();
}

fn up(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect_noise(&mut Noise::new(22), BULK);
        wire.send("thanks");
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    send_bulk(&mut client, 22, BULK);
    client.expect("thanks");
    client.finish();
    client.expect_close();
    backend.join();
}

fn both_ways_at_once(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        let mut writer = wire.writer();
        let writing = spawn(move || send_bulk(&mut writer, 23, BULK));
        wire.expect_noise(&mut Noise::new(24), BULK);
        writing.join().unwrap();
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    let mut writer = client.writer();
    let writing = spawn(move || send_bulk(&mut writer, 24, BULK));
    client.expect_noise(&mut Noise::new(23), BULK);
    writing.join().unwrap();
    client.finish();
    client.expect_close();
    backend.join();
}

/// The way a flow is copied may change with its size; what follows must not notice.
fn small_frames_after_large_flows(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    for round in 0..6 {
        let large = Frame::binary(&Noise::new(round).take(1 << 20));
        let mut writer = client.writer();
        let bytes = large.masked();
        let writing = spawn(move || writer.send(bytes));
        client.expect(large.bytes());
        writing.join().unwrap();
        client.echo(&Frame::text("small"));
        client.echo(&Frame::binary(&[]));
    }
}
