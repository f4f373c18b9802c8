//! The same peer for the same key. nginx: `hash KEY`.

use std::sync::Arc;

use super::round_robin::RoundRobin;
use super::shares::Shares;
use super::{Candidates, Policy, TRIES, with_key};
use crate::hook::Template;
use crate::upstream::Peer;

/// A peer by nginx's hash of the key, which is that of Cache::Memcached: when the number of peers
/// changes, most keys go elsewhere.
#[derive(Debug)]
pub(super) struct Hash {
    key: Template,
    shares: Shares,
    otherwise: RoundRobin,
}

impl Hash {
    pub(super) fn new(key: &Template, peers: &[Arc<Peer>]) -> Self {
        Self { key: key.clone(), shares: Shares::new(peers), otherwise: RoundRobin::new(peers) }
    }

    fn by_key(&self, key: &[u8], candidates: &Candidates<'_>) -> Option<usize> {
        let mut hash: u32 = 0;
        for rehash in 0..TRIES {
            let mut crc = crc32fast::Hasher::new();
            if rehash > 0 {
                crc.update(rehash.to_string().as_bytes());
            }
            crc.update(key);
            hash = hash.wrapping_add((crc.finalize() >> 16) & 0x7fff);
            let index = self.shares.find(hash.checked_rem(self.shares.sum())?);
            if candidates.may(index) {
                return Some(index);
            }
        }
        None
    }
}

impl Policy for Hash {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        let found = with_key(&self.key, candidates, |key| self.by_key(key, candidates));
        found.flatten().or_else(|| self.otherwise.pick(candidates))
    }
}
