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
    /// The peer is busy from now on.
    pub(super) fn new(peer: Arc<Peer>) -> Self {
        peer.vitals.enter();
        Self { peer }
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
