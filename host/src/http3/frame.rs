//! Types of frames, streams and settings (RFC 9114 §6.2, §7.2), and what is sent of them.

use super::varint;

/// Bytes of a body.
pub const DATA: u64 = 0x00;
/// A field section.
pub const HEADERS: u64 = 0x01;
/// A push is not wanted.
pub const CANCEL_PUSH: u64 = 0x03;
/// What the sender is ready for.
pub const SETTINGS: u64 = 0x04;
/// A request that nobody made is answered.
pub const PUSH_PROMISE: u64 = 0x05;
/// The connection ends.
pub const GOAWAY: u64 = 0x07;
/// How many pushes there may be.
pub const MAX_PUSH_ID: u64 = 0x0d;

/// Whether a type is one of HTTP/2's that HTTP/3 has no equal for: never sent (RFC 9114 §7.2.8).
pub fn is_of_http2(kind: u64) -> bool {
    matches!(kind, 0x02 | 0x06 | 0x08 | 0x09)
}

/// A stream of frames for the whole connection.
pub const CONTROL_STREAM: u64 = 0x00;
/// A stream that carries an answer that nobody asked for.
pub const PUSH_STREAM: u64 = 0x01;
/// Instructions of the QPACK encoder.
pub const ENCODER_STREAM: u64 = 0x02;
/// Instructions of the QPACK decoder.
pub const DECODER_STREAM: u64 = 0x03;

const QPACK_MAX_TABLE_CAPACITY: u64 = 0x01;
const MAX_FIELD_SECTION_SIZE: u64 = 0x06;
const QPACK_BLOCKED_STREAMS: u64 = 0x07;
/// RFC 9220 §5.
const ENABLE_CONNECT_PROTOCOL: u64 = 0x08;

/// What a frame begins with.
pub fn head(out: &mut Vec<u8>, kind: u64, length: u64) {
    varint::write(out, kind);
    varint::write(out, length);
}

/// A frame whose content is one number: GOAWAY.
pub fn number(out: &mut Vec<u8>, kind: u64, number: u64) {
    let mut content = Vec::new();
    varint::write(&mut content, number);
    head(out, kind, content.len() as u64);
    out.extend_from_slice(&content);
}

/// The SETTINGS of this side: no dynamic table, tunnels are served, and field sections of so
/// many bytes are read.
pub fn settings(out: &mut Vec<u8>, most: u64) {
    let mut content = Vec::new();
    let settings = [
        (QPACK_MAX_TABLE_CAPACITY, 0),
        (QPACK_BLOCKED_STREAMS, 0),
        (MAX_FIELD_SECTION_SIZE, most),
        (ENABLE_CONNECT_PROTOCOL, 1),
    ];
    for (id, value) in settings {
        varint::write(&mut content, id);
        varint::write(&mut content, value);
    }
    head(out, SETTINGS, content.len() as u64);
    out.extend_from_slice(&content);
}

/// Check the content of a SETTINGS frame. Nothing of it changes what this side does: its
/// encoder needs no table, and what a client calls too long for it is for it to refuse.
///
/// # Errors
/// What cannot be (RFC 9114 §7.2.4).
pub fn check_settings(mut content: &[u8]) -> Result<(), &'static str> {
    let mut seen = Vec::new();
    while !content.is_empty() {
        let (id, value) = pair(&mut content).ok_or("a setting is cut off")?;
        if seen.contains(&id) {
            return Err("a setting is there twice");
        }
        seen.push(id);
        match id {
            0x00 | 0x02..=0x05 => return Err("a setting of HTTP/2"),
            ENABLE_CONNECT_PROTOCOL if value > 1 => return Err("ENABLE_CONNECT_PROTOCOL is neither 0 nor 1"),
            _ => {}
        }
    }
    Ok(())
}

fn pair(content: &mut &[u8]) -> Option<(u64, u64)> {
    let (id, first) = varint::read(content)?;
    let (value, second) = varint::read(content.get(first..)?)?;
    *content = content.get(first + second..)?;
    Some((id, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_settings_are_settings() {
        let mut out = Vec::new();
        settings(&mut out, 64 << 10);
        assert_eq!(out[..2], [4, u8::try_from(out.len() - 2).unwrap()]);
        assert_eq!(check_settings(&out[2..]), Ok(()));
        // RFC 9220 §3: what a client must see before it asks for a tunnel.
        assert!(out.ends_with(&[8, 1]));
    }

    #[test]
    fn settings_that_cannot_be() {
        assert_eq!(check_settings(&[0x21, 0x05]), Ok(()), "one that nobody knows");
        for (content, why) in [
            (&[0x21][..], "a setting is cut off"),
            (&[0x21, 0x40], "a setting is cut off"),
            (&[0x21, 1, 0x21, 1], "a setting is there twice"),
            (&[0x02, 1], "a setting of HTTP/2"),
            (&[0x08, 2], "ENABLE_CONNECT_PROTOCOL is neither 0 nor 1"),
        ] {
            assert_eq!(check_settings(content), Err(why));
        }
    }
}
