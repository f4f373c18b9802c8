//! UTF-8 in pieces (RFC 6455 §5.6, §8.1).

/// How far bytes that grow at their end are known to be UTF-8.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Checked(usize);

impl Checked {
    /// Look at what has come since the last look; false where it cannot become UTF-8 any more. A
    /// character may still be incomplete at the end.
    pub(super) fn grown(&mut self, bytes: &[u8]) -> bool {
        let new = bytes.get(self.0..).unwrap_or_default();
        match std::str::from_utf8(new) {
            Ok(_) => self.0 = bytes.len(),
            Err(error) if error.error_len().is_none() => self.0 += error.valid_up_to(),
            Err(_) => return false,
        }
        true
    }

    /// The part of these bytes that is known to be UTF-8.
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(..self.0).unwrap_or_default()
    }

    /// Whether these bytes, all of which have been looked at, end with a whole character.
    pub(super) fn is_whole(self, bytes: &[u8]) -> bool {
        self.0 == bytes.len()
    }
}

/// At most `most` bytes of a text, cut before a character that does not fit.
pub(super) fn cut(text: &[u8], most: usize) -> &[u8] {
    let mut end = most.min(text.len());
    while end > 0 && text.get(end).is_some_and(|byte| byte & 0xC0 == 0x80) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a whole, and byte by byte.
    fn verdicts(bytes: &[u8]) -> (bool, bool) {
        let whole = std::str::from_utf8(bytes).is_ok();
        let mut checked = Checked::default();
        let grew = (0..=bytes.len()).all(|end| checked.grown(&bytes[..end]));
        (whole, grew && checked.is_whole(bytes))
    }

    #[test]
    fn pieces_are_judged_as_the_whole() {
        let texts: [&[u8]; 12] = [
            b"",
            "κόσμε".as_bytes(),
            "a\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}".as_bytes(),
            b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
            b"\xf4\x90\x80\x80",
            b"\xc0\xaf",
            b"\xe0\x80\xaf",
            b"\xed\xbf\xbf",
            b"\x80",
            b"abc\xff",
            b"\xe2\x82",
            b"\xf0\x9f\x98",
        ];
        for text in texts {
            let (whole, pieces) = verdicts(text);
            assert_eq!(whole, pieces, "{}", text.escape_ascii());
        }
    }

    /// The first byte that cannot be ends it, though the message goes on.
    #[test]
    fn it_is_told_as_soon_as_it_is_known() {
        let mut checked = Checked::default();
        assert!(checked.grown(b"ab\xf4"));
        assert!(!checked.grown(b"ab\xf4\x90"));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let text = "aé€😀".as_bytes();
        let cuts: Vec<usize> = (0..=text.len() + 1).map(|most| cut(text, most).len()).collect();
        assert_eq!(cuts, [0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10]);
    }
}
