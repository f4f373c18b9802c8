//! Clients' connections: bytes become requests, and answers bytes.

mod handshake;
mod http1;

use std::sync::Arc;

use tokio::sync::watch;

use crate::listener::Accepted;
use crate::proxy::{Connection, Proxy};

/// Serve one connection from its first byte to its end.
pub async fn serve(accepted: Accepted, proxy: Arc<Proxy>, draining: watch::Receiver<bool>) {
    let Accepted { stream, client, local, visit, tls } = accepted;
    let (socket, tls, misplaced) = match tls {
        None => (stream.into(), None, false),
        // Boxed, since it is large and soon over.
        Some(served) => match Box::pin(handshake::shake(stream, &served, &client)).await {
            None => return,
            Some((socket, Some(facts))) => (socket, Some(Arc::new(facts)), false),
            Some((socket, None)) => (socket, None, true),
        },
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let connection = Arc::new(Connection { proxy: Arc::clone(&proxy), client, local, scheme, tls, misplaced });
    http1::serve(socket, connection, draining).await;
    drop(visit);
}
