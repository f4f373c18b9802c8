//! Bytes that a side sent before the switch was done: kept, and delivered in order.

use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Noise, Subject, both};

both!(
    frames_with_the_clients_handshake,
    frames_with_the_servers_answer,
    frames_on_both_sides,
    a_handshake_in_small_pieces,
    frames_with_the_handshake_and_then_the_end,
);

fn frames_with_the_clients_handshake(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    let mut bytes = ws::handshake("/ws", "").into_bytes();
    bytes.extend(Frame::text("one").masked());
    bytes.extend(Frame::text("two").masked());
    client.send(bytes);
    assert_eq!(client.read_head().status(), 101);
    client.expect(Frame::text("one").bytes());
    client.expect(Frame::text("two").bytes());
    client.echo(&Frame::text("three"));
}

fn frames_with_the_servers_answer(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        let mut bytes = ws::switching(ws::KEY, "").into_bytes();
        bytes.extend(Frame::text("welcome").bytes());
        bytes.extend(Frame::binary(&[7; 500]).bytes());
        wire.send(bytes);
        assert_eq!(wire.read_frame(), Frame::text("thanks"));
        wire.send(Frame::close(1000).bytes());
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    client.expect(Frame::text("welcome").bytes());
    client.expect(Frame::binary(&[7; 500]).bytes());
    client.send(Frame::text("thanks").masked());
    assert_eq!(client.read_until_close(), Frame::close(1000).bytes());
    backend.join();
}

fn frames_on_both_sides(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        let mut bytes = ws::switching(ws::KEY, "").into_bytes();
        bytes.extend(Noise::new(1).take(3000));
        wire.send(bytes);
        wire.send(Noise::new(2).take(70_000));
        wire.expect_noise(&mut Noise::new(3), 600);
        wire.expect_noise(&mut Noise::new(4), 70_000);
        wire.finish();
        wire.expect_end();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    let mut bytes = ws::handshake("/ws", "").into_bytes();
    bytes.extend(Noise::new(3).take(600));
    client.send(bytes);
    client.send(Noise::new(4).take(70_000));
    assert_eq!(client.read_head().status(), 101);
    client.expect_noise(&mut Noise::new(1), 3000);
    client.expect_noise(&mut Noise::new(2), 70_000);
    client.expect_close();
    drop(client);
    backend.join();
}

fn a_handshake_in_small_pieces(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        let mut bytes = ws::switching(ws::KEY, "").into_bytes();
        bytes.extend(Frame::text("in pieces").bytes());
        bytes.chunks(7).for_each(|piece| wire.send(piece));
        wire.expect(Frame::text("as well").masked());
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    let mut bytes = ws::handshake("/ws", "").into_bytes();
    bytes.extend(Frame::text("as well").masked());
    bytes.chunks(7).for_each(|piece| client.send(piece));
    assert_eq!(client.read_head().status(), 101);
    client.expect(Frame::text("in pieces").bytes());
    client.expect_close();
    backend.join();
}

fn frames_with_the_handshake_and_then_the_end(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        let mut bytes = ws::switching(ws::KEY, "").into_bytes();
        bytes.extend(Frame::text("so long").bytes());
        bytes.extend(Frame::close(1001).bytes());
        wire.send(bytes);
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    let mut wanted = Frame::text("so long").bytes();
    wanted.extend(Frame::close(1001).bytes());
    assert_eq!(client.read_until_close(), wanted);
    backend.join();
}
