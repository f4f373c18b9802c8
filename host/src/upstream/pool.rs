//! Idle keep-alive connections to peers: one pool per worker, so without locks.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::connect::Sender;
use super::{Peer, Upstream};
use crate::body::Meter;

/// How often connections that were idle for too long are looked for.
const SWEEP: Duration = Duration::from_secs(1);

struct Idle {
    sender: Sender,
    until: Instant,
}

#[derive(Default)]
struct Pool {
    idle: HashMap<SocketAddr, Vec<Idle>>,
    sweeping: bool,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// A connection in use that may be kept when its exchange ends well.
pub struct Pooled {
    sender: Sender,
    peer: Arc<Peer>,
    keepalive: usize,
    timeout: Duration,
    sending: Option<Arc<Meter>>,
}

impl Pooled {
    /// A connection in use.
    pub fn new(sender: Sender, peer: Arc<Peer>, upstream: &Upstream) -> Self {
        Self { sender, peer, keepalive: upstream.keepalive, timeout: upstream.keepalive_timeout, sending: None }
    }

    /// Keep it only if this body has gone out whole: a peer may answer before that.
    #[must_use]
    pub fn after(mut self, body: Option<Arc<Meter>>) -> Self {
        self.sending = body;
        self
    }

    /// The asking half.
    pub fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// Keep it for another request, if it is still open and there is room.
    pub fn give_back(self) {
        let sent = self.sending.as_ref().is_none_or(|body| body.is_done());
        if self.keepalive == 0 || !sent || self.sender.is_closed() {
            return;
        }
        let idle = Idle { sender: self.sender, until: Instant::now() + self.timeout };
        let start_sweeping = POOL.with_borrow_mut(|pool| {
            let kept = pool.idle.entry(self.peer.address).or_default();
            if kept.len() >= self.keepalive {
                // The oldest is the likeliest to be closed by the peer.
                kept.remove(0);
            }
            kept.push(idle);
            !std::mem::replace(&mut pool.sweeping, true)
        });
        if start_sweeping {
            tokio::spawn(sweep());
        }
    }
}

/// An idle connection to the peer, the one used last; none where there is none.
pub fn checkout(peer: &Arc<Peer>, upstream: &Upstream) -> Option<Pooled> {
    let now = Instant::now();
    let sender = POOL.with_borrow_mut(|pool| {
        let kept = pool.idle.get_mut(&peer.address)?;
        std::iter::from_fn(|| kept.pop()).find(|idle| idle.until > now && !idle.sender.is_closed()).map(|i| i.sender)
    })?;
    Some(Pooled::new(sender, Arc::clone(peer), upstream))
}

/// Close what was idle for too long, until nothing is left.
async fn sweep() {
    loop {
        tokio::time::sleep(SWEEP).await;
        let now = Instant::now();
        let done = POOL.with_borrow_mut(|pool| {
            for kept in pool.idle.values_mut() {
                kept.retain(|idle| idle.until > now && !idle.sender.is_closed());
            }
            pool.idle.retain(|_, kept| !kept.is_empty());
            pool.sweeping = !pool.idle.is_empty();
            !pool.sweeping
        });
        if done {
            return;
        }
    }
}
