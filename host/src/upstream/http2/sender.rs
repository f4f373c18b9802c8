//! The body of a request on its way to a peer, as fast as the windows allow.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use tokio::time::{Sleep, sleep};

use super::head;
use crate::body::{Body, Piece};
use crate::error::{Error, Kind};

/// What of a request's body is not sent yet.
pub(super) struct Sender {
    stream: SendStream<Bytes>,
    body: Body,
    /// The rest of a piece.
    left: Bytes,
    state: State,
    /// For how long the peer may take nothing. nginx: `proxy_send_timeout`.
    timeout: Duration,
    /// Runs while it takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The body may have more.
    Going,
    /// All is sent, with END_STREAM.
    Done,
    /// The peer takes no more. Its answer may still come (RFC 9113 §8.1).
    Refused,
}

impl Sender {
    /// Begin to send a body; `ended` where the head had END_STREAM.
    pub(super) fn new(stream: SendStream<Bytes>, body: Body, ended: bool, timeout: Duration) -> Self {
        let state = if ended { State::Done } else { State::Going };
        Self { stream, body, left: Bytes::new(), state, timeout, stalled: None }
    }

    /// Send what can be sent now.
    ///
    /// # Errors
    /// Where the client's body breaks off, or the peer takes nothing for too long. A stream that
    /// the peer closed may have an answer, so that is left for the read that follows.
    pub(super) fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        while self.state == State::Going {
            // One byte before there is data: what is reserved is withheld from other streams.
            let Poll::Ready(room) = self.poll_room(cx, self.left.len().max(1))? else { return Ok(()) };
            if self.left.is_empty() {
                let Poll::Ready(piece) = self.body.poll_piece(cx) else { return Ok(()) };
                self.take(piece?);
            } else {
                let part = self.left.split_to(room.min(self.left.len()));
                self.check(|stream| stream.send_data(part, false));
            }
        }
        Ok(())
    }

    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Data(data) => self.left = data,
            Piece::Trailers(fields) => {
                self.state = State::Done;
                self.check(|stream| stream.send_trailers(head::trailers(&fields)));
            }
            Piece::End => {
                self.state = State::Done;
                self.check(|stream| stream.send_data(Bytes::new(), true));
            }
        }
    }

    fn check(&mut self, send: impl FnOnce(&mut SendStream<Bytes>) -> Result<(), h2::Error>) {
        if send(&mut self.stream).is_err() {
            self.state = State::Refused;
        }
    }

    /// How many of `wanted` bytes can be sent now. Ends the sending where the stream is over.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Result<Poll<usize>, Error> {
        self.stream.reserve_capacity(wanted);
        let room = match self.stream.capacity() {
            0 => self.stream.poll_capacity(cx),
            room => Poll::Ready(Some(Ok(room))),
        };
        match room {
            Poll::Ready(Some(Ok(room))) => {
                self.stalled = None;
                Ok(Poll::Ready(room))
            }
            Poll::Ready(_over) => {
                self.state = State::Refused;
                Ok(Poll::Pending)
            }
            Poll::Pending => {
                let timeout = self.timeout;
                let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
                if timer.as_mut().poll(cx).is_ready() { Err(Kind::SendTimeout.into()) } else { Ok(Poll::Pending) }
            }
        }
    }

    /// The stream's sending half, for a tunnel.
    pub(super) fn into_stream(self) -> SendStream<Bytes> {
        self.stream
    }
}
