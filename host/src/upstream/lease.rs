//! A peer at work for someone.

use std::sync::Arc;

use super::Peer;

/// A peer that was picked: it counts as busy until this is dropped, at the end of the exchange
/// or of the tunnel.
#[derive(Debug)]
pub struct Lease {
    peer: Arc<Peer>,
}

impl Lease {
    /// The peer is busy from now on; none where it has no room.
    pub(super) fn new(peer: &Arc<Peer>) -> Option<Self> {
        peer.vitals.enter(peer.max_conns).then(|| Self { peer: Arc::clone(peer) })
    }

    /// The peer.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.peer.vitals.leave();
    }
}
