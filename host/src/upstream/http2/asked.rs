//! A request on its way to a peer over one stream, and the head of its answer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use h2::RecvStream;
use h2::client::ResponseFuture;
use http::{Method, Version};

use super::answer::{AnswerBody, Open};
use super::sender::Sender;
use super::{Again, Failure, Head, Slot};
use crate::body::{Body, Incoming, Source};
use crate::duplex::Duplex;
use crate::error::{Error, Kind};
use crate::http1::{Length, response_length};
use crate::message::{Fields, ResponseHead};
use crate::socket::Socket;
use crate::upstream::Lease;

/// A request under way. Dropping it resets the stream.
pub struct Asked {
    answer: ResponseFuture,
    /// The answer's body, once its head was taken.
    recv: Option<RecvStream>,
    sender: Sender,
    method: Method,
    lease: Lease,
    slot: Slot,
}

impl Asked {
    /// Begin to send a request to the peer that was picked: as a WebSocket handshake by extended
    /// CONNECT where `tunnel` says so; that has no body. The peer may take nothing for
    /// `send_timeout`.
    ///
    /// # Errors
    /// Where nothing was sent: the connection is just ending, or HTTP/2 cannot say it.
    pub fn new(
        (lease, slot): (Lease, Slot),
        head: &Head<'_>,
        body: Body,
        tunnel: bool,
        send_timeout: Duration,
    ) -> Result<Self, (Failure, Lease)> {
        let (scheme, peer) = (slot.scheme(), &lease.peer().name);
        let request = if tunnel { head.handshake(scheme, peer) } else { head.request(scheme, peer) };
        let ended = !tunnel && matches!(body, Body::Empty);
        let begun = request.map_err(Failure::from).and_then(|request| {
            // RFC 9113 §6.8: what was never sent was never processed.
            slot.open(request, ended).map_err(|error| Failure {
                error: Error::new(Kind::Refused, error.to_string()),
                again: Again::Untouched,
            })
        });
        match begun {
            Ok((answer, stream)) => {
                // A tunnel's bytes are no body.
                let sender = Sender::new(stream, body, ended || tunnel, send_timeout);
                Ok(Self { answer, recv: None, sender, method: head.method.clone(), lease, slot })
            }
            Err(failure) => Err((failure, lease)),
        }
    }

    /// Send, and wait for the head of the answer. Interim answers are skipped.
    ///
    /// # Errors
    /// Upstream kinds, and [`Kind::ClientBody`] where the client's body breaks off.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure>> {
        self.sender.send(cx)?;
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        let answer = answer.map_err(|error| Failure::of(&error, self.slot.is_reused()))?;
        let (parts, recv) = answer.into_parts();
        self.recv = Some(recv);
        Poll::Ready(Ok(ResponseHead::new(parts.status, Fields::from(&parts.headers))))
    }

    /// Let go of the stream, which resets it where it is not over, and keep the peer.
    pub fn give_up(self) -> Lease {
        self.lease
    }

    /// The body of the answer with this head. The peer may be silent for `read_timeout`.
    ///
    /// # Errors
    /// [`Kind::BadResponse`] where its length is no length.
    pub fn into_body(self, head: &ResponseHead, read_timeout: Duration) -> Result<Box<dyn Source>, Error> {
        let recv = self.recv.ok_or(Kind::BadResponse)?;
        let length = match response_length(&self.method, head.status, &head.fields, Version::HTTP_11) {
            _ if recv.is_end_stream() => Length::Known(0),
            // The stream's end is the body's, and tells a whole one from one that broke off.
            Ok(Length::UntilClose) => Length::Chunked,
            Ok(length) => length,
            Err(error) => return Err(Error::new(Kind::BadResponse, error.to_string())),
        };
        let open = Open { incoming: Incoming::new(recv), sender: self.sender, _held: (self.lease, self.slot) };
        Ok(Box::new(AnswerBody::new(open, length, read_timeout)))
    }

    /// The stream as a tunnel's side, and the peer's lease.
    ///
    /// # Errors
    /// [`Kind::BadSwitch`] before there is an answer.
    pub fn into_stream(self) -> Result<(Socket, Lease), Error> {
        let recv = self.recv.ok_or(Kind::BadSwitch)?;
        let duplex = Duplex::new(self.sender.into_stream(), recv, Box::new(self.slot));
        Ok((Socket::Http2(Box::new(duplex)), self.lease))
    }
}
