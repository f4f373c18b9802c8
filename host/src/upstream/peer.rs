//! One member of an upstream.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Breaker, Shared, Tick, Tolerance, Vitals, Way};
use crate::config::{self, Address};
use crate::observe::{Subject, Tally};

/// One member of an upstream.
#[derive(Debug, Clone)]
pub struct Peer {
    /// As the configuration writes it; of a name, the address.
    pub name: Arc<str>,
    /// The name of its upstream.
    pub upstream: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// Where it is and how it is connected to.
    pub(super) way: Arc<Way>,
    /// Its share, 1 or more.
    pub weight: u32,
    /// Out of use. nginx: `down`.
    pub down: bool,
    /// Only for those that are stuck to it. nginx: `drain`.
    pub drain: bool,
    /// Only where no other peer can serve. nginx: `backup`.
    pub backup: bool,
    /// Exchanges and tunnels that it serves at once; 0 for any number. nginx: `max_conns`.
    pub max_conns: u32,
    /// How long its share grows when it is new or serves again; zero for not at all. nginx Plus:
    /// `slow_start`.
    pub slow_start: Duration,
    /// What balancers are told of it, in the order of the names.
    pub tags: Vec<(String, String)>,
    /// What requests call it that are to go to it. nginx: `route=`.
    pub route: Option<Arc<str>>,
    /// What stands for it in sticky cookies, once it was needed.
    pub(super) token: OnceLock<Arc<str>>,
    /// How many failures it is forgiven.
    pub tolerance: Tolerance,
    /// Its breaker; none where it has none.
    pub breaker: Option<Breaker>,
    /// How it is checked; none where it is not.
    pub health: Option<Arc<config::Health>>,
    /// Whether its set has no other.
    alone: Arc<AtomicBool>,
    /// Its numbers.
    pub tally: Arc<Tally>,
    /// What is known of it.
    pub vitals: Arc<Vitals>,
}

impl Peer {
    /// Make a peer ready; what is known of the one at this address in this upstream goes on.
    pub fn new(config: &config::Peer, address: &Address, upstream: &Arc<str>, shared: &Shared) -> Self {
        let subject = Subject::Peer(Arc::clone(upstream), Arc::clone(&config.name));
        let vitals = shared.known.of(upstream, address);
        Self {
            name: Arc::clone(&config.name),
            address: address.clone(),
            upstream: Arc::clone(upstream),
            way: shared.known.ways.of(address, &config.dial),
            weight: config.weight.max(1),
            down: config.down,
            drain: config.drain,
            backup: config.backup,
            max_conns: config.max_conns,
            slow_start: config.slow_start,
            tags: config.tags.clone(),
            route: config.route.clone(),
            token: OnceLock::new(),
            tolerance: Tolerance { max_fails: config.max_fails, fail_timeout: config.fail_timeout },
            health: config.health.clone(),
            alone: Arc::default(),
            tally: shared.tallies.of(subject),
            breaker: config.breaker.map(|settings| vitals.breaker.breaker(settings)),
            vitals,
        }
    }

    /// Whether its set has no other: then failures do not take it out. nginx: `peers->single`.
    pub(super) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }

    /// It is in a set with others, or not.
    pub(super) fn set_alone(&self, alone: bool) {
        self.alone.store(alone, Ordering::Relaxed);
    }

    /// As it is, but at another port: for checks. A Unix socket has none.
    pub(super) fn at_port(&self, port: u16) -> Self {
        let Address::Tcp(address) = &self.address else { return self.clone() };
        let address = Address::Tcp(SocketAddr::new(address.ip(), port));
        let way = Arc::new(self.way.apart(address.clone()));
        Self { address, way, ..self.clone() }
    }

    /// Whether it has room for one more.
    pub fn has_room(&self) -> bool {
        self.max_conns == 0 || self.vitals.active() < self.max_conns
    }

    /// Its share of requests now, of [`super::WHOLE`] where it has all that its weight promises.
    pub fn share(&self, now: Tick) -> u32 {
        self.vitals.share(self.slow_start, now)
    }
}
