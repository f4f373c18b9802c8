//! The PROXY protocol's header, before TLS and HTTP.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::ProxyProtocol;
use crate::observe::Client;
use crate::proxy::Proxy;
use crate::proxy_protocol::{self, Ends, Header};

/// Why a connection is closed before its first request.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("it is none of those that may send a PROXY protocol header")]
    NotTrusted,
    #[error("{0}")]
    Malformed(#[from] proxy_protocol::Malformed),
    #[error("no PROXY protocol header within header_timeout")]
    Slow,
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It left before the end of the header, or the server drains: nothing to tell of.
    #[error("it has left")]
    Left,
}

/// Take the header off a connection that was just accepted: whom the sender speaks for, none
/// where it speaks for itself. `Err` where the connection is to be closed without a word, as
/// nginx does.
pub(super) async fn take(
    stream: &mut TcpStream,
    believed: &ProxyProtocol,
    client: &Client,
    proxy: &Proxy,
    mut draining: watch::Receiver<bool>,
) -> Result<Option<Ends>, ()> {
    let patience = proxy.snapshot.load().downstream.header_timeout;
    let taken = if believed.believes(client.address.ip()) {
        tokio::select! {
            biased;
            header = timeout(patience, header(stream)) => header.unwrap_or(Err(Closed::Slow)),
            // The sender lives as long as the worker.
            _drains = draining.wait_for(|draining| *draining) => Err(Closed::Left),
        }
    } else {
        Err(Closed::NotTrusted)
    };
    taken.map_err(|closed| {
        if !matches!(closed, Closed::Left) {
            tracing::warn!(client = %client.address, reason = %closed, "connection closed");
        }
    })
}

/// Read the header and not a byte more: what follows is left for whoever comes next.
async fn header(stream: &mut TcpStream) -> Result<Option<Ends>, Closed> {
    let mut bytes = vec![0; proxy_protocol::LONGEST];
    let mut read = 0;
    loop {
        let seen = stream.peek(bytes.get_mut(read..).unwrap_or_default()).await?;
        if seen == 0 {
            return Err(Closed::Left);
        }
        let header = proxy_protocol::decode(bytes.get(..read + seen).unwrap_or_default())?;
        let end = header.map_or(read + seen, |header| header.length);
        // What was seen is there, and belongs to the header.
        stream.read_exact(bytes.get_mut(read..end).unwrap_or_default()).await?;
        read = end;
        if let Some(Header { ends, .. }) = header {
            return Ok(ends);
        }
    }
}
