//! The server behind the proxies: WebSocket echo, stream and sink, and a plain page. One
//! thread, one process, no work that could be left out.
//!
//! Paths: `/ws/echo`, `/ws/stream/BYTES` (messages of that size without end), `/ws/sink`;
//! `/accepted` is the number of connections so far, in a page of 64 bytes; anything else is a page
//! of 64 bytes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;

use rustix::net::RecvFlags;

use crate::echo::{Echo, Flow};
use crate::error::{BenchError, Context as _, Result};
use crate::net;
use crate::poll::{Interest, Poller, Ready};
use crate::ws;

/// The body of the plain page.
pub(crate) const PAGE: &[u8; 64] = b"sixty-four bytes of page, the same for every proxy that asks..\r\n";
const LISTENER: usize = usize::MAX;

/// Serve until killed; prints the port on standard output first.
pub(crate) fn serve() -> Result<()> {
    let listener = net::listener()?;
    announce(&listener)?;
    listener.set_nonblocking(true).during("non-blocking mode")?;
    let mut server = Server::new()?;
    server.poller.add(&listener, LISTENER, Interest::Read)?;
    let mut ready = Vec::new();
    loop {
        server.poller.wait(&mut ready, None)?;
        for &event in &ready {
            if event.token == LISTENER { server.accept(&listener)? } else { server.act(event)? }
        }
    }
}

/// How many connections the backend at this address has had, this one among them.
pub(crate) fn accepted(backend: SocketAddr) -> Result<u64> {
    let mut stream = TcpStream::connect(backend).during("connect to the backend")?;
    stream.write_all(b"GET /accepted HTTP/1.1\r\nHost: backend\r\n\r\n").during("ask the backend")?;
    net::read_head(&mut stream)?;
    let mut page = [0; PAGE.len()];
    stream.read_exact(&mut page).during("read the backend's answer")?;
    let number = std::str::from_utf8(&page).ok().and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| BenchError::Format("the backend's number of connections".into()))
}

/// Tell the parent the port, and end when it does.
pub(crate) fn announce(listener: &TcpListener) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).during("prctl")?;
    let port = listener.local_addr().during("local address")?.port();
    writeln!(std::io::stdout(), "{port}").during("print the port")
}

struct Server {
    poller: Poller,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    input: Vec<u8>,
    output: Vec<u8>,
    streams: Vec<(usize, Rc<[u8]>)>,
    /// Connections so far.
    accepted: u64,
}

struct Connection {
    stream: TcpStream,
    role: Role,
    /// Written as soon as there is room; while there is some, nothing is read.
    pending: Vec<u8>,
}

enum Role {
    /// Waits for a head; holds its beginning.
    Head(Vec<u8>),
    Echo(Echo),
    /// What is sent over and over, and how far the sending has got in it.
    Stream(Rc<[u8]>, usize),
    Sink,
}

impl Server {
    fn new() -> Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            connections: Vec::new(),
            free: Vec::new(),
            input: vec![0; 256 * 1024],
            output: Vec::new(),
            streams: Vec::new(),
            accepted: 0,
        })
    }

    fn accept(&mut self, listener: &TcpListener) -> Result<()> {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => continue,
                Err(e) => return Err(e).during("accept"),
            };
            self.accepted += 1;
            stream.set_nonblocking(true).during("non-blocking mode")?;
            stream.set_nodelay(true).during("TCP_NODELAY")?;
            net::reset_on_close(&stream).during("SO_LINGER")?;
            let token = self.free.pop().unwrap_or(self.connections.len());
            self.poller.add(&stream, token, Interest::Read)?;
            let connection = Some(Connection { stream, role: Role::Head(Vec::new()), pending: Vec::new() });
            match self.connections.get_mut(token) {
                Some(slot) => *slot = connection,
                None => self.connections.push(connection),
            }
        }
    }

    fn act(&mut self, event: Ready) -> Result<()> {
        let Some(mut connection) = self.connections.get_mut(event.token).and_then(Option::take) else {
            return Ok(());
        };
        let was = connection.interest();
        let flow = if event.readable && was == Interest::Read { self.read(&mut connection) } else { Flow::On };
        let flow = if flow == Flow::On { connection.write() } else { flow };
        if flow == Flow::End {
            self.free.push(event.token);
            return Ok(());
        }
        let now = connection.interest();
        if now != was {
            self.poller.change(&connection.stream, event.token, now)?;
        }
        if let Some(slot) = self.connections.get_mut(event.token) {
            *slot = Some(connection);
        }
        Ok(())
    }

    fn read(&mut self, connection: &mut Connection) -> Flow {
        if let Role::Sink = connection.role {
            // MSG_TRUNC: taken off the socket without being copied.
            return match rustix::net::recv(&connection.stream, self.input.as_mut_slice(), RecvFlags::TRUNC) {
                Ok((_, 0)) => Flow::End,
                Ok(_) | Err(rustix::io::Errno::AGAIN) => Flow::On,
                Err(_) => Flow::End,
            };
        }
        let length = match connection.stream.read(&mut self.input) {
            Ok(0) => return Flow::End,
            Ok(length) => length,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Flow::On,
            Err(_) => return Flow::End,
        };
        let input = std::mem::take(&mut self.input);
        self.output.clear();
        let flow = self.take(connection, input.get(..length).unwrap_or_default());
        self.input = input;
        if flow == Flow::On { connection.send(&self.output) } else { flow }
    }

    /// Act on bytes that came in; answers go to `self.output`.
    fn take(&mut self, connection: &mut Connection, bytes: &[u8]) -> Flow {
        match &mut connection.role {
            Role::Head(_) => self.take_head(connection, bytes),
            Role::Echo(echo) => echo.take(bytes, &mut self.output),
            Role::Stream(..) | Role::Sink => Flow::On,
        }
    }

    fn take_head(&mut self, connection: &mut Connection, bytes: &[u8]) -> Flow {
        let Role::Head(begun) = &mut connection.role else { return Flow::On };
        let joined;
        let bytes = if begun.is_empty() {
            bytes
        } else {
            begun.extend_from_slice(bytes);
            joined = std::mem::take(begun);
            joined.as_slice()
        };
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            begun.extend_from_slice(bytes);
            return Flow::On;
        };
        let (head, rest) = bytes.split_at(end + 4);
        let Some(key) = header(head, b"sec-websocket-key") else {
            self.output.extend_from_slice(page_head().as_bytes());
            if head.starts_with(b"GET /accepted ") {
                self.output.extend_from_slice(format!("{:<64}", self.accepted).as_bytes());
            } else {
                self.output.extend_from_slice(PAGE);
            }
            return Flow::On;
        };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            ws::accept_of(key)
        );
        self.output.extend_from_slice(answer.as_bytes());
        connection.role = self.role_for(head);
        self.take(connection, rest)
    }

    fn role_for(&mut self, head: &[u8]) -> Role {
        let path = head.split(|b| *b == b' ').nth(1).unwrap_or_default();
        if let Some(size) = path.strip_prefix(b"/ws/stream/") {
            let size = std::str::from_utf8(size).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
            return Role::Stream(self.stream_of(size), 0);
        }
        if path == b"/ws/sink" { Role::Sink } else { Role::Echo(Echo::default()) }
    }

    /// At least a MiB of whole messages of a size, made once.
    fn stream_of(&mut self, size: usize) -> Rc<[u8]> {
        if let Some((_, bytes)) = self.streams.iter().find(|(known, _)| *known == size) {
            return Rc::clone(bytes);
        }
        let message = ws::message(&ws::payload(size), false);
        let bytes: Rc<[u8]> = message.repeat((1usize << 20).div_ceil(message.len())).into();
        self.streams.push((size, Rc::clone(&bytes)));
        bytes
    }
}

impl Connection {
    fn interest(&self) -> Interest {
        match self.role {
            _ if !self.pending.is_empty() => Interest::Write,
            Role::Stream(..) => Interest::Both,
            _ => Interest::Read,
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Flow {
        if bytes.is_empty() {
            return Flow::On;
        }
        match self.stream.write(bytes) {
            Ok(length) => self.pending.extend_from_slice(bytes.get(length..).unwrap_or_default()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => self.pending.extend_from_slice(bytes),
            Err(_) => return Flow::End,
        }
        Flow::On
    }

    /// Write what is pending, then some of the stream.
    fn write(&mut self) -> Flow {
        if !self.pending.is_empty() {
            match self.stream.write(&self.pending) {
                Ok(length) => drop(self.pending.drain(..length)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Flow::End,
            }
            if !self.pending.is_empty() {
                return Flow::On;
            }
            self.pending = Vec::new();
        }
        if let Role::Stream(bytes, at) = &mut self.role {
            match self.stream.write(bytes.get(*at..).unwrap_or_default()) {
                Ok(length) => *at = (*at + length) % bytes.len(),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Flow::End,
            }
        }
        Flow::On
    }
}

fn page_head() -> &'static str {
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\nContent-Length: 64\r\n\r\n"
}

/// The value of a header line, name in lower case.
fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|b| *b == b'\n').find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        found.eq_ignore_ascii_case(name).then_some(value.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lines_are_found_in_any_case() {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nSEC-WebSocket-Key:  abc \r\n\r\n";
        assert_eq!(header(head, b"sec-websocket-key"), Some(b"abc".as_slice()));
        assert_eq!(header(head, b"origin"), None);
    }
}
