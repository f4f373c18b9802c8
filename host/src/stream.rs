//! How long the other side of a stream may take no bytes, or send none.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// A stream with a limit on how long a write may stall. nginx: `proxy_send_timeout` and
/// `send_timeout`: between two writes, not for the whole.
///
/// The timer exists only while a write stalls, so it costs nothing otherwise.
#[derive(Debug)]
pub struct Stream<S> {
    stream: S,
    send_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Stream<S> {
    /// Wrap a stream.
    pub fn new(stream: S, send_timeout: Duration) -> Self {
        Self { stream, send_timeout, stalled: None }
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream itself, to be changed.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream itself, without the limit.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Another limit from now on.
    pub fn set_send_timeout(&mut self, send_timeout: Duration) {
        self.send_timeout = send_timeout;
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.send_timeout;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// How long the other side may be silent. The timer is made when it first is, and moved only
/// when it fires.
#[derive(Debug)]
pub struct Patience {
    timeout: Duration,
    heard: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// From now on.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, heard: Instant::now(), timer: None }
    }

    /// Something came.
    pub fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// Ready once nothing came for too long.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.heard + self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while timer.as_mut().poll(cx).is_ready() {
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
