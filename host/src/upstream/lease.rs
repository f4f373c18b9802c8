//! A peer at work for someone.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Peer, Tick};

/// A peer that was picked: it counts as busy until this is dropped, at the end of the exchange
/// or of the tunnel.
#[derive(Debug)]
pub struct Lease {
    peer: Arc<Peer>,
    picked: Option<Tick>,
    /// When it was picked; none where nobody measures.
    since: Option<Instant>,
}

impl Lease {
    /// The peer is busy from now on; none where it has no room.
    pub(super) fn new(peer: &Arc<Peer>, measures: bool) -> Option<Self> {
        let busy = peer.vitals.enter(peer.max_conns);
        busy.then(|| Self { peer: Arc::clone(peer), picked: None, since: measures.then(Instant::now) })
    }

    /// It begins; false where the peer may be tried by one request at a time, and another was
    /// faster.
    pub(super) fn begin(&mut self, now: Tick) -> bool {
        let may = self.peer.take(now) && self.peer.breaker.as_ref().is_none_or(|breaker| breaker.take(now));
        self.picked = may.then_some(now);
        may
    }

    /// When the peer was picked: what [`Peer::judge`] wants to know.
    pub fn picked(&self) -> Tick {
        self.picked.unwrap_or_default()
    }

    /// The peer.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// The head of its answer is there.
    pub fn answered(&self) {
        if let Some(since) = self.since {
            self.peer.vitals.answered(since.elapsed(), Tick::now());
        }
    }

    /// The last byte of its answer is there, or it has become a tunnel.
    pub fn finished(&mut self) {
        if let Some(since) = self.since.take() {
            self.peer.vitals.finished(since.elapsed(), Tick::now());
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.peer.vitals.leave();
        if let (Some(breaker), Some(picked)) = (&self.peer.breaker, self.picked) {
            breaker.release(picked);
        }
    }
}
