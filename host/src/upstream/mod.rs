//! Where requests go: groups of peers, the choice among them, and connections to them.

mod answer;
mod asked;
mod balance;
mod connect;
mod link;
mod own;
mod pool;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use answer::AnswerBody;
pub use asked::Asked;
pub use connect::connect;
pub use link::Link;
pub use own::{OwnAnswer, OwnRequest};
pub use pool::checkout;

use balance::RoundRobin;

use crate::config;
use crate::observe::{Subject, Tallies, Tally};

/// A group of peers that serve the same thing. nginx: `upstream`.
#[derive(Debug)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// Its peers, with those that are down.
    pub peers: Vec<Arc<Peer>>,
    /// Idle connections kept by each worker for each peer.
    pub keepalive: usize,
    /// How long an idle connection is kept.
    pub keepalive_timeout: Duration,
    policy: RoundRobin,
}

/// One member of an upstream.
#[derive(Debug)]
pub struct Peer {
    /// As the configuration writes it.
    pub name: Arc<str>,
    /// Its address.
    pub address: SocketAddr,
    /// Its numbers.
    pub tally: Arc<Tally>,
}

impl Peer {
    fn new(config: &config::Peer, upstream: &Arc<str>, tallies: &Tallies) -> Self {
        let subject = Subject::Peer(Arc::clone(upstream), Arc::clone(&config.name));
        Self { name: Arc::clone(&config.name), address: config.address, tally: tallies.of(subject) }
    }
}

impl Upstream {
    /// Make a group ready.
    pub fn new(config: &config::Upstream, tallies: &Tallies) -> Self {
        let weights: Vec<u32> = config.peers.iter().map(|p| if p.down { 0 } else { p.weight }).collect();
        Self {
            name: Arc::clone(&config.name),
            peers: config.peers.iter().map(|peer| Arc::new(Peer::new(peer, &config.name, tallies))).collect(),
            keepalive: config.keepalive,
            keepalive_timeout: config.keepalive_timeout,
            policy: RoundRobin::new(&weights),
        }
    }

    /// The next peer, leaving out those that refused already; none where all did.
    pub fn pick(&self, tried: &[SocketAddr]) -> Option<&Arc<Peer>> {
        // A full turn of the sequence meets every live peer, so a turn without a find is the end.
        for _ in 0..self.policy.turn() {
            let peer = self.peers.get(self.policy.next()?)?;
            if !tried.contains(&peer.address) {
                return Some(peer);
            }
        }
        None
    }
}
