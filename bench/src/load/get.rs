//! Plain GETs of a page of 64 bytes over 64 kept connections, one at a time on each.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::{CONNECTIONS, GLANCE, Meter, Window};
use crate::backend::PAGE;
use crate::error::{BenchError, Context as _, Result};
use crate::net::Sources;
use crate::poll::{Interest, Poller};
use crate::ws::RequestText;

/// The page that is asked for.
pub(super) const PATH: &str = "/page";

/// A kept connection, at most one request under way.
pub(super) struct Connection {
    stream: TcpStream,
    begun: Vec<u8>,
}

/// Connect, as often as a load does, each by its place as the poller's token.
pub(super) fn open(to: SocketAddr, poller: &Poller) -> Result<Vec<Connection>> {
    let mut sources = Sources::new();
    let mut connections = Vec::new();
    for token in 0..CONNECTIONS {
        let stream = sources.connect(to)?;
        poller.add(&stream, token, Interest::Read)?;
        connections.push(Connection { stream, begun: Vec::new() });
    }
    Ok(connections)
}

/// Run the load.
pub(crate) fn run(to: SocketAddr, mut meter: Meter<'_>) -> Result<Window> {
    let request = RequestText::plain_get(PATH);
    let mut poller = Poller::new()?;
    let mut connections = open(to, &poller)?;
    for connection in &mut connections {
        connection.ask(&request)?;
    }
    let mut buffer = vec![0; 16 * 1024];
    let mut ready = Vec::new();
    loop {
        poller.wait(&mut ready, Some(GLANCE))?;
        for event in &ready {
            let Some(connection) = connections.get_mut(event.token) else { continue };
            if connection.has_answer(&mut buffer)? {
                meter.count(1);
                connection.ask(&request)?;
            }
        }
        if let Some(window) = meter.look()? {
            return Ok(window);
        }
    }
}

impl Connection {
    /// Send a request, which fits into any socket.
    pub(super) fn ask(&mut self, request: &str) -> Result<()> {
        self.stream.write_all(request.as_bytes()).during("send a request")
    }

    /// Read; true when an answer is complete.
    pub(super) fn has_answer(&mut self, buffer: &mut [u8]) -> Result<bool> {
        let length = match self.stream.read(buffer) {
            Ok(0) => return Err(BenchError::Answer("a kept connection was closed".into())),
            Ok(length) => length,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(e) => return Err(e).during("read a response"),
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        if self.begun.is_empty() && is_answer(bytes)? {
            return Ok(true);
        }
        self.begun.extend_from_slice(bytes);
        let whole = is_answer(&self.begun)?;
        if whole {
            self.begun.clear();
        }
        Ok(whole)
    }
}

/// Whether these bytes are a whole answer; an error where they are no 200.
pub(crate) fn is_answer(bytes: &[u8]) -> Result<bool> {
    let expected = b"HTTP/1.1 200";
    if bytes.len() >= expected.len() && !bytes.starts_with(expected) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        return Err(BenchError::Answer(format!("instead of a 200: {text:?}")));
    }
    Ok(bytes.ends_with(PAGE))
}
