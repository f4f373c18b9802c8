//! A client's bytes: heads, and the bodies between them.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;

use crate::body::{Piece, Source};
use crate::error::{Error, Kind};
use crate::http1::{Decoder, HeadLimits, HeadReader, Length, Malformed, Step};
use crate::message::RequestHead;
use crate::socket::ReadHalf;
use crate::stream::Patience;

/// What a head is read into at first: most fit, with room for the lines that are added.
const HEAD_ROOM: usize = 4 << 10;
/// What a body is read by.
const BODY_ROOM: usize = 16 << 10;
/// What a client may send ahead while it waits for an answer.
const READ_AHEAD: usize = 16 << 10;
/// RFC 9110 §15.2.1
const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The reading half of a client's connection.
#[derive(Debug)]
pub(super) struct Reader {
    half: ReadHalf,
    head: HeadReader,
    /// Whether nothing was read yet.
    is_new: bool,
}

/// What came instead of a head.
#[derive(Debug)]
pub(super) enum NoHead {
    /// The client's end, or its reset.
    Gone,
    /// Something that is not a head.
    Malformed(Malformed),
}

impl Reader {
    pub(super) fn new(half: ReadHalf) -> Self {
        Self { half, head: HeadReader::default(), is_new: true }
    }

    /// The half, and what was read beyond the last message.
    pub(super) fn into_parts(self) -> (ReadHalf, Vec<u8>) {
        (self.half, self.head.buffer)
    }

    /// Whether a part of a head is there.
    pub(super) fn has_begun(&self) -> bool {
        !self.head.buffer.is_empty()
    }

    /// The next head.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, most: HeadLimits) -> Poll<Result<RequestHead, NoHead>> {
        loop {
            if self.has_begun() {
                match self.head.request(most) {
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Ok(None) => {}
                    Err(malformed) => return Poll::Ready(Err(NoHead::Malformed(malformed))),
                }
            }
            match ready!(self.poll_read(cx)) {
                Ok(n) if n > 0 => {}
                _ => return Poll::Ready(Err(NoHead::Gone)),
            }
        }
    }

    /// Ready once the client is gone. What it sends meanwhile, such as its next request, is
    /// kept for later, up to a point.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.head.buffer.len() < READ_AHEAD {
            match ready!(self.poll_read(cx)) {
                Ok(n) if n > 0 => {}
                _ => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if std::mem::take(&mut self.is_new)
            && let Some(read) = self.read_first()
        {
            return Poll::Ready(read);
        }
        let buffer = &mut self.head.buffer;
        if buffer.capacity() - buffer.len() < HEAD_ROOM / 4 {
            // Memory only for bytes that are there.
            if !self.is_readable(cx)? {
                return Poll::Pending;
            }
            self.head.buffer.reserve(HEAD_ROOM);
        }
        let read = self.half.poll_fill(cx, &mut self.head.buffer);
        if read.is_pending() && self.head.buffer.is_empty() {
            self.head.buffer = Vec::new();
        }
        read
    }

    /// What the client sent with its connection, most often its first request: no wait for the kernel
    /// to tell of it.
    fn read_first(&mut self) -> Option<io::Result<usize>> {
        self.head.buffer.reserve(HEAD_ROOM);
        let read = self.half.fill_untold(&mut self.head.buffer);
        if read.is_none() {
            self.head.buffer = Vec::new();
        }
        read
    }

    fn is_readable(&self, cx: &mut Context<'_>) -> io::Result<bool> {
        Ok(self.half.poll_read_ready(cx)?.is_ready())
    }
}

/// Where a body leaves the reader when it is dropped or has ended.
pub(super) type Back = Arc<Mutex<Option<Returned>>>;

/// What a body leaves.
pub(super) struct Returned {
    pub(super) reader: Reader,
    /// The rest of the body, where it has not ended.
    pub(super) rest: Option<Rest>,
}

/// What is needed to skip the rest of a body.
pub(super) struct Rest {
    decoder: Decoder,
    bytes: BytesMut,
    patience: Patience,
    /// Whether the client waits for a 100 before it sends anything.
    pub(super) waits: bool,
}

/// A client's body: owns the reader while it is read.
pub(super) struct ClientBody {
    reader: Option<Reader>,
    rest: Rest,
    length: Length,
    /// What is left to write of the 100.
    go_on: &'static [u8],
    back: Back,
}

impl ClientBody {
    /// The body behind a head. With `waits` the client is told to go on when the first of it
    /// is wanted (RFC 9110 §10.1.1).
    /// The client may be silent for `timeout`.
    pub(super) fn new(mut reader: Reader, length: Length, waits: bool, timeout: Duration) -> (Self, Back) {
        let back = Back::default();
        let bytes = BytesMut::from(std::mem::take(&mut reader.head.buffer).as_slice());
        let waits = waits && bytes.is_empty();
        let rest = Rest { decoder: Decoder::new(length), bytes, patience: Patience::new(timeout), waits };
        let go_on = if waits { GO_ON } else { b"" };
        (Self { reader: Some(reader), rest, length, go_on, back: Arc::clone(&back) }, back)
    }

    fn give_back(&mut self) {
        let Some(mut reader) = self.reader.take() else { return };
        let ended = self.rest.decoder.is_end();
        let patience = Patience::new(Duration::ZERO);
        let nothing = Rest { decoder: Decoder::new(Length::Known(0)), bytes: BytesMut::new(), patience, waits: false };
        let mut rest = std::mem::replace(&mut self.rest, nothing);
        if ended {
            reader.head.buffer = std::mem::take(&mut rest.bytes).to_vec();
        }
        *self.back.lock() = Some(Returned { reader, rest: (!ended).then_some(rest) });
    }
}

impl Source for ClientBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        let Some(reader) = &mut self.reader else { return Poll::Ready(Ok(Piece::End)) };
        if !self.go_on.is_empty() {
            ready!(poll_go_on(cx, &reader.half, &mut self.go_on));
            self.rest.waits = false;
        }
        let polled = ready!(self.rest.poll(cx, reader));
        if matches!(polled, Ok(Piece::End | Piece::Trailers(_))) {
            self.give_back();
        }
        Poll::Ready(polled)
    }

    fn length(&self) -> Length {
        self.length
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Rest {
    fn poll(&mut self, cx: &mut Context<'_>, reader: &mut Reader) -> Poll<Result<Piece, Error>> {
        let broken = |why: &str| Error::new(Kind::ClientBody, why);
        loop {
            match self.decoder.step(&mut self.bytes) {
                Ok(Step::Data(data)) => return Poll::Ready(Ok(Piece::Data(data))),
                Ok(Step::Trailers(fields)) => return Poll::Ready(Ok(Piece::Trailers(fields))),
                Ok(Step::End) => return Poll::Ready(Ok(Piece::End)),
                Ok(Step::More) => {}
                Err(bad) => return Poll::Ready(Err(broken(&bad.to_string()))),
            }
            if self.bytes.capacity() - self.bytes.len() < BODY_ROOM / 4 {
                if reader.is_readable(cx).is_ok_and(|readable| !readable) {
                    return self.patience.poll(cx).map(|()| Err(Kind::ClientTimeout.into()));
                }
                self.bytes.reserve(BODY_ROOM);
            }
            let Poll::Ready(read) = pin!(reader.half.read_buf(&mut self.bytes)).poll(cx) else {
                return self.patience.poll(cx).map(|()| Err(Kind::ClientTimeout.into()));
            };
            self.patience.heard();
            match read {
                Ok(0) => return Poll::Ready(Err(broken("the client closed within its body"))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(broken(&error.to_string()))),
            }
        }
    }

    /// Skip what is left of the body, up to `most` bytes; whether its end was found.
    pub(super) fn poll_skip(&mut self, cx: &mut Context<'_>, reader: &mut Reader, most: &mut usize) -> Poll<bool> {
        loop {
            match ready!(self.poll(cx, reader)) {
                Ok(Piece::Data(data)) => match most.checked_sub(data.len()) {
                    Some(left) => *most = left,
                    None => return Poll::Ready(false),
                },
                Ok(Piece::End | Piece::Trailers(_)) => {
                    reader.head.buffer = std::mem::take(&mut self.bytes).to_vec();
                    return Poll::Ready(true);
                }
                Err(_broken) => return Poll::Ready(false),
            }
        }
    }
}

/// Tell the client to send its body. Failing is left for the read that follows.
fn poll_go_on(cx: &mut Context<'_>, half: &ReadHalf, left: &mut &'static [u8]) -> Poll<()> {
    while !left.is_empty() {
        match ready!(half.poll_write(cx, left)) {
            Ok(n) => *left = left.get(n..).unwrap_or_default(),
            Err(_gone) => break,
        }
    }
    *left = b"";
    Poll::Ready(())
}
