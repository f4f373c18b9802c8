//! The body of a peer's answer: watched for silence; at its end the connection goes back to
//! the pool.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

use super::asked::Asked;
use crate::body::{Piece, Source};
use crate::error::{Error, Kind, Side};
use crate::http1::{Decoder, Length, Step};
use crate::stream::Patience;

/// What a body is read by.
const ROOM: usize = 32 << 10;

/// A peer's body, with the rest of the request that it answers.
pub struct AnswerBody {
    /// None once the connection was given back or closed.
    asked: Option<Box<Asked>>,
    decoder: Decoder,
    bytes: BytesMut,
    length: Length,
    /// Whether the peer keeps the connection.
    keeps: bool,
    patience: Patience,
}

impl AnswerBody {
    pub(super) fn new(asked: Asked, length: Length, bytes: BytesMut, keeps: bool, read_timeout: Duration) -> Self {
        let (asked, decoder) = (Some(Box::new(asked)), Decoder::new(length));
        Self { asked, decoder, bytes, length, keeps, patience: Patience::new(read_timeout) }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        ready!(self.patience.poll(cx));
        self.asked = None;
        Poll::Ready(Err(Kind::ReadTimeout.into()))
    }

    /// The body has ended: keep the connection if it can serve another request.
    fn end(&mut self) {
        let Some(mut asked) = self.asked.take() else { return };
        asked.lease.finished();
        // Bytes behind the body belong to no answer.
        if self.keeps && asked.is_sent() && self.bytes.is_empty() {
            asked.link.give_back();
        } else {
            asked.link.close();
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        let Some(asked) = &mut self.asked else { return Poll::Ready(Ok(0)) };
        let stream = &mut asked.link.stream;
        if self.bytes.capacity() - self.bytes.len() < ROOM / 4 {
            // Memory only for bytes that are there.
            ready!(stream.get_ref().poll_read_ready(cx)).map_err(|e| Error::from_peer(&e))?;
            self.bytes.reserve(ROOM);
        }
        pin!(stream.read_buf(&mut self.bytes)).poll(cx).map_err(|e| Error::from_peer(&e))
    }
}

impl Source for AnswerBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        if let Some(asked) = self.asked.as_mut().filter(|asked| !asked.is_sent()) {
            // The answer counts, whatever becomes of the rest of the request; unless a plugin ended it.
            if let Err(error) = asked.send(cx)
                && error.kind.side() == Side::Plugin
            {
                self.asked = None;
                return Poll::Ready(Err(error));
            }
        }
        loop {
            let step = self.decoder.step(&mut self.bytes);
            match step.map_err(|e| Error::new(Kind::BadResponse, e.to_string()))? {
                Step::Data(data) => return Poll::Ready(Ok(Piece::Data(data))),
                Step::Trailers(trailers) => {
                    self.end();
                    return Poll::Ready(Ok(Piece::Trailers(trailers)));
                }
                Step::End => {
                    self.end();
                    return Poll::Ready(Ok(Piece::End));
                }
                Step::More => {}
            }
            match self.poll_read(cx) {
                Poll::Pending => return self.poll_silence(cx),
                Poll::Ready(Ok(0)) if self.decoder.ends_with_connection() => {
                    // Its end is the last byte; it is not kept.
                    self.keeps = false;
                    self.end();
                    return Poll::Ready(Ok(Piece::End));
                }
                Poll::Ready(Ok(0)) => {
                    self.asked = None;
                    return Poll::Ready(Err(Error::new(Kind::Closed, "within a body")));
                }
                Poll::Ready(Ok(_)) => self.patience.heard(),
                Poll::Ready(Err(error)) => {
                    self.asked = None;
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    fn length(&self) -> Length {
        self.length
    }
}
