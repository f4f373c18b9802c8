//! One TCP connection at the byte level: a test's client, or a backend's end.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::eventually::patience;
use crate::head::Head;
use crate::http::{Body, read_body};
use crate::noise::Noise;
use crate::ws::{self, Frame};

/// A TCP connection. Reading and writing fail the test after [`patience`], and say what
/// had come until then.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    ended: bool,
}

impl Wire {
    /// Connect to an address.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, patience());
        Self::new(stream.unwrap_or_else(|error| panic!("connect to {address}: {error}")))
    }

    /// Connect with a small receive buffer, for a reader that is to stall its writer soon.
    #[track_caller]
    pub fn connect_narrow(address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.connect(&address.into()).unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        Self::new(socket.into())
    }

    /// Take over a connected stream.
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(patience())).expect("a read timeout");
        stream.set_write_timeout(Some(patience())).expect("a write timeout");
        Self { stream, buffer: Vec::new(), ended: false }
    }

    /// The stream itself, for what has no word here.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// A second handle on the same connection that only writes, for another thread.
    pub fn writer(&self) -> Self {
        Self { stream: self.stream.try_clone().expect("clone a socket"), buffer: Vec::new(), ended: true }
    }

    /// This end's address.
    pub fn local(&self) -> SocketAddr {
        self.stream.local_addr().expect("a local address")
    }

    /// The other end's address.
    pub fn peer(&self) -> SocketAddr {
        self.stream.peer_addr().expect("a peer's address")
    }

    /// Write all of these bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.stream.write_all(bytes).unwrap_or_else(|error| panic!("send {} bytes: {error}", bytes.len()));
    }

    /// Write all of these bytes, or say why not: for a peer that may have gone.
    ///
    /// # Errors
    /// What the socket says.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Write noise until nothing moves for `quiet` or `most` bytes went out; how many went.
    #[track_caller]
    pub fn send_until_stalled(&mut self, noise: &mut Noise, most: usize, quiet: Duration) -> usize {
        self.stream.set_write_timeout(Some(quiet)).unwrap();
        let mut sent = 0;
        while sent < most {
            let piece = noise.clone().take(16 * 1024);
            match self.stream.write(&piece) {
                Ok(n) => {
                    noise.take(n);
                    sent += n;
                }
                Err(error) if stalled(&error) => break,
                Err(error) => panic!("after {sent} bytes: {error}"),
            }
        }
        self.stream.set_write_timeout(Some(patience())).unwrap();
        sent
    }

    /// Read once, up to a large piece; empty at the end of the stream.
    ///
    /// # Errors
    /// What the socket says; `WouldBlock` after [`patience`].
    pub fn try_read(&mut self) -> std::io::Result<Vec<u8>> {
        if self.buffer.is_empty() && !self.ended {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Whether another byte comes; waits for it or for the end of the stream.
    pub fn has_more(&mut self) -> bool {
        !self.buffer.is_empty() || matches!(self.fill(), Ok(true))
    }

    /// Read a head: up to and with the empty line.
    #[track_caller]
    pub fn read_head(&mut self) -> Head {
        self.try_read_head().unwrap_or_else(|| panic!("the stream ended before a head; {}", self.seen()))
    }

    /// Read a head; none where the stream ends before its first byte, or is reset there.
    #[track_caller]
    pub fn try_read_head(&mut self) -> Option<Head> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                let raw: Vec<u8> = self.buffer.drain(..at + 4).collect();
                return Some(Head::parse(&raw));
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) if self.buffer.is_empty() => return None,
                Err(error) if self.buffer.is_empty() && error.kind() == ErrorKind::ConnectionReset => return None,
                Ok(false) => panic!("the stream ended within a head; {}", self.seen()),
                Err(error) => panic!("no head: {error}; {}", self.seen()),
            }
        }
    }

    /// Read a response: its head, past interim ones, and its body.
    #[track_caller]
    pub fn read_response(&mut self) -> (Head, Body) {
        loop {
            let head = self.read_head();
            if head.status() == 101 || head.status() >= 200 {
                let body = read_body(self, &head, false);
                return (head, body);
            }
        }
    }

    /// Read exactly `n` bytes.
    #[track_caller]
    pub fn read_exact(&mut self, n: usize) -> Vec<u8> {
        while self.buffer.len() < n {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => panic!("wanted {n} bytes, the stream ended; {}", self.seen()),
                Err(error) => panic!("wanted {n} bytes: {error}; {}", self.seen()),
            }
        }
        self.buffer.drain(..n).collect()
    }

    /// Read up to and with the next CR LF; the line without it.
    #[track_caller]
    pub fn read_line(&mut self) -> String {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return String::from_utf8_lossy(&line[..at]).into_owned();
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) => panic!("wanted a line, the stream ended; {}", self.seen()),
                Err(error) => panic!("wanted a line: {error}; {}", self.seen()),
            }
        }
    }

    /// The next bytes must be these.
    #[track_caller]
    pub fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let wanted = bytes.as_ref();
        while self.buffer.len() < wanted.len() && wanted.starts_with(&self.buffer) {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => panic!("wanted {}, the stream ended; {}", wanted.escape_ascii(), self.seen()),
                Err(error) => panic!("wanted {}: {error}; {}", wanted.escape_ascii(), self.seen()),
            }
        }
        assert!(self.buffer.starts_with(wanted), "wanted {}; {}", wanted.escape_ascii(), self.seen());
        self.buffer.drain(..wanted.len());
    }

    /// Read `n` bytes of this noise and compare on the way.
    #[track_caller]
    pub fn expect_noise(&mut self, noise: &mut Noise, n: usize) {
        let mut got = 0;
        while got < n {
            let mut piece = match self.try_read() {
                Ok(piece) => piece,
                Err(error) => panic!("after {got} of {n} bytes: {error}"),
            };
            assert!(!piece.is_empty(), "the stream ended after {got} of {n} bytes");
            if piece.len() > n - got {
                self.buffer = piece.split_off(n - got);
            }
            noise.expect(&piece, got);
            got += piece.len();
        }
    }

    /// Everything up to the end of the stream; a reset fails the test.
    #[track_caller]
    pub fn read_until_close(&mut self) -> Vec<u8> {
        loop {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return std::mem::take(&mut self.buffer),
                Err(error) => panic!("wanted the end of the stream: {error}; {}", self.seen()),
            }
        }
    }

    /// The stream must end here, in order, without another byte.
    #[track_caller]
    pub fn expect_close(&mut self) {
        let rest = self.read_until_close();
        assert!(rest.is_empty(), "wanted the end of the stream, got {}", rest.escape_ascii());
    }

    /// The stream must end here, in order or by a reset, without another byte.
    #[track_caller]
    pub fn expect_end(&mut self) {
        match self.fill() {
            Ok(false) => {}
            Err(error) if reset(&error) => {}
            Ok(true) => {}
            Err(error) => panic!("wanted the end of the stream: {error}"),
        }
        assert!(self.buffer.is_empty(), "wanted the end of the stream; {}", self.seen());
    }

    /// The connection must be reset; bytes before that are let pass.
    #[track_caller]
    pub fn expect_reset(&mut self) {
        loop {
            match self.fill() {
                Ok(true) => {}
                Err(error) if reset(&error) => return,
                Ok(false) => panic!("wanted a reset, the stream ended in order; {}", self.seen()),
                Err(error) => panic!("wanted a reset: {error}; {}", self.seen()),
            }
        }
    }

    /// For this long nothing may come, neither a byte nor an end.
    #[track_caller]
    pub fn expect_silence(&mut self, length: Duration) {
        assert!(self.buffer.is_empty(), "wanted silence; {}", self.seen());
        self.stream.set_read_timeout(Some(length)).unwrap();
        match self.fill() {
            Err(error) if stalled(&error) => {}
            Ok(true) => panic!("wanted silence; {}", self.seen()),
            Ok(false) => panic!("wanted silence, the stream ended"),
            Err(error) => panic!("wanted silence: {error}"),
        }
        self.stream.set_read_timeout(Some(patience())).unwrap();
    }

    /// End this direction (FIN); the other stays open.
    pub fn finish(&mut self) {
        // The other end may have gone by now, which is as good.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reset the connection (RST).
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }

    /// Send a client's handshake for `path` and read the 101, which must answer it.
    #[track_caller]
    pub fn upgrade(&mut self, path: &str) -> Head {
        self.send(ws::handshake(path, ""));
        let head = self.read_head();
        assert_eq!(head.status(), 101, "{}", head.raw.escape_ascii());
        assert_eq!(head.get("sec-websocket-accept"), Some(ws::accept(ws::KEY).as_str()));
        head
    }

    /// Read one frame, masked or not.
    #[track_caller]
    pub fn read_frame(&mut self) -> Frame {
        let start = self.read_exact(2);
        let length = match start[1] & 0x7F {
            126 => u64::from(u16::from_be_bytes(self.read_exact(2).try_into().unwrap())),
            127 => u64::from_be_bytes(self.read_exact(8).try_into().unwrap()),
            n => u64::from(n),
        };
        let mask: Option<Vec<u8>> = (start[1] & 0x80 != 0).then(|| self.read_exact(4));
        let mut payload = self.read_exact(usize::try_from(length).unwrap());
        if let Some(mask) = mask {
            payload.iter_mut().enumerate().for_each(|(i, byte)| *byte ^= mask[i % 4]);
        }
        Frame { fin: start[0] & 0x80 != 0, opcode: start[0] & 0x0F, payload }
    }

    /// Send a frame as a client does and read the same one back as a server sends it.
    #[track_caller]
    pub fn echo(&mut self, frame: &Frame) {
        self.send(frame.masked());
        self.expect(frame.bytes());
    }

    /// Read more into the buffer; false at the end of the stream.
    fn fill(&mut self) -> std::io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let mut piece = vec![0; 64 * 1024];
        let deadline = Instant::now() + patience();
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(false);
                }
                Ok(n) => {
                    self.buffer.extend_from_slice(&piece[..n]);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted && Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn seen(&self) -> String {
        let shown = &self.buffer[..self.buffer.len().min(600)];
        format!("{} bytes not yet taken: {}", self.buffer.len(), shown.escape_ascii())
    }
}

fn stalled(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn reset(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
