//! Compression of bodies while they pass. nginx: `gzip`.

mod accept;
mod encoder;

use std::task::{Context, Poll};

use bytes::Bytes;

pub use accept::choose;
use encoder::Encoder;

use crate::body::{Body, Piece, Source};
use crate::config::{Coding, Compress};
use crate::error::Error;
use crate::http1::Length;
use crate::message::Fields;

/// The most that is compressed without giving other work on this thread its turn, bytes.
const TURN: usize = 64 << 10;

/// What comes out by less is kept for the next piece or the flush, bytes.
const LEAST: usize = 512;

/// A body, compressed.
pub struct Compressed {
    body: Body,
    /// What of the last piece is not compressed yet.
    rest: Bytes,
    /// None once it has ended.
    encoder: Option<Encoder>,
    /// Whether the encoder may hold back bytes that it was given.
    holds: bool,
    /// What stood at the end.
    trailers: Option<Fields>,
}

impl Compressed {
    /// Compress a body.
    ///
    /// # Errors
    /// Where the encoder cannot be made.
    pub fn new(body: Body, coding: Coding, settings: &Compress) -> Result<Self, Error> {
        let encoder = Some(Encoder::new(coding, settings)?);
        Ok(Self { body, rest: Bytes::new(), encoder, holds: false, trailers: None })
    }

    /// The end: what the encoder still has, then trailers.
    fn end(&mut self) -> Result<Piece, Error> {
        if let Some(encoder) = self.encoder.take() {
            let last = encoder.finish()?;
            if !last.is_empty() {
                return Ok(Piece::Data(last.into()));
            }
        }
        Ok(self.trailers.take().map_or(Piece::End, Piece::Trailers))
    }

    /// Compress what waits of the last piece; what comes out, if something does.
    fn step(&mut self) -> Result<Option<Piece>, Error> {
        let Some(encoder) = &mut self.encoder else { return Ok(None) };
        let turn = self.rest.split_to(self.rest.len().min(TURN));
        self.holds = true;
        encoder.write(&turn)?;
        Ok(if encoder.waiting() < LEAST { None } else { some(encoder.take()) })
    }
}

fn some(bytes: Vec<u8>) -> Option<Piece> {
    (!bytes.is_empty()).then(|| Piece::Data(bytes.into()))
}

impl Source for Compressed {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        let mut stepped = false;
        loop {
            if !self.rest.is_empty() {
                if stepped {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                stepped = true;
                if let Some(piece) = self.step()? {
                    return Poll::Ready(Ok(piece));
                }
                continue;
            }
            if self.encoder.is_none() {
                return Poll::Ready(self.end());
            }
            match self.body.poll_piece(cx)? {
                Poll::Ready(Piece::Data(data)) => self.rest = data,
                Poll::Ready(Piece::Trailers(trailers)) => {
                    self.trailers = Some(trailers);
                    return Poll::Ready(self.end());
                }
                Poll::Ready(Piece::End) => return Poll::Ready(self.end()),
                // Whoever reads events must see them now, not when the encoder is full.
                Poll::Pending => return self.poll_flush(),
            }
        }
    }

    fn length(&self) -> Length {
        Length::Chunked
    }
}

impl Compressed {
    fn poll_flush(&mut self) -> Poll<Result<Piece, Error>> {
        let Some(encoder) = self.encoder.as_mut().filter(|_| self.holds) else { return Poll::Pending };
        self.holds = false;
        encoder.flush()?;
        some(encoder.take()).map_or(Poll::Pending, |piece| Poll::Ready(Ok(piece)))
    }
}

#[cfg(test)]
mod tests;
