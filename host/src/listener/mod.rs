//! Bytes in: sockets that listen, and the loop that accepts.

mod socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

pub use socket::bind;

use crate::downstream;
use crate::proxy::Proxy;

/// How long to wait after an accept that failed for want of descriptors or memory.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Held by everything that a drain waits for; the drain is over when all are dropped.
pub type Alive = std::sync::mpsc::Sender<()>;

/// A connection that was just accepted.
pub struct Accepted {
    /// The stream.
    pub stream: TcpStream,
    /// The client's end.
    pub client: SocketAddr,
    /// The proxy's end.
    pub local: SocketAddr,
    /// What a drain waits for.
    pub alive: Alive,
}

/// Accept connections until told to close, or the teller is gone.
pub async fn accept(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    draining: watch::Receiver<bool>,
    alive: Alive,
    mut close: oneshot::Receiver<()>,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut close => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => start(stream, client, &proxy, &draining, &alive),
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
    // Closing the socket would reset the connections that wait in its queue.
    let Ok(listener) = listener.into_std() else { return };
    while let Ok((stream, client)) = listener.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = stream {
            start(stream, client, &proxy, &draining, &alive);
        }
    }
}

fn start(stream: TcpStream, client: SocketAddr, proxy: &Arc<Proxy>, draining: &watch::Receiver<bool>, alive: &Alive) {
    // Fails where the client has gone already.
    let Ok(local) = stream.local_addr() else { return };
    let accepted = Accepted { stream, client, local, alive: alive.clone() };
    proxy.metrics.connections.add(1);
    let (proxy, draining) = (Arc::clone(proxy), draining.clone());
    tokio::spawn(downstream::serve(accepted, proxy, draining));
}
