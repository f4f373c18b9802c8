//! Bodies out of bytes (RFC 9112 §6, §7.1).

use bytes::{Buf, Bytes, BytesMut};

use super::Length;
use super::parse::MAX_LINES;
use crate::message::{Fields, Lines};

/// The longest chunk-size line, with its extensions.
const LONGEST_SIZE_LINE: usize = 4 << 10;
/// The largest trailer section.
const LARGEST_TRAILERS: usize = 16 << 10;

/// What must not come behind a body, where it could frame or route the message anew for a
/// reader that puts trailers among the headers (RFC 9110 §6.5.1). Such lines are left out.
const FORBIDDEN: [&str; 11] = [
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "authorization",
];

/// Whether a line of this name may come behind a body.
pub fn may_trail(name: &[u8]) -> bool {
    !FORBIDDEN.iter().any(|other| other.as_bytes().eq_ignore_ascii_case(name))
}

/// Where in a body a reader is.
#[derive(Debug)]
pub struct Decoder {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes are left.
    Left(u64),
    /// A chunk-size line comes.
    Size,
    /// So many bytes of the chunk are left.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    /// The trailer section, which may be empty.
    Trailers,
    /// All until the connection ends.
    Rest,
    /// The body has ended.
    End,
}

/// What a look at the bytes came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes are needed.
    More,
    /// A piece of the body.
    Data(Bytes),
    /// The end of a chunked body, with trailers.
    Trailers(Fields),
    /// The body has ended.
    End,
}

/// Bytes that are not a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadBody(&'static str);

impl Decoder {
    /// At the beginning of a body.
    pub fn new(length: Length) -> Self {
        let state = match length {
            Length::Known(0) => State::End,
            Length::Known(length) => State::Left(length),
            Length::Chunked => State::Size,
            Length::UntilClose => State::Rest,
        };
        Self { state }
    }

    /// Whether the body has ended.
    pub fn is_end(&self) -> bool {
        self.state == State::End
    }

    /// Whether the connection's end is this body's end.
    pub fn ends_with_connection(&self) -> bool {
        self.state == State::Rest
    }

    /// Take what can be taken out of the bytes.
    ///
    /// # Errors
    /// Where they break the grammar; no later byte can be trusted.
    pub fn step(&mut self, bytes: &mut BytesMut) -> Result<Step, BadBody> {
        loop {
            match self.state {
                State::End => return Ok(Step::End),
                State::Rest if bytes.is_empty() => return Ok(Step::More),
                State::Rest => return Ok(Step::Data(bytes.split().freeze())),
                State::Left(left) | State::Chunk(left) => return Ok(self.data(left, bytes)),
                State::Size => match size_line(bytes)? {
                    None => return Ok(Step::More),
                    Some(0) => self.state = State::Trailers,
                    Some(size) => self.state = State::Chunk(size),
                },
                State::ChunkEnd => match bytes.get(..2) {
                    Some(b"\r\n") => {
                        bytes.advance(2);
                        self.state = State::Size;
                    }
                    None if bytes.is_empty() || bytes.first() == Some(&b'\r') => return Ok(Step::More),
                    _ => return Err(BadBody("no line end behind a chunk")),
                },
                State::Trailers => return self.trailers(bytes),
            }
        }
    }

    fn data(&mut self, left: u64, bytes: &mut BytesMut) -> Step {
        if bytes.is_empty() {
            return Step::More;
        }
        let piece = bytes.split_to(usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())).freeze();
        let left = left.saturating_sub(piece.len() as u64);
        self.state = match (self.state, left) {
            (State::Chunk(_), 0) => State::ChunkEnd,
            (State::Chunk(_), left) => State::Chunk(left),
            (_, 0) => State::End,
            (_, left) => State::Left(left),
        };
        Step::Data(piece)
    }

    fn trailers(&mut self, bytes: &mut BytesMut) -> Result<Step, BadBody> {
        let mut lines = [httparse::EMPTY_HEADER; MAX_LINES];
        let (length, located) = match httparse::parse_headers(bytes, &mut lines) {
            Ok(httparse::Status::Complete((length, lines))) => {
                (length, Lines::locate(bytes, lines.iter().map(|line| (line.name, line.value))))
            }
            Ok(httparse::Status::Partial) if bytes.len() > LARGEST_TRAILERS => {
                return Err(BadBody("the trailers are too large"));
            }
            Ok(httparse::Status::Partial) => return Ok(Step::More),
            Err(_) => return Err(BadBody("bad trailers")),
        };
        let text = bytes.split_to(length).to_vec();
        // httparse takes a bare LF for a line end, which other readers of trailers may not.
        if text
            .iter()
            .enumerate()
            .any(|(at, byte)| *byte == b'\n' && !text.get(..at).is_some_and(|t| t.ends_with(b"\r")))
        {
            return Err(BadBody("a bare line end in the trailers"));
        }
        let mut fields = Fields::of_text(text, located);
        fields.retain(may_trail);
        self.state = State::End;
        Ok(if fields.is_empty() { Step::End } else { Step::Trailers(fields) })
    }
}

/// The size of the next chunk; none where its line is not whole. Extensions are dropped
/// (RFC 9112 §7.1.1).
fn size_line(bytes: &mut BytesMut) -> Result<Option<u64>, BadBody> {
    let Some(end) = bytes.iter().take(LONGEST_SIZE_LINE).position(|byte| *byte == b'\n') else {
        return match bytes.len() < LONGEST_SIZE_LINE {
            // Garbage is refused before its line has an end.
            true if bytes.iter().take(1).all(u8::is_ascii_hexdigit) => Ok(None),
            true => Err(BadBody("a bad chunk size")),
            false => Err(BadBody("the line of a chunk size is too long")),
        };
    };
    let line = bytes.split_to(end + 1);
    // httparse takes a bare line end within an extension for a part of it.
    // It also takes an empty line for a size of 0.
    let whole = line.first().is_some_and(u8::is_ascii_hexdigit)
        && line.ends_with(b"\r\n")
        && !line.iter().rev().skip(2).any(|byte| *byte == b'\r');
    match httparse::parse_chunk_size(&line) {
        Ok(httparse::Status::Complete((length, size))) if whole && length == line.len() => Ok(Some(size)),
        _ => Err(BadBody("a bad chunk size")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked(text: &str) -> Result<(String, usize, bool), BadBody> {
        let mut decoder = Decoder::new(Length::Chunked);
        let mut bytes = BytesMut::from(text);
        let (mut body, mut trailers) = (String::new(), 0);
        loop {
            match decoder.step(&mut bytes)? {
                Step::Data(piece) => body.push_str(std::str::from_utf8(&piece).unwrap()),
                Step::Trailers(fields) => trailers = fields.len(),
                Step::More => return Ok((body, trailers, false)),
                Step::End => return Ok((body, trailers, true)),
            }
        }
    }

    #[test]
    fn chunks() {
        assert_eq!(chunked("5\r\nhello\r\n2;a=b\r\n, \r\n0\r\n\r\n"), Ok(("hello, ".into(), 0, true)));
        assert_eq!(chunked("1\r\na\r\n0\r\nX: 1\r\nY: 2\r\n\r\n"), Ok(("a".into(), 2, true)));
        assert_eq!(chunked("0\r\nX: 1\r\nContent-Length: 5\r\nhost: y\r\n\r\n"), Ok((String::new(), 1, true)));
        assert_eq!(chunked("A\r\n0123"), Ok(("0123".into(), 0, false)));
        assert_eq!(chunked("1\r\na\r"), Ok(("a".into(), 0, false)));
    }

    #[test]
    fn what_is_not_chunks() {
        for bad in [
            "zz\r\n",
            "z",
            "-5\r\nhello",
            "5\nhello",
            "5\r\nhelloX0\r\n\r\n",
            "1;a\nb\r\nx\r\n",
            "1;a\rb\r\nx\r\n",
            " 5\r\nhello",
            "5 5\r\nhello",
            "0x5\r\nhello",
            "10000000000000000\r\n",
            "0\r\nbad line\r\n\r\n",
            "0\r\nX: 1\n\r\n",
            "0\r\nX: 1\r\n\n",
            "\r\n",
        ] {
            assert!(chunked(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_known_length_leaves_what_follows() {
        let mut decoder = Decoder::new(Length::Known(3));
        let mut bytes = BytesMut::from("abcdef");
        assert_eq!(decoder.step(&mut bytes), Ok(Step::Data(Bytes::from("abc"))));
        assert!(decoder.is_end());
        assert_eq!(bytes, "def");
    }
}
