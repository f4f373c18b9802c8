//! Peers by their place in the sum of all weights.

use std::iter;
use std::sync::Arc;

use crate::upstream::Peer;

/// The greatest sum of weights of which every number's peer is noted: 256 KiB of them.
const NOTED: usize = 1 << 16;

/// The weights of peers, summed up: a number below their sum is one of them.
#[derive(Debug)]
pub(super) struct Shares {
    sum: u32,
    how: How,
}

/// How a number's peer is found.
#[derive(Debug)]
enum How {
    /// All weigh the same: by division.
    Equal(u32),
    /// Each number's peer, noted: one look instead of ten in a thousand peers.
    Noted(Box<[u32]>),
    /// Where each peer's numbers end, in ascending order.
    Ends(Box<[u32]>),
}

impl Shares {
    /// Those of all peers, those that are down too: they keep their numbers, so that the others do.
    pub(super) fn new(peers: &[Arc<Peer>]) -> Self {
        let mut sum: u32 = 0;
        let end = |peer: &Arc<Peer>| {
            sum = sum.saturating_add(peer.weight);
            sum
        };
        let ends: Box<[u32]> = peers.iter().map(end).collect();
        let first = peers.first().map(|peer| peer.weight);
        let equal = first.filter(|first| peers.iter().all(|peer| peer.weight == *first));
        let how = match equal {
            Some(weight) => How::Equal(weight.max(1)),
            None if sum as usize <= NOTED => How::Noted(
                peers
                    .iter()
                    .zip(0_u32..)
                    .flat_map(|(peer, index)| iter::repeat_n(index, peer.weight as usize))
                    .collect(),
            ),
            None => How::Ends(ends),
        };
        Self { sum, how }
    }

    /// The sum of all weights.
    pub(super) fn sum(&self) -> u32 {
        self.sum
    }

    /// The index of the peer that has this number below the sum.
    pub(super) fn find(&self, number: u32) -> usize {
        match &self.how {
            How::Equal(weight) => (number / weight) as usize,
            How::Noted(peers) => peers.get(number as usize).map_or(usize::MAX, |peer| *peer as usize),
            How::Ends(ends) => ends.partition_point(|end| *end <= number),
        }
    }
}
