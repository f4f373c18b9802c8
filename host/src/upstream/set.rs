//! The peers of an upstream at one time: never changed, replaced as a whole.

use std::sync::Arc;

use super::policy::{self, Ask, Policy};
use super::{Now, Peer};
use crate::config;

/// One generation of an upstream's peers.
#[derive(Debug)]
pub(super) struct Set {
    /// Grows with each change.
    pub(super) generation: u64,
    /// All of them, with those that are down.
    pub(super) peers: Vec<Arc<Peer>>,
    policy: Box<dyn Policy>,
}

impl Set {
    /// Make a generation ready.
    pub(super) fn new(generation: u64, peers: Vec<Arc<Peer>>, policy: config::Policy) -> Self {
        // nginx: `peers->single`.
        peers.iter().for_each(|peer| peer.set_alone(peers.len() == 1));
        let policy = policy::new(policy, &peers);
        Self { generation, peers, policy }
    }

    /// The next peer by the policy.
    pub(super) fn pick(&self, ask: &Ask<'_>) -> Option<Arc<Peer>> {
        loop {
            let index = self.policy.pick(&self.peers, ask)?;
            let peer = self.peers.get(index)?;
            // Lost to another worker that tries it, it may not be chosen any more: the loop ends.
            if peer.take(Now::read()) {
                return Some(Arc::clone(peer));
            }
        }
    }
}
