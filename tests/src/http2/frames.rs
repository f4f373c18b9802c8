//! HTTP/2 frames as bytes (RFC 9113 §4, §6), for ends that do what none should.

use crate::wire::Wire;

/// What a client says first (RFC 9113 §3.4).
pub const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// DATA.
pub const DATA: u8 = 0;
/// HEADERS.
pub const HEADERS: u8 = 1;
/// PRIORITY.
pub const PRIORITY: u8 = 2;
/// RST_STREAM.
pub const RST_STREAM: u8 = 3;
/// SETTINGS.
pub const SETTINGS: u8 = 4;
/// PUSH_PROMISE.
pub const PUSH_PROMISE: u8 = 5;
/// PING.
pub const PING: u8 = 6;
/// GOAWAY.
pub const GOAWAY: u8 = 7;
/// WINDOW_UPDATE.
pub const WINDOW_UPDATE: u8 = 8;
/// CONTINUATION.
pub const CONTINUATION: u8 = 9;
/// END_STREAM, of DATA and HEADERS.
pub const END_STREAM: u8 = 1;
/// END_HEADERS, of HEADERS.
pub const END_HEADERS: u8 = 4;
/// PADDED, of DATA and HEADERS.
pub const PADDED: u8 = 8;
/// PRIORITY, of HEADERS.
pub const PRIORITY_FLAG: u8 = 0x20;
/// ACK, of SETTINGS and PING.
pub const ACK: u8 = 1;
/// NO_ERROR.
pub const NO_ERROR: u32 = 0;
/// INTERNAL_ERROR.
pub const INTERNAL_ERROR: u32 = 2;
/// REFUSED_STREAM.
pub const REFUSED_STREAM: u32 = 7;
/// CANCEL.
pub const CANCEL: u32 = 8;
/// `:status: 200` by HPACK's static table (RFC 7541 appendix A).
pub const STATUS_200: &[u8] = &[0x88];

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 for the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// RST_STREAM with a reason.
pub fn reset(stream: u32, reason: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &reason.to_be_bytes())
}

/// GOAWAY with the last stream that was or may be processed.
pub fn go_away(last: u32, reason: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), reason.to_be_bytes()].concat())
}

/// A whole answer: 200 and a body.
pub fn answer(stream: u32, body: &str) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, stream, STATUS_200);
    [head, frame(DATA, END_STREAM, stream, body.as_bytes())].concat()
}

/// Take a client's preface, and send SETTINGS.
#[track_caller]
pub fn greet(wire: &mut Wire) {
    wire.expect(PREFACE);
    wire.send(frame(SETTINGS, 0, 0, &[]));
}

/// The next frame.
#[track_caller]
pub fn read_frame(wire: &mut Wire) -> Frame {
    let head = wire.read_exact(9);
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let payload = wire.read_exact(usize::try_from(length).unwrap());
    Frame { kind: head[3], flags: head[4], stream, payload }
}

/// The next frame of this kind that is no ACK; those before are passed over, SETTINGS answered.
#[track_caller]
pub fn wait_for(wire: &mut Wire, kind: u8) -> Frame {
    loop {
        let frame_ = read_frame(wire);
        let is_ack = frame_.flags & ACK != 0 && matches!(frame_.kind, SETTINGS | PING);
        if frame_.kind == SETTINGS && !is_ack {
            wire.send(frame(SETTINGS, ACK, 0, &[]));
        }
        if frame_.kind == kind && !is_ack {
            return frame_;
        }
    }
}
