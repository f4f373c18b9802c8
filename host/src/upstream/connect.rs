//! Opening a connection to a peer: the one place where the proxy connects to anything.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::Peer;
use crate::config::{Address, Dial, PeerTls};
use crate::error::{Error, Kind};
use crate::proxy_protocol::{self, Ends, Version};
use crate::socket::{Plain, Socket, congestion};
use crate::tls::Alpn;

/// Connect to a peer within `timeout`, with TLS and its handshake where it has TLS, and before it
/// the PROXY protocol's header where it wants one: about `ends`, none for the proxy itself.
///
/// # Errors
/// [`Kind::ConnectTimeout`]; [`Kind::Connect`] where it is refused or unreachable; [`Kind::Tls`]
/// where there is a connection and the handshake fails.
pub async fn connect(peer: &Peer, ends: Option<Ends>, timeout: Duration) -> Result<Socket, Error> {
    connect_for(peer, Alpn::Http1, ends, timeout).await
}

/// The same, for what is no HTTP: a peer with TLS is offered nothing to choose from.
///
/// # Errors
/// As [`connect`].
pub async fn connect_raw(peer: &Peer, ends: Ends, timeout: Duration) -> Result<Socket, Error> {
    connect_for(peer, Alpn::None, Some(ends), timeout).await
}

/// The same, for what a peer with TLS is offered to speak.
///
/// # Errors
/// As [`connect`].
pub(super) async fn connect_for(
    peer: &Peer,
    alpn: Alpn,
    ends: Option<Ends>,
    timeout: Duration,
) -> Result<Socket, Error> {
    let connecting = async {
        let mut plain = open(&peer.way.address, &peer.way.dial).await.map_err(|error| refusal(peer, &error))?;
        if let Some(version) = peer.way.dial.proxy_protocol {
            announce(&mut plain, version, ends).await.map_err(|error| refusal(peer, &error))?;
        }
        match &peer.way.dial.tls {
            None => Ok(Socket::Plain(plain)),
            // Boxed, since it is many times as large as what comes before, which all wait in.
            Some(tls) => Box::pin(handshake(plain, tls, alpn))
                .await
                .map_err(|error| Error::new(Kind::Tls, format!("{}: {error}", peer.name))),
        }
    };
    match tokio::time::timeout(timeout, connecting).await {
        Ok(connected) => connected,
        Err(_elapsed) => Err(Error::new(Kind::ConnectTimeout, peer.name.as_ref())),
    }
}

fn refusal(peer: &Peer, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::TimedOut => Error::new(Kind::ConnectTimeout, peer.name.as_ref()),
        _ => Error::new(Kind::Connect, format!("{}: {error}", peer.name)),
    }
}

async fn open(address: &Address, dial: &Dial) -> io::Result<Plain> {
    match address {
        Address::Tcp(address) => tcp(*address, dial).await,
        Address::Unix(path) => UnixStream::connect(path).await.map(Plain::Unix),
    }
}

async fn tcp(address: SocketAddr, dial: &Dial) -> io::Result<Plain> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // A message of a tunnel must not wait for the acknowledgement of the one before.
    socket.set_tcp_nodelay(true)?;
    congestion::choose(&socket, dial.congestion_control.as_deref(), address.ip())?;
    if dial.tcp_keepalive {
        socket.set_keepalive(true)?;
    }
    if let Some(from) = dial.bind {
        bind(&socket, from, address)?;
    }
    establish(socket, address).await.map(Plain::Tcp)
}

/// Connect, and wait only where that takes time. Within this machine the connection is there when the
/// call returns, though the call says that it is on its way; asking once more tells.
async fn establish(socket: socket2::Socket, to: SocketAddr) -> io::Result<TcpStream> {
    let is_there = match connect_now(&socket, to)? {
        false if to.ip().is_loopback() => connect_now(&socket, to)?,
        is_there => is_there,
    };
    let stream = TcpStream::from_std(socket.into())?;
    if !is_there {
        stream.writable().await?;
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
    }
    Ok(stream)
}

/// Begin to connect, or ask again what became of it; whether the connection is there.
fn connect_now(socket: &socket2::Socket, to: SocketAddr) -> io::Result<bool> {
    match rustix::net::connect(socket, &to) {
        Ok(()) => Ok(true),
        Err(Errno::INPROGRESS | Errno::ALREADY) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn bind(socket: &socket2::Socket, from: IpAddr, to: SocketAddr) -> io::Result<()> {
    let told = |error: io::Error| io::Error::new(error.kind(), format!("cannot connect from {from}: {error}"));
    if from.is_ipv4() != to.is_ipv4() {
        return Err(told(io::Error::new(io::ErrorKind::InvalidInput, "the peer's address is of the other IP version")));
    }
    socket.bind(&SocketAddr::new(from, 0).into()).map_err(told)
}

/// Say whom the connection is for, before anything else.
async fn announce(plain: &mut Plain, version: Version, ends: Option<Ends>) -> io::Result<()> {
    let mut header = Vec::with_capacity(128);
    proxy_protocol::encode(version, ends, &mut header);
    plain.write_all(&header).await
}

async fn handshake(plain: Plain, tls: &PeerTls, alpn: Alpn) -> io::Result<Socket> {
    let connector = TlsConnector::from(tls.client.config(alpn));
    let stream = connector.connect(tls.name.clone(), plain).await?;
    Ok(Socket::Tls(Box::new(stream.into())))
}
