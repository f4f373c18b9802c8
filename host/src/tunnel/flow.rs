//! One direction of a tunnel.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::farewell::Followed;
use super::io_uring::{self, LandedWay};
use super::pipe::Pipe;
use crate::socket::{Plain, Socket};

/// One buffer per worker, used within one step only. Large enough that a bulk flow needs
/// few calls: nginx's 4 KiB make bulk four times as dear.
const SCRATCH: usize = 64 << 10;
/// A splice that brings less than this would have been cheaper as a copy.
const SPLICE_WORTH: usize = 16 << 10;
/// How many such splices in a row end splicing: the tail of a large message is small.
const SPLICE_PATIENCE: u8 = 4;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// One direction: what was read and could not be written yet, and how it moves.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Read and not yet written. Empty unless the sink is slow.
    waiting: Bytes,
    /// Above 0 while the flow is spliced: how many more small splices it takes to end that.
    large: u8,
    /// Lent while bytes are in it.
    pipe: Option<Pipe>,
    /// Where its frames begin and end; none where nobody needs to know.
    followed: Option<Box<Followed>>,
    /// Whether the sink took bytes that it has not sent yet, as TLS does.
    unflushed: bool,
    /// Whether the sink is still to be told of the source's end.
    passes_end: bool,
    /// Whether the source has failed behind what waits, which it has said on the ring.
    source_failed: bool,
    /// How many reads in a row were small enough for the ring.
    pub(super) small: u8,
    /// Bytes written to the sink.
    pub(super) moved: u64,
    /// How far it is.
    pub(super) state: State,
    /// Whether the tunnel has acted on its being over.
    pub(super) noticed: bool,
}

/// How far a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    /// The source may send more.
    #[default]
    Open,
    /// The source has ended, and all that it sent has been written.
    Ended,
    /// The source failed; what it had sent before has been written.
    SourceFailed,
    /// The source ended without saying that this was all (TLS without close_notify).
    SourceTruncated,
    /// The sink takes nothing any more; what is left for it is lost.
    SinkFailed,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// All that has arrived is written; the source has no more for now.
    Dry,
    /// The sink must take something first.
    Blocked,
    /// The state says why it is over.
    Over,
}

enum Failure {
    Source,
    Truncated,
    Sink,
}

impl State {
    /// Of a flow whose source failed. Many clients of TLS leave without close_notify, and mean no
    /// harm.
    pub(super) fn of_failed_source(from: &Socket, error: &io::Error) -> Self {
        match from {
            Socket::Tls(_) if error.kind() == io::ErrorKind::UnexpectedEof => Self::SourceTruncated,
            _ => Self::SourceFailed,
        }
    }
}

impl Failure {
    fn of_source(from: &Socket, error: &io::Error) -> Self {
        match State::of_failed_source(from, error) {
            State::SourceTruncated => Self::Truncated,
            _ => Self::Source,
        }
    }
}

impl Flow {
    /// A flow that begins with bytes that were read with the handshake. With `passes_end` the
    /// source's end is the sink's, too (FIN; with TLS also close_notify).
    pub(super) fn new(early: Bytes, passes_end: bool) -> Self {
        // Empty bytes may still hold the 8 KiB that the head was read into.
        let waiting = if early.is_empty() { Bytes::new() } else { early };
        Self { waiting, passes_end, ..Self::default() }
    }

    /// With its frames followed.
    pub(super) fn following(mut self, mut followed: Box<Followed>) -> Self {
        let goes_on = followed.pass(&self.waiting);
        self.waiting.truncate(goes_on);
        self.followed = Some(followed);
        self
    }

    /// Where its frames begin and end.
    pub(super) fn followed(&mut self) -> Option<&mut Followed> {
        self.followed.as_deref_mut()
    }

    /// These bytes of the proxy's own go to the sink next; nothing may wait for it.
    pub(super) fn say(&mut self, bytes: Vec<u8>) {
        self.waiting = bytes.into();
    }

    /// What the ring has done of it is done, and the rest waits.
    pub(super) fn land(&mut self, way: LandedWay) {
        self.moved += way.moved;
        self.waiting = way.rest.into();
        self.source_failed = way.failed;
        self.small = 0;
    }

    /// Move what can be moved now. Registers for whatever it then waits for.
    pub(super) fn step(&mut self, cx: &mut Context<'_>, from: &mut Socket, to: &mut Socket) -> Step {
        while self.state == State::Open {
            if self.followed.as_ref().is_some_and(|followed| followed.has_stopped()) && !self.has_waiting() {
                return Step::Dry;
            }
            match self.advance(cx, from, to) {
                Ok(Poll::Ready(())) => {}
                Ok(Poll::Pending) if self.has_waiting() => return Step::Blocked,
                Ok(Poll::Pending) => return Step::Dry,
                Err(Failure::Source) => self.state = State::SourceFailed,
                Err(Failure::Truncated) => self.state = State::SourceTruncated,
                Err(Failure::Sink) => self.state = State::SinkFailed,
            }
        }
        if self.state == State::Ended && self.passes_end {
            // A side that is gone needs no goodbye.
            let Poll::Ready(_told) = Pin::new(to).poll_shutdown(cx) else { return Step::Blocked };
            self.passes_end = false;
        }
        Step::Over
    }

    /// Whether bytes wait for the sink.
    pub(super) fn has_waiting(&self) -> bool {
        self.unflushed || !self.waiting.is_empty() || self.pipe.as_ref().is_some_and(|pipe| pipe.held() > 0)
    }

    /// One write of what waits, or one read and the write of what it brought.
    fn advance(&mut self, cx: &mut Context<'_>, from: &mut Socket, to: &mut Socket) -> Result<Poll<()>, Failure> {
        if !self.waiting.is_empty() {
            return self.write_waiting(cx, to);
        }
        if self.unflushed {
            return self.flush(cx, to);
        }
        if self.source_failed {
            return Err(Failure::Source);
        }
        match (&*from, &*to) {
            (Socket::Plain(from), Socket::Plain(to))
                if self.pipe.is_some() || self.large > 0 && self.unseen() >= SPLICE_WORTH =>
            {
                self.splice(cx, from, to)
            }
            _ => self.copy(cx, from, to),
        }
    }

    /// How many of the bytes that come next nobody needs to see.
    fn unseen(&self) -> usize {
        self.followed.as_ref().map_or(usize::MAX, |followed| followed.unseen())
    }

    fn flush(&mut self, cx: &mut Context<'_>, to: &mut Socket) -> Result<Poll<()>, Failure> {
        match Pin::new(to).poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                self.unflushed = false;
                Ok(Poll::Ready(()))
            }
            Poll::Ready(Err(_failed)) => Err(Failure::Sink),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn write_waiting(&mut self, cx: &mut Context<'_>, to: &mut Socket) -> Result<Poll<()>, Failure> {
        let holds_back = to.holds_back();
        match Pin::new(to).poll_write(cx, &self.waiting) {
            Poll::Ready(Ok(n)) => {
                self.unflushed |= holds_back;
                self.waiting.advance(n);
                self.moved += n as u64;
                if self.waiting.is_empty() {
                    // Lets go of the memory behind it: at rest there is no buffer.
                    self.waiting = Bytes::new();
                }
                Ok(Poll::Ready(()))
            }
            Poll::Ready(Err(_failed)) => Err(Failure::Sink),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// Through the worker's buffer: two system calls a message, no memory of its own.
    fn copy(&mut self, cx: &mut Context<'_>, from: &mut Socket, to: &mut Socket) -> Result<Poll<()>, Failure> {
        BUFFER.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut *from).poll_read(cx, &mut buffer) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Err(error)) => return Err(Failure::of_source(from, &error)),
                Poll::Ready(Ok(())) => {}
            }
            let full = buffer.remaining() == 0;
            let read = buffer.filled();
            if read.is_empty() {
                self.state = State::Ended;
                return Ok(Poll::Ready(()));
            }
            let read = match &mut self.followed {
                Some(followed) => read.get(..followed.pass(read)).unwrap_or_default(),
                None => read,
            };
            if read.is_empty() {
                return Ok(Poll::Ready(()));
            }
            self.unflushed = to.holds_back();
            let written = match Pin::new(to).poll_write(cx, read) {
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(_failed)) => return Err(Failure::Sink),
                Poll::Pending => 0,
            };
            self.moved += written as u64;
            if let Some(rest) = read.get(written..).filter(|rest| !rest.is_empty()) {
                self.waiting = Bytes::copy_from_slice(rest);
            }
            self.large = if full { SPLICE_PATIENCE } else { 0 };
            self.small = if read.len() < io_uring::SIZE { self.small.saturating_add(1) } else { 0 };
            Ok(Poll::Ready(()))
        })
    }

    /// Through a pipe: the bytes stay in the kernel.
    fn splice(&mut self, cx: &mut Context<'_>, from: &Plain, to: &Plain) -> Result<Poll<()>, Failure> {
        let Some(mut pipe) = self.pipe.take().or_else(|| Pipe::take().ok()) else {
            // Out of descriptors: copying goes on.
            self.large = 0;
            return Ok(Poll::Ready(()));
        };
        // Only an empty pipe is filled: a full one would look like a dry source.
        if pipe.held() == 0 && !self.fill(cx, &mut pipe, from)? {
            pipe.give_back();
            let dry = self.state == State::Open;
            return Ok(if dry { Poll::Pending } else { Poll::Ready(()) });
        }
        let blocked = loop {
            match to.poll_write_ready(cx) {
                Poll::Pending => break true,
                Poll::Ready(Err(_failed)) => return Err(Failure::Sink),
                Poll::Ready(Ok(())) => {}
            }
            match pipe.empty(to) {
                Ok(n) => {
                    self.moved += n as u64;
                    break false;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_failed) => return Err(Failure::Sink),
            }
        };
        if pipe.held() > 0 {
            self.pipe = Some(pipe);
        } else {
            pipe.give_back();
        }
        Ok(if blocked { Poll::Pending } else { Poll::Ready(()) })
    }

    /// Whether something came. Registers for more where nothing did and the source is open.
    fn fill(&mut self, cx: &mut Context<'_>, pipe: &mut Pipe, from: &Plain) -> Result<bool, Failure> {
        loop {
            match from.poll_read_ready(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(_failed)) => return Err(Failure::Source),
                Poll::Ready(Ok(())) => {}
            }
            match pipe.fill(from, self.unseen()) {
                Ok(0) => {
                    self.state = State::Ended;
                    return Ok(false);
                }
                Ok(n) => {
                    if let Some(followed) = &mut self.followed {
                        followed.skip(n);
                    }
                    self.large = if n >= SPLICE_WORTH { SPLICE_PATIENCE } else { self.large.saturating_sub(1) };
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_failed) => return Err(Failure::Source),
            }
        }
    }
}
