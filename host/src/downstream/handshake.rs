//! TLS before HTTP, and which HTTP where nobody has agreed on it.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use crate::observe::Client;
use crate::proxy::Proxy;
use crate::socket::{Plain, Socket};
use crate::tls::server::{self, Facts, Served};

/// The first byte of every handshake (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// How a connection of HTTP/2 begins, as far as no method does (RFC 9113 §3.4).
const PREFACE: &[u8; 6] = b"PRI * ";

/// Shake hands. Without facts it is a client that speaks plain HTTP where TLS is spoken; none
/// where there is nobody to speak with.
pub(super) async fn shake(
    stream: TcpStream,
    served: &Served,
    client: &Client,
    draining: &watch::Receiver<bool>,
) -> Option<(Socket, Option<Facts>)> {
    let shaking = async {
        let mut first = [0];
        match look(&stream, &mut first, served.handshake_timeout(), draining).await {
            // It left without a word, as whoever only looks whether the port is open does.
            Ok(0) => return Ok(None),
            Ok(_) if first != [HANDSHAKE] => return Ok(Some((Socket::from(stream), None))),
            Ok(_) => {}
            Err(error) => return Err((None, error)),
        }
        let shaken = server::accept(Plain::Tcp(stream), served).await;
        let Some((stream, facts)) = shaken.map_err(|refused| (refused.name, refused.error))? else { return Ok(None) };
        Ok(Some((Socket::Tls(Box::new(TlsStream::Server(stream))), Some(facts))))
    };
    shaking.await.unwrap_or_else(|(name, error): (Option<String>, io::Error)| {
        // As nginx, which tells of it where the log is at `info`.
        tracing::info!(client = %client.address, server_name = name, %error, "no TLS handshake");
        None
    })
}

/// Whether a client speaks HTTP/2 without having asked (RFC 9113 §3.3): its first bytes say so.
/// They are one write of every client.
pub(super) async fn knows_http2(stream: &TcpStream, proxy: &Proxy, draining: &watch::Receiver<bool>) -> bool {
    let patience = proxy.snapshot.load().downstream.header_timeout;
    let mut first = [0; PREFACE.len()];
    let looked = look(stream, &mut first, patience, draining).await;
    matches!(looked, Ok(n) if n == first.len() && first == *PREFACE)
}

/// Look at the first bytes of a connection, which stay to be read; none where it ends before, or
/// the server drains.
async fn look(
    stream: &TcpStream,
    first: &mut [u8],
    patience: Duration,
    draining: &watch::Receiver<bool>,
) -> io::Result<usize> {
    let mut draining = draining.clone();
    tokio::select! {
        biased;
        looked = timeout(patience, stream.peek(first)) => looked.unwrap_or(Err(io::ErrorKind::TimedOut.into())),
        // The sender lives as long as the worker.
        _drains = draining.wait_for(|draining| *draining) => Ok(0),
    }
}
