//! Where requests go: groups of peers, the choice among them, and connections to them.

mod admission;
mod answer;
mod asked;
mod authority;
mod board;
mod breaker;
mod connect;
mod discover;
mod health;
pub mod http2;
mod lease;
mod link;
mod members;
mod own;
mod pace;
mod peer;
mod policy;
mod pool;
mod public;
mod sessions;
mod set;
mod sticky;
mod tick;
mod vitals;
mod way;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Notify;

pub use admission::{Admission, Class, Gate, GateCounts, Gates, Place};
pub use answer::AnswerBody;
pub use asked::{Asked, GivenUp};
pub use authority::authority;
pub use breaker::{Breaker, Stance};
pub use connect::{connect, connect_raw};
pub use discover::{Names, SourceStatus, problems};
pub use health::{Cut, Failure, Health, State, Tolerance};
pub use lease::Lease;
pub use link::Link;
pub use members::Members;
pub use own::{OwnAnswer, OwnRequest};
pub use peer::Peer;
pub use policy::Ask;
pub use pool::checkout;
pub use tick::Tick;
pub use vitals::{Known, Vitals, WHOLE};
pub use way::Way;

use discover::Discovery;
use members::Group;
use set::Set;
use sticky::Sticky;

use crate::config;
use crate::hook::Values;
use crate::message::Fields;
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
    /// Which version of HTTP its peers are asked in.
    pub protocol: config::Protocol,
    /// With HTTP/2: how long a peer may be silent about what it was sent before a PING asks it for
    /// a sign of life.
    pub ping: Duration,
    /// How much it is given at once; none for any number.
    pub admission: Option<Admission>,
    /// Requests that one connection serves.
    pub keepalive_requests: u64,
    /// How long one connection serves requests.
    pub keepalive_time: Duration,
    /// Its peers now; replaced as a whole where they change.
    set: ArcSwap<Set>,
    /// Told when they change.
    changed: Notify,
    /// Whether they are checked.
    checked: bool,
    policy: config::Policy,
    group: Arc<Group>,
    /// The same peers for hook `balancer`, made when it is first asked.
    members: ArcSwapOption<Members>,
    sticky: Option<Sticky>,
    /// Where its peers come from; none where every address is written.
    discovery: Option<Discovery>,
}

/// What upstreams of one server share over reloads.
#[derive(Debug, Default, Clone)]
pub struct Shared {
    /// The numbers of peers.
    pub tallies: Arc<Tallies>,
    /// What is known of peers.
    pub known: Arc<Known>,
    /// How much upstreams have been given.
    pub gates: Arc<Gates>,
    /// What is known of names.
    pub names: Arc<Names>,
    /// How names are looked up; of the configuration in use.
    pub resolver: Arc<config::Resolver>,
}

impl Upstream {
    /// Make a group ready. What `shared` knows of its peers goes on.
    pub fn new(config: &config::Upstream, shared: &Shared) -> Self {
        let discovery = Discovery::new(config, shared);
        let fixed = |peer: &config::Peer| match &peer.source {
            config::Source::Fixed(address) => Some(Arc::new(Peer::new(peer, address, &config.name, shared))),
            config::Source::Name(_) => None,
        };
        let peers = match &discovery {
            Some(discovery) => Self::discovered(discovery, &config.name),
            None => config.peers.iter().filter_map(fixed).collect(),
        };
        Set::welcome(&peers, Tick::now());
        let sticky = config.sticky.as_ref().map(|how| Sticky::new(how, &config.name, &shared.known));
        Self {
            name: Arc::clone(&config.name),
            admission: config.admission.map(|settings| Admission::new(settings, &config.name, &shared.gates)),
            keepalive: config.keepalive,
            keepalive_timeout: config.keepalive_timeout,
            protocol: config.protocol,
            ping: config.ping,
            keepalive_requests: config.keepalive_requests,
            keepalive_time: config.keepalive_time,
            changed: Notify::new(),
            checked: config.peers.iter().any(|peer| peer.health.is_some()),
            set: ArcSwap::from_pointee(Set::new(0, peers, &config.policy, sticky.as_ref())),
            policy: config.policy.clone(),
            group: Arc::new(Group::new(&config.name, shared)),
            members: ArcSwapOption::empty(),
            sticky,
            discovery,
        }
    }

    /// Whether this peer of it may speak HTTP/2. Not where each connection is one client's, by the
    /// PROXY protocol: those of HTTP/2 are shared.
    pub fn may_speak_http2(&self, peer: &Peer) -> bool {
        peer.way.dial.proxy_protocol.is_none()
            && match self.protocol {
                config::Protocol::H1 => false,
                config::Protocol::H2 => true,
                // Without TLS there is nothing to choose by.
                config::Protocol::Auto => peer.way.dial.tls.is_some(),
            }
    }

    /// Put other peers in the place of those that it has. Those that stay keep what is known of
    /// them; exchanges and tunnels with those that leave go on.
    pub fn replace(&self, peers: &[Arc<Peer>]) {
        Set::welcome(peers, Tick::now());
        self.set.rcu(|set| Set::new(set.generation + 1, peers.to_vec(), &self.policy, self.sticky.as_ref()));
        self.changed.notify_waiters();
    }

    /// Its peers now, with those that are down.
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        self.set.load().peers.clone()
    }

    /// How many of its peers are not down.
    pub fn usable(&self) -> usize {
        self.set.load().usable
    }

    /// Its peers now, as hook `balancer` sees them.
    pub fn members(&self) -> Arc<Members> {
        let set = self.set.load();
        let made = self.members.load();
        if let Some(made) = made.as_ref().filter(|made| made.is_of(&set)) {
            return Arc::clone(made);
        }
        let made = Arc::new(Members::new(&self.group, &set));
        self.members.store(Some(Arc::clone(&made)));
        made
    }

    /// The next peer, leaving out those that were tried already; none where none is left. It
    /// counts as busy until the lease is dropped.
    pub fn pick(&self, ask: &Ask<'_>) -> Option<Lease> {
        let set = self.set.load();
        self.sticky.as_ref().and_then(|sticky| sticky.pick(&set, ask)).or_else(|| set.pick(ask))
    }

    /// Whether a choice goes by the request's variables, its headers among them.
    pub fn reads_request(&self) -> bool {
        self.sticky.is_some() || matches!(self.policy, config::Policy::Hash { .. })
    }

    /// A peer has answered with this head: its session is noted where sessions are learnt. Gives
    /// the value of the Set-Cookie line that the client must get, if any. nginx: `sticky`.
    pub fn answered(&self, peer: &Peer, values: &dyn Values, answer: &Fields) -> Option<Vec<u8>> {
        self.sticky.as_ref()?.answered(peer, values, answer)
    }
}
