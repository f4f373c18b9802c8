//! QUIC (RFC 9000): one endpoint for each address, on one worker, which hands each new connection
//! to the next worker, where it stays.
//!
//! A client may change its address, and its packets still reach the endpoint, which knows them by
//! their connection's number: with a socket for each worker the kernel would choose another one.

use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::{hkdf, hmac, rand};
use quinn::crypto::HandshakeTokenKey;
use quinn::{Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TokioRuntime, TransportConfig, VarInt};
use sha2::{Digest as _, Sha256};
use tokio::sync::{oneshot, watch};

use super::caps::Counted;
use super::{Alive, Tls, Visit};
use crate::config::{HostKey, Http3, QuicRetry};
use crate::downstream;
use crate::observe::Client;
use crate::proxy::Proxy;
use crate::snapshot::Downstream;
use crate::tls::server::{QUIC_VERSION, Served, quic_without_terms};

/// What a client may send on one stream before it is read, bytes; as for HTTP/2.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same of all streams of a connection.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// What a connection holds of answers until the client has them, bytes: fills a gigabit at 16 ms.
const SEND_WINDOW: u64 = 2 << 20;
/// Streams that carry no request: three are needed, the rest is for what nobody knows.
const SIDE_STREAMS: u32 = 16;
/// After how long without a packet a client is gone; each side may ask for less (RFC 9000 §10.1).
const GONE_AFTER: Duration = Duration::from_secs(30);
/// How often a client is asked whether it is there, so that tunnels outlive [`GONE_AFTER`] at
/// rest, and what NATs remember of them.
const PING: Duration = Duration::from_secs(10);
/// With so many handshakes under way, `retry = "auto"` has clients prove their address first.
const MANY_HANDSHAKES: usize = 128;
/// New connections that may wait for a worker, and the bytes that are kept of each and of all.
const MOST_WAITING: usize = 4096;
const WAITING_BYTES: u64 = 64 << 10;
const ALL_WAITING_BYTES: u64 = 32 << 20;

/// What is spoken at one endpoint; a reload changes the parts that can be changed.
pub struct QuicSpoken {
    /// TLS.
    pub tls: Tls,
    /// What the listener says of HTTP/3.
    pub terms: ArcSwap<Http3>,
    /// Handshakes under way.
    shaking: AtomicUsize,
    token_key: Arc<dyn HandshakeTokenKey>,
    reset_key: Arc<hmac::Key>,
}

impl QuicSpoken {
    /// What is spoken by a new endpoint.
    ///
    /// Its keys are those of `host_key`, or of this endpoint alone: they prove addresses (Retry),
    /// and tell clients of a process that is gone that their connections are too (stateless reset).
    /// None where the system has no randomness.
    pub fn new(tls: Tls, terms: Http3) -> Option<Self> {
        let secret = match &terms.host_key {
            Some(HostKey(secret)) => *secret,
            None => {
                let mut secret = [0; 32];
                rand::fill(&mut secret).ok()?;
                secret
            }
        };
        let of = |what: &[u8]| Sha256::new().chain_update(what).chain_update(secret).finalize();
        let token_key = hkdf::Salt::new(hkdf::HKDF_SHA256, b"tidegate").extract(&of(b"token"));
        let reset_key = hmac::Key::new(hmac::HMAC_SHA256, &of(b"reset"));
        Some(Self {
            tls,
            terms: ArcSwap::from_pointee(terms),
            shaking: AtomicUsize::new(0),
            token_key: Arc::new(token_key),
            reset_key: Arc::new(reset_key),
        })
    }

    fn server_config(&self, crypto: Arc<dyn quinn::crypto::ServerConfig>) -> ServerConfig {
        let mut config = ServerConfig::new(crypto, Arc::clone(&self.token_key));
        config
            .max_incoming(MOST_WAITING)
            .incoming_buffer_size(WAITING_BYTES)
            .incoming_buffer_size_total(ALL_WAITING_BYTES);
        config
    }

    /// What holds for a new connection.
    fn connection_config(&self, served: &Served, downstream: &Downstream) -> Option<Arc<ServerConfig>> {
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(downstream.max_streams))
            .max_concurrent_uni_streams(VarInt::from_u32(SIDE_STREAMS))
            .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
            .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
            .send_window(SEND_WINDOW)
            .max_idle_timeout(IdleTimeout::try_from(GONE_AFTER).ok())
            .keep_alive_interval(Some(PING))
            // HTTP/3 here has no datagrams (RFC 9297).
            .datagram_receive_buffer_size(None);
        let mut config = self.server_config(served.quic()?);
        config.transport_config(Arc::new(transport));
        Some(Arc::new(config))
    }
}

impl fmt::Debug for QuicSpoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicSpoken").field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// A connection that begins, on its way to its worker.
pub struct QuicArrival {
    incoming: Incoming,
    spoken: Arc<QuicSpoken>,
    /// The proxy's end.
    local: SocketAddr,
    shaking: Shaking,
}

/// A handshake under way, until this is dropped.
struct Shaking(Arc<QuicSpoken>);

impl Shaking {
    fn new(spoken: &Arc<QuicSpoken>) -> Self {
        spoken.shaking.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(spoken))
    }
}

impl Drop for Shaking {
    fn drop(&mut self) {
        self.0.shaking.fetch_sub(1, Ordering::Relaxed);
    }
}

impl QuicArrival {
    /// There is nobody to serve it.
    pub fn refuse(self) {
        self.incoming.refuse();
    }
}

/// Gives a connection to a worker. Where that is gone, it is dropped, which refuses it.
pub type Seat = Box<dyn Fn(QuicArrival) + Send + Sync>;

/// Take connections at one address until told to close, or the teller is gone. Those that are
/// there go on.
pub async fn accept_quic(
    socket: UdpSocket,
    spoken: Arc<QuicSpoken>,
    seats: Vec<Seat>,
    mut close: oneshot::Receiver<()>,
) {
    let Some((endpoint, local)) = endpoint(socket, &spoken) else { return };
    for seat in seats.iter().cycle() {
        let incoming = tokio::select! {
            biased;
            _ = &mut close => break,
            incoming = next(&endpoint, &spoken) => incoming,
        };
        let Some(incoming) = incoming else { return };
        let local = SocketAddr::new(incoming.local_ip().unwrap_or(local.ip()), local.port());
        seat(QuicArrival { incoming, spoken: Arc::clone(&spoken), local, shaking: Shaking::new(&spoken) });
    }
    // The endpoint lives as long as its connections, and takes no new ones.
    endpoint.set_server_config(None);
}

/// The next connection that may begin; none where the endpoint is gone.
async fn next(endpoint: &Endpoint, spoken: &Arc<QuicSpoken>) -> Option<Incoming> {
    loop {
        let incoming = endpoint.accept().await?;
        let shaking = spoken.shaking.load(Ordering::Relaxed);
        if incoming.remote_address_validated() || !asks_back(spoken.terms.load().retry, shaking) {
            return Some(incoming);
        }
        // Fails only for what has proved its address.
        let _sent = incoming.retry();
    }
}

/// Whether a client must prove that its address is its own, with so many handshakes under way.
fn asks_back(retry: QuicRetry, shaking: usize) -> bool {
    match retry {
        QuicRetry::Always => true,
        QuicRetry::Auto => shaking >= MANY_HANDSHAKES,
        QuicRetry::Off => false,
    }
}

fn endpoint(socket: UdpSocket, spoken: &Arc<QuicSpoken>) -> Option<(Endpoint, SocketAddr)> {
    let reset_key = Arc::clone(&spoken.reset_key);
    let mut config = EndpointConfig::new(reset_key);
    config.supported_versions(vec![QUIC_VERSION]);
    let made = socket.local_addr().and_then(|local| {
        let server = quic_without_terms().map(|crypto| spoken.server_config(crypto));
        Ok((Endpoint::new(config, server, socket, Arc::new(TokioRuntime))?, local))
    });
    made.inspect_err(|error| tracing::error!(%error, "cannot speak QUIC")).ok()
}

/// Serve a connection on this worker, from its handshake to its end.
pub async fn arrive(arrival: QuicArrival, proxy: Arc<Proxy>, draining: watch::Receiver<bool>, alive: Alive) {
    let QuicArrival { incoming, spoken, local, shaking } = arrival;
    let address = incoming.remote_address();
    let caps = proxy.snapshot.load().downstream;
    let counted = match Counted::enter(&caps, &proxy.clients, address.ip()) {
        Ok(counted) => counted,
        Err(cap) => {
            proxy.metrics.connections_refused.add(1);
            incoming.refuse();
            return cap.report(address.ip());
        }
    };
    let Some(served) = spoken.tls.load_full() else { return incoming.refuse() };
    let Some(config) = spoken.connection_config(&served, &caps) else { return incoming.refuse() };
    let visit = Visit::new(&proxy.metrics, counted, &alive);
    let accepted = downstream::AcceptedQuic { incoming, config, served, client: Client::new(address), local, visit };
    downstream::serve_quic(accepted, move || drop(shaking), proxy, draining).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_must_prove_an_address() {
        assert!(asks_back(QuicRetry::Always, 0) && !asks_back(QuicRetry::Off, usize::MAX));
        assert!(!asks_back(QuicRetry::Auto, MANY_HANDSHAKES - 1) && asks_back(QuicRetry::Auto, MANY_HANDSHAKES));
    }

    #[test]
    fn one_host_key_makes_the_same_keys() {
        let keys = |host_key| {
            let terms = Http3 { host_key, ..Http3::default() };
            let spoken = QuicSpoken::new(Tls::default(), terms).unwrap();
            let mut tag = [0; 32];
            quinn::crypto::HmacKey::sign(&*spoken.reset_key, b"a connection", &mut tag);
            tag
        };
        assert_eq!(keys(Some(HostKey([7; 32]))), keys(Some(HostKey([7; 32]))));
        assert_ne!(keys(Some(HostKey([7; 32]))), keys(Some(HostKey([8; 32]))));
        assert_ne!(keys(None), keys(None));
    }
}
