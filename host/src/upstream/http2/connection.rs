//! One HTTP/2 connection to a peer, and the task that drives it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong};
use http::uri::Scheme;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};

use super::pool::{self, Key};
use super::watched::{Life, Watched};
use super::{CONNECTION_WINDOW, LARGEST_HEAD, MOST_STREAMS, SEND_BUFFER, STREAM_WINDOW};
use crate::error::{Error, Kind};
use crate::socket::Socket;
use crate::upstream::Way;

/// What holds for a connection.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// The peer's name, for logs.
    pub(super) peer: Arc<str>,
    /// Which peers it serves; gone once there is none of them any more.
    pub(super) way: Weak<Way>,
    /// Where the pool has it.
    pub(super) key: Key,
    /// Streams that begin on it. nginx: `keepalive_requests` (upstream).
    pub(super) keepalive_requests: u64,
    /// For how long they begin. nginx: `keepalive_time` (upstream).
    pub(super) keepalive_time: Duration,
    /// Idle connections that are kept beside it.
    pub(super) keepalive: usize,
    /// How long it may be idle.
    pub(super) keepalive_timeout: Duration,
    /// How long the peer may be silent about what it was sent before it is asked for a sign of
    /// life, and how long that may take.
    pub(super) ping: Duration,
}

/// A connection as requests see it. Its task ends it once nobody holds it any more.
pub(super) struct Connection {
    requests: SendRequest<Bytes>,
    scheme: Scheme,
    pub(super) number: usize,
    pub(super) terms: Terms,
    usage: Arc<Usage>,
    since: Instant,
}

/// How much a connection is used.
struct Usage {
    /// Streams now.
    streams: AtomicUsize,
    /// Streams that have begun.
    served: AtomicU64,
    /// Whether the pool counts it as full.
    full: AtomicBool,
    /// Since when there is no stream, if there is none.
    quiet_since: Mutex<Instant>,
}

/// Begin a connection over a socket.
///
/// # Errors
/// [`Kind::NotHttp2`] where the peer speaks something else.
pub(super) async fn start(socket: Socket, number: usize, terms: Terms) -> Result<Arc<Connection>, Error> {
    let scheme = if matches!(socket, Socket::Tls(_)) { Scheme::HTTPS } else { Scheme::HTTP };
    let life = Arc::new(Life::default());
    let watched = Watched::new(socket, Arc::clone(&life));
    let (requests, mut connection) = hello(watched, &terms.peer).await?;
    let usage = Arc::new(Usage {
        streams: AtomicUsize::new(0),
        served: AtomicU64::new(0),
        full: AtomicBool::new(false),
        quiet_since: Mutex::new(Instant::now()),
    });
    let watch = Watch::new(&terms, Arc::clone(&usage), life, connection.ping_pong());
    tokio::spawn(drive(connection, watch, number, terms.clone()));
    Ok(Arc::new(Connection { requests, scheme, number, terms, usage, since: Instant::now() }))
}

/// Both sides say hello (RFC 9113 §3.4). The connection is to be driven from here on.
///
/// # Errors
/// [`Kind::NotHttp2`] where the peer speaks something else.
pub(super) async fn hello<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    peer: &str,
) -> Result<(SendRequest<Bytes>, h2::client::Connection<S, Bytes>), Error> {
    let (requests, mut connection) =
        builder().handshake(socket).await.map_err(|error| not_http2(peer, &error.to_string()))?;
    poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(Err(error)) => Poll::Ready(Err(not_http2(peer, &error.to_string()))),
        Poll::Ready(Ok(())) => Poll::Ready(Err(not_http2(peer, "it closed the connection"))),
        // Until its SETTINGS have come no stream is allowed: what a peer offers is known then.
        Poll::Pending if requests.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    Ok((requests, connection))
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(LARGEST_HEAD)
        .initial_max_send_streams(0)
        // Nobody wants what was not asked for.
        .enable_push(false)
        // Clients that leave reset their streams, and what is under way for those must not end
        // the connection of the others.
        .max_concurrent_reset_streams(1 << 10);
    builder
}

fn not_http2(peer: &str, why: &str) -> Error {
    Error::new(Kind::NotHttp2, format!("{peer}: {why}"))
}

impl Connection {
    /// A handle to begin a stream with.
    pub(super) fn requests(&self) -> SendRequest<Bytes> {
        self.requests.clone()
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.scheme.clone()
    }

    /// Whether the peer takes extended CONNECT.
    pub(super) fn takes_tunnels(&self) -> bool {
        self.requests.is_extended_connect_protocol_enabled()
    }

    /// Whether more streams may begin: not where it broke, the peer is leaving (GOAWAY), or it has
    /// served for long enough.
    pub(super) fn may_begin(&self) -> bool {
        let polled = self.requests().poll_ready(&mut Context::from_waker(Waker::noop()));
        !matches!(polled, Poll::Ready(Err(_)))
            && self.usage.served.load(Ordering::Relaxed) < self.terms.keepalive_requests
            && self.since.elapsed() <= self.terms.keepalive_time
    }

    /// Streams that it has room for at most.
    pub(super) fn capacity(&self) -> usize {
        self.requests.current_max_send_streams().min(MOST_STREAMS as usize)
    }

    pub(super) fn streams(&self) -> usize {
        self.usage.streams.load(Ordering::Relaxed)
    }

    /// Count one stream more; whether there were any before.
    pub(super) fn begin_stream(&self) -> bool {
        self.usage.streams.fetch_add(1, Ordering::Relaxed);
        self.usage.served.fetch_add(1, Ordering::Relaxed) > 0
    }

    /// Count one stream less; whether that is of interest to the pool: it was full, or is idle.
    pub(super) fn end_stream(&self) -> bool {
        let idle = self.usage.streams.fetch_sub(1, Ordering::Relaxed) == 1;
        if idle {
            *self.usage.quiet_since.lock() = Instant::now();
        }
        self.usage.full.load(Ordering::Relaxed) || idle
    }

    /// Note whether the pool counts it as full; whether it did before.
    pub(super) fn set_full(&self, full: bool) -> bool {
        self.usage.full.swap(full, Ordering::Relaxed)
    }
}

/// Drive a connection to its end.
async fn drive(
    mut connection: h2::client::Connection<Watched<Socket>, Bytes>,
    mut watch: Watch,
    number: usize,
    terms: Terms,
) {
    let mut timer = pin!(sleep(watch.interval));
    let end = poll_fn(|cx| {
        loop {
            if let Poll::Ready(end) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(end.err().map_or_else(|| "closed".to_owned(), |error| error.to_string()));
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            match watch.look() {
                Sight::Well => {}
                // With the pool's handle goes the last one, and the connection says goodbye.
                Sight::Idle => drop(pool::remove(terms.key, number)),
                Sight::Dead => return Poll::Ready("no sign of life".to_owned()),
            }
            timer.as_mut().reset(Instant::now() + watch.interval);
        }
    })
    .await;
    tracing::debug!(peer = %terms.peer, end, "an HTTP/2 connection ended");
    drop(pool::remove(terms.key, number));
}

/// What is looked at from time to time.
struct Watch {
    usage: Arc<Usage>,
    life: Arc<Life>,
    pings: Option<PingPong>,
    keepalive_timeout: Duration,
    way: Weak<Way>,
    /// From one look to the next.
    interval: Duration,
    /// Reads and writes at the last look.
    last: (u64, u64),
    /// Reads and writes when a PING was sent that is not answered yet.
    pinged: Option<(u64, u64)>,
    /// Reads and writes when all that had passed was known to have found the peer alive.
    settled: (u64, u64),
}

enum Sight {
    Well,
    Idle,
    Dead,
}

impl Watch {
    fn new(terms: &Terms, usage: Arc<Usage>, life: Arc<Life>, pings: Option<PingPong>) -> Self {
        let keepalive_timeout = terms.keepalive_timeout;
        let interval = terms.ping.min(keepalive_timeout).max(Duration::from_millis(1));
        let way = Weak::clone(&terms.way);
        Self { usage, life, pings, keepalive_timeout, way, interval, last: (0, 0), pinged: None, settled: (0, 0) }
    }

    /// A connection without streams is idle. One with streams is alive if anything came since
    /// the last look; else it is asked by a PING, if anything has passed since it was asked the
    /// last time: a peer that has nothing to say is not asked again and again, which some servers
    /// take for an attack.
    fn look(&mut self) -> Sight {
        if self.usage.streams.load(Ordering::Relaxed) == 0 {
            self.pinged = None;
            let idle = self.usage.quiet_since.lock().elapsed() >= self.keepalive_timeout;
            // A peer that left is not asked any more.
            return if idle || self.way.strong_count() == 0 { Sight::Idle } else { Sight::Well };
        }
        let now = self.life.passed();
        let silent = std::mem::replace(&mut self.last, now).0 == now.0;
        match self.pinged {
            Some(_) if silent => return Sight::Dead,
            Some((_, writes)) => {
                self.pinged = None;
                // But for the PING itself, nothing was sent since: nothing is left unanswered.
                if now.1 <= writes + 1 {
                    self.settled = now;
                }
            }
            None if silent && now != self.settled => self.pinged = self.ping().then_some(now),
            None => {}
        }
        Sight::Well
    }

    fn ping(&mut self) -> bool {
        let Some(pings) = &mut self.pings else { return false };
        // The answer to the last one, which h2 wants to be taken; the reads tell of it already.
        let _answer = pings.poll_pong(&mut Context::from_waker(Waker::noop()));
        pings.send_ping(Ping::opaque()).is_ok()
    }
}
