//! Close frames (RFC 6455 §5.5.1, §7.4).

use super::Violation;
use super::frame::{self, Opcode};
use crate::hook::{Closing, is_close_code};

/// The code in a close frame's payload; none where it has none.
///
/// # Errors
/// 1002 for a payload or code that cannot be, 1007 for a reason that is not UTF-8.
pub(super) fn read(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(Violation::Protocol("a close frame has half a code")),
        [a, b, reason @ ..] => (u16::from_be_bytes([*a, *b]), reason),
    };
    if !is_close_code(code) {
        return Err(Violation::Protocol("a close frame has a code that cannot be"));
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(Violation::Text);
    }
    Ok(Some(code))
}

/// A close frame; with `masks` a client's.
pub(in crate::tunnel) fn frame(closing: &Closing, masks: bool) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, Opcode::Close, true, false, masks, &payload(closing));
    out
}

/// The payload of a close frame.
pub(super) fn payload(closing: &Closing) -> Vec<u8> {
    let mut payload = closing.code.to_be_bytes().to_vec();
    payload.extend_from_slice(closing.reason.as_bytes());
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_reasons() {
        assert_eq!(read(b""), Ok(None));
        assert_eq!(read(&payload(&Closing { code: 1000, reason: "ok".into() })), Ok(Some(1000)));
        for code in [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999_u16] {
            assert_eq!(read(&code.to_be_bytes()), Ok(Some(code)));
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16] {
            assert!(matches!(read(&code.to_be_bytes()), Err(Violation::Protocol(_))), "{code}");
        }
        assert!(matches!(read(b"\x03"), Err(Violation::Protocol(_))));
        assert_eq!(read(b"\x03\xe8\xff"), Err(Violation::Text));
    }
}
