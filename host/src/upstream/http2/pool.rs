//! The HTTP/2 connections of a worker: shared by its requests, so without locks.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::connection::{self, Connection, Terms};
use super::{MOST_STREAMS, Slot};
use crate::config::Protocol;
use crate::error::{Error, Kind};
use crate::socket::Socket;
use crate::tls::Alpn;
use crate::upstream::connect::connect_for;
use crate::upstream::{Peer, Upstream};

/// What tells connections apart: the number of the way to the peer.
pub(super) type Key = u64;

/// For how long it is remembered that a peer does not offer what was looked for, when there is
/// no connection that would tell.
const MEMORY: Duration = Duration::from_secs(60);
/// How often a connection is opened for one request that finds no place on it.
const MOST_TRIES: usize = 3;

/// The connections to one peer.
#[derive(Default)]
struct Shelf {
    /// Those that may have room, the oldest first.
    roomy: Vec<Arc<Connection>>,
    /// Those that have none, by number.
    full: HashMap<usize, Arc<Connection>>,
    /// Those that are being opened.
    opening: Vec<Opening>,
    /// Streams that the last connection had room for; 0 before there was one.
    room: usize,
    /// Until when it is known that the peer takes no tunnels.
    no_tunnels: Option<Instant>,
    /// Until when it is known that the peer prefers HTTP/1.1.
    http1: Option<Instant>,
}

/// A connection that is being opened, for all that wait for it.
struct Opening {
    number: usize,
    state: watch::Receiver<State>,
    /// How many wait for it.
    waiting: usize,
}

/// How far the opening is.
#[derive(Clone)]
enum State {
    Opening,
    /// The pool has it.
    Open,
    /// The peer chose HTTP/1.1; the first to come takes the socket.
    Http1(Arc<Mutex<Option<Socket>>>),
    Failed(Kind, Arc<str>),
}

/// What there is to ask a peer over.
pub enum Found {
    /// A stream.
    Http2(Slot),
    /// HTTP/1.1, which the peer chose in the TLS handshake: over this connection, if there is
    /// one.
    Http1(Option<Socket>),
}

enum Look {
    Slot(Slot),
    Http1,
    Wait(watch::Receiver<State>),
    Open(usize, watch::Sender<State>, watch::Receiver<State>),
}

thread_local! {
    static POOL: RefCell<HashMap<Key, Shelf>> = RefCell::default();
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A place for a stream on a connection to the peer: on one that is there, else on a new one.
/// Those that come while it is opened wait for it together, as many as will have room.
///
/// # Errors
/// [`Kind::Connect`], [`Kind::ConnectTimeout`], [`Kind::NotHttp2`]; [`Kind::Refused`] where the
/// peer ends every connection at once.
pub async fn acquire(peer: &Arc<Peer>, upstream: &Upstream, timeout: Duration) -> Result<Found, Error> {
    let deadline = Instant::now() + timeout;
    let mut tries = 0;
    loop {
        let mut state = match look(peer.way.id) {
            Look::Slot(slot) => return Ok(Found::Http2(slot)),
            Look::Http1 => return Ok(Found::Http1(None)),
            Look::Wait(state) => state,
            Look::Open(..) if tries == MOST_TRIES => {
                return Err(Error::new(Kind::Refused, "the peer ends its connections at once"));
            }
            Look::Open(number, tell, state) => {
                tries += 1;
                let terms = Terms {
                    peer: Arc::clone(&peer.name),
                    way: Arc::downgrade(&peer.way),
                    key: peer.way.id,
                    keepalive_requests: upstream.keepalive_requests,
                    keepalive_time: upstream.keepalive_time,
                    keepalive: upstream.keepalive,
                    keepalive_timeout: upstream.keepalive_timeout,
                    ping: upstream.ping,
                };
                // In a task of its own, since the client that it is for may leave while others wait.
                tokio::spawn(open((Arc::clone(peer), upstream.protocol), number, terms, deadline, tell));
                state
            }
        };
        let opened = timeout_at(deadline, state.wait_for(|state| !matches!(state, State::Opening))).await;
        match opened {
            Ok(Ok(state)) => match &*state {
                State::Http1(socket) => return Ok(Found::Http1(socket.lock().take())),
                State::Failed(kind, detail) => return Err(Error::new(*kind, detail.as_ref())),
                State::Open | State::Opening => {}
            },
            Ok(Err(_given_up)) => return Err(Error::new(Kind::Connect, peer.name.as_ref())),
            Err(_elapsed) => return Err(Error::new(Kind::ConnectTimeout, peer.name.as_ref())),
        }
    }
}

/// Whether the peer offers tunnels (RFC 8441 §3); none where that is not known.
pub fn offers_tunnels(peer: &Peer) -> Option<bool> {
    POOL.with_borrow(|pool| {
        let shelf = pool.get(&peer.way.id)?;
        let open = shelf.roomy.iter().chain(shelf.full.values()).find(|connection| connection.may_begin());
        let known = |until: Option<Instant>| until.is_some_and(|until| until > Instant::now());
        match open {
            Some(connection) => Some(connection.takes_tunnels()),
            None => (known(shelf.no_tunnels) || known(shelf.http1)).then_some(false),
        }
    })
}

fn look(key: Key) -> Look {
    let mut gone = Vec::new();
    let look = POOL.with_borrow_mut(|pool| {
        if !pool.contains_key(&key) {
            // Peers come and go with discovery.
            pool.retain(|_, shelf| !shelf.is_empty());
        }
        pool.entry(key).or_default().look(&mut gone)
    });
    // Outside of the pool, which is borrowed above.
    drop(gone);
    look
}

impl Shelf {
    /// What is there now. Connections that have ended are put into `gone`.
    fn look(&mut self, gone: &mut Vec<Arc<Connection>>) -> Look {
        while let Some(oldest) = self.roomy.first() {
            if oldest.may_begin() {
                if oldest.streams() < oldest.capacity() {
                    return Look::Slot(Slot::take(oldest));
                }
                oldest.set_full(true);
                let full = self.roomy.remove(0);
                self.full.insert(full.number, full);
            } else {
                gone.push(self.roomy.remove(0));
            }
        }
        if self.http1.is_some_and(|until| until > Instant::now()) {
            return Look::Http1;
        }
        let room = if self.room == 0 { MOST_STREAMS as usize } else { self.room };
        if let Some(opening) = self.opening.iter_mut().find(|opening| opening.waiting < room) {
            opening.waiting += 1;
            return Look::Wait(opening.state.clone());
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (tell, state) = watch::channel(State::Opening);
        self.opening.push(Opening { number, state: state.clone(), waiting: 1 });
        Look::Open(number, tell, state)
    }

    fn is_empty(&self) -> bool {
        self.roomy.is_empty() && self.full.is_empty() && self.opening.is_empty()
    }

    fn opened(&mut self, number: usize, connection: &Arc<Connection>) {
        self.opening.retain(|opening| opening.number != number);
        self.room = connection.capacity();
        self.no_tunnels = (!connection.takes_tunnels()).then(|| Instant::now() + MEMORY);
        self.http1 = None;
        self.roomy.push(Arc::clone(connection));
    }
}

/// Open a connection and tell those that wait.
async fn open(
    (peer, protocol): (Arc<Peer>, Protocol),
    number: usize,
    terms: Terms,
    deadline: Instant,
    tell: watch::Sender<State>,
) {
    let key = terms.key;
    let state = match timeout_at(deadline, begin(&peer, protocol, number, terms, deadline)).await {
        Ok(Ok(Begun::Http2(connection))) => {
            with_shelf(key, |shelf| shelf.opened(number, &connection));
            State::Open
        }
        Ok(Ok(Begun::Http1(socket))) => {
            with_shelf(key, |shelf| shelf.http1 = Some(Instant::now() + MEMORY));
            State::Http1(Arc::new(Mutex::new(Some(socket))))
        }
        Ok(Err(error)) => State::Failed(error.kind, error.detail.into()),
        Err(_elapsed) => State::Failed(Kind::ConnectTimeout, Arc::clone(&peer.name)),
    };
    with_shelf(key, |shelf| shelf.opening.retain(|opening| opening.number != number));
    tell.send_replace(state);
}

enum Begun {
    Http2(Arc<Connection>),
    Http1(Socket),
}

async fn begin(
    peer: &Peer,
    protocol: Protocol,
    number: usize,
    terms: Terms,
    deadline: Instant,
) -> Result<Begun, Error> {
    let alpn = if protocol == Protocol::Auto { Alpn::Either } else { Alpn::Http2 };
    let socket = connect_for(peer, alpn, None, deadline.saturating_duration_since(Instant::now())).await?;
    // Without TLS the operator knows (RFC 9113 §3.3).
    if matches!(socket, Socket::Tls(_)) && socket.alpn() != Some(b"h2") {
        return match protocol {
            Protocol::Auto => Ok(Begun::Http1(socket)),
            _ => Err(Error::new(Kind::NotHttp2, format!("{}: not chosen by ALPN", peer.name))),
        };
    }
    connection::start(socket, number, terms).await.map(Begun::Http2)
}

/// A connection has one stream less, and had no room before or is idle now.
pub(super) fn eased(connection: &Arc<Connection>) {
    let gone = with_shelf(connection.terms.key, |shelf| {
        if connection.set_full(false) {
            shelf.full.remove(&connection.number).into_iter().for_each(|c| shelf.roomy.push(c));
        }
        let idle = shelf.roomy.iter().filter(|other| other.streams() == 0).count();
        if connection.streams() > 0 || idle <= connection.terms.keepalive {
            return None;
        }
        let at = shelf.roomy.iter().position(|other| other.number == connection.number)?;
        Some(shelf.roomy.remove(at))
    });
    // Outside of the pool, which is borrowed above: its last handle ends the connection.
    drop(gone);
}

/// Take a connection out of the pool: no more streams begin on it.
pub(super) fn remove(key: Key, number: usize) -> Option<Arc<Connection>> {
    with_shelf(key, |shelf| {
        let at = shelf.roomy.iter().position(|other| other.number == number);
        at.map(|at| shelf.roomy.remove(at)).or_else(|| shelf.full.remove(&number))
    })
    .flatten()
}

fn with_shelf<T>(key: Key, act: impl FnOnce(&mut Shelf) -> T) -> Option<T> {
    // At the end of a worker there is no pool any more.
    POOL.try_with(|pool| pool.borrow_mut().get_mut(&key).map(act)).ok().flatten()
}
