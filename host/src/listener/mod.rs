//! Bytes in: sockets that listen, and the loop that accepts.

mod caps;
mod socket;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

pub use socket::bind;

use caps::Counted;

use crate::config::{Protocols, ProxyProtocol};
use crate::downstream;
use crate::observe::{Client, Metrics};
use crate::proxy::Proxy;
use crate::streams::Here;
use crate::tls::server::Served;

/// How long to wait after an accept that failed for want of descriptors or memory.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Held by everything that a drain waits for; the drain is over when all are dropped.
pub type Alive = std::sync::mpsc::Sender<()>;

/// A connection that was just accepted.
pub struct Accepted {
    /// The stream.
    pub stream: TcpStream,
    /// The client's end.
    pub client: Client,
    /// The proxy's end.
    pub local: SocketAddr,
    /// Whose PROXY protocol header comes first; none where none does.
    pub proxied: Option<Arc<ProxyProtocol>>,
    /// Kept to the end of the connection, or of the tunnel that it becomes.
    pub visit: Visit,
    /// The TLS that is spoken there; none for plain connections.
    pub tls: Option<Arc<Served>>,
    /// The versions of HTTP.
    pub protocols: Protocols,
    /// The streams that are there; none where there are none.
    pub streams: Option<Arc<Here>>,
}

/// The streams of one listener now; a reload changes them.
pub type Streams = Arc<ArcSwapOption<Here>>;

/// The TLS of one listener now; a reload changes it.
pub type Tls = Arc<ArcSwapOption<Served>>;

/// What is spoken on one listener before HTTP.
#[derive(Clone)]
pub struct Spoken {
    /// TLS.
    pub tls: Tls,
    /// Whose PROXY protocol header comes first; none where none does.
    pub proxied: Option<Arc<ProxyProtocol>>,
    /// The versions of HTTP.
    pub protocols: Protocols,
    /// What is passed on as it is.
    pub streams: Streams,
}

/// A client's connection, counted and waited for until this is dropped.
pub struct Visit {
    metrics: Arc<Metrics>,
    counted: Counted,
    _alive: Alive,
}

impl Visit {
    fn new(metrics: &Arc<Metrics>, counted: Counted, alive: &Alive) -> Self {
        metrics.connections.add(1);
        metrics.connections_open.add(1);
        Self { metrics: Arc::clone(metrics), counted, _alive: alive.clone() }
    }
}

impl Visit {
    /// It has turned out whose connection it is; false where that client has as many as it may.
    pub fn belongs_to(&mut self, proxy: &Proxy, client: IpAddr) -> bool {
        let caps = proxy.snapshot.load().downstream;
        let counted = self.counted.belongs_to(&caps, &proxy.clients, client);
        if let Err(cap) = counted {
            proxy.metrics.connections_refused.add(1);
            cap.report(client);
        }
        counted.is_ok()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.metrics.connections_open.sub(1);
    }
}

/// Accept connections until told to close, or the teller is gone.
pub async fn accept(
    listener: TcpListener,
    spoken: Spoken,
    proxy: Arc<Proxy>,
    draining: watch::Receiver<bool>,
    alive: Alive,
    mut close: oneshot::Receiver<()>,
) {
    // Only behind a wildcard does each connection have to be asked where it arrived.
    let local = listener.local_addr().ok().filter(|address| !address.ip().is_unspecified());
    let arrive = |stream: TcpStream, client: SocketAddr| {
        // Fails where the client has gone already.
        let Some(local) = local.or_else(|| stream.local_addr().ok()) else { return };
        let caps = proxy.snapshot.load().downstream;
        // Behind a proxy it is not known yet whose connection it is.
        let counted = match &spoken.proxied {
            None => Counted::enter(&caps, &proxy.clients, client.ip()),
            Some(_) => Counted::of_nobody(&caps),
        };
        let counted = match counted {
            Ok(counted) => counted,
            // As nginx where `worker_connections` are used up: without a word, at once.
            Err(cap) => {
                proxy.metrics.connections_refused.add(1);
                return cap.report(client.ip());
            }
        };
        let visit = Visit::new(&proxy.metrics, counted, &alive);
        let accepted = Accepted {
            stream,
            client: Client::new(client),
            local,
            proxied: spoken.proxied.clone(),
            visit,
            tls: spoken.tls.load_full(),
            protocols: spoken.protocols,
            streams: spoken.streams.load_full(),
        };
        tokio::spawn(downstream::serve(accepted, Arc::clone(&proxy), draining.clone()));
    };
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut close => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => arrive(stream, client),
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
            arrive(stream, client);
        }
    }
}
