//! The one body type, for both directions and every protocol version.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::time::Instant;

use crate::error::Error;
use crate::http1::Length;
use crate::message::Fields;

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
#[derive(Debug, Default)]
pub struct Meter {
    bytes: AtomicU64,
    done_at: OnceLock<Instant>,
}

impl Meter {
    /// Bytes that passed.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// When all of it had passed; none while it goes on.
    pub fn done_at(&self) -> Option<Instant> {
        self.done_at.get().copied()
    }
}

/// A client's body with a meter.
pub struct Metered {
    body: Body,
    meter: Arc<Meter>,
}

impl Metered {
    /// Put a meter on a body.
    pub fn new(body: Body, meter: Arc<Meter>) -> Self {
        Self { body, meter }
    }
}

impl Source for Metered {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        let polled = self.body.poll_piece(cx);
        match &polled {
            Poll::Ready(Ok(Piece::Data(data))) => {
                self.meter.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
            }
            Poll::Ready(Ok(Piece::End | Piece::Trailers(_))) => {
                self.meter.done_at.get_or_init(Instant::now);
            }
            _ => {}
        }
        polled
    }

    fn length(&self) -> Length {
        self.body.length()
    }
}
