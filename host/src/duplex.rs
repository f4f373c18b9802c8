//! One stream of an HTTP/2 connection as a stream of bytes, for a tunnel (RFC 8441 §5,
//! RFC 9113 §8.5): the end of a direction is END_STREAM, a reset is RST_STREAM. `http3` has the
//! same for HTTP/3.

mod http3;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use http3::Http3;

/// How long a stream whose end was sent waits for the other side's. nginx: `lingering_timeout`.
const LINGER: Duration = Duration::from_secs(5);

/// A stream that carries bytes both ways. Dropping it before both directions have ended resets
/// it (RST_STREAM with CANCEL), and what was not sent yet is lost.
pub struct Duplex {
    /// None once it was let go.
    streams: Option<Streams>,
    /// What came and was not read out yet: less than a frame.
    left: Bytes,
    /// Whether END_STREAM was sent.
    finished: bool,
}

/// Both directions.
struct Streams {
    send: SendStream<Bytes>,
    recv: RecvStream,
    /// What must live as long as the stream.
    _held: Box<dyn Send + Sync>,
}

impl Duplex {
    /// Both directions of a stream whose heads are through. `held` is dropped with it.
    pub fn new(send: SendStream<Bytes>, recv: RecvStream, held: Box<dyn Send + Sync>) -> Self {
        Self { streams: Some(Streams { send, recv, _held: held }), left: Bytes::new(), finished: false }
    }

    /// End the direction away from here: END_STREAM behind what was written. What the other side
    /// has to say can still be read.
    pub fn finish(&mut self) {
        if let Some(streams) = &mut self.streams
            && !std::mem::replace(&mut self.finished, true)
        {
            // A stream that is over needs no end.
            let _over = streams.send.send_data(Bytes::new(), true);
        }
    }

    /// Before it is dropped: what was written is still sent, with END_STREAM behind it, whether
    /// or not anyone waits for that. What the other side still says is not read any more.
    pub fn let_go(&mut self) {
        self.finish();
        if let Some(streams) = self.streams.take() {
            tokio::spawn(streams.linger());
        }
    }
}

impl Streams {
    /// Wait until the other side has ended, too: dropping the stream before would reset it under
    /// what is not sent yet.
    async fn linger(mut self) {
        // Its window is not opened again, so this is not much.
        let ended = async { while let Some(Ok(_unread)) = self.recv.data().await {} };
        // Who goes on for so long is told by the reset that nobody listens.
        let _reset = tokio::time::timeout(LINGER, ended).await;
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
        let Self { streams: Some(streams), left, .. } = &mut *self else { return Poll::Ready(Ok(())) };
        let empty = buf.filled().len();
        while buf.remaining() > 0 {
            if left.is_empty() {
                match streams.recv.poll_data(cx) {
                    Poll::Ready(Some(Ok(data))) => *left = data,
                    // Said again by the next call, where something was read before.
                    Poll::Ready(Some(Err(error))) if buf.filled().len() == empty => {
                        return Poll::Ready(Err(broken(error)));
                    }
                    Poll::Pending if buf.filled().len() == empty => return Poll::Pending,
                    _ => break,
                }
            }
            let part = left.split_to(buf.remaining().min(left.len()));
            buf.put_slice(&part);
            // Only a stream that is over has no window, and it needs none.
            let _over = streams.recv.flow_control().release_capacity(part.len());
        }
        if left.is_empty() {
            // Lets go of the memory behind it.
            *left = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Some(streams) = &mut self.streams else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        let room = ready!(streams.poll_room(cx, buf.len()))?;
        let part = buf.get(..room).unwrap_or(buf);
        streams.send.send_data(Bytes::copy_from_slice(part), false).map_err(broken)?;
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
        let stream = self.streams.as_ref().map(|streams| streams.recv.stream_id());
        f.debug_struct("Duplex").field("stream", &stream).finish_non_exhaustive()
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
