//! How a peer is chosen: one file for each policy.
//!
//! Orders and rings are worked out once for a set, by weight alone. What changes in time is asked
//! for when a peer is met: one that cannot serve is passed over, and one whose share is reduced
//! lets some of its turns go by. So the others keep their shares, and nothing is built anew.

pub(super) mod dice;
mod hash;
mod ip_hash;
mod least;
mod random;
mod ring;
mod round_robin;
mod search;
mod shares;

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::board::Column;
use super::vitals::WHOLE;
use super::{Peer, Tick};
use crate::config;
use crate::hook::{Template, Values};
use hash::Hash;
use ip_hash::IpHash;
use least::{Cost, Least};
use random::Random;
use ring::Ring;
use round_robin::RoundRobin;

#[cfg(test)]
pub(super) use dice::seed;
#[cfg(test)]
mod tests;

/// How often a hash or chance is asked before peers take turns: nginx's twenty, and once more.
const TRIES: usize = 21;

/// What a choice goes by.
#[derive(Clone, Copy, Default)]
pub struct Ask<'a> {
    /// The client's address; none for a request of the proxy's own.
    pub client: Option<IpAddr>,
    /// The peers that were tried for the same request.
    pub tried: &'a [Arc<Peer>],
    /// When it is asked.
    pub now: Tick,
    /// The request's variables; none for a request of the proxy's own.
    pub values: Option<&'a dyn Values>,
}

impl fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("client", &self.client).field("tried", &self.tried).finish_non_exhaustive()
    }
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

/// Ask with the request's key; none where there is no request, or the key is empty.
fn with_key<T>(key: &Template, candidates: &Candidates<'_>, ask: impl FnOnce(&[u8]) -> T) -> Option<T> {
    thread_local! {
        static KEY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    let values = candidates.ask.values.filter(|_| candidates.peers.len() > 1)?;
    KEY.with_borrow_mut(|buffer| {
        buffer.clear();
        key.render_from(values, buffer);
        (!buffer.is_empty()).then(|| ask(buffer))
    })
}

/// A way to choose, made for one generation of peers.
pub(super) trait Policy: fmt::Debug + Send + Sync {
    /// The index of the next peer among those that it was made for; none where none may be chosen.
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize>;

    /// Whether it goes by how long peers take.
    fn measures(&self) -> bool {
        false
    }
}

/// Make a policy for these peers.
pub(super) fn new(policy: &config::Policy, peers: &[Arc<Peer>]) -> Box<dyn Policy> {
    use config::{Policy as P, Until};
    match policy {
        P::RoundRobin => Box::new(RoundRobin::new(peers)),
        P::LeastConn => Box::new(Least::new(Cost::Connections, peers)),
        P::LeastTime(Until::Header) => Box::new(Least::new(Cost::Time(Column::Header), peers)),
        P::LeastTime(Until::LastByte) => Box::new(Least::new(Cost::Time(Column::Whole), peers)),
        P::IpHash => Box::new(IpHash::new(peers)),
        P::Hash { key, consistent: false } => Box::new(Hash::new(key, peers)),
        P::Hash { key, consistent: true } => Box::new(Ring::new(key, peers)),
        P::Random => Box::new(Random::new(peers, false)),
        P::RandomTwo => Box::new(Random::new(peers, true)),
    }
}
