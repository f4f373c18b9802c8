//! The Huffman code of RFC 7541 Appendix B, as far as reading goes.
//!
//! It is canonical: symbols of one length have consecutive codes, in their order, so that the
//! lengths alone say everything.

use std::sync::LazyLock;

/// Bits of each symbol's code; the last one is the end of string.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The symbol that ends a string, which must not be in one (RFC 7541 §5.2).
const END: usize = 256;

/// The codes of one length.
struct Group {
    /// Bits.
    length: u32,
    /// The first code that is longer, or past all, at the left of 32 bits.
    beyond: u64,
    /// The first code of this length.
    first: u32,
    /// Their symbols, in the order of their codes.
    symbols: Vec<usize>,
}

static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
    let (mut groups, mut code) = (Vec::new(), 0_u32);
    for length in 1..=30_u32 {
        code <<= 1;
        let of_length = LENGTHS.iter().enumerate().filter(|(_, bits)| u32::from(**bits) == length);
        let symbols: Vec<usize> = of_length.map(|(symbol, _)| symbol).collect();
        let first = code;
        code += u32::try_from(symbols.len()).unwrap_or_default();
        if !symbols.is_empty() {
            groups.push(Group { length, beyond: u64::from(code) << (32 - length), first, symbols });
        }
    }
    groups
});

/// Read a string into `out`, at most `most` bytes; none where it is no string or longer.
pub(super) fn decode(bytes: &[u8], most: usize, out: &mut Vec<u8>) -> Option<()> {
    let groups = &*GROUPS;
    // What was read and is not used yet stands at the right.
    let (mut bits, mut held) = (0_u64, 0_u32);
    let mut rest = bytes.iter();
    loop {
        while held <= 32 {
            let Some(byte) = rest.next() else { break };
            bits = bits << 8 | u64::from(*byte);
            held += 8;
        }
        if held == 0 {
            return Some(());
        }
        // Past the end of the string stand ones, which begin no code but that of its end.
        let ahead =
            if held >= 32 { bits >> (held - 32) } else { (bits << (32 - held)) | (u64::from(u32::MAX) >> held) };
        let ahead = ahead & u64::from(u32::MAX);
        let group = groups.iter().find(|group| ahead < group.beyond)?;
        if group.length > held {
            // RFC 7541 §5.2: padding is ones, and shorter than a byte.
            let padding = bits & ((1 << held) - 1) == (1 << held) - 1;
            return (held < 8 && padding).then_some(());
        }
        let code = u32::try_from(ahead >> (32 - group.length)).ok()?;
        let symbol = *group.symbols.get(usize::try_from(code - group.first).ok()?)?;
        if symbol == END || out.len() >= most {
            return None;
        }
        out.push(u8::try_from(symbol).ok()?);
        held -= group.length;
        bits &= (1 << held) - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hex: &str) -> Option<String> {
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
        let mut out = Vec::new();
        decode(&bytes, 100, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    /// RFC 7541 Appendix C.4 and C.6.
    #[test]
    fn the_examples_of_rfc_7541() {
        for (hex, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("6402", "302"),
            ("aec3771a4b", "private"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
            ("", ""),
        ] {
            assert_eq!(read(hex).as_deref(), Some(text));
        }
    }

    #[test]
    fn every_byte_has_a_code_and_padding_is_ones() {
        // "0" is 00000: padding of zeros, of a whole byte, and the end of string are refused.
        assert_eq!(read("07").as_deref(), Some("0"));
        assert_eq!(read("00"), None, "a second symbol that is cut off");
        assert_eq!(read("07ff"), None, "a byte of padding");
        assert_eq!(read("ffffffff"), None, "the end of string");
        assert_eq!(read("04"), None, "padding of zeros");
        let symbols: usize = GROUPS.iter().map(|group| group.symbols.len()).sum();
        assert_eq!(symbols, 257);
        // A complete code: it leaves no sequence of bits without a meaning.
        assert_eq!(GROUPS.last().unwrap().beyond, 1 << 32);
    }

    #[test]
    fn what_is_longer_is_refused() {
        let mut out = Vec::new();
        assert!(decode(&[0, 0, 0, 0, 0], 7, &mut out).is_none());
        assert_eq!(out, b"0000000");
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut state = 7_u32;
        for length in 0..200 {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    u8::try_from(state >> 24).unwrap()
                })
                .collect();
            let mut out = Vec::new();
            let _either = decode(&bytes, 1000, &mut out);
            assert!(out.len() <= length * 8 / 5);
        }
    }
}
