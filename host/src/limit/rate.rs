//! The rates of one zone: a bucket for each key, in bounded memory.

use super::bucket::{Bucket, ONE};
use super::table::{Stage, Table, Word};

/// A bucket in one word: 34 bits of when it was last drained, in ms, and 30 of its excess, in
/// thousandths of requests. Small numbers in the place of the excess are the other [`Stage`]s.
///
/// The time begins anew after 198 days: a key that was silent for just so long may find its
/// bucket as it left it. Between a look into a bucket and the change of it, its slot may have
/// got another key with the same bucket: the change is taken back then, and made again.
struct Packed;

const EXCESS_BITS: u32 = 30;
const EXCESS: u64 = (1 << EXCESS_BITS) - 1;
const TIMES: u64 = u64::MAX >> EXCESS_BITS;
const FREE: u64 = 0;
const TAKEN: u64 = 1;
const BORN: u64 = 2;
/// An excess of nothing.
const NONE: u64 = 3;
/// How far back the clock of one worker may be behind another's, ms: as in nginx.
const BEHIND: u64 = 60_000;

impl Word for Packed {
    fn stage(word: u64) -> Stage {
        match word & EXCESS {
            FREE => Stage::Free,
            TAKEN => Stage::Taken,
            BORN => Stage::Born,
            _ => Stage::Live,
        }
    }

    fn taken(_: u64) -> u64 {
        TAKEN
    }

    fn born(_: u64, changes: u64) -> u64 {
        // No two births in one slot look alike.
        changes << EXCESS_BITS | BORN
    }

    fn free(_: u64) -> u64 {
        FREE
    }
}

impl Packed {
    fn pack(bucket: &Bucket) -> u64 {
        bucket.last << EXCESS_BITS | (bucket.excess + NONE).min(EXCESS)
    }

    /// The bucket of a word; none where nothing is counted yet.
    fn unpack(word: u64, now: u64) -> Option<Bucket> {
        let excess = (word & EXCESS).checked_sub(NONE)?;
        let ago = now.wrapping_sub(word >> EXCESS_BITS) & TIMES;
        // Another worker's clock may be ahead of this one's.
        let last = if ago > TIMES - BEHIND { now + (TIMES + 1 - ago) } else { now.saturating_sub(ago) };
        Some(Bucket { excess, last })
    }
}

/// Buckets by key.
#[derive(Debug)]
pub(super) struct Rates(Table);

impl Rates {
    /// No buckets, and never more than `size` bytes of them.
    pub(super) fn new(size: usize) -> Self {
        Self(Table::new(size))
    }

    /// The excess that a request of this key makes. With `take` it is put into the bucket; the
    /// first zones of several only look, so that what a later one refuses costs nothing.
    ///
    /// # Errors
    /// The excess, where it is beyond `burst`; the bucket is as before then.
    pub(super) fn look(&self, key: &[u8], rate: u64, burst: u64, now: u64, take: bool) -> Result<u64, u64> {
        let tag = self.0.tag(key);
        let Some((set, _)) = self.0.set_of(tag) else { return Ok(0) };
        loop {
            let found = if take {
                set.find_or_insert::<Packed>(tag, |word| Some(worth(word, rate, now)))
            } else {
                set.find::<Packed>(tag)
            };
            // The first request of a key is never beyond the rate; nor is one whose set other
            // threads are about to fill at this moment.
            let Some((slot, word)) = found else { return Ok(0) };
            let (excess, next) = match Packed::unpack(word, now) {
                None => (0, Bucket::new(now)),
                Some(mut bucket) => {
                    let excess = bucket.excess(rate, now);
                    if excess > burst {
                        return Err(excess);
                    }
                    bucket.take(excess, now);
                    (excess, bucket)
                }
            };
            if !take {
                return Ok(excess);
            }
            let next = Packed::pack(&next);
            if slot.change(word, next) {
                if slot.has(tag) {
                    return Ok(excess);
                }
                slot.change(next, word);
            }
        }
    }

    /// Put a request into the bucket that [`Self::look`] has looked at; the excess that it makes.
    pub(super) fn take(&self, key: &[u8], rate: u64, now: u64) -> u64 {
        self.look(key, rate, u64::MAX, now, true).unwrap_or(0)
    }
}

/// How much later than now, in ms, it makes no difference any more whether a bucket is
/// forgotten: the less, the sooner it is. Where all have the same rate and few an excess, this
/// is nginx's order, by the last use.
fn worth(word: u64, rate: u64, now: u64) -> i64 {
    let Some(bucket) = Packed::unpack(word, now) else { return i64::MAX };
    let drains = (bucket.excess + ONE).saturating_mul(1000).checked_div(rate).unwrap_or(u64::MAX);
    i64::try_from(bucket.last.saturating_add(drains)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
