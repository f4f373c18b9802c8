//! One stream of an HTTP/2 connection as a stream of bytes, for a tunnel (RFC 8441 §5,
//! RFC 9113 §8.5): the end of a direction is END_STREAM, a reset is RST_STREAM.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that carries bytes both ways. Dropping it before both directions have ended resets
/// it (RST_STREAM with CANCEL).
pub struct Duplex {
    send: SendStream<Bytes>,
    recv: RecvStream,
    /// What came and was not read out yet: less than a frame.
    left: Bytes,
    /// Whether END_STREAM was sent.
    finished: bool,
    /// What must live as long as the stream.
    _held: Box<dyn Send + Sync>,
}

impl Duplex {
    /// Both directions of a stream whose heads are through. `held` is dropped with it.
    pub fn new(send: SendStream<Bytes>, recv: RecvStream, held: Box<dyn Send + Sync>) -> Self {
        Self { send, recv, left: Bytes::new(), finished: false, _held: held }
    }

    /// End the direction away from here: END_STREAM behind what was written. What the other side
    /// has to say can still be read.
    pub fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            // A stream that is over needs no end.
            let _over = self.send.send_data(Bytes::new(), true);
        }
    }

    /// How many of `wanted` bytes the other side and the connection take now.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(wanted);
        let room = match self.send.capacity() {
            0 => match ready!(self.send.poll_capacity(cx)) {
                Some(room) => room.map_err(broken)?,
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            },
            room => room,
        };
        Poll::Ready(Ok(room.min(wanted)))
    }
}

impl AsyncRead for Duplex {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let empty = buf.filled().len();
        while buf.remaining() > 0 {
            if this.left.is_empty() {
                match this.recv.poll_data(cx) {
                    Poll::Ready(Some(Ok(data))) => this.left = data,
                    // Said again by the next call, where something was read before.
                    Poll::Ready(Some(Err(error))) if buf.filled().len() == empty => {
                        return Poll::Ready(Err(broken(error)));
                    }
                    Poll::Pending if buf.filled().len() == empty => return Poll::Pending,
                    _ => break,
                }
            }
            let part = this.left.split_to(buf.remaining().min(this.left.len()));
            buf.put_slice(&part);
            // Only a stream that is over has no window, and it needs none.
            let _over = this.recv.flow_control().release_capacity(part.len());
        }
        if !this.left.has_remaining() {
            // Lets go of the memory behind it.
            this.left = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = ready!(self.poll_room(cx, buf.len()))?;
        let part = buf.get(..room).unwrap_or(buf);
        self.send.send_data(Bytes::copy_from_slice(part), false).map_err(broken)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's task sends what was written.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duplex").field("stream", &self.recv.stream_id()).finish_non_exhaustive()
    }
}

/// A stream that was reset, or whose connection is gone.
fn broken(error: h2::Error) -> io::Error {
    if error.is_io() {
        error.into_io().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())
    } else {
        io::Error::new(io::ErrorKind::ConnectionReset, error.to_string())
    }
}
