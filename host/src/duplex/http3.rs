//! One stream of an HTTP/3 connection as a stream of bytes, for a tunnel (RFC 9220 §3, RFC 9114
//! §4.4): bytes go in DATA frames, the end of a direction is FIN, a reset is RESET_STREAM with
//! H3_REQUEST_CANCELLED.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use quinn::SendStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::LINGER;
use crate::http3::{Broken, Code, Frames, Part, frame};

/// The largest DATA frame that is sent: what the buffer of a tunnel holds.
const MOST: usize = 64 << 10;

/// A stream that carries bytes both ways. Dropping it before both directions have ended resets
/// it, and what was not sent yet is lost.
pub struct Http3 {
    /// None once it was let go.
    streams: Option<Streams>,
    /// Whether FIN was sent.
    finished: bool,
}

/// Both directions.
struct Streams {
    send: SendStream,
    frames: Frames,
    /// What is left of a frame that QUIC has no room for yet.
    pending: Bytes,
    connection: quinn::Connection,
    /// What must live as long as the stream.
    _held: Box<dyn Send + Sync>,
}

impl Http3 {
    /// Both directions of a stream whose heads are through. `held` is dropped with it.
    pub fn new(
        connection: quinn::Connection,
        send: SendStream,
        mut frames: Frames,
        held: Box<dyn Send + Sync>,
    ) -> Self {
        frames.become_tunnel();
        frames.stop_with(Code::REQUEST_CANCELLED);
        let streams = Streams { send, frames, pending: Bytes::new(), connection, _held: held };
        Self { streams: Some(streams), finished: false }
    }

    /// Before it is dropped: what was written is still sent, with FIN behind it, whether or not
    /// anyone waits for that. What the other side still says is not read any more.
    pub fn let_go(&mut self) {
        self.finished = true;
        if let Some(streams) = self.streams.take() {
            tokio::spawn(streams.linger());
        }
    }
}

impl Streams {
    /// Wait until the other side has ended, too, and has all that was sent: a connection that is
    /// closed before would take it along.
    async fn linger(mut self) {
        self.frames.stop_with(Code::NO_ERROR);
        let ended = async {
            poll_fn(|cx| self.poll_pending(cx)).await?;
            // A stream that is over needs no end.
            let _over = self.send.finish();
            // Its window is opened again, but not for long.
            while let Ok(Part::Data(_unread)) = poll_fn(|cx| self.frames.poll_part(cx)).await {}
            let _gone = self.send.stopped().await;
            Ok::<_, io::Error>(())
        };
        if !matches!(tokio::time::timeout(LINGER, ended).await, Ok(Ok(()))) && !self.pending.is_empty() {
            // Else its end would say that all was sent.
            let _over = self.send.reset(Code::REQUEST_CANCELLED.into());
        }
    }

    /// Send what is left of a frame.
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let mut chunks = [std::mem::take(&mut self.pending)];
            let sent = pin!(self.send.write_chunks(&mut chunks)).poll(cx);
            let [rest] = chunks;
            self.pending = rest;
            ready!(sent)?;
        }
        // Lets go of the memory behind it.
        self.pending = Bytes::new();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Http3 {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(streams) = &mut self.streams else { return Poll::Ready(Ok(())) };
        let read = ready!(streams.frames.poll_data(cx, buf));
        Poll::Ready(read.map_err(|broken| {
            if let Broken::Connection(code, why) = broken {
                streams.connection.close(code.into(), why.as_bytes());
            }
            io::ErrorKind::ConnectionReset.into()
        }))
    }
}

impl AsyncWrite for Http3 {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Some(streams) = &mut self.streams else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        ready!(streams.poll_pending(cx))?;
        let part = buf.get(..MOST).unwrap_or(buf);
        if part.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut bytes = Vec::with_capacity(part.len() + 2 * size_of::<u64>());
        frame::head(&mut bytes, frame::DATA, part.len() as u64);
        bytes.extend_from_slice(part);
        streams.pending = bytes.into();
        // What QUIC has no room for is sent by the flush that follows.
        if let Poll::Ready(Err(error)) = streams.poll_pending(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.streams {
            Some(streams) => streams.poll_pending(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(streams) = &mut self.streams {
            ready!(streams.poll_pending(cx))?;
            // A stream that is over needs no end.
            let _over = streams.send.finish();
        }
        self.finished = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Http3 {
    fn drop(&mut self) {
        if let Some(streams) = self.streams.as_mut().filter(|_| !self.finished) {
            // QUIC itself would end it as if all were sent.
            let _over = streams.send.reset(Code::REQUEST_CANCELLED.into());
        }
    }
}

impl fmt::Debug for Http3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = self.streams.as_ref().map(|streams| streams.send.id());
        f.debug_struct("Http3").field("stream", &stream).finish_non_exhaustive()
    }
}
