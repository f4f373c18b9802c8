//! A request on its way to a peer, and the head of its answer.
//!
//! All of it is driven by the task of the client's connection: no task and no channel stands
//! between the two sides.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode, Version};

use super::answer::AnswerBody;
use super::{Lease, Link};
use crate::body::{Body, Piece};
use crate::error::{Error, Kind};
use crate::http1::{HeadReader, Length, Writer, response_length};
use crate::message::ResponseHead;
use crate::socket::Socket;

/// The largest head of an answer. nginx: `proxy_buffer_size` has 4 or 8 KiB.
const LARGEST_HEAD: usize = 64 << 10;
/// What a head is read into at first.
const HEAD_ROOM: usize = 4 << 10;

/// A request under way.
pub struct Asked {
    pub(super) link: Link,
    /// The peer is busy with it.
    pub(super) lease: Lease,
    head: HeadReader,
    method: Method,
    writer: Writer,
    body: Body,
    sending: Sending,
}

/// What is left of a request that was given up before its answer's head.
#[derive(Debug)]
pub struct GivenUp {
    /// The peer, still busy with it.
    pub lease: Lease,
    /// Whether the connection took a byte of it, which the peer may have seen.
    pub reached: bool,
    /// Whether a byte of an answer came.
    pub answered: bool,
}

/// How far the sending is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// The body may have more.
    Going,
    /// All is in the writer.
    Ending,
    /// All is sent.
    Done,
    /// The peer takes no more. Its answer may still come.
    Refused,
}

impl Asked {
    /// Begin to send a request to the peer that was picked; `head` is its head as bytes.
    pub fn new(lease: Lease, mut link: Link, head: Vec<u8>, method: Method, body: Body) -> Self {
        link.begin_request();
        let writer = Writer::new(head, body.length());
        let (head, sending) = (HeadReader::default(), Sending::Going);
        Self { link, lease, head, method, writer, body, sending }
    }

    /// Send, and wait for the head of the answer. Interim answers are skipped.
    ///
    /// # Errors
    /// Upstream kinds, and [`Kind::ClientBody`] where the client's body breaks off.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(ResponseHead, Version), Error>> {
        self.send(cx)?;
        loop {
            if !self.head.buffer.is_empty() {
                let parsed = self.head.response(LARGEST_HEAD);
                match parsed.map_err(|e| Error::new(Kind::BadResponse, e.to_string()))? {
                    Some((head, _)) if is_interim(head.status) => continue,
                    Some(whole) => {
                        self.lease.answered();
                        return Poll::Ready(Ok(whole));
                    }
                    None => {}
                }
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) => return Poll::Ready(Err(Kind::Closed.into())),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Error::from_peer(&error))),
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let buffer = &mut self.head.buffer;
        if buffer.capacity() - buffer.len() < HEAD_ROOM / 4 {
            // Memory only for bytes that are there.
            ready!(self.link.stream.get_ref().poll_read_ready(cx))?;
            buffer.reserve(HEAD_ROOM);
        }
        self.link.stream.get_mut().poll_fill(cx, buffer)
    }

    /// Send what can be sent now.
    ///
    /// # Errors
    /// Where the client's body breaks off, or the peer takes nothing for too long. A peer that
    /// closes may have answered before, so that is left for the read that follows.
    pub(super) fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        loop {
            let mut waits = false;
            while self.sending == Sending::Going && self.writer.has_room() && !waits {
                match self.body.poll_piece(cx) {
                    Poll::Pending => waits = true,
                    Poll::Ready(piece) => self.put(piece?),
                }
            }
            if matches!(self.sending, Sending::Done | Sending::Refused) {
                return Ok(());
            }
            // The kernel need not have told of a new connection that there is room.
            let stream = self.link.stream.get_ref();
            if !self.writer.has_begun() && self.writer.write_by(|text| stream.send_untold(text)).is_err() {
                self.sending = Sending::Refused;
                return Ok(());
            }
            match self.writer.poll_flush(cx, &mut self.link.stream) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(Error::from_peer(&error));
                }
                Poll::Ready(Err(_refused)) => self.sending = Sending::Refused,
                Poll::Ready(Ok(())) if self.sending == Sending::Ending => self.sending = Sending::Done,
                Poll::Ready(Ok(())) if waits => return Ok(()),
                Poll::Ready(Ok(())) => {}
            }
        }
    }

    fn put(&mut self, piece: Piece) {
        match piece {
            Piece::Data(data) => return self.writer.put(data),
            Piece::Trailers(trailers) => self.writer.end(Some(&trailers)),
            Piece::End => self.writer.end(None),
        }
        self.sending = Sending::Ending;
    }

    /// Give it up: the connection is closed. What matters for another try is left.
    pub fn give_up(self) -> GivenUp {
        GivenUp { lease: self.lease, reached: self.writer.has_begun(), answered: !self.head.buffer.is_empty() }
    }

    /// The body of the answer with this head.
    ///
    /// # Errors
    /// [`Kind::BadResponse`] where it cannot be told where it ends.
    pub fn into_body(
        mut self,
        head: &ResponseHead,
        version: Version,
        read_timeout: std::time::Duration,
    ) -> Result<AnswerBody, Error> {
        let length = response_length(&self.method, head.status, &head.fields, version)
            .map_err(|e| Error::new(Kind::BadResponse, e.to_string()))?;
        let bytes = BytesMut::from(std::mem::take(&mut self.head.buffer).as_slice());
        let keeps = length != Length::UntilClose && wants_to_keep(head, version);
        Ok(AnswerBody::new(self, length, bytes, keeps, read_timeout))
    }

    /// The bare stream of a connection that has left HTTP, what came behind the head, and the
    /// peer's lease, to be held as long as the stream is in use.
    pub fn into_stream(mut self) -> (Socket, Bytes, Lease) {
        self.lease.finished();
        (self.link.stream.into_inner(), self.head.buffer.into(), self.lease)
    }

    pub(super) fn is_sent(&self) -> bool {
        self.sending == Sending::Done
    }
}

/// An answer before the answer (RFC 9110 §15.2). 101 is none.
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// Whether the peer keeps the connection open (RFC 9112 §9.3).
fn wants_to_keep(head: &ResponseHead, version: Version) -> bool {
    let says = |wanted| head.fields.has_token("connection", wanted);
    if version == Version::HTTP_10 { says("keep-alive") } else { !says("close") }
}
