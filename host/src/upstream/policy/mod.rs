//! How a peer is chosen: one file for each policy.
//!
//! Orders and rings are worked out once for a set, by weight alone. What changes in time is asked
//! for when a peer is met: one that cannot serve is passed over, and one whose share is reduced
//! lets some of its turns go by. So the others keep their shares, and nothing is built anew.

pub(super) mod dice;
mod round_robin;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::vitals::WHOLE;
use super::{Peer, Tick};
use crate::config;
use round_robin::RoundRobin;

#[cfg(test)]
pub(super) use dice::seed;

/// What a choice goes by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask<'a> {
    /// The client's address; none for a request of the proxy's own.
    pub client: Option<IpAddr>,
    /// The peers that were tried for the same request.
    pub tried: &'a [Arc<Peer>],
    /// When it is asked.
    pub now: Tick,
}

/// Peers to choose among, for one request.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    pub(super) peers: &'a [Arc<Peer>],
    pub(super) ask: &'a Ask<'a>,
}

impl Candidates<'_> {
    /// Whether a peer may be chosen: it is in use and well, has room, and was not tried already
    /// for this request.
    pub(super) fn may(&self, index: usize) -> bool {
        self.peers.get(index).is_some_and(|peer| !peer.drain && self.can(peer))
    }

    /// As [`Self::may`], for a request that is stuck to the peer: one that drains serves it.
    pub(super) fn can(&self, peer: &Peer) -> bool {
        !peer.down
            && peer.has_room()
            && peer.is_well(self.ask.now)
            && peer.breaker.as_ref().is_none_or(|breaker| breaker.may_serve(self.ask.now))
            // Those of two generations are the same peer where they share what is known of it.
            && !self.ask.tried.iter().any(|tried| Arc::ptr_eq(&tried.vitals, &peer.vitals))
    }

    /// Whether a peer that may be chosen takes this turn: always where it has its whole share,
    /// else by lot, as often as its share says.
    pub(super) fn takes_turn(&self, index: usize) -> bool {
        let Some(peer) = self.peers.get(index) else { return true };
        let share = peer.share(self.ask.now);
        if share >= WHOLE {
            return true;
        }
        peer.vitals.regain(peer.weight);
        dice::below(WHOLE.into()) < share.into()
    }

    /// Any that may be chosen, each as often as its weight and its share say; none where none
    /// may be. Looks at all of them.
    pub(super) fn by_lot(&self) -> Option<usize> {
        let chance = |index: usize| match self.peers.get(index) {
            Some(peer) if self.may(index) => u64::from(peer.weight) * u64::from(peer.share(self.ask.now)),
            _ => 0,
        };
        let chances: Vec<u64> = (0..self.peers.len()).map(chance).collect();
        let mut lot = dice::below(chances.iter().sum());
        chances.iter().position(|chance| {
            let won = lot < *chance;
            lot = lot.saturating_sub(*chance);
            won
        })
    }
}

/// A way to choose, made for one generation of peers.
pub(super) trait Policy: fmt::Debug + Send + Sync {
    /// The index of the next peer among those that it was made for; none where none may be chosen.
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize>;
}

/// Make a policy for these peers.
pub(super) fn new(policy: &config::Policy, peers: &[Arc<Peer>]) -> Box<dyn Policy> {
    match policy {
        config::Policy::RoundRobin => Box::new(RoundRobin::new(peers)),
    }
}
