//! The body of a peer's answer over HTTP/2, watched for silence, beside the rest of its request.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::sender::Sender;
use super::{Slot, failure};
use crate::body::{Incoming, Piece, Source};
use crate::error::{Error, Kind, Side};
use crate::http1::Length;
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
    pub(super) incoming: Incoming,
    pub(super) sender: Sender,
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
            Err(error) if matches!(error.kind.side(), Side::Downstream | Side::Plugin) => {
                return Poll::Ready(Err(error));
            }
            _ => {}
        }
        self.incoming.poll_piece(cx).map_err(|error| failure::broken(&error))
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
