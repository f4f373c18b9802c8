//! Peers by their place in the sum of all weights.

use std::sync::Arc;

use crate::upstream::Peer;

/// The weights of peers, summed up: a number below their sum is one of them.
#[derive(Debug)]
pub(super) struct Shares {
    /// Where each peer's numbers end.
    ends: Box<[u64]>,
    /// The weight of each, where all have the same.
    equal: Option<u64>,
}

impl Shares {
    /// Those of all peers, those that are down too: they keep their numbers, so that the others do.
    pub(super) fn new(peers: &[Arc<Peer>]) -> Self {
        let mut sum = 0;
        let end = |peer: &Arc<Peer>| {
            sum += u64::from(peer.weight);
            sum
        };
        let ends = peers.iter().map(end).collect();
        let first = peers.first().map(|peer| peer.weight);
        let equal = first.filter(|first| peers.iter().all(|peer| peer.weight == *first));
        Self { ends, equal: equal.map(u64::from) }
    }

    /// The sum of all weights.
    pub(super) fn sum(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The index of the peer that has this number below the sum.
    pub(super) fn find(&self, number: u64) -> usize {
        match self.equal {
            Some(weight) => usize::try_from(number / weight).unwrap_or(usize::MAX),
            None => self.ends.partition_point(|end| *end <= number),
        }
    }
}
