//! The handshake, byte for byte at both ends, and frames after it.

use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Subject, both, tidegate};

/// What a proxy may write itself.
const OURS: [&str; 6] = ["host", "connection", "upgrade", "x-real-ip", "x-forwarded-for", "x-forwarded-proto"];

both!(
    frames_of_every_size_echo,
    a_fragmented_message_keeps_its_frames,
    the_request_keeps_case_and_order,
    the_response_keeps_case_and_order,
    repeated_headers_keep_their_order,
    defaults_tell_who_asks,
    forwarded_for_is_continued,
    subprotocol_and_extensions_pass,
    many_tunnels_at_once,
);

fn frames_of_every_size_echo(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    client.echo(&Frame::text("hello"));
    for size in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
        client.echo(&Frame::binary(&vec![0xA5; size]));
    }
    client.send(Frame { opcode: ws::PING, ..Frame::text("are you there") }.masked());
    client.expect(Frame { opcode: ws::PONG, ..Frame::text("are you there") }.bytes());
    client.echo(&Frame::close(1000));
    client.expect_close();
}

fn a_fragmented_message_keeps_its_frames(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect([0x01, 0x83, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d]);
        wire.expect([0x80, 0x82, 0x37, 0xfa, 0x21, 0x3d, 0x5b, 0x95]);
        wire.send([0x01, 0x03, 0x48, 0x65, 0x6c]);
        wire.send([0x80, 0x02, 0x6c, 0x6f]);
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    // RFC 6455 section 5.7: "Hel" and "lo", masked.
    client.send([0x01, 0x83, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d]);
    client.send([0x80, 0x82, 0x37, 0xfa, 0x21, 0x3d, 0x5b, 0x95]);
    assert_eq!(client.read_until_close(), [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f]);
    backend.join();
}

fn the_request_keeps_case_and_order(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(format!(
        "GET /chat/a%20b?room=1&x=%2F HTTP/1.1\r\nX-First: 1\r\nHost: ws.example.com\r\nupgrade: WebSocket\r\n\
         connection: keep-alive, Upgrade\r\nsec-WebSocket-KEY: {}\r\nUser-Agent: a test\r\nx-odd-CASE: two\r\n\
         X-Blanks:   2  \r\nSec-WebSocket-Version: 13\r\nCookie: a=b; c=d\r\n\
         Origin: https://app.example.com\r\n\r\n",
        ws::KEY
    ));
    assert_eq!(client.read_head().status(), 101);
    let head = backend.only_head();
    assert_eq!(head.start, "GET /chat/a%20b?room=1&x=%2F HTTP/1.1");
    let key = format!("sec-WebSocket-KEY: {}", ws::KEY);
    let wanted = [
        "X-First: 1",
        &key,
        "User-Agent: a test",
        "x-odd-CASE: two",
        "X-Blanks: 2",
        "Sec-WebSocket-Version: 13",
        "Cookie: a=b; c=d",
        "Origin: https://app.example.com",
    ];
    assert_eq!(head.lines_without(&OURS), wanted);
    assert!(head.get("upgrade").unwrap().eq_ignore_ascii_case("websocket"));
    assert!(head.get("connection").unwrap().eq_ignore_ascii_case("upgrade"));
}

fn the_response_keeps_case_and_order(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nX-One: 1\r\nupgrade: websocket\r\nset-COOKIE: a=b\r\n\
             connection: upgrade\r\nsec-websocket-ACCEPT: {}\r\nx-LAST: 9\r\n\r\n",
            ws::accept(ws::KEY)
        ));
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", ""));
    let head = client.read_head();
    assert_eq!(head.start, "HTTP/1.1 101 Switching Protocols");
    let accept = format!("sec-websocket-ACCEPT: {}", ws::accept(ws::KEY));
    let wanted = ["X-One: 1", "set-COOKIE: a=b", &accept, "x-LAST: 9"];
    assert_eq!(head.lines_without(&["server", "date", "connection", "upgrade"]), wanted);
    assert_eq!(head.get("upgrade"), Some("websocket"));
    assert!(head.get("connection").unwrap().eq_ignore_ascii_case("upgrade"));
    drop(client);
    backend.join();
}

/// RFC 9110 section 5.3: the order of lines with one name means something, and how they
/// stand among lines of other names does not.
fn repeated_headers_keep_their_order(subject: Subject) {
    let backend = Backend::ws_echo_with("Set-Cookie: a=1\r\nX-Between: x\r\nset-cookie: b=2\r\nSet-Cookie: c=3\r\n");
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", "X-Many: 1\r\nX-Between: x\r\nx-many: 2\r\nX-Many: 3\r\n"));
    let head = client.read_head();
    assert_eq!(head.all("set-cookie"), ["a=1", "b=2", "c=3"]);
    assert_eq!(backend.only_head().all("x-many"), ["1", "2", "3"]);
}

fn defaults_tell_who_asks(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", "").replace("ws.example.com", "WS.Example.com:8080"));
    assert_eq!(client.read_head().status(), 101);
    let head = backend.only_head();
    assert_eq!(head.get("host"), Some("ws.example.com"));
    assert_eq!(head.get("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(head.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(head.get("x-forwarded-proto"), Some("http"));
}

fn forwarded_for_is_continued(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(ws::handshake(
        "/ws",
        "X-Forwarded-For: 203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n",
    ));
    assert_eq!(client.read_head().status(), 101);
    let head = backend.only_head();
    assert_eq!(head.get("x-forwarded-for"), Some("203.0.113.7, 127.0.0.1"));
    assert_eq!(head.get("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(head.get("x-forwarded-proto"), Some("http"));
}

fn subprotocol_and_extensions_pass(subject: Subject) {
    let backend =
        Backend::ws_echo_with("Sec-WebSocket-Protocol: chat.v2\r\nSec-WebSocket-Extensions: permessage-deflate\r\n");
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(ws::handshake(
        "/ws",
        "Sec-WebSocket-Protocol: chat.v2, chat.v1\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
    ));
    let answer = client.read_head();
    assert_eq!(answer.get("sec-websocket-protocol"), Some("chat.v2"));
    assert_eq!(answer.get("sec-websocket-extensions"), Some("permessage-deflate"));
    let asked = backend.only_head();
    assert_eq!(asked.get("sec-websocket-protocol"), Some("chat.v2, chat.v1"));
    assert_eq!(asked.get("sec-websocket-extensions"), Some("permessage-deflate; client_max_window_bits"));
}

fn many_tunnels_at_once(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject.before(backend.address());
    let mut clients: Vec<_> = (0..64).map(|_| proxy.open("/ws")).collect();
    for round in 0..4 {
        for (i, client) in clients.iter_mut().enumerate() {
            client.send(Frame::text(&format!("round {round} of tunnel {i}")).masked());
        }
        for (i, client) in clients.iter_mut().enumerate() {
            client.expect(Frame::text(&format!("round {round} of tunnel {i}")).bytes());
        }
    }
    assert_eq!(backend.connections(), 64);
}

#[test]
fn open_tunnels_are_counted() {
    let backend = Backend::ws_echo();
    let proxy = tidegate("[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"")
        .var("backend", backend.address())
        .in_process()
        .start();
    let (first, second) = (proxy.open("/ws"), proxy.open("/ws"));
    tidegate_tests::eventually("two tunnels", || proxy.open_tunnels() == 2);
    drop(first);
    tidegate_tests::eventually("one tunnel", || proxy.open_tunnels() == 1);
    drop(second);
    tidegate_tests::eventually("no tunnel", || proxy.open_tunnels() == 0);
}
