//! permessage-deflate (RFC 7692), one direction: messages are inflated for plugins, and go on as
//! they came while none of them was changed.
//!
//! With context takeover a receiver's window has every message that it was sent. As long as that is
//! what the sender sent, messages can go on compressed as they came; once one was changed or left
//! out, this side compresses itself. Its compressor begins with an empty window, which is always
//! right: it refers only to what it has sent itself.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::Violation;
use super::extension::Direction;

/// What every compressed message ends with and is not sent (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The step in which output grows.
const STEP: usize = 16 << 10;
/// Below this many bytes a message's ratio does not matter.
const SMALL: usize = 256 << 10;
/// The window of our compressor, as a power of two: the library has this one only.
const WINDOW: u8 = 15;

thread_local! {
    /// For directions without context takeover: nothing is kept between messages.
    static INFLATE: RefCell<Decompress> = RefCell::new(Decompress::new(false));
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
}

/// One direction's compression.
pub(super) struct Codec {
    terms: Direction,
    /// With context takeover: made for the first compressed message.
    inflate: Option<Box<Decompress>>,
    /// With context takeover: made for the first message that cannot go on as it came.
    deflate: Option<Box<Compress>>,
    /// Whether the receiver's window is the sender's.
    is_pristine: bool,
}

/// What one message may grow to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    /// Bytes.
    pub(super) size: usize,
    /// Times its compressed size, from 256 KiB on.
    pub(super) ratio: usize,
}

impl Codec {
    pub(super) fn new(terms: Direction) -> Self {
        Self { terms, inflate: None, deflate: None, is_pristine: true }
    }

    /// Whether every compressed message has to be inflated, wanted or not: later ones refer to it.
    pub(super) fn needs_all(&self) -> bool {
        self.terms.takeover
    }

    /// Whether a compressed message can go on as it came.
    pub(super) fn passes(&self) -> bool {
        self.is_pristine || !self.terms.takeover
    }

    /// A compressed message does not go on as it came.
    pub(super) fn spoil(&mut self) {
        self.is_pristine = false;
    }

    /// Inflate a whole message into `out`.
    ///
    /// # Errors
    /// [`Violation::TooLarge`] past the caps, [`Violation::Packed`] where it is not deflated.
    pub(super) fn inflate(&mut self, packed: &[u8], out: &mut Vec<u8>, caps: Caps) -> Result<(), Violation> {
        if self.terms.takeover {
            let inflate = self.inflate.get_or_insert_with(|| Box::new(Decompress::new(false)));
            return run_inflate(inflate, packed, out, caps);
        }
        INFLATE.with_borrow_mut(|inflate| {
            inflate.reset(false);
            run_inflate(inflate, packed, out, caps)
        })
    }

    /// Deflate a whole message into `out`; false where it is to go uncompressed, which is always
    /// allowed: the receiver's window is smaller than what this side can keep to.
    pub(super) fn deflate(&mut self, plain: &[u8], out: &mut Vec<u8>) -> bool {
        if self.terms.window < WINDOW {
            return false;
        }
        if self.terms.takeover {
            let new = || Box::new(Compress::new(Compression::fast(), false));
            return run_deflate(self.deflate.get_or_insert_with(new), plain, out);
        }
        DEFLATE.with_borrow_mut(|deflate| {
            deflate.reset();
            run_deflate(deflate, plain, out)
        })
    }
}

fn run_inflate(inflate: &mut Decompress, packed: &[u8], out: &mut Vec<u8>, caps: Caps) -> Result<(), Violation> {
    let most = caps.size.min(packed.len().saturating_mul(caps.ratio).max(SMALL));
    for mut part in [packed, &TAIL[..]] {
        loop {
            if out.len() == out.capacity() {
                if out.len() > most {
                    return Err(Violation::TooLarge);
                }
                out.reserve(STEP.min(most - out.len() + 1));
            }
            let before = (inflate.total_in(), out.len());
            let status = inflate.decompress_vec(part, out, FlushDecompress::Sync).map_err(|_bad| Violation::Packed)?;
            let used = usize::try_from(inflate.total_in() - before.0).unwrap_or(usize::MAX);
            part = part.get(used..).unwrap_or_default();
            if out.len() > most {
                return Err(Violation::TooLarge);
            }
            match status {
                // A block with BFINAL (RFC 7692 §7.2.3.4): the next one begins anew.
                Status::StreamEnd => inflate.reset(false),
                _ if out.len() == out.capacity() => continue,
                _ if used == 0 && out.len() == before.1 && !part.is_empty() => return Err(Violation::Packed),
                _ => {}
            }
            if part.is_empty() {
                break;
            }
        }
    }
    Ok(())
}

/// False where the compressor failed, which it has no reason to.
fn run_deflate(deflate: &mut Compress, plain: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut rest = plain;
    loop {
        if out.capacity() - out.len() < 64 {
            out.reserve(rest.len().clamp(256, STEP));
        }
        let before = deflate.total_in();
        let Ok(_status) = deflate.compress_vec(rest, out, FlushCompress::Sync) else {
            out.truncate(start);
            return false;
        };
        let used = usize::try_from(deflate.total_in() - before).unwrap_or(usize::MAX);
        rest = rest.get(used..).unwrap_or_default();
        // With room left, all that there is has been flushed.
        if rest.is_empty() && out.len() < out.capacity() {
            break;
        }
    }
    let made = out.get(start..).unwrap_or_default();
    match made.strip_suffix(&TAIL) {
        // RFC 7692 §7.2.3.6: an empty message.
        Some([]) | None if plain.is_empty() => {
            out.truncate(start);
            out.push(0);
            true
        }
        Some(kept) => {
            let length = kept.len();
            out.truncate(start + length);
            true
        }
        None => {
            out.truncate(start);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps { size: 1 << 20, ratio: 250 };

    fn codec(takeover: bool, window: u8) -> Codec {
        Codec::new(Direction { takeover, window })
    }

    fn inflated(codec: &mut Codec, packed: &[u8]) -> Result<Vec<u8>, Violation> {
        let mut out = Vec::new();
        codec.inflate(packed, &mut out, CAPS).map(|()| out)
    }

    fn deflated(codec: &mut Codec, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(codec.deflate(plain, &mut out));
        out
    }

    /// RFC 7692 §7.2.3.
    #[test]
    fn the_examples_of_the_standard() {
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflated(&mut codec(false, 15), &hello).unwrap(), b"Hello");
        let mut keeps = codec(true, 15);
        assert_eq!(inflated(&mut keeps, &hello).unwrap(), b"Hello");
        assert_eq!(inflated(&mut keeps, &[0xf2, 0x00, 0x11, 0x00, 0x00]).unwrap(), b"Hello", "it refers to the first");
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        assert_eq!(inflated(&mut codec(true, 15), &stored).unwrap(), b"Hello", "a block without compression");
        let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let mut ended = codec(true, 15);
        assert_eq!(inflated(&mut ended, &last).unwrap(), b"Hello", "a block with BFINAL");
        assert_eq!(inflated(&mut ended, &hello).unwrap(), b"Hello", "and what follows it");
        let two = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflated(&mut codec(true, 15), &two).unwrap(), b"Hello", "two blocks");
        assert_eq!(inflated(&mut codec(true, 15), &[0]).unwrap(), b"", "an empty message");
    }

    #[test]
    fn what_is_deflated_is_inflated() {
        let texts: Vec<Vec<u8>> = vec![
            b"Hello".to_vec(),
            Vec::new(),
            b"Hello".to_vec(),
            (0..200_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect(),
            b"a".repeat(100),
            Vec::new(),
            Vec::new(),
            b"end".to_vec(),
        ];
        for takeover in [false, true] {
            let (mut sender, mut receiver) = (codec(takeover, 15), codec(takeover, 15));
            for text in &texts {
                let packed = deflated(&mut sender, text);
                assert!(!packed.ends_with(&TAIL) && !packed.is_empty());
                assert_eq!(&inflated(&mut receiver, &packed).unwrap(), text, "takeover {takeover}");
            }
        }
        let mut keeps = codec(true, 15);
        let first = deflated(&mut keeps, b"the same text once more").len();
        assert!(deflated(&mut keeps, b"the same text once more").len() < first, "the second refers to the first");
    }

    #[test]
    fn a_small_window_is_kept_to_by_not_compressing() {
        let mut out = Vec::new();
        assert!(!codec(true, 14).deflate(b"text", &mut out) && out.is_empty());
    }

    #[test]
    fn a_bomb_is_stopped_early() {
        let bomb = deflated(&mut codec(false, 15), &vec![0; 16 << 20]);
        assert!(bomb.len() < 128 << 10);
        for caps in [CAPS, Caps { size: usize::MAX, ratio: 10 }, Caps { size: 100, ratio: 1000 }] {
            let mut out = Vec::new();
            let stopped = codec(false, 15).inflate(&bomb, &mut out, caps);
            assert_eq!(stopped, Err(Violation::TooLarge));
            assert!(out.capacity() <= 4 << 20, "{} bytes for {caps:?}", out.capacity());
        }
        // Exactly as much as may be.
        let mut out = Vec::new();
        let exact = deflated(&mut codec(false, 15), &[7; 100]);
        codec(false, 15).inflate(&exact, &mut out, Caps { size: 100, ratio: 1 }).unwrap();
        assert_eq!(out.len(), 100);
        let over = deflated(&mut codec(false, 15), &[7; 101]);
        let stopped = codec(false, 15).inflate(&over, &mut Vec::new(), Caps { size: 100, ratio: 1 });
        assert_eq!(stopped, Err(Violation::TooLarge));
    }

    /// Bytes by chance end in an error or a bounded output, whatever they are.
    #[test]
    fn noise_is_borne() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let mut keeps = codec(true, 15);
        let (mut good, mut bad) = (0, 0);
        for _ in 0..3000 {
            let length = usize::try_from(next() % 300).unwrap();
            let noise: Vec<u8> = (0..length).map(|_| next().to_le_bytes()[2]).collect();
            for codec in [&mut codec(false, 15), &mut keeps] {
                match inflated(codec, &noise) {
                    Ok(out) => {
                        assert!(out.len() <= CAPS.size);
                        good += 1;
                    }
                    Err(_) => bad += 1,
                }
            }
            keeps = codec(true, 15);
        }
        assert!(bad > 100, "{good} of them were good");
    }
}
