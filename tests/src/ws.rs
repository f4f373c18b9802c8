//! As much of RFC 6455 as tests need: the accept value and frames.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// The key of RFC 6455 section 1.3.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The mask that [`Frame::masked`] uses: that of RFC 6455 section 5.7.
pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Text frame.
pub const TEXT: u8 = 1;
/// Binary frame.
pub const BINARY: u8 = 2;
/// Close frame.
pub const CLOSE: u8 = 8;
/// Ping frame.
pub const PING: u8 = 9;
/// Pong frame.
pub const PONG: u8 = 10;

/// The value of `Sec-WebSocket-Accept` for a key (RFC 6455 section 4.2.2).
pub fn accept(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// A client's handshake for `path`, with the guides' headers and some more header lines
/// (each with its CR LF).
pub fn handshake(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: ws.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// A server's answer to a handshake with `key`, with some more header lines.
pub fn switching(key: &str, more: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{more}\r\n",
        accept(key)
    )
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Whether it ends its message.
    pub fin: bool,
    /// What it carries: [`TEXT`], [`BINARY`], [`CLOSE`] …
    pub opcode: u8,
    /// Its payload, unmasked.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A whole text message.
    pub fn text(text: &str) -> Self {
        Self { fin: true, opcode: TEXT, payload: text.as_bytes().to_vec() }
    }

    /// A whole binary message.
    pub fn binary(payload: &[u8]) -> Self {
        Self { fin: true, opcode: BINARY, payload: payload.to_vec() }
    }

    /// A close frame with a code.
    pub fn close(code: u16) -> Self {
        Self { fin: true, opcode: CLOSE, payload: code.to_be_bytes().to_vec() }
    }

    /// Its bytes as a server sends them.
    pub fn bytes(&self) -> Vec<u8> {
        self.encode(None)
    }

    /// Its bytes as a client sends them, masked with [`MASK`].
    pub fn masked(&self) -> Vec<u8> {
        self.encode(Some(MASK))
    }

    fn encode(&self, mask: Option<[u8; 4]>) -> Vec<u8> {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut out = vec![self.opcode | if self.fin { 0x80 } else { 0 }];
        match self.payload.len() {
            n @ 0..=125 => out.push(bit | n as u8),
            n @ 126..=0xFFFF => {
                out.push(bit | 126);
                out.extend_from_slice(&(n as u16).to_be_bytes());
            }
            n => {
                out.push(bit | 127);
                out.extend_from_slice(&(n as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(mask.as_ref().map_or(&[][..], |m| m));
        let key = mask.unwrap_or_default();
        out.extend(self.payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
        out
    }
}
