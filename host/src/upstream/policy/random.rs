//! By chance: one peer, or the less busy of two. nginx: `random`, `random two least_conn`.

use std::sync::Arc;

use super::round_robin::RoundRobin;
use super::shares::Shares;
use super::{Candidates, Policy, TRIES, dice};
use crate::upstream::Peer;

/// A peer by chance, as often as its weight says.
#[derive(Debug)]
pub(super) struct Random {
    shares: Shares,
    two: bool,
    otherwise: RoundRobin,
}

impl Random {
    /// `two`: the less busy of two peers.
    pub(super) fn new(peers: &[Arc<Peer>], two: bool) -> Self {
        Self { shares: Shares::new(peers), two, otherwise: RoundRobin::new(peers) }
    }
}

impl Policy for Random {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        let mut first: Option<(usize, &Peer)> = None;
        for _ in 0..TRIES {
            let index = self.shares.find(dice::below_u32(self.shares.sum()));
            let Some(peer) = candidates.peers.get(index) else { break };
            let is_first = first.is_some_and(|(first, _)| first == index);
            if is_first || !candidates.may(index) || !candidates.takes_turn(index) {
                continue;
            }
            match first {
                None if self.two => first = Some((index, peer)),
                None => return Some(index),
                Some((other, before)) => {
                    let busier = |a: &Peer, b: &Peer| {
                        u64::from(a.vitals.active()) * u64::from(b.weight)
                            > u64::from(b.vitals.active()) * u64::from(a.weight)
                    };
                    return Some(if busier(peer, before) { other } else { index });
                }
            }
        }
        // Only one can serve, or hardly any.
        first.map(|(index, _)| index).or_else(|| self.otherwise.pick(candidates))
    }
}
