//! The peers of an upstream at one time: never changed, replaced as a whole.

use std::sync::Arc;

use super::Peer;
use super::policy::{self, Ask, Policy};
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
        let policy = policy::new(policy, &peers);
        Self { generation, peers, policy }
    }

    /// The next peer by the policy.
    pub(super) fn pick(&self, ask: &Ask<'_>) -> Option<Arc<Peer>> {
        let index = self.policy.pick(&self.peers, ask)?;
        self.peers.get(index).map(Arc::clone)
    }
}
