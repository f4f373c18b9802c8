//! What RFC 9113 says about clients that break the rules, frame by frame: which error, and whether
//! it is the stream's or the connection's. The cases are those that public conformance suites have
//! (see `tests/README.md`), and those of the known attacks.

use tidegate_tests::http2::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY,
    PRIORITY_FLAG, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, read_frame, reset,
};
use tidegate_tests::{Backend, Proxy, Wire, tidegate};

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
/// FLOW_CONTROL_ERROR (RFC 9113 §6.5.2); the crate `h2` says PROTOCOL_ERROR.
const BAD_WINDOW: &[u32] = &[FLOW_CONTROL_ERROR, PROTOCOL_ERROR];
const STREAM_CLOSED: u32 = 5;
/// STREAM_CLOSED (RFC 9113 §5.1); the crate `h2` ends the connection with PROTOCOL_ERROR.
const CLOSED: &[u32] = &[STREAM_CLOSED, PROTOCOL_ERROR];
const FRAME_SIZE_ERROR: u32 = 6;
/// FRAME_SIZE_ERROR (RFC 9113 §4.2); the crate `h2` says PROTOCOL_ERROR of frames that are too short.
const BAD_SIZE: &[u32] = &[FRAME_SIZE_ERROR, PROTOCOL_ERROR];
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
/// COMPRESSION_ERROR (RFC 9113 §4.3); the crate `h2` says PROTOCOL_ERROR.
const BAD_BLOCK: &[u32] = &[9, PROTOCOL_ERROR];
const ENHANCE_YOUR_CALM: u32 = 11;

/// What must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The connection ends, by GOAWAY with one of these.
    Ends(&'static [u32]),
    /// The stream is reset with one of these, or the connection ends so (RFC 9113 §5.4.1 allows
    /// that), which is then no answer.
    Resets(u32, &'static [u32]),
    /// The stream is answered.
    Answers(u32),
}

use Then::{Answers, Ends, Resets};

/// One field without any table (RFC 7541 §6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// `:method GET`, `:scheme http`, `:path /` by the static table.
const GET: &[u8] = &[0x82, 0x86, 0x84];
const POST: &[u8] = &[0x83, 0x86, 0x84];

fn with_host(start: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    [start.to_vec(), field(":authority", "example.com"), more.concat()].concat()
}

/// A request whose head is whole.
fn head(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, block)
}

fn get(stream: u32) -> Vec<u8> {
    head(stream, END_STREAM, &with_host(GET, &[]))
}

/// One that stays open: its body is not sent, and its peer says nothing.
fn open(stream: u32) -> Vec<u8> {
    let block = [vec![0x83, 0x86], field(":path", "/silent"), field(":authority", "example.com")].concat();
    head(stream, 0, &block)
}

fn get_with(stream: u32, more: &[Vec<u8>]) -> Vec<u8> {
    head(stream, END_STREAM, &with_host(GET, more))
}

fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

fn window(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

fn joined(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

/// A stream of frames that is a request, cut into HEADERS and CONTINUATION.
fn cut(stream: u32, block: &[u8], second: &[u8]) -> Vec<u8> {
    joined(&[frame(HEADERS, END_STREAM, stream, block), frame(CONTINUATION, END_HEADERS, stream, second)])
}

type Case = (&'static str, Vec<u8>, Then);

/// RFC 9113 §5 and §6: frames out of place or of a wrong size.
fn frames_() -> Vec<Case> {
    vec![
        ("DATA on stream 0", frame(DATA, 0, 0, b"x"), Ends(&[PROTOCOL_ERROR])),
        ("DATA on an idle stream", frame(DATA, 0, 1, b"x"), Ends(&[PROTOCOL_ERROR])),
        ("DATA with too much padding", joined(&[open(1), frame(DATA, PADDED, 1, &[9, 1])]), Ends(&[PROTOCOL_ERROR])),
        (
            "DATA behind END_STREAM",
            joined(&[open(1), frame(DATA, END_STREAM, 1, b"x"), frame(DATA, END_STREAM, 1, b"x")]),
            Resets(1, CLOSED),
        ),
        ("DATA behind RST_STREAM", joined(&[open(1), reset(1, CANCEL), frame(DATA, 0, 1, b"x"), get(3)]), Answers(3)),
        ("HEADERS on stream 0", get(0), Ends(&[PROTOCOL_ERROR])),
        ("HEADERS on an even stream", get(2), Ends(&[PROTOCOL_ERROR])),
        ("HEADERS on an older stream", joined(&[get(5), get(3)]), Ends(CLOSED)),
        ("HEADERS behind END_STREAM", joined(&[open(1), frame(DATA, END_STREAM, 1, b""), get(1)]), Resets(1, CLOSED)),
        (
            "HEADERS that depend on themselves",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM | PRIORITY_FLAG,
                1,
                &[&[0, 0, 0, 1, 0], &*with_host(GET, &[])].concat(),
            ),
            Resets(1, &[PROTOCOL_ERROR]),
        ),
        (
            "trailers without END_STREAM",
            joined(&[open(1), head(1, 0, &field("x-a", "1"))]),
            Resets(1, &[PROTOCOL_ERROR]),
        ),
        ("PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 0]), Ends(&[PROTOCOL_ERROR])),
        ("PRIORITY of itself", frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 0]), Resets(1, &[PROTOCOL_ERROR])),
        ("PRIORITY of 4 bytes", joined(&[open(1), frame(PRIORITY, 0, 1, &[0; 4])]), Resets(1, BAD_SIZE)),
        ("RST_STREAM on stream 0", reset(0, CANCEL), Ends(&[PROTOCOL_ERROR])),
        ("RST_STREAM of an idle stream", reset(1, CANCEL), Ends(&[PROTOCOL_ERROR])),
        ("RST_STREAM of 3 bytes", joined(&[open(1), frame(RST_STREAM, 0, 1, &[0; 3])]), Ends(BAD_SIZE)),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), Ends(&[PROTOCOL_ERROR])),
        ("SETTINGS of 3 bytes", frame(SETTINGS, 0, 0, &[0; 3]), Ends(BAD_SIZE)),
        ("SETTINGS with ACK and more", frame(SETTINGS, ACK, 0, &[0; 6]), Ends(BAD_SIZE)),
        ("ENABLE_PUSH of 2", setting(2, 2), Ends(&[PROTOCOL_ERROR])),
        ("INITIAL_WINDOW_SIZE of 2^31", setting(4, 1 << 31), Ends(BAD_WINDOW)),
        ("MAX_FRAME_SIZE of 16383", setting(5, 16_383), Ends(&[PROTOCOL_ERROR])),
        ("MAX_FRAME_SIZE of 2^24", setting(5, 1 << 24), Ends(&[PROTOCOL_ERROR])),
        ("ENABLE_CONNECT_PROTOCOL of 2", setting(8, 2), Ends(&[PROTOCOL_ERROR])),
        ("a setting that nobody knows", joined(&[setting(0xFFF0, 7), get(1)]), Answers(1)),
        ("PUSH_PROMISE of a client", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]), Ends(&[PROTOCOL_ERROR])),
        ("PING on a stream", frame(PING, 0, 1, &[0; 8]), Ends(&[PROTOCOL_ERROR])),
        ("PING of 6 bytes", frame(PING, 0, 0, &[0; 6]), Ends(BAD_SIZE)),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), Ends(&[PROTOCOL_ERROR])),
        ("WINDOW_UPDATE of 0", window(0, 0), Ends(&[PROTOCOL_ERROR])),
        ("WINDOW_UPDATE of 0 on a stream", joined(&[open(1), window(1, 0)]), Resets(1, &[PROTOCOL_ERROR])),
        ("WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), Ends(BAD_SIZE)),
        ("WINDOW_UPDATE of an idle stream", window(1, 1), Ends(&[PROTOCOL_ERROR])),
        (
            "a window beyond 2^31-1",
            joined(&[window(0, 0x7FFF_FFFF), window(0, 0x7FFF_FFFF)]),
            Ends(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "a stream's window beyond 2^31-1",
            joined(&[open(1), window(1, 0x7FFF_FFFF), window(1, 0x7FFF_FFFF)]),
            Resets(1, &[FLOW_CONTROL_ERROR]),
        ),
        ("a frame beyond 16 KiB", joined(&[open(1), frame(DATA, 0, 1, &[0; 16_385])]), Ends(&[FRAME_SIZE_ERROR])),
        ("a frame that nobody knows", joined(&[frame(0xF0, 7, 0, b"what"), get(1)]), Answers(1)),
        ("a reserved bit", joined(&[frame(PING, 0, 1 << 31, &[0; 8]), get(1)]), Answers(1)),
    ]
}

/// RFC 9113 §4.3 and §6.10: blocks of headers.
fn blocks() -> Vec<Case> {
    let whole = with_host(GET, &[]);
    let huge = field("x-large", &"x".repeat(120));
    let flood: Vec<Vec<u8>> = (0..2000).map(|_| frame(CONTINUATION, 0, 1, &huge)).collect();
    vec![
        ("HEADERS in two frames", cut(1, &whole[..5], &whole[5..]), Answers(1)),
        ("CONTINUATION by itself", frame(CONTINUATION, END_HEADERS, 1, &whole), Ends(&[PROTOCOL_ERROR])),
        (
            "CONTINUATION behind a whole block",
            joined(&[open(1), frame(CONTINUATION, END_HEADERS, 1, &field("x-a", "1"))]),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "another frame within a block",
            joined(&[frame(HEADERS, END_STREAM, 1, &whole), frame(PING, 0, 0, &[0; 8])]),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "another stream's block within a block",
            joined(&[frame(HEADERS, END_STREAM, 1, &whole), get(3)]),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "CONTINUATION of another stream",
            joined(&[frame(HEADERS, END_STREAM, 1, &whole), frame(CONTINUATION, END_HEADERS, 3, &field("x-a", "1"))]),
            Ends(&[PROTOCOL_ERROR]),
        ),
        ("an index that is not there", get_with(1, &[vec![0xFF, 0xFF, 0x7F]]), Ends(BAD_BLOCK)),
        ("index 0", get_with(1, &[vec![0x80]]), Ends(BAD_BLOCK)),
        (
            "a table that is larger than allowed",
            head(1, END_STREAM, &[&[0x3F, 0xE1, 0xFF, 0x7F], &*whole].concat()),
            Ends(BAD_BLOCK),
        ),
        ("a text that is cut off", get_with(1, &[vec![0, 5, b'x']]), Ends(BAD_BLOCK)),
        // CVE-2024-27316 and its kin.
        (
            "a flood of CONTINUATION",
            joined(&[vec![frame(HEADERS, END_STREAM, 1, &whole)], flood].concat()),
            Ends(&[ENHANCE_YOUR_CALM, PROTOCOL_ERROR]),
        ),
    ]
}

/// RFC 9113 §8: requests that are none.
fn requests() -> Vec<Case> {
    let bad = |name: &'static str, block: Vec<u8>| (name, head(1, END_STREAM, &block), Resets(1, &[PROTOCOL_ERROR]));
    let host = field(":authority", "example.com");
    let of = |parts: &[&[u8]]| [parts.concat(), host.clone()].concat();
    let length = |n: &str| head(1, 0, &with_host(POST, &[field("content-length", n)]));
    vec![
        bad("a name in capitals", with_host(GET, &[field("X-Mark", "1")])),
        bad("a pseudo-header that nobody knows", with_host(GET, &[field(":mark", "1")])),
        bad("a pseudo-header of answers", with_host(GET, &[field(":status", "200")])),
        bad("a pseudo-header behind others", [GET.to_vec(), field("x-a", "1"), host.clone()].concat()),
        bad("two methods", of(&[&[0x82, 0x83, 0x86, 0x84]])),
        bad("two paths", of(&[&[0x82, 0x86, 0x84, 0x85]])),
        bad("no method", of(&[&[0x86, 0x84]])),
        bad("no scheme", of(&[&[0x82, 0x84]])),
        bad("no path", of(&[&[0x82, 0x86]])),
        bad("an empty path", of(&[&[0x82, 0x86], &field(":path", "")])),
        bad("Connection", with_host(GET, &[field("connection", "keep-alive")])),
        bad("Transfer-Encoding", with_host(GET, &[field("transfer-encoding", "chunked")])),
        bad("Upgrade", with_host(GET, &[field("upgrade", "websocket")])),
        bad("TE that is not trailers", with_host(GET, &[field("te", "gzip")])),
        bad("a body without the length that was said", with_host(POST, &[field("content-length", "5")])),
        (
            "more than its length",
            joined(&[length("1"), frame(DATA, END_STREAM, 1, b"xx")]),
            Resets(1, &[PROTOCOL_ERROR]),
        ),
        (
            "less than its length",
            joined(&[length("5"), frame(DATA, END_STREAM, 1, b"xx")]),
            Resets(1, &[PROTOCOL_ERROR]),
        ),
        ("a request", get(1), Answers(1)),
        ("TE of trailers", get_with(1, &[field("te", "trailers")]), Answers(1)),
    ]
}

/// A listener that lets 8 streams be open at once.
fn started(backend: &Backend) -> Proxy {
    let text = r#"
        [server]
        workers = 1
        max_streams = 8
        [[listeners]]
        address = "127.0.0.1:0"
        protocols = ["h2"]
        [[sites]]
        [[sites.routes]]
        match = "/"
        respond = { status = 200, body = "hello" }
        [[sites.routes]]
        match = "/silent"
        upstream = "%backend%"
    "#;
    tidegate(text).var("backend", backend.address()).start()
}

fn greeted(proxy: &Proxy) -> Wire {
    let mut wire = proxy.connect();
    wire.send(PREFACE);
    wire.send(frame(SETTINGS, 0, 0, &[]));
    let hello = read_frame(&mut wire);
    assert_eq!((hello.kind, hello.flags), (SETTINGS, 0));
    wire.send(frame(SETTINGS, ACK, 0, &[]));
    wire
}

fn code(frame: &Frame) -> u32 {
    let at = if frame.kind == GOAWAY { 4 } else { 0 };
    u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap())
}

#[track_caller]
fn check(wire: &mut Wire, name: &str, then: Then) {
    if let Err(why) = see(wire, then) {
        panic!("{name}: wanted {then:?}: {why}");
    }
}

fn see(wire: &mut Wire, then: Then) -> Result<(), String> {
    let one_of = |codes: &[u32], seen: &Frame| match codes.contains(&code(seen)) {
        true => Ok(()),
        false => Err(format!("code {} of frame {}", code(seen), seen.kind)),
    };
    loop {
        if !wire.has_more() {
            return Err("the connection ended".to_owned());
        }
        let seen = read_frame(wire);
        match (then, seen.kind) {
            (Ends(codes), GOAWAY) => {
                // What follows is the end, and no answer.
                while wire.has_more() {
                    if read_frame(wire).kind == HEADERS {
                        return Err("an answer behind GOAWAY".to_owned());
                    }
                }
                return one_of(codes, &seen);
            }
            (Resets(_, codes), GOAWAY) => return one_of(codes, &seen),
            (Resets(stream, codes), RST_STREAM) if seen.stream == stream => return one_of(codes, &seen),
            (Answers(stream), HEADERS) if seen.stream == stream => return Ok(()),
            (Resets(stream, _), HEADERS) | (Answers(stream), RST_STREAM) if seen.stream == stream => {
                return Err(format!("{seen:?}"));
            }
            (Answers(_), GOAWAY) => return Err(format!("{seen:?}")),
            _ => {}
        }
    }
}

fn all(cases: Vec<Case>) {
    let backend = Backend::silent();
    let proxy = started(&backend);
    let mut failed = Vec::new();
    for (name, bytes, then) in cases {
        let mut wire = greeted(&proxy);
        // The proxy may end the connection before it has read everything.
        let _ended = wire.try_send(bytes);
        failed.extend(see(&mut wire, then).err().map(|why| format!("{name}: wanted {then:?}: {why}")));
    }
    assert!(failed.is_empty(), "{failed:#?}");
    // Others never notice.
    let mut wire = greeted(&proxy);
    wire.send(get(1));
    check(&mut wire, "a request at the end", Answers(1));
}

#[test]
fn frames_out_of_place() {
    all(frames_());
}

#[test]
fn blocks_of_headers() {
    all(blocks());
}

#[test]
fn malformed_requests() {
    all(requests());
}

#[test]
fn a_ping_is_answered() {
    let backend = Backend::silent();
    let proxy = started(&backend);
    let mut wire = greeted(&proxy);
    wire.send(frame(PING, 0, 0, b"marked 8"));
    let pong = loop {
        let seen = read_frame(&mut wire);
        if seen.kind == PING {
            break seen;
        }
    };
    assert_eq!((pong.flags, pong.stream, pong.payload.as_slice()), (ACK, 0, &b"marked 8"[..]));
}

/// RFC 9113 §5.1.2: beyond the number that the proxy has allowed, streams are refused, and may be
/// asked for again.
#[test]
fn too_many_streams_are_refused() {
    let backend = Backend::silent();
    let proxy = started(&backend);
    let mut wire = greeted(&proxy);
    wire.send((0..9).map(|number| open(2 * number + 1)).collect::<Vec<_>>().concat());
    check(&mut wire, "the ninth", Resets(17, &[REFUSED_STREAM]));
    wire.send(reset(1, CANCEL));
    wire.send(get(19));
    check(&mut wire, "one when there is room", Answers(19));
}

/// CVE-2023-44487: asked for and reset again and again, without waiting.
#[test]
fn a_rapid_reset_ends_the_connection() {
    let backend = Backend::silent();
    let proxy = started(&backend);
    let mut wire = greeted(&proxy);
    let storm: Vec<u8> = (0..4000).flat_map(|n| [open(2 * n + 1), reset(2 * n + 1, CANCEL)].concat()).collect();
    let _ended = wire.try_send(storm);
    check(&mut wire, "rapid reset", Ends(&[ENHANCE_YOUR_CALM]));
}

/// CVE-2019-9518: DATA with nothing in it.
#[test]
fn a_flood_of_empty_frames_ends_the_connection() {
    let backend = Backend::silent();
    let proxy = started(&backend);
    let mut wire = greeted(&proxy);
    wire.send(open(1));
    let _ended = wire.try_send(frame(DATA, 0, 1, b"").repeat(100_000));
    check(&mut wire, "empty DATA", Ends(&[ENHANCE_YOUR_CALM]));
}

/// RFC 9113 §10.5.1: a list of headers beyond what was announced is answered with 431, and the
/// connection goes on.
#[test]
fn a_list_of_headers_that_is_too_large() {
    let backend = Backend::silent();
    let proxy = started(&backend);
    let mut wire = greeted(&proxy);
    let line = field("x-large", &"x".repeat(120));
    let block = with_host(GET, &[line.repeat(600)]);
    let mut parts = block.chunks(16_000);
    wire.send(frame(HEADERS, END_STREAM, 1, parts.next().unwrap()));
    let rest: Vec<&[u8]> = parts.collect();
    for (number, part) in rest.iter().enumerate() {
        wire.send(frame(CONTINUATION, if number + 1 == rest.len() { END_HEADERS } else { 0 }, 1, part));
    }
    let refused = loop {
        let seen = read_frame(&mut wire);
        assert_ne!(seen.kind, GOAWAY, "the connection goes on");
        if seen.kind == HEADERS {
            break seen;
        }
    };
    // `:status` by its name in the static table, and 431 in Huffman's code (RFC 7541 §6.2.1).
    assert_eq!((refused.stream, refused.payload.get(..5)), (1, Some(&[0x48, 0x83, 0x69, 0x90, 0xFF][..])));
    wire.send(get(3));
    check(&mut wire, "the next", Answers(3));
}
