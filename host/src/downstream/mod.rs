//! Clients' connections: bytes become requests, and answers bytes.

mod handshake;
mod http1;
mod http2;
mod http3;
mod passed;
mod proxied;
mod upgrade;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use crate::listener::{Accepted, Visit};
use crate::observe::Client;
use crate::proxy::{Connection, Proxy};
use crate::streams::Arrived;
use crate::tls::server::{self, Served};
use passed::Entering;

/// Serve one connection from its first byte to its end: what a proxy in front says, TLS, HTTP.
pub async fn serve(accepted: Accepted, proxy: Arc<Proxy>, draining: watch::Receiver<bool>) {
    let Accepted { mut stream, client, local, proxied: believed, mut visit, tls, protocols, alt_svc, streams } =
        accepted;
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
    let connection =
        Arc::new(Connection { proxy: Arc::clone(&proxy), client, local, scheme, proxied, tls, misplaced, alt_svc });
    if speaks {
        http2::serve(socket, connection, draining).await;
    } else {
        http1::serve(socket, connection, draining).await;
    }
    drop(visit);
}

/// A connection of QUIC whose handshake is to begin.
pub struct AcceptedQuic {
    /// QUIC's side of it.
    pub incoming: quinn::Incoming,
    /// What holds for it.
    pub config: Arc<quinn::ServerConfig>,
    /// The TLS that is spoken there.
    pub served: Arc<Served>,
    /// The client's end.
    pub client: Client,
    /// The proxy's end.
    pub local: SocketAddr,
    /// Kept to the end of the connection.
    pub visit: Visit,
}

/// Serve one connection of QUIC from its handshake to its end. `shaken` is called once the
/// handshake is over.
///
/// Its address stays that of the handshake, which the client has proved to be its own: where it
/// goes later is believed by QUIC before it is proved, and must open no door.
pub async fn serve_quic(
    accepted: AcceptedQuic,
    shaken: impl FnOnce(),
    proxy: Arc<Proxy>,
    draining: watch::Receiver<bool>,
) {
    let AcceptedQuic { incoming, config, served, client, local, visit } = accepted;
    // Boxed, since it is large and soon over.
    let shook = Box::pin(server::accept_quic(incoming, &served, config)).await;
    drop(served);
    shaken();
    let (quic, facts) = match shook {
        Ok(shook) => shook,
        Err(refused) => {
            let server::Refused { name, error } = refused;
            return tracing::info!(client = %client.address, server_name = name, %error, "no QUIC handshake");
        }
    };
    let tls = Some(Arc::new(facts));
    let connection =
        Connection { proxy, client, local, scheme: "https", proxied: None, tls, misplaced: false, alt_svc: None };
    http3::serve(quic, Arc::new(connection), draining).await;
    drop(visit);
}
