//! How a peer is chosen: one file for each policy.

mod round_robin;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Now, Peer};
use crate::config;
use round_robin::RoundRobin;

/// What a choice goes by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask<'a> {
    /// The client's address; none for a request of the proxy's own.
    pub client: Option<IpAddr>,
    /// The peers that were tried for the same request.
    pub tried: &'a [Arc<Peer>],
}

impl Ask<'_> {
    /// Whether a peer may be chosen: its health allows it, and nobody is tried twice for one
    /// request.
    pub(super) fn may(&self, peer: &Peer) -> bool {
        // Those of two generations are the same peer where they share what is known of it.
        peer.is_well(Now::read()) && !self.tried.iter().any(|tried| Arc::ptr_eq(&tried.vitals, &peer.vitals))
    }
}

/// A way to choose, made for one generation of peers.
pub(super) trait Policy: fmt::Debug + Send + Sync {
    /// The index of the next peer among those that it was made for; none where none may be chosen.
    fn pick(&self, peers: &[Arc<Peer>], ask: &Ask<'_>) -> Option<usize>;
}

/// Make a policy for these peers.
pub(super) fn new(policy: config::Policy, peers: &[Arc<Peer>]) -> Box<dyn Policy> {
    let weights: Vec<u32> = peers.iter().map(|peer| peer.weight).collect();
    match policy {
        config::Policy::RoundRobin => Box::new(RoundRobin::new(&weights)),
    }
}
