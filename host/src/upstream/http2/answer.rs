//! The body of a peer's answer over HTTP/2: watched for silence, its window opened as it is
//! passed on.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use h2::RecvStream;

use super::sender::Sender;
use super::{Slot, failure, head};
use crate::body::{Piece, Source};
use crate::error::{Error, Kind, Side};
use crate::http1::{Length, may_trail};
use crate::stream::Patience;
use crate::upstream::Lease;

/// A peer's body, with the rest of the request that it answers.
pub(super) struct AnswerBody {
    /// None once the answer has ended. Dropping it before resets the stream.
    open: Option<Box<Open>>,
    length: Length,
    patience: Patience,
}

/// A stream whose answer comes.
pub(super) struct Open {
    pub(super) recv: RecvStream,
    pub(super) sender: Sender,
    /// Bytes that were passed on and are not given back to the window yet.
    pub(super) passed: usize,
    /// The peer is busy with it, and the connection, too.
    pub(super) _held: (Lease, Slot),
}

impl AnswerBody {
    pub(super) fn new(open: Open, length: Length, read_timeout: Duration) -> Self {
        Self { open: Some(Box::new(open)), length, patience: Patience::new(read_timeout) }
    }
}

impl Open {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        // The answer counts, whatever the peer does with the rest of the request. A client whose
        // body broke off will not read it, and the peer must not take the request for whole.
        match self.sender.send(cx) {
            Err(error) if error.kind.side() == Side::Downstream => return Poll::Ready(Err(error)),
            _ => {}
        }
        // Who asks for the next piece has passed on the last one. A stream that is over has no
        // window, and needs none.
        let _over = self.recv.flow_control().release_capacity(std::mem::take(&mut self.passed));
        while let Some(data) = ready!(self.recv.poll_data(cx)) {
            let data = data.map_err(|error| failure::broken(&error))?;
            if !data.is_empty() {
                self.passed = data.len();
                return Poll::Ready(Ok(Piece::Data(data)));
            }
        }
        let trailers = ready!(self.recv.poll_trailers(cx)).map_err(|error| failure::broken(&error))?;
        let mut fields = trailers.as_ref().map(head::fields).unwrap_or_default();
        fields.retain(may_trail);
        Poll::Ready(Ok(if fields.is_empty() { Piece::End } else { Piece::Trailers(fields) }))
    }
}

impl Source for AnswerBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        let Some(open) = &mut self.open else { return Poll::Ready(Ok(Piece::End)) };
        let polled = open.poll_piece(cx);
        match polled {
            Poll::Ready(Ok(Piece::Data(_))) => self.patience.heard(),
            // Lets go of the stream: where the request is not sent yet, nobody wants the rest.
            Poll::Ready(_) => self.open = None,
            Poll::Pending => {
                ready!(self.patience.poll(cx));
                self.open = None;
                return Poll::Ready(Err(Kind::ReadTimeout.into()));
            }
        }
        polled
    }

    fn length(&self) -> Length {
        self.length
    }
}
