//! TLS before HTTP.

use std::io;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use crate::observe::Client;
use crate::socket::{Plain, Socket};
use crate::tls::server::{self, Facts, Served};

/// The first byte of every handshake (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// Shake hands. Without facts it is a client that speaks plain HTTP where TLS is spoken; none
/// where there is nobody to speak with.
pub(super) async fn shake(stream: TcpStream, served: &Served, client: &Client) -> Option<(Socket, Option<Facts>)> {
    let shaking = async {
        let mut first = [0];
        match timeout(served.handshake_timeout(), stream.peek(&mut first)).await {
            // It left without a word, as whoever only looks whether the port is open does.
            Ok(Ok(0)) => return Ok(None),
            Ok(Ok(_)) if first != [HANDSHAKE] => return Ok(Some((Socket::from(stream), None))),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err((None, error)),
            Err(_elapsed) => return Err((None, io::ErrorKind::TimedOut.into())),
        }
        let shaken = server::accept(Plain::Tcp(stream), served).await;
        let (stream, facts) = shaken.map_err(|refused| (refused.name, refused.error))?;
        Ok(Some((Socket::Tls(Box::new(TlsStream::Server(stream))), Some(facts))))
    };
    shaking.await.unwrap_or_else(|(name, error): (Option<String>, io::Error)| {
        // As nginx, which tells of it where the log is at `info`.
        tracing::info!(client = %client.address, server_name = name, %error, "no TLS handshake");
        None
    })
}
