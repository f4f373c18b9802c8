//! The same peer for the same client address. nginx: `ip_hash`.

use std::net::IpAddr;
use std::sync::Arc;

use super::round_robin::RoundRobin;
use super::shares::Shares;
use super::{Candidates, Policy, TRIES};
use crate::upstream::Peer;

/// nginx's hash: where it begins, its factor and its modulus.
const START: u32 = 89;
const FACTOR: u32 = 113;
const MODULUS: u32 = 6271;

/// A peer by nginx's hash of the address, so that both choose the same one.
#[derive(Debug)]
pub(super) struct IpHash {
    shares: Shares,
    otherwise: RoundRobin,
}

impl IpHash {
    pub(super) fn new(peers: &[Arc<Peer>]) -> Self {
        Self { shares: Shares::new(peers), otherwise: RoundRobin::new(peers) }
    }
}

impl Policy for IpHash {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        let Some(client) = candidates.ask.client.filter(|_| candidates.peers.len() > 1) else {
            return self.otherwise.pick(candidates);
        };
        let (v4, v6);
        // nginx: the first three octets, or the whole of an IPv6 address.
        let key: &[u8] = match client {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                v4 = [a, b, c];
                &v4
            }
            IpAddr::V6(address) => {
                v6 = address.octets();
                &v6
            }
        };
        let mut hash = START;
        for _ in 0..TRIES {
            hash = key.iter().fold(hash, |hash, byte| (hash * FACTOR + u32::from(*byte)) % MODULUS);
            let index = self.shares.find(hash.checked_rem(self.shares.sum())?);
            if candidates.may(index) {
                return Some(index);
            }
        }
        self.otherwise.pick(candidates)
    }
}
