//! Frames of RFC 6455 §5: their heads, and the mask.

use std::cell::RefCell;

use crate::hook::Content;

/// The longest head: two bytes, eight of length, four of mask.
pub(super) const LONGEST_HEAD: usize = 14;
/// What a control frame may carry.
pub(super) const LONGEST_CONTROL: usize = 125;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Data(Content),
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Data(Content::Text),
            2 => Self::Data(Content::Binary),
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Data(Content::Text) => 1,
            Self::Data(Content::Binary) => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Whether it ends its message.
    pub(super) fin: bool,
    /// RSV1: with permessage-deflate, whether the message that it begins is compressed.
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: Option<Mask>,
    /// Bytes of payload.
    pub(super) length: u64,
}

/// What came where a head should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A head of so many bytes.
    Head(Head, usize),
    /// Only a part of one.
    Partial,
    /// None (RFC 6455 §5.2): for what reason.
    Bad(&'static str),
}

/// Read a head. `masked` is whether frames of this side have to be, and `compressed` whether
/// RSV1 has a meaning.
pub(super) fn parse(bytes: &[u8], masked: bool, compressed: bool) -> Parsed {
    let [first, second, rest @ ..] = bytes else { return Parsed::Partial };
    let rsv1 = first & 0x40 != 0;
    if first & 0x30 != 0 || rsv1 && !compressed {
        return Parsed::Bad("a reserved bit is set");
    }
    let Some(opcode) = Opcode::of(first & 0x0F) else { return Parsed::Bad("a reserved opcode") };
    let fin = first & 0x80 != 0;
    if rsv1 && !matches!(opcode, Opcode::Data(_)) {
        return Parsed::Bad("RSV1 is set where no message begins");
    }
    if (second & 0x80 != 0) != masked {
        return Parsed::Bad(if masked { "a client's frame is not masked" } else { "a server's frame is masked" });
    }
    let short = second & 0x7F;
    if opcode.is_control() && (!fin || usize::from(short) > LONGEST_CONTROL) {
        return Parsed::Bad("a control frame is fragmented or too long");
    }
    let (length, rest, used) = match (short, rest) {
        (126, [a, b, rest @ ..]) => match u16::from_be_bytes([*a, *b]) {
            0..126 => return Parsed::Bad("a length is not written in the shortest way"),
            length => (u64::from(length), rest, 4),
        },
        (127, [a, b, c, d, e, f, g, h, rest @ ..]) => match u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) {
            0..0x1_0000 => return Parsed::Bad("a length is not written in the shortest way"),
            length if length >> 63 != 0 => return Parsed::Bad("a length has its highest bit set"),
            length => (length, rest, 10),
        },
        (126 | 127, _) => return Parsed::Partial,
        (short, rest) => (u64::from(short), rest, 2),
    };
    let head = |mask, used| Parsed::Head(Head { fin, compressed: rsv1, opcode, mask, length }, used);
    match (masked, rest) {
        (false, _) => head(None, used),
        (true, [a, b, c, d, ..]) => head(Some(Mask([*a, *b, *c, *d])), used + 4),
        (true, _) => Parsed::Partial,
    }
}

/// Write a head, its length in the shortest way.
pub(super) fn write_head(out: &mut Vec<u8>, head: &Head) {
    let flags = u8::from(head.fin) << 7 | u8::from(head.compressed) << 6;
    let masked = u8::from(head.mask.is_some()) << 7;
    out.push(flags | head.opcode.bits());
    match head.length {
        short @ 0..126 => out.push(masked | u8::try_from(short).unwrap_or(0)),
        middle @ 126..0x1_0000 => {
            out.push(masked | 126);
            out.extend_from_slice(&u16::try_from(middle).unwrap_or(0).to_be_bytes());
        }
        long => {
            out.push(masked | 127);
            out.extend_from_slice(&long.to_be_bytes());
        }
    }
    if let Some(Mask(key)) = head.mask {
        out.extend_from_slice(&key);
    }
}

/// Write a frame. With `masks` it is a client's.
pub(super) fn write(out: &mut Vec<u8>, opcode: Opcode, fin: bool, compressed: bool, masks: bool, payload: &[u8]) {
    let mask = masks.then(Mask::random);
    let length = u64::try_from(payload.len()).unwrap_or(u64::MAX);
    write_head(out, &Head { fin, compressed, opcode, mask, length });
    let start = out.len();
    out.extend_from_slice(payload);
    if let (Some(mask), Some(written)) = (mask, out.get_mut(start..)) {
        mask.apply(written);
    }
}

/// A masking key (RFC 6455 §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mask([u8; 4]);

/// Random bytes that a worker draws at a time.
const DRAWN: usize = 1024;

thread_local! {
    static KEYS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Mask {
    /// A key that nobody can foresee.
    pub(super) fn random() -> Self {
        KEYS.with_borrow_mut(|keys| {
            if keys.len() < 4 {
                keys.resize(DRAWN, 0);
                // Where the system has no random bytes the mask is none, as the payload is then as
                // a server would send it; TLS would have failed long before.
                let _unmasked = aws_lc_rs::rand::fill(keys);
            }
            let rest = keys.len().saturating_sub(4);
            let key = keys.get(rest..).and_then(|key| key.try_into().ok()).unwrap_or_default();
            keys.truncate(rest);
            Self(key)
        })
    }

    /// Mask or unmask bytes that begin where the key does. Eight at a time: the compiler makes
    /// wide instructions of it.
    pub(super) fn apply(self, bytes: &mut [u8]) {
        let [a, b, c, d] = self.0;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (chunks, rest) = bytes.as_chunks_mut::<8>();
        for chunk in chunks {
            *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(self.0.iter().cycle()) {
            *byte ^= key;
        }
    }

    /// The key as it stands `bytes` further on.
    pub(super) fn after(self, bytes: usize) -> Self {
        let mut key = self.0;
        key.rotate_left(bytes % 4);
        Self(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Mask = Mask([0x37, 0xfa, 0x21, 0x3d]);

    fn text(mask: Option<Mask>, length: u64, fin: bool) -> Head {
        Head { fin, compressed: false, opcode: Opcode::Data(Content::Text), mask, length }
    }

    /// RFC 6455 §5.7.
    #[test]
    fn the_examples_of_the_standard() {
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(parse(&masked, true, false), Parsed::Head(text(Some(KEY), 5, true), 6));
        let mut payload = masked[6..].to_vec();
        KEY.apply(&mut payload);
        assert_eq!(payload, b"Hello");
        assert_eq!(parse(&[0x81, 5], false, false), Parsed::Head(text(None, 5, true), 2));
        assert_eq!(parse(&[0x01, 3], false, false), Parsed::Head(text(None, 3, false), 2));
        let rest = Head { opcode: Opcode::Continuation, ..text(None, 2, true) };
        assert_eq!(parse(&[0x80, 2], false, false), Parsed::Head(rest, 2));
        let ping = Head { opcode: Opcode::Ping, ..text(None, 5, true) };
        assert_eq!(parse(&[0x89, 5], false, false), Parsed::Head(ping, 2));
        let pong = Head { opcode: Opcode::Pong, ..text(Some(KEY), 5, true) };
        assert_eq!(parse(&[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d], true, false), Parsed::Head(pong, 6));
        let binary = |length| Head { opcode: Opcode::Data(Content::Binary), ..text(None, length, true) };
        assert_eq!(parse(&[0x82, 0x7E, 1, 0], false, false), Parsed::Head(binary(256), 4));
        assert_eq!(parse(&[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0], false, false), Parsed::Head(binary(65_536), 10));
    }

    #[test]
    fn what_is_written_is_read_back_and_no_part_of_it_is_a_head() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, u64::MAX >> 1] {
            for (mask, fin, compressed) in [(None, true, false), (Some(KEY), false, true), (Some(KEY), true, false)] {
                let head = Head { compressed, ..text(mask, length, fin) };
                let mut bytes = Vec::new();
                write_head(&mut bytes, &head);
                assert_eq!(parse(&bytes, mask.is_some(), true), Parsed::Head(head, bytes.len()));
                for cut in 0..bytes.len() {
                    assert_eq!(parse(&bytes[..cut], mask.is_some(), true), Parsed::Partial, "{head:?} at {cut}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let bad = |bytes: &[u8], masked, compressed| matches!(parse(bytes, masked, compressed), Parsed::Bad(_));
        for first in 0..=u8::MAX {
            let reserved = first & 0x70 != 0 || !matches!(first & 0x0F, 0..=2 | 8..=10);
            let in_parts = first & 0x80 == 0 && first & 0x0F >= 8;
            assert_eq!(bad(&[first, 0], false, false), reserved || in_parts, "{first:#x}");
        }
        assert!(!bad(&[0xC1, 0], false, true), "RSV1 has a meaning with permessage-deflate");
        assert!(bad(&[0xC0, 0], false, true) && bad(&[0xC9, 0], false, true), "where a message begins");
        assert!(bad(&[0x81, 0], true, false) && bad(&[0x81, 0x80], false, false), "the mask is not as it must be");
        assert!(bad(&[0x89, 126], false, false) && bad(&[0x88, 127], false, false), "a long control frame");
        assert!(bad(&[0x82, 126, 0, 125], false, false), "126 is what it is for");
        assert!(bad(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], false, false), "65536 is what it is for");
        assert!(bad(&[0x82, 127, 0x80, 0, 0, 0, 0, 1, 0, 0], false, false), "the highest bit");
    }

    #[test]
    fn a_mask_goes_on_where_it_was_left() {
        let plain: Vec<u8> = (0..100).collect();
        let mut whole = plain.clone();
        KEY.apply(&mut whole);
        assert_ne!(whole, plain);
        for cut in 0..plain.len() {
            let mut parts = plain.clone();
            let (front, back) = parts.split_at_mut(cut);
            KEY.apply(front);
            KEY.after(cut).apply(back);
            assert_eq!(parts, whole, "cut at {cut}");
        }
        KEY.apply(&mut whole);
        assert_eq!(whole, plain);
    }

    #[test]
    fn keys_differ() {
        let keys: Vec<_> = (0..600).map(|_| Mask::random()).collect();
        let same = keys.iter().filter(|key| **key == keys[0]).count();
        assert!(same < 3, "{same} of 600 keys are the same");
    }
}
