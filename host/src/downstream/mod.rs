//! Clients' connections: bytes become requests, and answers bytes.

mod handshake;
mod http1;
mod http2;
mod passed;
mod proxied;

use std::sync::Arc;

use tokio::sync::watch;

use crate::listener::Accepted;
use crate::proxy::{Connection, Proxy};
use crate::streams::Arrived;
use passed::Entering;

/// Serve one connection from its first byte to its end: what a proxy in front says, TLS, HTTP.
pub async fn serve(accepted: Accepted, proxy: Arc<Proxy>, draining: watch::Receiver<bool>) {
    let Accepted { mut stream, client, local, proxied: believed, mut visit, tls, protocols, streams } = accepted;
    let proxied = match believed {
        None => None,
        // Boxed, since it is soon over.
        Some(believed) => {
            match Box::pin(proxied::take(&mut stream, &believed, &client, &proxy, draining.clone())).await {
                Ok(ends) if visit.belongs_to(&proxy, ends.map_or(client.address, |ends| ends.source).ip()) => ends,
                _ => return,
            }
        }
    };
    let (stream, tls) = match streams {
        None => (stream, tls),
        Some(here) => {
            let entering = Entering { tcp: stream, here, tls };
            let arrived = Arrived { client: &client, local, proxied };
            // Boxed, since few connections are a stream's, and HTTP has no use for its room.
            match Box::pin(passed::pass(entering, arrived, &proxy, &draining)).await {
                None => return drop(visit),
                Some(left) => left,
            }
        }
    };
    let mut speaks = protocols.h2;
    let (socket, tls, misplaced) = match tls {
        None => {
            speaks = speaks && (!protocols.h1 || handshake::knows_http2(&stream, &proxy, &draining).await);
            (stream.into(), None, false)
        }
        // Boxed, since it is large and soon over.
        Some(served) => match Box::pin(handshake::shake(stream, &served, &client, &draining)).await {
            None => return,
            Some((socket, Some(facts))) => {
                // Who agrees on nothing speaks what everybody speaks.
                speaks = speaks && (!protocols.h1 || facts.alpn.as_deref() == Some("h2"));
                (socket, Some(Arc::new(facts)), false)
            }
            Some((socket, None)) => {
                speaks = false;
                (socket, None, true)
            }
        },
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let connection = Arc::new(Connection { proxy: Arc::clone(&proxy), client, local, scheme, proxied, tls, misplaced });
    if speaks {
        http2::serve(socket, connection, draining).await;
    } else {
        http1::serve(socket, connection, draining).await;
    }
    drop(visit);
}
