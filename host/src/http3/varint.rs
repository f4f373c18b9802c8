//! Numbers of variable length (RFC 9000 §16).

/// The largest.
pub const MOST: u64 = (1 << 62) - 1;

/// The number that `bytes` begin with, and how many bytes it takes; none where more are needed.
pub fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let length = 1_usize << (bytes.first()? >> 6);
    let number = bytes.get(..length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    // The two highest bits are the length.
    Some((number & (u64::MAX >> (66 - 8 * length)), length))
}

/// Write a number; one above [`MOST`] becomes that.
pub fn write(out: &mut Vec<u8>, number: u64) {
    let number = number.min(MOST);
    let bytes = number.to_be_bytes();
    let (from, mark) = match number {
        0..=0x3f => (7, 0x00),
        0x40..=0x3fff => (6, 0x40),
        0x4000..=0x3fff_ffff => (4, 0x80),
        _ => (0, 0xc0),
    };
    let used = bytes.get(from..).unwrap_or_default();
    out.extend(used.iter().enumerate().map(|(at, byte)| if at == 0 { byte | mark } else { *byte }));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9000 Appendix A.1.
    #[test]
    fn the_examples_of_rfc_9000() {
        for (bytes, number) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ] {
            assert_eq!(read(bytes), Some((number, bytes.len())));
            let mut out = Vec::new();
            write(&mut out, number);
            assert_eq!(out, bytes);
        }
        assert_eq!(read(&[0x40, 0x25]), Some((37, 2)), "longer than needed");
    }

    #[test]
    fn cut_off() {
        assert_eq!((read(&[]), read(&[0x40]), read(&[0xc0; 7])), (None, None, None));
    }

    #[test]
    fn all_lengths() {
        for number in [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, MOST] {
            let mut out = Vec::new();
            write(&mut out, number);
            assert_eq!(read(&out), Some((number, out.len())));
        }
    }
}
