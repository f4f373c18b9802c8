//! permessage-deflate (RFC 7692) through plugins: agreed on end to end, inflated for them, and
//! deflated again where they change something.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Noise, Proxy, Wire};

use super::{End, Ends, closing, set_up};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

/// One side's compressor and decompressor.
struct Side {
    compress: Compress,
    decompress: Decompress,
    /// Whether each message stands for itself, as sent and as received.
    alone: (bool, bool),
}

impl Side {
    fn new(alone: (bool, bool)) -> Self {
        Self { compress: Compress::new(Compression::best(), false), decompress: Decompress::new(false), alone }
    }

    fn pack(&mut self, text: &[u8]) -> Vec<u8> {
        if self.alone.0 {
            self.compress.reset();
        }
        let mut packed = Vec::with_capacity(text.len() * 2 + 100);
        self.compress.compress_vec(text, &mut packed, FlushCompress::Sync).unwrap();
        assert!(packed.ends_with(&[0, 0, 0xFF, 0xFF]));
        packed.truncate(packed.len() - 4);
        packed
    }

    fn unpack(&mut self, packed: &[u8]) -> Vec<u8> {
        if self.alone.1 {
            self.decompress.reset(false);
        }
        let mut text = Vec::with_capacity(4 << 20);
        let all = [packed, &[0, 0, 0xFF, 0xFF]].concat();
        self.decompress.decompress_vec(&all, &mut text, FlushDecompress::Sync).unwrap();
        text
    }

    /// The bytes of a compressed message in one frame.
    fn frame(&mut self, opcode: u8, text: &[u8], masked: bool) -> Vec<u8> {
        let frame = Frame { fin: true, opcode, payload: self.pack(text) };
        let mut bytes = if masked { frame.masked() } else { frame.bytes() };
        bytes[0] |= 0x40;
        bytes
    }

    /// The next message, and whether it was compressed.
    fn read(&mut self, wire: &mut Wire) -> (String, bool) {
        let start = wire.read_exact(2);
        let length = match start[1] & 0x7F {
            126 => u64::from(u16::from_be_bytes(wire.read_exact(2).try_into().unwrap())),
            127 => u64::from_be_bytes(wire.read_exact(8).try_into().unwrap()),
            n => u64::from(n),
        };
        let mask = if start[1] & 0x80 != 0 { wire.read_exact(4) } else { vec![0; 4] };
        let mut payload = wire.read_exact(usize::try_from(length).unwrap());
        payload.iter_mut().enumerate().for_each(|(i, byte)| *byte ^= mask[i % 4]);
        assert_eq!(start[0] & 0xB0, 0x80, "a whole message");
        let packed = start[0] & 0x40 != 0;
        let text = if packed { self.unpack(&payload) } else { payload };
        (String::from_utf8_lossy(&text).into_owned(), packed)
    }
}

fn open(ends: &Ends, proxy: &Proxy, offer: &str) -> (Wire, End, Option<String>) {
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", offer));
    let head = client.read_head();
    assert_eq!(head.status(), 101, "{}", head.raw.escape_ascii());
    let agreed = head.get("sec-websocket-extensions").map(str::to_owned);
    (client, ends.next(), agreed)
}

/// The four ways of context takeover: what passes goes on byte for byte, and what was changed is
/// understood all the same, with all that follows it.
#[test]
fn messages_pass_and_are_changed_with_and_without_context_takeover() {
    for (answer, client_alone, server_alone) in [
        ("permessage-deflate", false, false),
        ("permessage-deflate; client_no_context_takeover", true, false),
        ("permessage-deflate; server_no_context_takeover", false, true),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", true, true),
    ] {
        let lines: &'static str = format!("Sec-WebSocket-Extensions: {answer}\r\n").leak();
        let ends = Ends::new(lines);
        let proxy = ends.before(set_up(&[""], ""));
        let (mut client, mut backend, agreed) = open(&ends, &proxy, OFFER);
        assert_eq!(agreed.as_deref(), Some(answer));
        let mut ours = Side::new((client_alone, server_alone));
        let mut theirs = Side::new((server_alone, client_alone));
        let line = "a line that is said more than once";
        for round in 0..3 {
            // As it came: nothing was changed yet.
            let packed = ours.pack(line.as_bytes());
            let mut bytes = Frame { fin: true, opcode: ws::TEXT, payload: packed.clone() }.masked();
            bytes[0] |= 0x40;
            client.send(bytes);
            let frame = backend.read_frame();
            assert_eq!(frame.payload, packed, "round {round}: {answer}");
            assert_eq!(theirs.unpack(&frame.payload), line.as_bytes());
            let bytes = theirs.frame(ws::TEXT, line.as_bytes(), false);
            backend.send(&bytes);
            assert_eq!(ours.read(&mut client), (line.to_owned(), true));
        }
        // Dropped, replaced and injected ones, and between them those that pass.
        let long = format!("!replace {}", "say it again ".repeat(3000));
        for text in ["!drop this", line, "!replace another line", line, &long, "!to-upstream own", line, "", line] {
            let up = ours.frame(ws::TEXT, text.as_bytes(), true);
            let down = theirs.frame(ws::TEXT, text.as_bytes(), false);
            client.send(up);
            backend.send(down);
            match text.split_once(' ') {
                Some(("!drop", _)) => {}
                Some(("!replace", rest)) => {
                    assert_eq!(theirs.read(&mut backend), (rest.to_owned(), true), "{answer}");
                    assert_eq!(ours.read(&mut client), (rest.to_owned(), true), "{answer}");
                }
                Some(("!to-upstream", rest)) => {
                    // One for each of the two that say so; which comes first is not said.
                    let mut came: Vec<_> = (0..3).map(|_| theirs.read(&mut backend)).collect();
                    came.sort();
                    let own = (rest.to_owned(), false);
                    assert_eq!(came, [(text.to_owned(), true), own.clone(), own], "{answer}");
                    assert_eq!(ours.read(&mut client), (text.to_owned(), true), "{answer}");
                }
                _ => {
                    assert_eq!(theirs.read(&mut backend), (text.to_owned(), true), "{answer}");
                    assert_eq!(ours.read(&mut client), (text.to_owned(), true), "{answer}");
                }
            }
        }
        // Uncompressed ones between compressed ones.
        client.send(Frame::text("!replace plain").masked());
        assert_eq!(theirs.read(&mut backend), ("plain".to_owned(), false));
        client.send(ours.frame(ws::BINARY, line.as_bytes(), true));
        assert_eq!(theirs.read(&mut backend), (line.to_owned(), true));
    }
}

/// In parts, and with control frames between them.
#[test]
fn a_compressed_message_in_parts() {
    let ends = Ends::new("Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let proxy = ends.before(set_up(&[""], ""));
    let (mut client, mut backend, _) = open(&ends, &proxy, OFFER);
    let (mut ours, mut theirs) = (Side::new((false, false)), Side::new((false, false)));
    for text in ["!replace joined and inflated", "as it is", "!drop", "again"] {
        let packed = ours.pack(text.as_bytes());
        let (first, second) = packed.split_at(packed.len() / 2);
        let mut begin = Frame { fin: false, opcode: ws::TEXT, payload: first.to_vec() }.masked();
        begin[0] |= 0x40;
        client.send(begin);
        let ping = Frame { opcode: ws::PING, ..Frame::text("between") };
        client.send(ping.masked());
        backend.expect(ping.masked());
        client.send(Frame { fin: true, opcode: 0, payload: second.to_vec() }.masked());
        match text {
            "!drop" => {}
            text => {
                let wanted = text.strip_prefix("!replace ").unwrap_or(text);
                assert_eq!(theirs.read(&mut backend), (wanted.to_owned(), true));
            }
        }
    }
}

/// A window that our compressor cannot keep to: what was changed goes uncompressed, which every
/// receiver takes.
#[test]
fn a_small_window() {
    let answer = "permessage-deflate; client_max_window_bits=9; server_max_window_bits=10";
    let ends = Ends::new(format!("Sec-WebSocket-Extensions: {answer}\r\n").leak());
    let proxy = ends.before(set_up(&[""], ""));
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_max_window_bits=10\r\n";
    let (mut client, mut backend, agreed) = open(&ends, &proxy, offer);
    assert_eq!(agreed.as_deref(), Some(answer));
    let (mut ours, mut theirs) = (Side::new((false, false)), Side::new((false, false)));
    client.send(ours.frame(ws::TEXT, b"short", true));
    assert_eq!(theirs.read(&mut backend), ("short".to_owned(), true));
    client.send(ours.frame(ws::TEXT, b"!replace it", true));
    assert_eq!(theirs.read(&mut backend), ("it".to_owned(), false));
    client.send(ours.frame(ws::TEXT, b"short", true));
    assert_eq!(theirs.read(&mut backend), ("short".to_owned(), false), "it refers to what was left out");
}

/// What nobody wants to see goes on as it came where later messages cannot refer to it; otherwise
/// it is inflated all the same.
#[test]
fn compressed_messages_that_nobody_wants_to_see() {
    for answer in ["permessage-deflate", "permessage-deflate; client_no_context_takeover"] {
        let ends = Ends::new(format!("Sec-WebSocket-Extensions: {answer}\r\n").leak());
        let proxy = ends.before(set_up(&["config = { interest = [\"text-up\"] }"], ""));
        let (mut client, mut backend, _) = open(&ends, &proxy, OFFER);
        let alone = answer.contains("client");
        let (mut ours, mut theirs) = (Side::new((alone, false)), Side::new((false, alone)));
        let line = "a line that is said more than once";
        client.send(ours.frame(ws::BINARY, line.as_bytes(), true));
        assert_eq!(theirs.read(&mut backend), (line.to_owned(), true));
        client.send(ours.frame(ws::TEXT, format!("!replace {line}").as_bytes(), true));
        assert_eq!(theirs.read(&mut backend), (line.to_owned(), true), "{answer}");
        client.send(ours.frame(ws::BINARY, line.as_bytes(), true));
        assert_eq!(theirs.read(&mut backend), (line.to_owned(), true), "{answer}");
        backend.send(theirs.frame(ws::TEXT, b"!drop", false));
        assert_eq!(ours.read(&mut client), ("!drop".to_owned(), true), "the other way nobody looks");
    }
}

#[test]
fn what_is_packed_too_well_or_not_at_all_ends_the_tunnel() {
    let ends = Ends::new("Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let proxy = ends.before(set_up(&[""], "messages = { max_size = \"4MiB\", max_ratio = 100 }"));
    let mut ours = Side::new((true, true));
    let bomb = ours.frame(ws::BINARY, &vec![0; 1 << 20], true);
    let large = ours.frame(ws::BINARY, &Noise::new(3).take((4 << 20) + 1), true);
    let text = ours.frame(ws::TEXT, b"\xff", true);
    let mut garbage = Frame::binary(&[0xFF; 20]).masked();
    garbage[0] |= 0x40;
    for (bytes, code, reason) in [
        (bomb, 1009, "the message is too large"),
        (large, 1009, "the message is too large"),
        (garbage, 1007, "not deflated"),
        (text, 1007, "not UTF-8"),
    ] {
        let (mut client, mut backend, _) = open(&ends, &proxy, OFFER);
        let mut writer = client.writer();
        let sender = std::thread::spawn(move || writer.try_send(bytes).is_ok());
        assert_eq!(backend.read_frame(), closing(1001, ""));
        backend.finish();
        assert_eq!(client.read_frame(), closing(code, reason));
        client.finish();
        client.expect_end();
        sender.join().unwrap();
    }
    // What is not packed too well may be large.
    let (mut client, mut backend, _) = open(&ends, &proxy, OFFER);
    let words: Vec<u8> = Noise::new(4).take(1 << 20).iter().map(|byte| b'a' + byte % 4).collect();
    let mut theirs = Side::new((true, true));
    let bytes = ours.frame(ws::BINARY, &words, true);
    let mut writer = client.writer();
    let sender = std::thread::spawn(move || writer.send(bytes));
    assert_eq!(theirs.read(&mut backend).0.len(), 1 << 20);
    sender.join().unwrap();
    client.finish();
}

/// What the backend is offered, by policy; other extensions never are.
#[test]
fn offers() {
    let backend = Backend::ws_echo();
    let all = "Sec-WebSocket-Extensions: x-custom; a=1, permessage-deflate; client_max_window_bits, \
               permessage-deflate; unknown\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    for (policy, offered) in [
        ("", Some("permessage-deflate; client_max_window_bits, permessage-deflate")),
        (
            "messages = { deflate = \"inspect\" }",
            Some("permessage-deflate; client_max_window_bits, permessage-deflate"),
        ),
        ("messages = { deflate = \"refuse\" }", None),
    ] {
        let proxy = set_up(&[""], policy).var("backend", backend.address()).start();
        let mut client = proxy.connect();
        client.send(ws::handshake("/ws", all));
        assert_eq!(client.read_head().status(), 101);
        client.echo(&Frame::text("plain"));
        let head = backend.heads().last().unwrap().clone();
        assert_eq!(head.get("sec-websocket-extensions"), offered, "{policy}");
        // Where nobody looks, nothing is touched.
        let mut client = proxy.connect();
        client.send(ws::handshake("/plain", all));
        assert_eq!(client.read_head().status(), 101);
        client.echo(&Frame::text("plain"));
        let head = backend.heads().last().unwrap().clone();
        assert!(String::from_utf8_lossy(&head.raw).contains(all));
    }
}

/// A backend that accepts what it was not offered is not joined.
#[test]
fn an_answer_to_nothing() {
    let lines = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let backend = Backend::ws_echo_with(lines);
    for (policy, offer) in [("messages = { deflate = \"refuse\" }", OFFER), ("", "")] {
        let proxy = set_up(&[""], policy).var("backend", backend.address()).start();
        let mut client = proxy.connect();
        client.send(ws::handshake("/ws", offer));
        assert_eq!(client.read_head().status(), 502);
    }
}
