//! A socket read by one and written by another, both in the same task.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Plain, Socket, bare};

/// What reads. The halves of TCP know nothing of each other; TLS has one state for both, so
/// that they share a lock, which nobody ever waits for.
#[derive(Debug)]
pub enum ReadHalf {
    /// TCP.
    Tcp(OwnedReadHalf),
    /// Anything else.
    Shared(Arc<Mutex<Socket>>),
}

/// What writes.
#[derive(Debug)]
pub enum WriteHalf {
    /// TCP.
    Tcp(OwnedWriteHalf),
    /// Anything else.
    Shared(Arc<Mutex<Socket>>),
}

impl Socket {
    /// One half to read, one to write.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Plain(Plain::Tcp(stream)) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
            }
            other => {
                let shared = Arc::new(Mutex::new(other));
                (ReadHalf::Shared(Arc::clone(&shared)), WriteHalf::Shared(shared))
            }
        }
    }
}

impl ReadHalf {
    /// The socket in one again; none where the halves are not of the same.
    pub fn reunite(self, write: WriteHalf) -> Option<Socket> {
        match (self, write) {
            (Self::Tcp(read), WriteHalf::Tcp(write)) => read.reunite(write).ok().map(Socket::from),
            (Self::Shared(read), WriteHalf::Shared(write)) if Arc::ptr_eq(&read, &write) => {
                drop(write);
                Arc::into_inner(read).map(Mutex::into_inner)
            }
            _ => None,
        }
    }

    /// Ready where a read would bring something; see [`Socket::poll_read_ready`].
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => half.as_ref().poll_read_ready(cx),
            Self::Shared(socket) => socket.lock().poll_read_ready(cx),
        }
    }

    /// Read behind what is in a buffer; see [`Socket::poll_fill`].
    pub fn poll_fill(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(half) => bare::poll_fill(half.as_ref(), cx, buffer),
            Self::Shared(socket) => socket.lock().poll_fill(cx, buffer),
        }
    }

    /// The same, before the kernel has told of anything: for what is there from the beginning. None
    /// where nothing is, or where it cannot be told.
    pub fn fill_untold(&mut self, buffer: &mut Vec<u8>) -> Option<io::Result<usize>> {
        match self {
            Self::Tcp(half) => bare::fill_untold(half.as_ref(), buffer),
            Self::Shared(_) => None,
        }
    }

    /// Write past the other half: few bytes, while nothing else is being written.
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(half) => bare::poll_write(half.as_ref(), cx, bytes),
            Self::Shared(socket) => {
                let mut socket = socket.lock();
                let written = std::task::ready!(Pin::new(&mut *socket).poll_write(cx, bytes))?;
                // What the socket does not take now goes with what is written next.
                let _flushed = Pin::new(&mut *socket).poll_flush(cx)?;
                Poll::Ready(Ok(written))
            }
        }
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_read(cx, buf),
            Self::Shared(socket) => Pin::new(&mut *socket.lock()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(half) => bare::poll_write(half.as_ref(), cx, buf),
            Self::Shared(socket) => Pin::new(&mut *socket.lock()).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_write_vectored(cx, bufs),
            Self::Shared(socket) => Pin::new(&mut *socket.lock()).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_flush(cx),
            Self::Shared(socket) => Pin::new(&mut *socket.lock()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_shutdown(cx),
            Self::Shared(socket) => Pin::new(&mut *socket.lock()).poll_shutdown(cx),
        }
    }
}
