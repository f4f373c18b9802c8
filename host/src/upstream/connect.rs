//! Opening a connection to a peer: the one place where the proxy connects to anything.

use std::io;
use std::time::Duration;

use tokio::net::TcpSocket;

use super::Peer;
use crate::config::Address;
use crate::error::{Error, Kind};
use crate::socket::Socket;

/// Connect to a peer within `timeout`.
///
/// # Errors
/// [`Kind::ConnectTimeout`], or [`Kind::Connect`] where it is refused or unreachable.
pub async fn connect(peer: &Peer, timeout: Duration) -> Result<Socket, Error> {
    let connecting = async {
        let Address::Tcp(address) = peer.address;
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A message of a tunnel must not wait for the acknowledgement of the one before.
        socket.set_nodelay(true)?;
        socket.connect(address).await
    };
    match tokio::time::timeout(timeout, connecting).await {
        Ok(Ok(stream)) => Ok(stream.into()),
        Ok(Err(e)) if e.kind() == io::ErrorKind::TimedOut => Err(Error::new(Kind::ConnectTimeout, peer.name.as_ref())),
        Ok(Err(e)) => Err(Error::new(Kind::Connect, format!("{}: {e}", peer.name))),
        Err(_elapsed) => Err(Error::new(Kind::ConnectTimeout, peer.name.as_ref())),
    }
}
