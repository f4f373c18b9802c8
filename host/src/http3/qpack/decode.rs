//! Field sections, read.

use super::huffman;
use super::statics::TABLE;

/// Why a field section cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// It is none: the connection ends with QPACK_DECOMPRESSION_FAILED (RFC 9204 §2.2.3).
    Corrupt(&'static str),
    /// It is larger than it may be.
    TooLarge,
}

/// What RFC 9114 §4.2.2 counts for each line besides its bytes.
const LINE: usize = 32;

/// Read a field section, line by line. `most` bytes at most, names, values and 32 for each line.
///
/// # Errors
/// [`Bad`]; some lines may have been told of before.
pub fn decode(section: &[u8], most: usize, mut line: impl FnMut(&[u8], &[u8])) -> Result<(), Bad> {
    let mut reader = Reader { rest: section, room: most };
    // RFC 9204 §4.5.1: what refers to the dynamic table would wait for it for ever.
    if reader.integer(8)?.1 != 0 {
        return Err(Bad::Corrupt("a field section needs a dynamic table, and there is none"));
    }
    let _base = reader.integer(7)?;
    let (mut name, mut value) = (Vec::new(), Vec::new());
    while let Some(first) = reader.rest.first() {
        reader.spend(LINE)?;
        match first {
            // Indexed.
            0b1000_0000.. => {
                let (mark, index) = reader.integer(6)?;
                let (name, value) = entry(mark & 0b0100_0000 != 0, index)?;
                reader.spend(name.len() + value.len())?;
                line(name.as_bytes(), value.as_bytes());
            }
            // A name of the table.
            0b0100_0000.. => {
                let (mark, index) = reader.integer(4)?;
                let (name, _) = entry(mark & 0b0001_0000 != 0, index)?;
                reader.spend(name.len())?;
                reader.string(7, &mut value)?;
                line(name.as_bytes(), &value);
            }
            // A name of its own.
            0b0010_0000.. => {
                reader.string(3, &mut name)?;
                reader.string(7, &mut value)?;
                line(&name, &value);
            }
            _ => return Err(Bad::Corrupt("a line refers to the dynamic table, and there is none")),
        }
    }
    Ok(())
}

fn entry(is_static: bool, index: usize) -> Result<(&'static str, &'static str), Bad> {
    if !is_static {
        return Err(Bad::Corrupt("a line refers to the dynamic table, and there is none"));
    }
    TABLE.get(index).copied().ok_or(Bad::Corrupt("an index beyond the static table"))
}

struct Reader<'a> {
    rest: &'a [u8],
    /// Bytes that lines may still have.
    room: usize,
}

impl Reader<'_> {
    fn spend(&mut self, bytes: usize) -> Result<(), Bad> {
        self.room = self.room.checked_sub(bytes).ok_or(Bad::TooLarge)?;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Bad> {
        let (first, rest) = self.rest.split_first().ok_or(Bad::Corrupt("a field section is cut off"))?;
        self.rest = rest;
        Ok(*first)
    }

    /// A number in the `room` lower bits of a byte and, where these are all ones, those behind it
    /// (RFC 7541 §5.1); with the byte that it begins in.
    fn integer(&mut self, room: u32) -> Result<(u8, usize), Bad> {
        /// Of four bytes: far more than a field section may have.
        const MOST_SHIFT: u32 = 28;
        let first = self.byte()?;
        let most = u8::try_from((1_u32 << room) - 1).unwrap_or(u8::MAX);
        let mut number = usize::from(first & most);
        if number < usize::from(most) {
            return Ok((first, number));
        }
        for shift in (0..MOST_SHIFT).step_by(7) {
            let byte = self.byte()?;
            number += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((first, number));
            }
        }
        Err(Bad::Corrupt("a number is too large"))
    }

    /// A string whose length stands in the `room` lower bits of a byte; the bit above them says
    /// whether it is in the Huffman code (RFC 9204 §4.1.2).
    fn string(&mut self, room: u32, out: &mut Vec<u8>) -> Result<(), Bad> {
        out.clear();
        let (mark, length) = self.integer(room)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Bad::Corrupt("a string is cut off"))?;
        self.rest = rest;
        if mark >> room & 1 == 1 {
            // No code has fewer than five bits: `out` has a bound by what was received.
            huffman::decode(bytes, length * 8 / 5, out).ok_or(Bad::Corrupt("a string is not in the Huffman code"))?;
        } else {
            out.extend_from_slice(bytes);
        }
        self.spend(out.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(section: &[u8]) -> Result<Vec<String>, Bad> {
        let mut lines = Vec::new();
        decode(section, 200, |name, value| {
            lines.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        })?;
        Ok(lines)
    }

    #[test]
    fn every_form() {
        // RFC 9204 Appendix B.1: a name of the static table.
        let example = [&[0, 0, 0x51, 0x0b][..], b"/index.html"].concat();
        assert_eq!(lines(&example).unwrap(), [":path: /index.html"]);
        assert_eq!(lines(&[0, 0, 0xd1, 0xd7]).unwrap(), [":method: GET", ":scheme: https"]);
        let own = [&[0, 0, 0x27, 3][..], b"x-long-nam", &[1], b"v"].concat();
        assert_eq!(lines(&own).unwrap(), ["x-long-nam: v"]);
        // Name and value in the Huffman code.
        let huffman = [0, 0, 0x2f, 1, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f, 0x82, 0x64, 0x02];
        assert_eq!(lines(&huffman).unwrap(), ["custom-key: 302"]);
        assert_eq!(lines(&[0, 0]).unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_none() {
        for section in [
            &[][..],
            &[0],
            &[1, 0],
            &[0, 0, 0x80],
            &[0, 0, 0xff, 0x24],
            &[0, 0, 0x40, 1, b'a'],
            &[0, 0, 0x10],
            &[0, 0, 0x01, 0x00],
            &[0, 0, 0x51, 0x05, b'/'],
            &[0, 0, 0x27, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0, 0, 0x2a, 0xff, 0xff, 0x00],
        ] {
            assert!(matches!(lines(section), Err(Bad::Corrupt(_))), "{section:?}");
        }
    }

    #[test]
    fn the_size_is_counted_as_rfc_9114_says() {
        // 32 and the bytes of the line.
        let five = [&[0, 0, 0x51, 5][..], b"/abcd"].concat();
        let size = 32 + ":path".len() + 5;
        assert_eq!(decode(&five, size, |_, _| {}), Ok(()));
        assert_eq!(decode(&five, size - 1, |_, _| {}), Err(Bad::TooLarge));
        let many = [&[0, 0][..], &[0xd1; 1000]].concat();
        assert_eq!(lines(&many), Err(Bad::TooLarge));
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut state = 99_u32;
        for length in 0..2000 {
            let mut section = vec![0, 0];
            section.extend((0..length % 90).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                u8::try_from(state >> 24).unwrap()
            }));
            let _either = lines(&section);
        }
    }
}
