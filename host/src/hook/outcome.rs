//! What becomes of an exchange: known bit by bit, and whole when it is logged.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Counts;

/// What has become of an exchange so far. Variables such as `$status` and `$upstream_addr`
/// are read from it; before a thing has happened they have no value, as in nginx.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// When the head was there.
    pub started: Option<Instant>,
    /// From the head to the end; none before the end.
    pub duration: Option<Duration>,
    /// The status for the client; 0 before it is known.
    pub status: u16,
    /// The peers that were asked, in order.
    pub tries: Vec<Try>,
    /// `done`, or the stable code of an error; empty before the end.
    pub cause: &'static str,
    /// Where in a tunnel's life this is; none where there is no tunnel.
    pub tunnel: Option<Moment>,
    /// Bytes from the client after the head.
    pub bytes_in: u64,
    /// Bytes to the client after the head.
    pub bytes_out: u64,
    /// Bytes of the answer's head.
    pub head_out: u64,
    /// Messages that were delivered; none where nobody looked into the tunnel.
    pub messages: Option<Counts>,
    /// The code of the close frame that ended the tunnel, where one was seen.
    pub close_code: Option<u16>,
}

/// One peer that was asked.
#[derive(Debug, Clone)]
pub struct Try {
    /// The peer's name.
    pub peer: Arc<str>,
    /// What it answered, or what the proxy made of its failure; 0 while there is neither.
    pub status: u16,
    /// When the proxy turned to it.
    pub began: Instant,
    /// Until a connection was there; none where that is not known.
    pub connect: Option<Duration>,
    /// Until the answer's head was there.
    pub header: Option<Duration>,
    /// Until the end of the answer, or of the try.
    pub response: Option<Duration>,
}

/// A moment in a tunnel's life, at which a line can be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It has opened.
    Open,
    /// It goes on.
    Alive,
    /// It has ended.
    End,
}

impl Moment {
    /// The value of `$tunnel_event`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Alive => "alive",
            Self::End => "end",
        }
    }
}

impl Try {
    /// The proxy turns to this peer now.
    pub fn new(peer: Arc<str>) -> Self {
        Self { peer, status: 0, began: Instant::now(), connect: None, header: None, response: None }
    }
}
