//! Just enough WebSocket for a load generator: the handshake's text, the accept value and
//! frame headers (RFC 6455 sections 1.3, 4.2, 5.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The one user that the configurations of all subjects know.
pub(crate) const USER: &str = "bench";
/// Their password.
pub(crate) const PASSWORD: &str = "tide-and-gate";
/// The one `Host` in use, also the site's name.
pub(crate) const HOST: &str = "ws.example.com";
/// An origin that the configurations allow by a wildcard.
pub(crate) const ORIGIN: &str = "https://app.example.com";

/// The line of an htpasswd file for [`USER`], scheme `{SHA}`.
pub(crate) fn htpasswd_line() -> String {
    format!("{USER}:{{SHA}}{}\n", STANDARD.encode(Sha1::digest(PASSWORD)))
}

/// The value of `Sec-WebSocket-Accept` for a key.
pub(crate) fn accept_of(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// A key that differs from request to request.
pub(crate) fn key_of(number: u64) -> String {
    let mut bytes = [0x5a; 16];
    for (slot, byte) in bytes.iter_mut().zip(number.to_be_bytes()) {
        *slot = byte;
    }
    STANDARD.encode(bytes)
}

/// A request as a browser sends it: fourteen header lines for a handshake.
pub(crate) struct RequestText {
    before_key: String,
    after_key: &'static str,
}

impl RequestText {
    /// A handshake for a path.
    pub(crate) fn handshake(path: &str) -> Self {
        let before_key = format!(
            "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{}\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
             Sec-WebSocket-Key: ",
            browser_lines()
        );
        Self { before_key, after_key: "\r\n\r\n" }
    }

    /// The text with a key filled in.
    pub(crate) fn with_key(&self, key: &str) -> String {
        [&self.before_key, key, self.after_key].concat()
    }

    /// A plain request for a path, connection kept alive.
    pub(crate) fn plain_get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{}\r\n", browser_lines())
    }
}

fn browser_lines() -> String {
    let credentials = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    format!(
        "Pragma: no-cache\r\nCache-Control: no-cache\r\nAuthorization: Basic {credentials}\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
         Origin: {ORIGIN}\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n\
         Cookie: session=3f1c6f6e2b7a4a0e9d1d7f0a; theme=dark\r\n"
    )
}

/// A whole binary message. A client's is masked with a key of zeros, which is a legal key
/// and leaves the payload as it is, so that masking costs the generator nothing.
pub(crate) fn message(payload: &[u8], from_client: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 14);
    header_into(&mut bytes, payload.len() as u64, from_client);
    bytes.extend_from_slice(payload);
    bytes
}

/// Write the header of a final binary frame.
pub(crate) fn header_into(out: &mut Vec<u8>, length: u64, from_client: bool) {
    let mask = if from_client { 0x80 } else { 0 };
    out.push(0x82);
    match length {
        0..=125 => out.push(mask | length as u8),
        126..=0xffff => {
            out.push(mask | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    if from_client {
        out.extend_from_slice(&[0; 4]);
    }
}

/// A payload that is not the same byte all over, so that a lost or doubled piece shows.
pub(crate) fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

/// A frame's header as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    /// Opcode, 0 to 15.
    pub(crate) opcode: u8,
    /// The masking key, where there is one.
    pub(crate) mask: Option<[u8; 4]>,
    /// Length of the payload.
    pub(crate) length: u64,
    /// Length of the header itself.
    pub(crate) size: usize,
}

impl FrameHead {
    /// Read a header from the start of some bytes; none where it is not complete yet.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk::<2>()?;
        let (length, rest) = match second & 0x7f {
            126 => rest.split_first_chunk::<2>().map(|(n, r)| (u64::from(u16::from_be_bytes(*n)), r))?,
            127 => rest.split_first_chunk::<8>().map(|(n, r)| (u64::from_be_bytes(*n), r))?,
            short => (u64::from(short), rest),
        };
        let (mask, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => rest.split_first_chunk::<4>().map(|(m, r)| (Some(*m), r))?,
        };
        Some(Self { opcode: first & 0x0f, mask, length, size: bytes.len() - rest.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_value_is_the_rfcs() {
        assert_eq!(accept_of(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn headers_read_back() {
        for length in [0, 125, 126, 65_535, 65_536, 1 << 20] {
            for client in [false, true] {
                let bytes = message(&payload(length), client);
                let head = FrameHead::read(&bytes).unwrap();
                assert_eq!((head.opcode, head.length), (2, length as u64));
                assert_eq!(head.size + length, bytes.len());
                assert_eq!(head.mask, client.then_some([0; 4]));
                assert_eq!(FrameHead::read(&bytes[..head.size - 1]), None);
            }
        }
    }

    #[test]
    fn htpasswd_line_is_what_nginx_reads() {
        // `printf %s tide-and-gate | openssl sha1 -binary | base64`
        assert_eq!(htpasswd_line(), "bench:{SHA}HWBi3BTDCgj61vYGq2aMqULrhwc=\n");
    }

    #[test]
    fn a_handshake_has_a_head_that_ends() {
        let text = RequestText::handshake("/ws/echo").with_key(&key_of(7));
        assert!(text.ends_with("\r\n\r\n"));
        assert_eq!(text.matches("\r\n\r\n").count(), 1);
        assert_eq!(text.lines().count(), 1 + 14 + 1);
    }
}
