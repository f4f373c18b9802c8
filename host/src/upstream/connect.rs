//! Opening a connection to a peer: the one place where the proxy connects to anything.

use std::io;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

use super::Peer;
use crate::body::Body;
use crate::error::{Error, Kind};
use crate::stream::{MAX_HEADERS, Stream};

/// The driving half of an HTTP/1.1 connection to a peer.
pub type Connection = http1::Connection<TokioIo<Stream>, Body>;
/// The asking half of an HTTP/1.1 connection to a peer.
pub type Sender = http1::SendRequest<Body>;

/// Connect to a peer within `timeout`.
///
/// # Errors
/// [`Kind::ConnectTimeout`], or [`Kind::Connect`] where it is refused or unreachable.
pub async fn connect(peer: &Peer, timeout: Duration) -> Result<TcpStream, Error> {
    let connecting = async {
        let socket = if peer.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A message of a tunnel must not wait for the acknowledgement of the one before.
        socket.set_nodelay(true)?;
        socket.connect(peer.address).await
    };
    match tokio::time::timeout(timeout, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(e)) if e.kind() == io::ErrorKind::TimedOut => Err(Error::new(Kind::ConnectTimeout, peer.name.as_ref())),
        Ok(Err(e)) => Err(Error::new(Kind::Connect, format!("{}: {e}", peer.name))),
        Err(_elapsed) => Err(Error::new(Kind::ConnectTimeout, peer.name.as_ref())),
    }
}

/// Speak HTTP/1.1 on a fresh connection. The caller drives the second half.
///
/// # Errors
/// None that is known of: hyper only sets up its state here.
pub async fn speak(stream: TcpStream, send_timeout: Duration) -> Result<(Sender, Connection), Error> {
    http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .preserve_header_case(true)
        // Names that the proxy adds, beside the client's own: `X-Forwarded-For`.
        .title_case_headers(true)
        .handshake(TokioIo::new(Stream::new(stream, send_timeout)))
        .await
        .map_err(|e| Error::from_upstream(&e))
}
