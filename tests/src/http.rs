//! HTTP/1.1 messages: bodies read with their framing, and answers for a backend to give.

use crate::head::Head;
use crate::wire::Wire;

/// A message's body and how it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// Its bytes.
    pub data: Vec<u8>,
    /// Whether it was chunked.
    pub chunked: bool,
    /// The trailer lines after it: name as sent, value.
    pub trailers: Vec<(String, String)>,
}

impl Body {
    /// The bytes as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

/// What a backend was asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The head.
    pub head: Head,
    /// The body, whole.
    pub body: Body,
    /// Which of the backend's connections it came over, from 1.
    pub connection: usize,
}

/// What a backend answers.
#[derive(Debug, Clone)]
pub struct Response {
    head: String,
    body: Vec<u8>,
    framed: bool,
}

impl Response {
    /// A response with a status and no body.
    pub fn new(status: u16) -> Self {
        Self { head: format!("HTTP/1.1 {status} Because\r\n"), body: Vec::new(), framed: false }
    }

    /// 200 with a text.
    pub fn text(text: impl AsRef<[u8]>) -> Self {
        Self::new(200).body(text)
    }

    /// These bytes and nothing else.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self { head: String::new(), body: bytes.as_ref().to_vec(), framed: true }
    }

    /// With a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// With a body of known length.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// With a body in these chunks, and these trailer lines (each with its CR LF).
    #[must_use]
    pub fn chunked(mut self, chunks: &[&str], trailers: &str) -> Self {
        self.head.push_str("Transfer-Encoding: chunked\r\n");
        self.framed = true;
        self.body = chunks.iter().flat_map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()).into_bytes()).collect();
        self.body.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
        self
    }

    /// Its bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.head.clone().into_bytes();
        if self.head.is_empty() {
            return self.body.clone();
        }
        let bodyless = ["HTTP/1.1 204", "HTTP/1.1 304", "HTTP/1.1 1"].iter().any(|start| self.head.starts_with(start));
        if !self.framed && !bodyless {
            out.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

/// Read the body that follows a head. A response without framing goes on until the end
/// of the stream; `to_head` says that it answers a HEAD and has none.
#[track_caller]
pub fn read_body(wire: &mut Wire, head: &Head, to_head: bool) -> Body {
    let response = head.start.starts_with("HTTP/");
    if to_head || (response && matches!(head.status(), 100..=199 | 204 | 304)) {
        return Body::default();
    }
    if head.lists("transfer-encoding", "chunked") {
        return read_chunked(wire);
    }
    let data = match head.get("content-length") {
        Some(length) => wire.read_exact(length.parse().expect("a length")),
        None if response => wire.read_until_close(),
        None => Vec::new(),
    };
    Body { data, ..Body::default() }
}

/// Read one chunk; empty for the last.
#[track_caller]
pub fn read_chunk(wire: &mut Wire) -> Vec<u8> {
    let line = wire.read_line();
    let size = line.split(';').next().unwrap_or_default().trim();
    let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
    if size == 0 {
        return Vec::new();
    }
    let data = wire.read_exact(size);
    wire.expect("\r\n");
    data
}

#[track_caller]
fn read_chunked(wire: &mut Wire) -> Body {
    let mut body = Body { chunked: true, ..Body::default() };
    loop {
        let chunk = read_chunk(wire);
        if chunk.is_empty() {
            break;
        }
        body.data.extend_from_slice(&chunk);
    }
    loop {
        let line = wire.read_line();
        let Some((name, value)) = line.split_once(':') else {
            assert!(line.is_empty(), "no trailer line: {line:?}");
            return body;
        };
        body.trailers.push((name.to_owned(), value.trim().to_owned()));
    }
}
