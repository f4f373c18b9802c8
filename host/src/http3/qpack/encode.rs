//! Field sections, written. What is in the static table is named by it; the rest is written out
//! plainly: the Huffman code would make answers a little shorter and dearer.

use super::statics::{STATUS, of_answers, of_status};

/// A field section (RFC 9204 §4.5).
#[derive(Debug)]
pub struct Section(Vec<u8>);

impl Section {
    /// One without lines.
    pub fn new() -> Self {
        // Neither Required Insert Count nor Base: there is no dynamic table.
        Self(vec![0, 0])
    }

    /// Add `:status`.
    pub fn status(&mut self, status: u16) {
        if let Some(index) = of_status(status) {
            return integer(&mut self.0, 0b1100_0000, 6, usize::from(index));
        }
        integer(&mut self.0, 0b0101_0000, 4, usize::from(STATUS));
        string(&mut self.0, status.to_string().as_bytes());
    }

    /// Add a line. The name is written in lower case (RFC 9114 §4.2).
    pub fn line(&mut self, name: &str, value: &[u8]) {
        let lower;
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = name.to_ascii_lowercase();
            &lower
        } else {
            name
        };
        match of_answers(name) {
            Some(index) => {
                integer(&mut self.0, 0b0101_0000, 4, usize::from(index));
                string(&mut self.0, value);
            }
            None => self.raw(name.as_bytes(), value),
        }
    }

    /// Add a line as it is, with its name written out.
    pub fn raw(&mut self, name: &[u8], value: &[u8]) {
        integer(&mut self.0, 0b0010_0000, 3, name.len());
        self.0.extend_from_slice(name);
        string(&mut self.0, value);
    }

    /// Its bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Default for Section {
    fn default() -> Self {
        Self::new()
    }
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    integer(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

/// A number behind the bits of `mark`, in the `room` lower bits of a byte and, where it has no
/// room there, in more bytes (RFC 7541 §5.1).
fn integer(out: &mut Vec<u8>, mark: u8, room: u32, number: usize) {
    let most = (1_u8 << room) - 1;
    match u8::try_from(number).ok().filter(|number| *number < most) {
        Some(number) => out.push(mark | number),
        None => {
            out.push(mark | most);
            let mut rest = number - usize::from(most);
            while rest > 0x7f {
                out.push(0x80 | u8::try_from(rest & 0x7f).unwrap_or_default());
                rest >>= 7;
            }
            out.push(u8::try_from(rest).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut section = Section::new();
        section.status(200);
        section.status(418);
        let long = "v".repeat(20_000);
        let lines = [("Content-Type", "text/html"), ("X-Own", ""), ("x-a-rather-long-name", long.as_str())];
        for (name, value) in lines {
            section.line(name, value.as_bytes());
        }
        let mut read = Vec::new();
        let keep = |name: &[u8], value: &[u8]| {
            read.push((String::from_utf8(name.to_vec()).unwrap(), String::from_utf8(value.to_vec()).unwrap()));
        };
        decode(&section.into_bytes(), 1 << 20, keep).unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut wanted = vec![(":status", "200"), (":status", "418"), ("content-type", "text/html"), ("x-own", "")];
        wanted.push(("x-a-rather-long-name", &long));
        assert_eq!(read, wanted);
    }

    /// RFC 7541 Appendix C.1.
    #[test]
    fn numbers() {
        let of = |room, number| {
            let mut out = Vec::new();
            integer(&mut out, 0, room, number);
            out
        };
        assert_eq!((of(5, 10), of(5, 1337)), (vec![0b01010], vec![0b11111, 0b1001_1010, 0b0000_1010]));
        assert_eq!(of(5, 31), [31, 0]);
    }
}
