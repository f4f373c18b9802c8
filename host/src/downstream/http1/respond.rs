//! An answer on its way to the client.

use std::task::{Context, Poll, ready};

use http::{Method, Version};

use crate::body::{Body, Piece};
use crate::http1::{Length, Persistence, Writer, response_head};
use crate::observe::Record;
use crate::proxy::Response;
use crate::socket::WriteHalf;
use crate::stream::Stream;
use crate::tunnel::Opening;

/// How an answer went out.
pub(super) enum Sent {
    /// Whole, and the connection is kept.
    Kept,
    /// Whole, and the connection is to be closed.
    Closing,
    /// It was cut short.
    Cut,
    /// It was a switch of protocols.
    Tunnel(Box<Opening>),
}

/// An answer that is being sent.
pub(super) struct Sending {
    writer: Writer,
    body: Body,
    /// Whether the client is sent the body: not for HEAD or 304.
    shown: bool,
    state: State,
    persistence: Persistence,
    record: Option<Box<Record>>,
    opening: Option<Box<Opening>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// More of the body may come.
    Body,
    /// It waits for the body.
    Waiting,
    /// All is in the writer.
    Ended,
    /// The body broke off for this reason; what is in the writer is still sent.
    Broken(&'static str),
}

impl Sending {
    pub(super) fn new(response: Response, asked: (&Method, Version), persistence: Persistence) -> Self {
        let Response { head, body, record, opening, close: _ } = response;
        let mut text = Vec::new();
        let (framing, persistence) = response_head(&mut text, &head, body.length(), asked, persistence);
        let shown = framing != Length::Known(0);
        Self { writer: Writer::new(text, framing), body, shown, state: State::Body, persistence, record, opening }
    }

    /// Whether the next step waits for the peer.
    pub(super) fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }

    /// Send what there is.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, stream: &mut Stream<WriteHalf>) -> Poll<Sent> {
        loop {
            while self.writer.has_room() && matches!(self.state, State::Body | State::Waiting) {
                self.state = self.take_piece(cx);
                if self.state == State::Waiting {
                    break;
                }
            }
            if ready!(self.writer.poll_flush(cx, stream)).is_err() {
                // The record, dropped unfinished, tells of a client that left.
                return Poll::Ready(Sent::Cut);
            }
            match self.state {
                State::Body => {}
                State::Waiting => return Poll::Pending,
                State::Ended => return Poll::Ready(self.sent()),
                State::Broken(code) => {
                    self.finish(code);
                    return Poll::Ready(Sent::Cut);
                }
            }
        }
    }

    fn take_piece(&mut self, cx: &mut Context<'_>) -> State {
        match self.body.poll_piece(cx) {
            Poll::Pending => State::Waiting,
            Poll::Ready(Ok(Piece::Data(data))) => {
                if self.shown {
                    if let Some(record) = &mut self.record {
                        record.bytes_out += data.len() as u64;
                    }
                    self.writer.put(data);
                }
                State::Body
            }
            Poll::Ready(Ok(Piece::Trailers(trailers))) => {
                self.end(Some(&trailers));
                State::Ended
            }
            Poll::Ready(Ok(Piece::End)) => {
                self.end(None);
                State::Ended
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "a body broke off");
                State::Broken(error.kind.code())
            }
        }
    }

    fn end(&mut self, trailers: Option<&crate::message::Fields>) {
        if self.shown {
            self.writer.end(trailers);
        }
    }

    fn sent(&mut self) -> Sent {
        if let Some(opening) = self.opening.take() {
            return Sent::Tunnel(opening);
        }
        self.finish("done");
        if self.persistence == Persistence::Keep { Sent::Kept } else { Sent::Closing }
    }

    fn finish(&mut self, cause: &'static str) {
        if let Some(record) = self.record.take() {
            record.finish(cause);
        }
    }
}
