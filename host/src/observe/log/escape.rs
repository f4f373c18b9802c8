//! How values stand in a log line. nginx: `log_format … escape=`.

use std::borrow::Cow;

/// nginx's rules for values in a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escape {
    /// `"`, `\` and bytes outside 32 to 126 as `\xXX`; `-` for no value.
    #[default]
    Default,
    /// What JSON strings need; nothing for no value.
    Json,
    /// As it is; nothing for no value.
    None,
}

impl Escape {
    /// Append a value, or what stands for none.
    pub(super) fn put(self, value: Option<&[u8]>, line: &mut Vec<u8>) {
        match (self, value) {
            (Self::Default, None) => line.push(b'-'),
            (_, None) => {}
            (Self::Default, Some(value)) => default(value, line),
            (Self::Json, Some(value)) => json(value, line),
            (Self::None, Some(value)) => line.extend_from_slice(value),
        }
    }
}

const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";

fn default(value: &[u8], line: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'"' | b'\\' | 0..=31 | 127.. => {
                line.extend_from_slice(b"\\x");
                hex(*byte, line);
            }
            _ => line.push(*byte),
        }
    }
}

/// Two upper-case digits.
fn hex(byte: u8, line: &mut Vec<u8>) {
    for digit in [byte >> 4, byte & 15] {
        line.extend(HEX_UPPER.get(usize::from(digit)));
    }
}

/// The inside of a JSON string; bytes above 127 pass, as in nginx.
fn json(value: &[u8], line: &mut Vec<u8>) {
    for byte in value {
        let short = match byte {
            b'"' | b'\\' => *byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            8 => b'b',
            12 => b'f',
            0..=31 => {
                line.extend_from_slice(b"\\u00");
                hex(*byte, line);
                continue;
            }
            _ => {
                line.push(*byte);
                continue;
            }
        };
        line.extend_from_slice(&[b'\\', short]);
    }
}

/// A whole JSON string. What is not UTF-8 is replaced: a line of JSON must be one.
pub(super) fn json_string(value: &[u8], line: &mut Vec<u8>) {
    line.push(b'"');
    match String::from_utf8_lossy(value) {
        Cow::Borrowed(text) => json(text.as_bytes(), line),
        Cow::Owned(text) => json(text.as_bytes(), line),
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(escape: Escape, value: Option<&[u8]>) -> Vec<u8> {
        let mut line = Vec::new();
        escape.put(value, &mut line);
        line
    }

    #[test]
    fn as_nginx_does() {
        let value = b"a\"b\\c\n\x01\x7f\xff/".as_slice();
        assert_eq!(put(Escape::Default, Some(value)), br"a\x22b\x5Cc\x0A\x01\x7F\xFF/");
        assert_eq!(put(Escape::Json, Some(value)), b"a\\\"b\\\\c\\n\\u0001\x7f\xff/");
        assert_eq!(put(Escape::None, Some(value)), value);
        assert_eq!(put(Escape::Default, None), b"-");
        assert_eq!(put(Escape::Default, Some(b"")), b"");
        assert_eq!(put(Escape::Json, None), b"");
        assert_eq!(put(Escape::None, None), b"");
    }

    #[test]
    fn a_json_string_is_one() {
        let mut line = Vec::new();
        json_string(b"\xff\x1f\"\x08", &mut line);
        let text: String = serde_json::from_slice(&line).unwrap();
        assert_eq!(text, "\u{fffd}\u{1f}\"\u{8}");
    }
}
