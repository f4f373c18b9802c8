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

/// More than one `read_tls` brings: what is decrypted is taken whole, since the poller knows
/// nothing of it.
const ROOM: usize = 64 << 10;

/// `StreamOwned` reads nothing while it has something to write, which stalls an echo whose other
/// side does the same.
impl Secure {
    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let StreamOwned { conn, sock } = &mut self.stream;
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| rest.len() >= ROOM || read == 0) {
            match conn.read_tls(sock) {
                Ok(0) => return Ok(read),
                Ok(_) => {}
                Err(e) if read > 0 && e.kind() == ErrorKind::WouldBlock => return Ok(read),
                Err(e) => return Err(e),
            }
            conn.process_new_packets().map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
            match conn.reader().read(rest) {
                Ok(length) => read += length,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(read)
    }

    /// What was taken, if it was sent or not.
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let StreamOwned { conn, sock } = &mut self.stream;
        let mut taken = 0;
        loop {
            taken += conn.writer().write(bytes.get(taken..).unwrap_or_default())?;
            while conn.wants_write() {
                match conn.write_tls(sock) {
                    Ok(_) => {}
                    Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(taken),
                    Err(e) => return Err(e),
                }
            }
            if taken == bytes.len() {
                return Ok(taken);
            }
        }
    }
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
        if secure.blocking { secure.stream.read(buffer) } else { secure.read_now(buffer) }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) if bytes.is_empty() => stream.flush().map(|()| 0),
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(secure) if secure.blocking => secure.stream.write(bytes),
            Self::Tls(secure) => secure.write_now(bytes),
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
