//! The one body type, for both directions and every protocol version.

mod http2;

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::error::Error;
use crate::http1::Length;
use crate::message::Fields;
pub use http2::Incoming;

/// A body on its way through.
#[derive(Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// One piece that the proxy made itself.
    Full(Bytes),
    /// Pieces that come from somewhere else.
    Stream(Box<dyn Source>),
}

/// What a body comes from. It is asked for one piece after the other, so whoever takes the
/// pieces slowly slows the other side down.
pub trait Source: Send {
    /// The next piece. Not asked again after an end or an error.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>>;

    /// How long the whole is.
    fn length(&self) -> Length;
}

/// A part of a body.
#[derive(Debug)]
pub enum Piece {
    /// Bytes, at least one.
    Data(Bytes),
    /// The end, with trailers.
    Trailers(Fields),
    /// The end.
    End,
}

impl Body {
    /// How long it is.
    pub fn length(&self) -> Length {
        match self {
            Self::Empty => Length::Known(0),
            Self::Full(bytes) => Length::Known(bytes.len() as u64),
            Self::Stream(source) => source.length(),
        }
    }

    /// The next piece.
    ///
    /// # Errors
    /// Where it breaks off.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        match self {
            Self::Empty => Poll::Ready(Ok(Piece::End)),
            Self::Full(bytes) => {
                let piece = std::mem::take(bytes);
                Poll::Ready(Ok(if piece.is_empty() { Piece::End } else { Piece::Data(piece) }))
            }
            Self::Stream(source) => source.poll_piece(cx),
        }
    }
}

/// What is known of a client's body while it goes upstream: shared between the body and the
/// exchange.
#[derive(Debug)]
pub struct Meter {
    bytes: AtomicU64,
    begun: Instant,
    /// Nanoseconds after `begun`, and one more; 0 where it goes on.
    done: AtomicU64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { bytes: AtomicU64::new(0), begun: Instant::now(), done: AtomicU64::new(0) }
    }
}

impl Meter {
    /// Bytes that came from the client.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// When all of it had passed to the peer that is asked now; none while it goes on.
    pub fn done_at(&self) -> Option<Instant> {
        let nanos = self.done.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.begun + Duration::from_nanos(nanos))
    }

    /// So many bytes more have come.
    pub fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All of it has passed.
    pub fn done(&self) {
        let nanos = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX - 1);
        self.done.store(nanos.saturating_add(1), Ordering::Relaxed);
    }

    /// It goes to another peer from its start.
    pub fn again(&self) {
        self.done.store(0, Ordering::Relaxed);
    }
}
