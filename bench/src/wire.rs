//! A client's connection, plain or over TLS, blocking or not.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::{RecvFlags, recv};
use rustls::{ClientConnection, StreamOwned};

use crate::tls::Client;

/// Where a proxy is, and how it is spoken with.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Who speaks TLS with it; none where it is plain.
    pub(crate) tls: Option<Client>,
}

/// A client's connection.
pub(crate) enum Wire {
    /// As it is.
    Plain(TcpStream),
    /// Over TLS.
    Tls(Box<Secure>),
}

/// One over TLS.
pub(crate) struct Secure {
    stream: StreamOwned<ClientConnection, TcpStream>,
    blocking: bool,
}

impl Wire {
    /// Over an established connection, blocking.
    pub(crate) fn new(stream: TcpStream, tls: Option<ClientConnection>) -> Self {
        match tls {
            None => Self::Plain(stream),
            Some(tls) => Self::Tls(Box::new(Secure { stream: StreamOwned::new(tls, stream), blocking: true })),
        }
    }

    /// Whether reads and writes wait.
    pub(crate) fn set_blocking(&mut self, blocking: bool) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_nonblocking(!blocking),
            Self::Tls(secure) => {
                secure.blocking = blocking;
                secure.stream.sock.set_nonblocking(!blocking)
            }
        }
    }

    /// Whether bytes that were taken have not been sent yet.
    pub(crate) fn holds_back(&self) -> bool {
        matches!(self, Self::Tls(secure) if secure.stream.conn.wants_write())
    }

    /// Read and forget; from a plain one without a copy, so that the generator costs less than
    /// any proxy.
    pub(crate) fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => Ok(recv(&*stream, buffer, RecvFlags::TRUNC).map(|(_, length)| length)?),
            Self::Tls(_) => self.read(buffer),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let secure = match self {
            Self::Plain(stream) => return stream.read(buffer),
            Self::Tls(secure) => secure,
        };
        if secure.blocking {
            return secure.stream.read(buffer);
        }
        // All that is there: readiness is the socket's, and says nothing of what is decrypted.
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match secure.stream.read(rest) {
                Ok(0) => break,
                Ok(length) => read += length,
                Err(e) if read > 0 && e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(read)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) if bytes.is_empty() => stream.flush().map(|()| 0),
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(secure) => secure.stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(secure) => secure.stream.flush(),
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(stream) => stream.as_fd(),
            Self::Tls(secure) => secure.stream.sock.as_fd(),
        }
    }
}
