//! A connection's socket as the rest of the program sees it: plain, with TLS on top, or one
//! stream of an HTTP/2 or HTTP/3 connection.
//!
//! An enum and no trait object: what is plain pays for a comparison, and nothing is boxed but
//! what has a large state.

mod bare;
pub mod congestion;
mod halves;
mod unacknowledged;

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

pub use halves::{ReadHalf, WriteHalf};

use crate::duplex::{Duplex, Http3};

/// A socket of the system, whose bytes the kernel can move by itself.
#[derive(Debug)]
pub enum Plain {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix stream socket.
    Unix(UnixStream),
}

/// One connection, to a client or to a peer.
#[derive(Debug)]
pub enum Socket {
    /// Without anything on top.
    Plain(Plain),
    /// With TLS on top, its handshake done.
    Tls(Box<TlsStream<Plain>>),
    /// A stream of an HTTP/2 connection, which carries a tunnel (RFC 8441).
    Http2(Box<Duplex>),
    /// A stream of an HTTP/3 connection, which carries a tunnel (RFC 9220).
    Http3(Box<Http3>),
}

/// The same for each kind of plain socket.
macro_rules! each {
    ($self:expr, $socket:ident => $what:expr) => {
        match $self {
            Plain::Tcp($socket) => $what,
            Plain::Unix($socket) => $what,
        }
    };
}

impl Plain {
    /// Ready where a read would bring something: bytes, the end, an error. It may still turn
    /// out to be nothing.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, socket => socket.poll_read_ready(cx))
    }

    /// Ready where a write would take something.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, socket => socket.poll_write_ready(cx))
    }

    /// Make a system call of one's own on it, where the kernel has told of `interest`.
    ///
    /// # Errors
    /// Those of the call; `WouldBlock` where the kernel has told of nothing.
    pub fn try_io<R>(&self, interest: Interest, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        each!(self, socket => socket.try_io(interest, call))
    }

    /// Make the close that follows a reset (RST), unless that would take back bytes that the other
    /// side has not acknowledged: those are still delivered, with an end in order.
    fn reset(&self) {
        if let Self::Tcp(stream) = self
            && unacknowledged::bytes(stream) == 0
        {
            // A socket that is gone needs none.
            let _gone = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        each!(self, socket => socket.try_read(buffer))
    }
}

impl std::os::fd::AsFd for Plain {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        each!(self, socket => socket.as_fd())
    }
}

impl AsyncRead for Plain {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // What was never written could only be lent to a call as bytes by unsafe code.
            Self::Tcp(stream) if buf.initialized().len() == buf.capacity() => bare::poll_read(stream, cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Plain {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => bare::poll_write(stream, cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), socket => Pin::new(socket).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The kernel has what was written.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), socket => Pin::new(socket).poll_shutdown(cx))
    }
}

impl Socket {
    /// Ready where a read would bring something: bytes, the end, an error. It may still turn
    /// out to be nothing. Looks first at what TLS has decrypted already, of which the kernel
    /// knows nothing.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(plain) => plain.poll_read_ready(cx),
            Self::Tls(tls) => match tls.get_ref() {
                (plain, session) if session.wants_read() => plain.poll_read_ready(cx),
                _ => Poll::Ready(Ok(())),
            },
            // Its memory is the connection's already.
            Self::Http2(_) | Self::Http3(_) => Poll::Ready(Ok(())),
        }
    }

    /// Read behind what is in a buffer, as much as it has room for without more memory: 0 at the
    /// stream's end.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(Plain::Tcp(stream)) => bare::poll_fill(stream, cx, buffer),
            _ => pin!(self.read_buf(buffer)).poll(cx),
        }
    }

    /// Write before the kernel has told that there is room. None where there is none, or where that cannot be told.
    pub fn send_untold(&self, bytes: &[u8]) -> Option<io::Result<usize>> {
        match self {
            Self::Plain(Plain::Tcp(stream)) => bare::send_untold(stream, bytes),
            _ => None,
        }
    }

    /// Whether nothing has come: neither the other side's end nor bytes. What TLS itself sends,
    /// such as session tickets, is taken in and does not count.
    pub fn is_quiet(&mut self) -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        // No system call while the kernel has told of nothing.
        if self.poll_read_ready(cx).is_pending() {
            return true;
        }
        match self {
            Self::Plain(plain) => {
                matches!(plain.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            }
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, &mut ReadBuf::new(&mut [0])).is_pending(),
            Self::Http2(stream) => Pin::new(stream).poll_read(cx, &mut ReadBuf::new(&mut [0])).is_pending(),
            Self::Http3(stream) => Pin::new(stream).poll_read(cx, &mut ReadBuf::new(&mut [0])).is_pending(),
        }
    }

    /// What was chosen to be spoken in the TLS handshake (RFC 7301).
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol(),
            Self::Plain(_) | Self::Http2(_) | Self::Http3(_) => None,
        }
    }

    /// Whether a write may leave bytes in this process, so that it takes a flush to send them.
    pub fn holds_back(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Http3(_))
    }

    /// Before it is dropped: tell the other side that all it was sent was whole (TLS
    /// close_notify, RFC 8446 §6.1; END_STREAM; FIN). One try, without waiting: who takes no bytes is
    /// told nothing. Not to be called where something was cut short.
    pub fn say_goodbye(&mut self) {
        match self {
            Self::Plain(_) => {}
            Self::Tls(tls) => {
                let _told = Pin::new(tls).poll_shutdown(&mut Context::from_waker(Waker::noop()));
            }
            Self::Http2(stream) => stream.let_go(),
            Self::Http3(stream) => stream.let_go(),
        }
    }

    /// Before it is dropped: tell the other side that this is no end in order, by a reset (RST;
    /// RST_STREAM). TLS says nothing before it.
    pub fn reset(&mut self) {
        match self {
            Self::Plain(plain) => plain.reset(),
            Self::Tls(tls) => tls.get_ref().0.reset(),
            // Dropping it does.
            Self::Http2(_) | Self::Http3(_) => {}
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::Plain(Plain::Tcp(stream))
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self::Plain(Plain::Unix(stream))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(plain) => Pin::new(plain).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
            Self::Http2(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Http3(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(plain) => Pin::new(plain).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
            Self::Http2(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Http3(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(plain) => Pin::new(plain).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
            Self::Http2(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Http3(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(plain) => Pin::new(plain).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Self::Http2(stream) => Pin::new(stream).poll_flush(cx),
            Self::Http3(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(plain) => Pin::new(plain).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::Http2(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Http3(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
