//! What hook `balancer` chooses from.

use std::fmt;
use std::sync::Arc;

/// One peer of an upstream, as a balancer is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerFacts {
    /// Its number among the peers that it came with.
    pub id: u32,
    /// As the configuration writes it.
    pub name: Arc<str>,
    /// Where it is.
    pub address: String,
    /// Its share as configured; 0 where it is down.
    pub weight: u32,
    /// Whether it is for when none of the others can be used.
    pub backup: bool,
    /// What the configuration says of it for balancers, in the order of the names.
    pub tags: Vec<(String, String)>,
}

/// The peers of an upstream at one time: they never change, but for what they serve.
pub trait Peers: fmt::Debug + Send + Sync {
    /// The upstream's number within the process.
    fn group(&self) -> u32;
    /// The upstream's name.
    fn name(&self) -> &str;
    /// Which of the upstream's sets of peers this is.
    fn generation(&self) -> u64;
    /// What there is to tell of each: for when a plugin does not know this generation.
    fn facts(&self) -> Vec<PeerFacts>;
    /// Whether there is a peer of this id.
    fn has(&self, id: u32) -> bool;
    /// Exchanges and tunnels that a peer serves; none where it cannot be picked now, or is none.
    fn active(&self, id: u32) -> Option<u32>;
    /// Exchanges and tunnels of the whole upstream, with those of peers that have left it.
    fn total(&self) -> u32;
}

/// One choice among the peers of an upstream, for one request.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The peers.
    pub peers: Arc<dyn Peers>,
    /// The ids of those that were tried for the request already, in order.
    pub tried: Vec<u32>,
}

impl Choice {
    /// Exchanges and tunnels that a peer serves; none where it cannot be picked for this request.
    pub fn active(&self, id: u32) -> Option<u32> {
        if self.tried.contains(&id) { None } else { self.peers.active(id) }
    }
}
