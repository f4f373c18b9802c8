//! The proxy as a WebSocket endpoint: what it lets pass, and how it ends what it does not.

use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Authority, Backend, Noise, TlsClient, Wire, eventually, patience};

use super::{Ends, both_are_closed, closing, say, set_up, text_at};

#[test]
fn messages_of_every_size_pass() {
    let backend = Backend::ws_echo();
    let proxy = set_up(&[""], "").in_process().var("backend", backend.address()).start();
    let mut client = proxy.open("/ws");
    for size in [0, 1, 2, 125, 126, 127, 1000, 65_535, 65_536, 65_537, 200_000, 1 << 20] {
        client.echo(&Frame::binary(&Noise::new(size as u64 + 1).take(size)));
        client.echo(&Frame::text(&"ä".repeat(size / 2)));
    }
    client.echo(&Frame::close(1000));
    client.expect_close();
    eventually("the tunnel to be gone", || proxy.open_tunnels() == 0);
}

/// However the bytes are cut, and behind the handshake in one piece with it.
#[test]
fn frames_come_in_pieces() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], ""));
    let frames = [
        Frame::text("hello"),
        Frame { opcode: ws::PING, ..Frame::text("ping") },
        Frame::binary(&[9; 200]),
        Frame { fin: false, ..Frame::text("in ") },
        Frame { fin: true, opcode: 0, payload: b"parts".to_vec() },
    ];
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::masked).collect();
    let mut client = proxy.connect();
    let mut first = ws::handshake("/ws", "").into_bytes();
    first.extend_from_slice(&bytes);
    client.send(first);
    assert_eq!(client.read_head().status(), 101);
    let mut backend = ends.next();
    for round in 0..2 {
        assert_eq!(backend.read_frame(), frames[0], "round {round}");
        assert_eq!(backend.read_frame(), frames[1]);
        assert_eq!(backend.read_frame(), frames[2]);
        assert_eq!(backend.read_frame(), Frame::text("in parts"), "joined");
        if round == 0 {
            for byte in &bytes {
                client.send([*byte]);
            }
        }
    }
}

/// A control frame passes between the parts of a message, before the message itself.
#[test]
fn control_frames_do_not_wait() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], ""));
    let (mut client, mut backend) = ends.open(&proxy);
    client.send(Frame { fin: false, ..Frame::text("He") }.masked());
    let ping = Frame { opcode: ws::PING, ..Frame::text("are you there") };
    client.send(ping.masked());
    backend.expect(ping.masked());
    let pong = Frame { opcode: ws::PONG, ..ping };
    backend.send(pong.bytes());
    client.expect(pong.bytes());
    client.send(Frame { fin: true, opcode: 0, payload: b"llo".to_vec() }.masked());
    assert_eq!(backend.read_frame(), Frame::text("Hello"));
    // An empty close frame, and one with a reason.
    client.send(Frame { opcode: ws::CLOSE, ..Frame::binary(b"") }.masked());
    backend.expect(Frame { opcode: ws::CLOSE, ..Frame::binary(b"") }.masked());
    backend.send(closing(1001, "over").bytes());
    client.expect(closing(1001, "over").bytes());
}

/// Nothing follows a close frame.
#[test]
fn after_a_close_frame_nothing_passes() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], ""));
    let (mut client, mut backend) = ends.open(&proxy);
    let mut bytes = Frame::close(1000).masked();
    bytes.extend(Frame::text("late").masked());
    client.send(bytes);
    backend.expect(Frame::close(1000).masked());
    // The other way is open until its own close frame.
    backend.send(Frame::text("!to-upstream no more").bytes());
    client.expect(Frame::text("!to-upstream no more").bytes());
    backend.send(Frame::close(1000).bytes());
    client.expect(Frame::close(1000).bytes());
    backend.finish();
    client.expect_end();
    backend.expect_close();
}

/// How a client breaks the protocol, the code that it is told, and why.
#[test]
fn a_client_at_fault_is_told() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], "messages = { max_size = \"1KiB\" }").in_process());
    let text = |payload: &[u8]| Frame { payload: payload.to_vec(), ..Frame::text("") };
    let raw = |first: u8, frame: Frame| {
        let mut bytes = frame.masked();
        bytes[0] = first;
        bytes
    };
    let close = |payload: &[u8]| Frame { fin: true, opcode: ws::CLOSE, payload: payload.to_vec() }.masked();
    let parts = |first: Frame, second: Frame| [first.masked(), second.masked()].concat();
    let more = |fin, payload: &[u8]| Frame { fin, opcode: 0, payload: payload.to_vec() };
    let reserved = "a reserved bit is set";
    let control = "a control frame is fragmented or too long";
    let length = "a length is not written in the shortest way";
    let too_large = "the message is too large";
    let bad_code = "a close frame has a code that cannot be";
    let cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (raw(0xC1, Frame::text("a")), 1002, reserved),
        (raw(0xA1, Frame::text("a")), 1002, reserved),
        (raw(0x91, Frame::text("a")), 1002, reserved),
        (raw(0x83, Frame::text("a")), 1002, "a reserved opcode"),
        (raw(0x8B, Frame::text("a")), 1002, "a reserved opcode"),
        (raw(0x8F, Frame::text("a")), 1002, "a reserved opcode"),
        (raw(0x09, Frame::text("a")), 1002, control),
        (raw(0x89, Frame::text(&"x".repeat(126))), 1002, control),
        (Frame::text("a").bytes(), 1002, "a client's frame is not masked"),
        (vec![0x81, 0xFE, 0, 5, 1, 2, 3, 4], 1002, length),
        (vec![0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 5], 1002, length),
        (more(true, b"a").masked(), 1002, "a message goes on that has not begun"),
        (parts(Frame { fin: false, ..Frame::text("a") }, Frame::text("b")), 1002, "a message begins within another"),
        (close(&[3]), 1002, "a close frame has half a code"),
        (close(&1005_u16.to_be_bytes()), 1002, bad_code),
        (close(&1006_u16.to_be_bytes()), 1002, bad_code),
        (close(&999_u16.to_be_bytes()), 1002, bad_code),
        (close(&5000_u16.to_be_bytes()), 1002, bad_code),
        (close(b"\x03\xe8\xff"), 1007, "not UTF-8"),
        (text(b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80").masked(), 1007, "not UTF-8"),
        (text(b"\xf4\x90\x80\x80").masked(), 1007, "not UTF-8"),
        (text(b"cut \xe2\x82").masked(), 1007, "not UTF-8"),
        // It is told before the message ends.
        (parts(Frame { fin: false, ..text(b"ok \xce") }, more(false, b"\xce more")), 1007, "not UTF-8"),
        (parts(Frame { fin: false, ..text(b"ok \xce") }, more(true, b"")), 1007, "not UTF-8"),
        (Frame::binary(&[0; 1025]).masked(), 1009, too_large),
        // Its head is enough.
        (Frame::binary(&[0; 70_000]).masked()[..14].to_vec(), 1009, too_large),
        (parts(Frame { fin: false, ..Frame::binary(&[0; 1000]) }, more(false, &[0; 25])), 1009, too_large),
    ];
    for (bytes, code, reason) in cases {
        let (mut client, backend) = ends.open(&proxy);
        client.send(Frame::text("before").masked());
        client.send(&bytes);
        let mut backend = backend;
        backend.expect(Frame::text("before").masked());
        // The upstream is not at fault, and has its say first.
        assert_eq!(backend.read_frame(), closing(1001, ""), "{reason}");
        backend.send([Frame::text("last words").bytes(), closing(1001, "").bytes()].concat());
        client.expect(Frame::text("last words").bytes());
        assert_eq!(client.read_frame(), closing(code, reason), "{}", bytes[..bytes.len().min(40)].escape_ascii());
        client.expect_end();
        // It is waited for until it has ended, too.
        drop(client);
        backend.expect_end();
    }
    eventually("the tunnels to be gone", || proxy.open_tunnels() == 0);
}

/// An upstream that says nothing keeps a client at fault from being told for a second at most.
#[test]
fn a_client_at_fault_is_told_though_nobody_answers() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], ""));
    let (mut client, mut backend) = ends.open(&proxy);
    client.send([0xC1, 0x80, 0, 0, 0, 0]);
    assert_eq!(backend.read_frame(), closing(1001, ""));
    assert_eq!(client.read_frame(), closing(1002, "a reserved bit is set"));
    client.expect_end();
    // One that ends without an answer, too.
    let (mut client, mut backend) = ends.open(&proxy);
    client.send([0xC1, 0x80, 0, 0, 0, 0]);
    assert_eq!(backend.read_frame(), closing(1001, ""));
    backend.finish();
    assert_eq!(client.read_frame(), closing(1002, "a reserved bit is set"));
    client.expect_end();
}

/// A message may be split at a character, and as large as it may be, and no larger.
#[test]
fn what_just_may_be_passes() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], "messages = { max_size = \"1KiB\" }"));
    let (mut client, mut backend) = ends.open(&proxy);
    client.send(Frame { fin: false, ..Frame { payload: b"\xce".to_vec(), ..Frame::text("") } }.masked());
    client.send(Frame { fin: true, opcode: 0, payload: b"\xba".to_vec() }.masked());
    assert_eq!(backend.read_frame(), Frame::text("κ"));
    client.send(Frame::binary(&[0; 1024]).masked());
    backend.expect(Frame::binary(&[0; 1024]).masked());
    client.send(Frame { fin: false, ..Frame::binary(&[0; 1000]) }.masked());
    client.send(Frame { fin: true, opcode: 0, payload: vec![0; 24] }.masked());
    assert_eq!(backend.read_frame(), Frame::binary(&[0; 1024]));
}

#[test]
fn an_upstream_at_fault_is_told() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], "messages = { max_size = \"1KiB\" }"));
    for (bytes, code, reason) in [
        (Frame::text("a").masked(), 1002, "a server's frame is masked"),
        (vec![0xC1, 0], 1002, "a reserved bit is set"),
        (vec![0x81, 1, 0xFF], 1007, "not UTF-8"),
        (Frame::binary(&[0; 2000]).bytes(), 1009, "the message is too large"),
    ] {
        let (client, mut backend) = ends.open(&proxy);
        backend.send(&bytes);
        both_are_closed(client, backend, &closing(1014, ""), &closing(code, reason));
    }
}

/// Who does not answer a close frame is not waited for as long as it likes.
#[test]
fn a_close_frame_without_an_answer() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], ""));
    let (mut client, mut backend) = ends.open(&proxy);
    say(&mut client, "!close 4000");
    assert_eq!(client.read_frame(), closing(4000, ""));
    assert_eq!(backend.read_frame(), closing(4000, ""));
    client.expect_end();
    backend.expect_end();
}

/// Bytes that are pushed back stop who sends them, and what plugins make of them is bounded.
#[test]
fn a_slow_reader_stops_the_writer() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], ""));
    let (mut client, backend) = ends.open(&proxy);
    // Each of these few bytes becomes 100,000.
    let ask = Frame::text("!huge 100000").masked();
    let many: Vec<u8> = ask.repeat(300);
    let mut writer = client.writer();
    let sender = std::thread::spawn(move || writer.try_send(many).is_ok());
    let mut backend = backend;
    for _ in 0..300 {
        assert_eq!(backend.read_frame().payload.len(), 100_000);
    }
    assert!(sender.join().unwrap());
    client.send(Frame::close(1000).masked());
    backend.expect(Frame::close(1000).masked());
}

/// Write this frame again and again until nobody takes more; how many bytes were taken.
fn stall(wire: &Wire, frame: &[u8], most: usize) -> usize {
    let mut stream = wire.stream();
    // One that is too short for a busy machine only makes the test easier.
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 0;
    while sent < most {
        match stream.write(&frame[sent % frame.len()..]) {
            Ok(n) => sent += n,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_write_timeout(Some(patience())).unwrap();
    sent
}

/// Both sides send large messages and neither reads: the proxy takes a bounded number of bytes, and
/// later nothing is missing.
#[test]
fn both_ways_stall_and_go_on() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], ""));
    let (mut client, mut backend) = ends.open(&proxy);
    let frame = Frame::binary(&[7; 100_000]);
    let (up, down) = (frame.masked(), frame.bytes());
    let (sent_up, sent_down) = std::thread::scope(|scope| {
        let sent_up = scope.spawn(|| stall(&client, &up, 100 << 20));
        let sent_down = stall(&backend, &down, 100 << 20);
        (sent_up.join().unwrap(), sent_down)
    });
    for sent in [sent_up, sent_down] {
        // The kernel's own limits for two connections, with room.
        assert!(100_000 < sent && sent < 48 << 20, "{sent} bytes went into the proxy while nobody read");
    }
    // The rest of what was begun, and all of it at the other end.
    let rest = |sent: usize, frame: &[u8]| {
        if sent.is_multiple_of(frame.len()) { Vec::new() } else { frame[sent % frame.len()..].to_vec() }
    };
    let (up_rest, down_rest) = (rest(sent_up, &up), rest(sent_down, &down));
    let (mut client_writer, mut backend_writer) = (client.writer(), backend.writer());
    std::thread::scope(|scope| {
        scope.spawn(move || client_writer.send(up_rest));
        scope.spawn(move || backend_writer.send(down_rest));
        scope.spawn(|| {
            (0..sent_up.div_ceil(up.len())).for_each(|_| assert_eq!(backend.read_frame().payload.len(), 100_000))
        });
        (0..sent_down.div_ceil(down.len())).for_each(|_| assert_eq!(client.read_frame().payload.len(), 100_000));
    });
    say(&mut client, "still here");
    assert_eq!(text_at(&mut backend), "still here");
}

/// Over TLS towards clients, as over plain connections.
#[test]
fn over_tls() {
    let backend = Backend::ws_echo();
    let authority = Authority::new();
    let server = authority.issue(&["example.com"]);
    let text = r#"
        [[listeners]]
        address = "127.0.0.1:0"
        tls = { certificate = "server.pem", key = "server.key" }
        [plugins.m]
        component = "%messenger%"
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        plugins = ["m"]
        "#;
    let proxy = tidegate_tests::tidegate(text)
        .var("messenger", tidegate_tests::guests::guest("messenger"))
        .var("backend", backend.address())
        .file("server.pem", server.certificate)
        .file("server.key", server.key)
        .start();
    let mut client = TlsClient::new(&authority, "example.com").connect(proxy.address());
    client.send(ws::handshake("/ws", ""));
    assert_eq!(client.read_head().status(), 101);
    client.send(Frame::text("!replace over TLS").masked());
    client.expect(Frame::text("over TLS").bytes());
    let large = Frame::binary(&vec![5; 300_000]);
    client.send(large.masked());
    client.expect(large.bytes());
}
