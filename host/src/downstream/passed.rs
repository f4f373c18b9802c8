//! Connections of streams, which are passed on before HTTP or in its place.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::handshake;
use crate::proxy::Proxy;
use crate::socket::Socket;
use crate::streams::{self, Arrived, Chosen, Here, Opened};
use crate::tls::server::Served;

/// A connection that was just accepted, and what its listener has for it.
pub(super) struct Entering {
    /// The connection.
    pub(super) tcp: TcpStream,
    /// The listener's streams.
    pub(super) here: Arc<Here>,
    /// The listener's TLS.
    pub(super) tls: Option<Arc<Served>>,
}

/// Whose a connection is.
pub(super) enum Passed {
    /// HTTP's: it is given back, with all its bytes to be read, and the listener's TLS.
    Http(TcpStream, Option<Arc<Served>>),
    /// A stream's: a tunnel.
    Stream(Socket, Opened),
}

/// Open the tunnel of a connection that is a stream's; none where it may have none.
pub(super) async fn pass(
    entering: Entering,
    arrived: Arrived<'_>,
    proxy: &Arc<Proxy>,
    draining: &watch::Receiver<bool>,
) -> Option<Passed> {
    let Entering { tcp, here, tls } = entering;
    let chosen = Box::pin(streams::choose(&here, &tcp, &arrived, tls.as_deref(), proxy, draining.clone())).await;
    drop(here);
    let (socket, opened) = match chosen {
        Chosen::Http => return Some(Passed::Http(tcp, tls)),
        Chosen::Nowhere => return None,
        Chosen::Stream(stream, hello) => {
            drop(tls);
            (tcp.into(), Box::pin(streams::open(&stream, arrived, hello, None, proxy)).await)
        }
        Chosen::Terminated(stream) => {
            // Whoever speaks plainly there is closed without a word, as by nginx's `stream`.
            let served = tls?;
            let shaken = Box::pin(handshake::shake(tcp, &served, arrived.client, draining)).await;
            drop(served);
            let (socket, Some(facts)) = shaken? else { return None };
            (socket, Box::pin(streams::open(&stream, arrived, None, Some(Arc::new(facts)), proxy)).await)
        }
    };
    // Without a peer the client is let go.
    opened.map(|opened| Passed::Stream(socket, opened))
}
