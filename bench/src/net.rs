//! Sockets of the load generator: where they come from and how they end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{BenchError, Context as _, Result};
use crate::tls::Client;
use crate::wire::{Door, Wire};
use crate::ws;

/// Ports that the system does not hand out by itself (`ip_local_port_range` begins above).
const PORTS: std::ops::Range<u16> = 10_240..32_000;
/// Source addresses 127.0.0.2 to 127.0.0.251.
const HOSTS: u8 = 250;

/// The next pair of address and port, for the whole process.
static NEXT: AtomicU64 = AtomicU64::new(0);
/// How far the pairs of two runs are apart for each second between their starts: more than
/// a generator can use in one.
const PAIRS_PER_SECOND: u64 = 25_000;

/// Gives out client addresses in rotation, so that ends that wait in TIME_WAIT (always the
/// client's: it closes first) are not met again: there are 5.4 million pairs, and at
/// [`PAIRS_PER_SECOND`] they last 217 s; TIME_WAIT lasts 60 s.
pub(crate) struct Sources;

impl Sources {
    /// Begins, once in a process, at a place that depends on the time.
    pub(crate) fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        // Only the first one of the process sets it; an error says that it is set.
        NEXT.compare_exchange(0, now.as_secs() * PAIRS_PER_SECOND, Ordering::Relaxed, Ordering::Relaxed).ok();
        Self
    }

    fn next(&mut self) -> SocketAddr {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let hosts = u64::from(HOSTS);
        let ports = u64::from(PORTS.end - PORTS.start);
        let host = (number % hosts) as u8 + 2;
        let port = PORTS.start + ((number / hosts) % ports) as u16;
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, host), port))
    }

    /// A non-blocking connection to `to`, perhaps not established yet.
    pub(crate) fn connect(&mut self, to: SocketAddr) -> Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP)).during("socket")?;
        socket.set_tcp_nodelay(true).during("TCP_NODELAY")?;
        let mut tries = 0;
        loop {
            match socket.bind(&self.next().into()) {
                Ok(()) => break,
                Err(e) if e.kind() == ErrorKind::AddrInUse && tries < 1000 => tries += 1,
                Err(e) => return Err(e).during("bind a source address"),
            }
        }
        match socket.connect(&to.into()) {
            Err(e) if e.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                Err(e).during(format!("connect to {to}"))
            }
            _ => Ok(socket.into()),
        }
    }

    /// An open tunnel through `to`, non-blocking, nothing read beyond the 101.
    pub(crate) fn tunnel(&mut self, to: &Door, path: &str) -> Result<Wire> {
        let stream = self.connect(to.address)?;
        stream.set_nonblocking(false).during("blocking mode")?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).during("read timeout")?;
        let mut stream = Wire::new(stream, to.tls.as_ref().map(Client::connection).transpose()?);
        let key = ws::key_of(NEXT.load(Ordering::Relaxed));
        stream.write_all(ws::RequestText::handshake(path).with_key(&key).as_bytes()).during("send a handshake")?;
        let head = read_head(&mut stream)?;
        check_switch(&head, &key)?;
        stream.set_blocking(false).during("non-blocking mode")?;
        Ok(stream)
    }
}

/// Read a head byte by byte: slow, and takes nothing that follows it.
pub(crate) fn read_head(stream: &mut impl Read) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(0) => {
                let text = String::from_utf8_lossy(&head).into_owned();
                return Err(BenchError::Answer(format!("the connection ended within the head: {text:?}")));
            }
            Ok(_) => head.extend_from_slice(&byte),
            Err(e) => return Err(e).during("read a response's head"),
        }
    }
    Ok(head)
}

/// Whether a head is a right 101 for a key.
pub(crate) fn check_switch(head: &[u8], key: &str) -> Result<()> {
    let accept = ws::accept_of(key.as_bytes());
    let has_accept = head.windows(accept.len()).any(|w| w == accept.as_bytes());
    if head.starts_with(b"HTTP/1.1 101") && has_accept {
        return Ok(());
    }
    Err(BenchError::Answer(format!("instead of a 101: {:?}", String::from_utf8_lossy(head))))
}

/// A listening socket on loopback, port chosen by the system.
pub(crate) fn listener() -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).during("socket")?;
    socket.bind(&SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).into()).during("bind")?;
    socket.listen(4096).during("listen")?;
    Ok(socket.into())
}

/// A port that is free now, for a program that must be told one.
pub(crate) fn free_port() -> Result<u16> {
    Ok(listener()?.local_addr().during("local address")?.port())
}

/// End with a reset instead of the FIN exchange: for the backend, which closes last, so
/// that no port of the proxy is left in TIME_WAIT.
pub(crate) fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// Raise the limit of open files as far as allowed; children inherit it. Returns it.
pub(crate) fn raise_open_files() -> Result<u64> {
    let wanted = 200_000;
    let now = getrlimit(Resource::Nofile);
    let hard = now.maximum.unwrap_or(u64::MAX);
    if hard < wanted && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: Some(wanted) }).is_ok() {
        return Ok(wanted);
    }
    let most = hard.min(wanted);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: now.maximum }).during("setrlimit")?;
    Ok(most)
}
