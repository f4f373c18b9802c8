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

use bytes::Bytes;
use tokio::sync::watch;

use crate::listener::{Accepted, Visit};
use crate::observe::Client;
use crate::proxy::{Connection, Proxy};
use crate::socket::Socket;
use crate::streams::{Arrived, Opened, Place};
use crate::tls::server::{self, Served};
use crate::tunnel;
use passed::{Entering, Passed};

/// Serve one connection from its first byte to its end: what a proxy in front says, TLS, HTTP, the tunnel that may
/// come of it.
///
/// What comes before a tunnel is boxed, since it is large and soon over, while this future lives as long as the
/// tunnel. For the same reason it takes no arguments of its own.
pub fn serve(
    accepted: Accepted,
    proxy: Arc<Proxy>,
    draining: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + 'static {
    let speaking = Box::pin(speak(accepted, proxy, draining));
    async move {
        let Some(Lasting { tunnel, place, visit }) = speaking.await else { return };
        tunnel.await;
        drop((place, visit));
    }
}

/// The tunnel that a connection has become.
struct Lasting {
    tunnel: tunnel::Running,
    /// Its place in its stream; none where it is no stream's.
    place: Option<Place>,
    /// Kept to the end of the connection.
    visit: Visit,
}

/// A connection to serve.
enum Entered {
    /// HTTP is to be spoken on it.
    Http { socket: Socket, connection: Arc<Connection>, speaks_http2: bool, visit: Visit },
    /// It is a stream's.
    Stream(Box<Lasting>),
}

/// All that comes before a tunnel; none where none comes after it.
async fn speak(accepted: Accepted, proxy: Arc<Proxy>, draining: watch::Receiver<bool>) -> Option<Lasting> {
    match enter(accepted, proxy, draining.clone()).await? {
        Entered::Stream(lasting) => Some(*lasting),
        Entered::Http { socket, connection, speaks_http2: true, visit } => {
            http2::serve(socket, connection, draining).await;
            drop(visit);
            None
        }
        Entered::Http { socket, connection, speaks_http2: false, visit } => {
            let tunnel = http1::serve(socket, connection, draining).await?;
            Some(Lasting { tunnel, place: None, visit })
        }
    }
}

/// All that comes before HTTP; none where nothing comes after it.
async fn enter(accepted: Accepted, proxy: Arc<Proxy>, draining: watch::Receiver<bool>) -> Option<Entered> {
    let Accepted { mut stream, client, local, proxied: believed, mut visit, tls, protocols, alt_svc, streams } =
        accepted;
    let proxied = match believed {
        None => None,
        Some(believed) => {
            let ends = proxied::take(&mut stream, &believed, &client, &proxy, draining.clone()).await.ok()?;
            if !visit.belongs_to(&proxy, ends.map_or(client.address, |ends| ends.source).ip()) {
                return None;
            }
            ends
        }
    };
    let (stream, tls) = match streams {
        None => (stream, tls),
        Some(here) => {
            let entering = Entering { tcp: stream, here, tls };
            let arrived = Arrived { client: &client, local, proxied };
            // Boxed, since few connections are a stream's.
            match Box::pin(passed::pass(entering, arrived, &proxy, &draining)).await? {
                Passed::Http(stream, tls) => (stream, tls),
                Passed::Stream(socket, Opened { opening, place }) => {
                    let tunnel = tunnel::run(socket, Bytes::new(), opening, &proxy.tunnels);
                    return Some(Entered::Stream(Box::new(Lasting { tunnel, place: Some(place), visit })));
                }
            }
        }
    };
    let mut speaks_http2 = protocols.h2;
    let (socket, tls, misplaced) = match tls {
        None => {
            speaks_http2 = speaks_http2 && (!protocols.h1 || handshake::knows_http2(&stream, &proxy, &draining).await);
            (stream.into(), None, false)
        }
        Some(served) => match handshake::shake(stream, &served, &client, &draining).await? {
            (socket, Some(facts)) => {
                // Who agrees on nothing speaks what everybody speaks.
                speaks_http2 = speaks_http2 && (!protocols.h1 || facts.alpn.as_deref() == Some("h2"));
                (socket, Some(Arc::new(facts)), false)
            }
            (socket, None) => {
                speaks_http2 = false;
                (socket, None, true)
            }
        },
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let connection = Connection { proxy, client, local, scheme, proxied, tls, misplaced, alt_svc };
    Some(Entered::Http { socket, connection: Arc::new(connection), speaks_http2, visit })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, F: Future>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// A tunnel has it all its life: what is large and soon over is boxed.
    #[test]
    fn the_future_of_a_connection_is_small() {
        let size = size(serve);
        assert!(size <= 536, "{size} bytes");
    }
}
