//! Heads out of bytes.

use std::mem::MaybeUninit;

use http::{Method, StatusCode, Version};

use crate::message::{Fields, Lines, RequestHead, ResponseHead};

/// Header lines that a head may have, on either side. nginx has no limit but the head's
/// size, and browsers with many cookies pass 100.
pub(super) const MAX_LINES: usize = 256;

/// Attempts to parse a head that is not whole yet: it may be wrong from its first byte on.
/// Beyond them only a head that has its end is parsed, or each byte of a slow client would
/// cost a look at all before it.
const EAGER: u8 = 16;

/// Why bytes are not a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They break the grammar (RFC 9112 §3 to §5).
    #[error("{0}")]
    Grammar(#[from] httparse::Error),
    /// More header lines than are read.
    #[error("more than {MAX_LINES} header lines")]
    TooManyLines,
    /// The request line is longer than a line may be.
    #[error("the request line is too long")]
    LineTooLong,
    /// A header line, or the head, is larger than it may be.
    #[error("the head is too large")]
    TooLarge,
    /// A version that is not spoken: only HTTP/1.0 and HTTP/1.1 are.
    #[error("not a version that is spoken here")]
    Version,
}

/// How large a head may be, bytes. nginx: `large_client_header_buffers`.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// All of it.
    pub head: usize,
    /// Each line.
    pub line: usize,
}

impl HeadLimits {
    /// Hold a head that came in another form to what holds in HTTP/1.1: its request line as
    /// `GET /path HTTP/1.1` would have been, its header lines, and how many they are.
    ///
    /// # Errors
    /// What is too long, too large or too many.
    pub fn check(self, method: &Method, target: &str, fields: &Fields) -> Result<(), Malformed> {
        if method.as_str().len() + target.len() + "  HTTP/1.1\r\n".len() > self.line {
            return Err(Malformed::LineTooLong);
        }
        if fields.len() > MAX_LINES {
            return Err(Malformed::TooManyLines);
        }
        self.check_lines(fields.iter().map(|(name, value)| name.len() + value.len()))
    }

    /// Header lines of these lengths, name and value.
    fn check_lines(self, lengths: impl Iterator<Item = usize>) -> Result<(), Malformed> {
        if lengths.max().unwrap_or(0) > self.line { Err(Malformed::TooLarge) } else { Ok(()) }
    }
}

/// Collects a head's bytes, and what comes behind it.
#[derive(Debug, Default)]
pub struct HeadReader {
    /// What was read and not taken yet.
    pub buffer: Vec<u8>,
    attempts: u8,
    /// Bytes that were searched for the head's end.
    searched: usize,
}

impl HeadReader {
    /// Bytes were read ahead.
    pub fn new(buffer: Vec<u8>) -> Self {
        Self { buffer, attempts: 0, searched: 0 }
    }

    /// A request's head, once it is whole. What comes behind it stays in the buffer.
    ///
    /// # Errors
    /// What is wrong with it; the connection cannot be read any further.
    pub fn request(&mut self, most: HeadLimits) -> Result<Option<RequestHead>, Malformed> {
        if !self.is_worth_a_try() {
            return self.check_size(most);
        }
        let mut lines = [const { MaybeUninit::uninit() }; MAX_LINES];
        let mut request = httparse::Request::new(&mut []);
        let parsed =
            httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut request, &self.buffer, &mut lines);
        let length = match parsed {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return self.check_size(most),
            Err(httparse::Error::TooManyHeaders) => return Err(Malformed::TooManyLines),
            Err(httparse::Error::Version) if self.names_a_version() => return Err(Malformed::Version),
            Err(error) => return Err(error.into()),
        };
        self.check_request_line(most)?;
        if length > most.head {
            return Err(Malformed::TooLarge);
        }
        most.check_lines(request.headers.iter().map(|line| line.name.len() + line.value.len()))?;
        let method = request.method.unwrap_or_default();
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| httparse::Error::Token)?;
        let target = request.path.unwrap_or_default().to_owned();
        let version = if request.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
        let lines = Lines::locate(&self.buffer, request.headers.iter().map(|line| (line.name, line.value)));
        let fields = self.take(length, lines);
        Ok(Some(RequestHead { method, target, version, fields }))
    }

    /// A response's head and its version, once it is whole.
    ///
    /// # Errors
    /// What is wrong with it; the connection cannot be read any further.
    pub fn response(&mut self, most: usize) -> Result<Option<(ResponseHead, Version)>, Malformed> {
        if !self.is_worth_a_try() {
            return if self.buffer.len() > most { Err(Malformed::TooLarge) } else { Ok(None) };
        }
        let mut lines = [const { MaybeUninit::uninit() }; MAX_LINES];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            &self.buffer,
            &mut lines,
        );
        let length = match parsed {
            Ok(httparse::Status::Complete(length)) if length > most => return Err(Malformed::TooLarge),
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if self.buffer.len() > most => return Err(Malformed::TooLarge),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Malformed::TooManyLines),
            Err(error) => return Err(error.into()),
        };
        let status = StatusCode::from_u16(response.code.unwrap_or_default()).map_err(|_| httparse::Error::Status)?;
        let reason = response.reason.filter(|reason| Some(*reason) != status.canonical_reason()).map(Into::into);
        let version = if response.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
        let lines = Lines::locate(&self.buffer, response.headers.iter().map(|line| (line.name, line.value)));
        let fields = self.take(length, lines);
        Ok(Some((ResponseHead { status, reason, fields }, version)))
    }

    /// Whether the request line is one but for its version: `GET /a b HTTP/1.1` is not.
    fn names_a_version(&self) -> bool {
        let line = self.buffer.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut words = line.split(|byte| *byte == b' ');
        let version = words.nth(2).unwrap_or_default();
        words.next().is_none() && version.starts_with(b"HTTP/")
    }

    /// No head yet; and whether there can still be one.
    fn check_size<T>(&self, most: HeadLimits) -> Result<Option<T>, Malformed> {
        self.check_request_line(most)?;
        if self.buffer.len() <= most.head { Ok(None) } else { Err(Malformed::TooLarge) }
    }

    fn check_request_line(&self, most: HeadLimits) -> Result<(), Malformed> {
        let start = self.buffer.trim_ascii_start();
        let fits = start.len() <= most.line || start.iter().take(most.line).any(|byte| *byte == b'\n');
        if fits { Ok(()) } else { Err(Malformed::LineTooLong) }
    }

    fn is_worth_a_try(&mut self) -> bool {
        if self.attempts < EAGER {
            self.attempts += 1;
            return true;
        }
        // The end may begin in what was searched before.
        let from = self.searched.saturating_sub(3);
        self.searched = self.buffer.len();
        let new = self.buffer.get(from..).unwrap_or_default();
        new.windows(2).any(|pair| pair == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
    }

    /// Take a head out of the buffer: its text becomes the fields', without a copy.
    fn take(&mut self, length: usize, lines: Lines) -> Fields {
        let rest = self.buffer.split_off(length.min(self.buffer.len()));
        let text = std::mem::replace(&mut self.buffer, rest);
        (self.attempts, self.searched) = (0, 0);
        Fields::of_text(text, lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { head: 400, line: 200 };

    fn request(text: &str) -> Result<Option<RequestHead>, Malformed> {
        HeadReader::new(text.into()).request(LIMITS)
    }

    #[test]
    fn a_head_and_what_follows() {
        let mut reader = HeadReader::new(b"\r\nGET /a?b HTTP/1.1\r\nHost: x\r\nX-Two:  1 \r\n\r\nbody".to_vec());
        let head = reader.request(LIMITS).unwrap().unwrap();
        assert_eq!((head.method.as_str(), head.target.as_str(), head.version), ("GET", "/a?b", Version::HTTP_11));
        let lines: Vec<_> = head.fields.iter().map(|(n, v)| format!("{n}={}", v.escape_ascii())).collect();
        assert_eq!(lines, ["Host=x", "X-Two=1"]);
        assert_eq!(reader.buffer, b"body");
    }

    #[test]
    fn a_head_byte_by_byte() {
        let mut reader = HeadReader::default();
        let text = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
        for (i, byte) in text.iter().enumerate() {
            reader.buffer.push(*byte);
            let whole = reader.request(LIMITS).unwrap();
            assert_eq!(whole.is_some(), i + 1 == text.len(), "{i}");
        }
    }

    #[test]
    fn what_is_wrong_is_seen_at_once() {
        assert!(matches!(request("\x16\x03\x01"), Err(Malformed::Grammar(_))));
        assert_eq!(request("GET / HTTP/2.0\r\n\r\n").unwrap_err(), Malformed::Version);
        assert!(matches!(request("GET /a b HTTP/1.1\r\n\r\n"), Err(Malformed::Grammar(_))));
        assert!(matches!(request("GET / HTTP/1.1\r\nA : b\r\n\r\n"), Err(Malformed::Grammar(_))));
        assert!(matches!(request("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"), Err(Malformed::Grammar(_))));
    }

    #[test]
    fn sizes() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(300));
        assert_eq!(request(&long).unwrap_err(), Malformed::LineTooLong);
        let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(300));
        assert_eq!(request(&long).unwrap_err(), Malformed::TooLarge);
        let large = format!("GET / HTTP/1.1\r\n{}\r\n", "A: aaaaaaaaaaaaaaaa\r\n".repeat(30));
        assert_eq!(request(&large).unwrap_err(), Malformed::TooLarge);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_LINES + 1));
        assert_eq!(
            HeadReader::new(many.into()).request(HeadLimits { head: 1 << 16, line: 100 }).unwrap_err(),
            Malformed::TooManyLines
        );
    }

    /// Every form of a head is held to the same, on the same byte.
    #[test]
    fn sizes_of_a_head_in_another_form() {
        for extra in 0..4 {
            let target = format!("/{}", "a".repeat(200 - "GET / HTTP/1.1\r\n".len() - 2 + extra));
            let value = "b".repeat(200 - "X-A".len() - 2 + extra);
            let of = |target: &str, lines: &[(&str, &str)]| {
                let text: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let read = request(&format!("GET {target} HTTP/1.1\r\n{text}\r\n")).map(drop);
                let fields: Fields = lines.iter().copied().collect();
                assert_eq!(LIMITS.check(&Method::GET, target, &fields), read, "{extra}");
                read
            };
            let fits = extra <= 2;
            assert_eq!(of(&target, &[]), if fits { Ok(()) } else { Err(Malformed::LineTooLong) });
            assert_eq!(of("/", &[("X-A", &value)]), if fits { Ok(()) } else { Err(Malformed::TooLarge) });
        }
        let many: Fields = (0..=MAX_LINES).map(|_| ("A", "b")).collect();
        assert_eq!(LIMITS.check(&Method::GET, "/", &many), Err(Malformed::TooManyLines));
    }

    #[test]
    fn a_response() {
        let mut reader = HeadReader::new(b"HTTP/1.0 299 Odd one\r\nA: b\r\n\r\nrest".to_vec());
        let (head, version) = reader.response(100).unwrap().unwrap();
        assert_eq!((head.status.as_u16(), head.reason.as_deref(), version), (299, Some("Odd one"), Version::HTTP_10));
        assert_eq!(reader.buffer, b"rest");
    }
}
