//! Where requests go: groups of peers, the choice among them, and connections to them.

mod answer;
mod asked;
mod connect;
mod lease;
mod link;
mod own;
mod peer;
mod policy;
mod pool;
mod set;
mod way;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

pub use answer::AnswerBody;
pub use asked::Asked;
pub use connect::connect;
pub use lease::Lease;
pub use link::Link;
pub use own::{OwnAnswer, OwnRequest};
pub use peer::{Known, Peer, Vitals};
pub use policy::Ask;
pub use pool::checkout;
pub use way::Way;

use set::Set;

use crate::config;
use crate::observe::Tallies;

/// A group of peers that serve the same thing. nginx: `upstream`.
#[derive(Debug)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// Idle connections kept by each worker for each peer.
    pub keepalive: usize,
    /// How long an idle connection is kept.
    pub keepalive_timeout: Duration,
    /// Requests that one connection serves.
    pub keepalive_requests: u64,
    /// How long one connection serves requests.
    pub keepalive_time: Duration,
    /// Its peers now; replaced as a whole where they change.
    set: ArcSwap<Set>,
    policy: config::Policy,
}

/// What upstreams of one server share over reloads.
#[derive(Debug, Default, Clone)]
pub struct Shared {
    /// The numbers of peers.
    pub tallies: Arc<Tallies>,
    /// What is known of peers.
    pub known: Arc<Known>,
}

impl Upstream {
    /// Make a group ready. What `shared` knows of its peers goes on.
    pub fn new(config: &config::Upstream, shared: &Shared) -> Self {
        let peers = config.peers.iter().map(|peer| Arc::new(Peer::new(peer, &config.name, shared))).collect();
        Self {
            name: Arc::clone(&config.name),
            keepalive: config.keepalive,
            keepalive_timeout: config.keepalive_timeout,
            keepalive_requests: config.keepalive_requests,
            keepalive_time: config.keepalive_time,
            set: ArcSwap::from_pointee(Set::new(0, peers, config.policy)),
            policy: config.policy,
        }
    }

    /// Put other peers in the place of those that it has. Those that stay keep what is known of
    /// them; exchanges and tunnels with those that leave go on.
    pub fn replace(&self, peers: Vec<Arc<Peer>>) {
        self.set.rcu(|set| Set::new(set.generation + 1, peers.clone(), self.policy));
    }

    /// Its peers now, with those that are down.
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        self.set.load().peers.clone()
    }

    /// The next peer, leaving out those that were tried already; none where none is left. It
    /// counts as busy until the lease is dropped.
    pub fn pick(&self, ask: &Ask<'_>) -> Option<Lease> {
        self.set.load().pick(ask).map(Lease::new)
    }
}

/// What a request for the upstream of this name has as Host, and the port: nginx's `$proxy_host`,
/// which leaves out the scheme's own port, and `$proxy_port`.
pub fn authority(name: &str) -> (&str, &str) {
    let (address, own) = match name.strip_prefix("https://") {
        Some(address) => (address, "443"),
        None => (name, "80"),
    };
    if address.starts_with("unix:") {
        return ("localhost", "");
    }
    match address.rsplit_once(':') {
        Some((host, port)) if port == own => (host, port),
        Some((_, port)) => (address, port),
        None => (address, own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_of_upstreams() {
        for (name, expected) in [
            ("chat", ("chat", "80")),
            ("a.test:80", ("a.test", "80")),
            ("a.test:443", ("a.test:443", "443")),
            ("https://a.test:443", ("a.test", "443")),
            ("https://[::1]:8443", ("[::1]:8443", "8443")),
            ("unix:/run/app.sock", ("localhost", "")),
            ("https://unix:/run/app.sock", ("localhost", "")),
        ] {
            assert_eq!(authority(name), expected, "{name}");
        }
    }
}
