//! The frames of a stream that carries a request (RFC 9114 §4.1, §7.1).

use std::cell::RefCell;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use quinn::{ReadError, RecvStream};
use tokio::io::ReadBuf;

use super::{Code, frame, varint};

/// What is read from a stream at once. Packets are smaller than this: several make one piece.
const PIECE: usize = 16 << 10;

thread_local! {
    /// One buffer per worker, used within one read.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into());
}

/// What comes next on a stream.
#[derive(Debug)]
pub enum Part {
    /// A whole field section, as it was sent: the head's, or the trailers'.
    Headers(Bytes),
    /// Bytes of the body, at least one.
    Data(Bytes),
    /// The stream has ended where it may.
    End,
}

/// Why nothing comes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The other side has reset the stream, or is gone.
    Gone,
    /// It breaks the protocol, so that the connection must end with this code.
    Connection(Code, &'static str),
    /// A field section that is larger than it may be.
    TooLarge,
}

/// The receiving side of a stream, frame by frame. Dropped before the end it tells the other side
/// that the rest is not needed (STOP_SENDING).
#[derive(Debug)]
pub struct Frames {
    recv: RecvStream,
    /// What came and was not looked at yet.
    chunk: Bytes,
    state: State,
    phase: Phase,
    /// The largest field section, bytes as sent.
    most: usize,
    /// Whether nothing comes any more.
    over: bool,
    stop: Code,
}

/// Within a frame.
#[derive(Debug)]
enum State {
    /// Its type and length, as far as they came.
    Head { bytes: [u8; 16], count: usize },
    /// The body: bytes that are to come.
    Data(u64),
    /// A field section: bytes that are to come.
    Headers(usize, BytesMut),
    /// A frame that nobody knows: bytes that are to come.
    Unknown(u64),
}

const BEGIN: State = State::Head { bytes: [0; 16], count: 0 };

/// Which frames may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The head.
    Head,
    /// The body, or trailers.
    Body,
    /// The end.
    Trailed,
    /// Bytes of a tunnel (RFC 9114 §4.4).
    Tunnel,
}

impl Frames {
    /// Those of a stream of which nothing was read. A field section has `most` bytes at most.
    pub fn new(recv: RecvStream, most: usize) -> Self {
        let chunk = Bytes::new();
        Self { recv, chunk, state: BEGIN, phase: Phase::Head, most, over: false, stop: Code::NO_ERROR }
    }

    /// From now on only bytes of a tunnel may come.
    pub fn become_tunnel(&mut self) {
        self.phase = Phase::Tunnel;
    }

    /// Why the rest is not needed, where this is dropped before the end.
    pub fn stop_with(&mut self, code: Code) {
        self.stop = code;
    }

    /// What comes next. After an end or an error it is said again.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Part, Broken>> {
        loop {
            if self.over {
                return Poll::Ready(Ok(Part::End));
            }
            if self.chunk.is_empty() && self.wants_more() && !ready!(self.poll_chunk(cx))? {
                return Poll::Ready(self.end());
            }
            match &mut self.state {
                State::Head { .. } => self.read_head()?,
                State::Unknown(left) => {
                    let part = take(&mut self.chunk, *left);
                    *left -= part.len() as u64;
                    if *left == 0 {
                        self.state = BEGIN;
                    }
                }
                State::Headers(left, gathered) => {
                    let part = take(&mut self.chunk, *left as u64);
                    *left -= part.len();
                    gathered.extend_from_slice(&part);
                    if *left == 0 {
                        let section = std::mem::take(gathered).freeze();
                        self.state = BEGIN;
                        return Poll::Ready(Ok(Part::Headers(section)));
                    }
                }
                State::Data(left) => {
                    let part = take(&mut self.chunk, *left);
                    *left -= part.len() as u64;
                    if *left == 0 {
                        self.state = BEGIN;
                    }
                    if !part.is_empty() {
                        return Poll::Ready(Ok(Part::Data(part)));
                    }
                }
            }
        }
    }

    /// Read bytes of the body or tunnel into `buf`; nothing is written there at the end. Saves a
    /// copy beside [`Self::poll_part`].
    ///
    /// # Errors
    /// [`Broken`]; also where anything but bytes comes.
    pub fn poll_data(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<(), Broken>> {
        if let State::Data(left) = &mut self.state
            && self.chunk.is_empty()
            && *left > 0
            && !self.over
        {
            let room = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.remaining());
            let space = buf.initialize_unfilled_to(room);
            let read = ready!(self.recv.poll_read(cx, space)).map_err(|error| gone(&error))?;
            *left -= read as u64;
            buf.advance(read);
            if *left == 0 {
                self.state = BEGIN;
            }
            return Poll::Ready(if read == 0 { self.end().map(drop) } else { Ok(()) });
        }
        match ready!(self.poll_part(cx))? {
            Part::End => Poll::Ready(Ok(())),
            Part::Headers(_) => Poll::Ready(Err(UNEXPECTED)),
            Part::Data(mut data) => {
                let part = data.split_to(data.len().min(buf.remaining()));
                buf.put_slice(&part);
                if !data.is_empty() {
                    self.put_back(data);
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Bytes of the body that were taken and not used come next again.
    fn put_back(&mut self, data: Bytes) {
        let more = data.len() as u64;
        self.state = match std::mem::replace(&mut self.state, BEGIN) {
            State::Data(left) => State::Data(left + more),
            // The frame was whole, and nothing of the next one was looked at.
            _ => State::Data(more),
        };
        self.chunk = if self.chunk.is_empty() { data } else { [data, std::mem::take(&mut self.chunk)].concat().into() };
    }

    /// Whether the state can do nothing without more bytes.
    fn wants_more(&self) -> bool {
        !matches!(&self.state, State::Data(0) | State::Unknown(0) | State::Headers(0, _))
    }

    /// More bytes; false at the end of the stream.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Broken>> {
        BUFFER.with_borrow_mut(|buffer| {
            let read = ready!(self.recv.poll_read(cx, buffer)).map_err(|error| gone(&error))?;
            self.chunk = buffer.get(..read).map(Bytes::copy_from_slice).unwrap_or_default();
            Poll::Ready(Ok(read > 0))
        })
    }

    /// The stream has ended: RFC 9114 §7.1 has it end with a frame.
    fn end(&mut self) -> Result<Part, Broken> {
        if matches!(self.state, State::Head { count: 0, .. }) {
            self.over = true;
            Ok(Part::End)
        } else {
            Err(Broken::Connection(Code::FRAME, "a stream ends within a frame"))
        }
    }

    /// Read type and length, as far as they came.
    fn read_head(&mut self) -> Result<(), Broken> {
        let State::Head { bytes, count } = &mut self.state else { return Ok(()) };
        loop {
            let (kind, length) = {
                let known = bytes.get(..*count).unwrap_or_default();
                let kind = varint::read(known);
                (kind, kind.and_then(|(_, used)| varint::read(known.get(used..)?)))
            };
            if let (Some((kind, _)), Some((length, _))) = (kind, length) {
                return self.begin(kind, length);
            }
            let Some((byte, place)) = self.chunk.first().copied().zip(bytes.get_mut(*count)) else { return Ok(()) };
            *place = byte;
            *count += 1;
            let _first = self.chunk.split_to(1);
        }
    }

    /// A frame begins.
    fn begin(&mut self, kind: u64, length: u64) -> Result<(), Broken> {
        self.state = match (kind, self.phase) {
            (frame::DATA, Phase::Body | Phase::Tunnel) => State::Data(length),
            (frame::HEADERS, Phase::Head | Phase::Body) => {
                self.phase = if self.phase == Phase::Head { Phase::Body } else { Phase::Trailed };
                let length = usize::try_from(length).ok().filter(|length| *length <= self.most);
                // Gathered as it comes, so that a length alone takes no memory.
                State::Headers(length.ok_or(Broken::TooLarge)?, BytesMut::new())
            }
            (frame::DATA | frame::HEADERS, _) => return Err(UNEXPECTED),
            (frame::CANCEL_PUSH | frame::SETTINGS | frame::PUSH_PROMISE | frame::GOAWAY | frame::MAX_PUSH_ID, _) => {
                return Err(UNEXPECTED);
            }
            (kind, _) if frame::is_of_http2(kind) => return Err(UNEXPECTED),
            // RFC 9114 §9: what nobody knows is passed over.
            _ => State::Unknown(length),
        };
        Ok(())
    }
}

const UNEXPECTED: Broken = Broken::Connection(Code::FRAME_UNEXPECTED, "a frame that has no place there");

impl Drop for Frames {
    fn drop(&mut self) {
        if !self.over {
            // A stream that is over needs to be told nothing.
            let _over = self.recv.stop(self.stop.into());
        }
    }
}

fn take(chunk: &mut Bytes, most: u64) -> Bytes {
    let part = chunk.split_to(usize::try_from(most).unwrap_or(usize::MAX).min(chunk.len()));
    if chunk.is_empty() {
        // Lets go of the memory behind it.
        *chunk = Bytes::new();
    }
    part
}

fn gone(_error: &ReadError) -> Broken {
    Broken::Gone
}
