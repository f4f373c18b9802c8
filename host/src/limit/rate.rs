//! The rates of one zone: a bucket for each key, in bounded memory.

use std::hash::{BuildHasher, RandomState};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::bucket::Bucket;
use super::lru::Lru;

/// The least that one shard may hold, bytes: keys go to shards at random, and a small one
/// would forget long before the zone is full.
const LEAST_SHARD: usize = 128 << 10;
/// More shards than cores, so that two workers seldom want the same.
const MOST_SHARDS: usize = 64;
/// How long a drained bucket is kept, ms. nginx: 60 s.
const STALE: u64 = 60_000;

/// Buckets by key, in shards that are locked for a look each.
pub(super) struct Rates {
    shards: Box<[CachePadded<Mutex<Lru<Bucket>>>]>,
    hasher: RandomState,
}

/// A request that must not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// It would make this excess, in thousandths.
    Burst(u64),
    /// The key has no room in the zone.
    Room,
}

impl Rates {
    /// No buckets, and never more than `size` bytes of them.
    pub(super) fn new(size: usize) -> Self {
        let count = (size / LEAST_SHARD).clamp(1, MOST_SHARDS);
        let shards = (0..count).map(|_| CachePadded::new(Mutex::new(Lru::new(size / count)))).collect();
        Self { shards, hasher: RandomState::new() }
    }

    /// The excess that a request of this key makes. With `take` it is put into the bucket; the
    /// first zones of several only look, so that what a later one refuses costs nothing.
    ///
    /// # Errors
    /// Where the excess is beyond `burst`; the bucket is as before then.
    pub(super) fn look(&self, key: &[u8], rate: u64, burst: u64, now: u64, take: bool) -> Result<u64, Over> {
        let looked = self.with(key, |shard| {
            if let Some(bucket) = shard.get(key) {
                let excess = bucket.excess(rate, now);
                if excess > burst {
                    return Err(Over::Burst(excess));
                }
                if take {
                    bucket.take(excess, now);
                }
                return Ok(excess);
            }
            if !shard.fits(key) {
                return Err(Over::Room);
            }
            if take {
                insert(shard, key, rate, now);
            }
            Ok(0)
        });
        // There is a shard for every key.
        looked.unwrap_or(Ok(0))
    }

    /// Put a request into the bucket that [`Self::look`] has looked at; the excess that it makes.
    pub(super) fn take(&self, key: &[u8], rate: u64, now: u64) -> u64 {
        let taken = self.with(key, |shard| match shard.get(key) {
            Some(bucket) => {
                let excess = bucket.excess(rate, now);
                bucket.take(excess, now);
                excess
            }
            None => {
                insert(shard, key, rate, now);
                0
            }
        });
        taken.unwrap_or(0)
    }

    fn with<T>(&self, key: &[u8], then: impl FnOnce(&mut Lru<Bucket>) -> T) -> Option<T> {
        let hash = usize::try_from(self.hasher.hash_one(key) & u64::from(u32::MAX)).unwrap_or(0);
        let shard = self.shards.get(hash % self.shards.len().max(1))?;
        Some(then(&mut shard.lock()))
    }
}

/// Put in the bucket of a new key. As nginx does, up to two that are stale are forgotten
/// first, so that what was once needed is given back without a timer.
fn insert(shard: &mut Lru<Bucket>, key: &[u8], rate: u64, now: u64) {
    for _ in 0..2 {
        if !shard.oldest().is_some_and(|bucket| bucket.is_stale(rate, now, STALE)) {
            break;
        }
        shard.forget_oldest();
    }
    shard.insert(key, Bucket::new(now));
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 1000;

    #[test]
    fn keys_have_buckets_of_their_own() {
        let rates = Rates::new(1 << 20);
        assert_eq!(rates.look(b"a", RATE, 0, 0, true), Ok(0));
        assert_eq!(rates.look(b"b", RATE, 0, 0, true), Ok(0));
        assert_eq!(rates.look(b"a", RATE, 0, 10, true), Err(Over::Burst(990)));
        assert_eq!(rates.look(b"a", RATE, 990, 10, true), Ok(990));
    }

    #[test]
    fn a_look_takes_nothing() {
        let rates = Rates::new(1 << 20);
        for _ in 0..3 {
            assert_eq!(rates.look(b"a", RATE, 0, 0, false), Ok(0));
        }
        assert_eq!(rates.take(b"a", RATE, 0), 0);
        assert_eq!(rates.look(b"a", RATE, 5000, 0, false), Ok(1000));
        assert_eq!(rates.take(b"a", RATE, 0), 1000);
    }

    #[test]
    fn a_flood_of_keys_forgets_the_oldest_and_stays_within_the_size() {
        let rates = Rates::new(32 << 10);
        assert_eq!(rates.look(b"first", RATE, 0, 0, true), Ok(0));
        for number in 0..10_000_u32 {
            assert_eq!(rates.look(&number.to_be_bytes(), RATE, 0, 0, true), Ok(0));
        }
        assert_eq!(rates.look(b"first", RATE, 0, 0, true), Ok(0), "forgotten");
        assert_eq!(rates.look(&9999_u32.to_be_bytes(), RATE, 0, 0, true), Err(Over::Burst(1000)), "kept");
        assert_eq!(rates.look(&[0; 40_000], RATE, 0, 0, true), Err(Over::Room));
    }

    #[test]
    fn stale_buckets_are_given_back() {
        let rates = Rates::new(32 << 10);
        for number in 0..50_u32 {
            rates.look(&number.to_be_bytes(), RATE, 0, 0, true).unwrap();
        }
        for number in 50..75_u32 {
            rates.look(&number.to_be_bytes(), RATE, 0, 60_000, true).unwrap();
        }
        let held = rates.shards.iter().map(|shard| shard.lock().len()).sum::<usize>();
        assert_eq!(held, 25);
    }
}
