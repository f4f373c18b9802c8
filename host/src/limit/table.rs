//! A table of bounded size that threads share without a lock.
//!
//! Keys are hashed to 64 bits under a seed of the table's own, and the hash, the *tag*, stands
//! for the key: two keys with one tag share what is counted. Of a million keys at once some two
//! have one with a probability of 3·10⁻⁸, and who does not know the seed cannot look for them.
//!
//! A tag belongs to one set of [`WAYS`] slots. A slot is a tag and a *word*, which goes through
//! the [`Stage`]s in order; the set's *index* says which slots are published, and how often
//! that has changed. What makes it right under races:
//!
//! - A slot's tag changes only between `Taken` and `Born`, and only its taker changes it.
//! - A word becomes `Born` while its slot is not published, and `Live` only after somebody has
//!   seen it published. Who finds it `Born` makes it `Live`: nobody waits for anybody.
//! - It is published by a compare-exchange of the whole index, after a look for the same tag in
//!   just this index. So of two threads that bring one key at once, one finds the other's.
//! - A word that is in use is never taken, and one that is `Taken` is never used.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The slots of a set: with so many the fullest sets of a table that is a quarter full have
/// still room, but for one in a hundred thousand.
pub(super) const WAYS: usize = 15;
/// What a set takes, bytes: four cache lines, of which a look mostly touches two.
pub(super) const SET: usize = size_of::<Set>();
/// The sets that get their memory together, when the first of them is used.
const SEGMENT: usize = 256;
/// One change of what is published, in the index; its bits below are the slots'.
const CHANGE: u64 = 1 << 16;

/// How far a slot's word is. The next after `Live` is `Taken`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody's. A word of zero is.
    Free,
    /// About to get another tag.
    Taken,
    /// It has a tag, and nothing is counted yet.
    Born,
    /// Something is counted.
    Live,
}

/// How a table's words are read.
pub(super) trait Word {
    /// How far a word is.
    fn stage(word: u64) -> Stage;

    /// What follows a word that was `Free` or `Live`.
    fn taken(word: u64) -> u64;

    /// What follows one that was `Taken`, where the index has changed so many times.
    fn born(taken: u64, changes: u64) -> u64;

    /// What follows one that was `Born` and never published.
    fn free(born: u64) -> u64;
}

/// Words by key.
#[derive(Debug)]
pub(super) struct Table {
    hasher: RandomState,
    segments: Box<[OnceLock<Box<[Set]>>]>,
    sets: u64,
}

/// The slots that a tag can be in.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Set {
    index: AtomicU64,
    tags: [AtomicU64; WAYS],
    words: [AtomicU64; WAYS],
}

/// One slot of a set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'a> {
    /// Which one.
    pub(super) number: usize,
    tag: &'a AtomicU64,
    word: &'a AtomicU64,
}

impl Table {
    /// An empty table of at most `size` bytes, and at least one set.
    pub(super) fn new(size: usize) -> Self {
        let sets = (size / SET).max(1);
        let segments = (0..sets.div_ceil(SEGMENT)).map(|_| OnceLock::new()).collect();
        Self { hasher: RandomState::new(), segments, sets: sets as u64 }
    }

    /// The tag of a key.
    pub(super) fn tag(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The set of a tag, and its number.
    pub(super) fn set_of(&self, tag: u64) -> Option<(&Set, usize)> {
        // Fewer than 2³² sets, so the upper half of the tag chooses evenly.
        let number = usize::try_from(((tag >> 32) * self.sets) >> 32).ok()?;
        Some((self.set(number)?, number))
    }

    /// A set by its number.
    pub(super) fn set(&self, number: usize) -> Option<&Set> {
        let segment = self.segments.get(number / SEGMENT)?;
        if segment.get().is_none() {
            let count = SEGMENT.min(usize::try_from(self.sets).ok()? - number / SEGMENT * SEGMENT);
            // Made before it is offered, so that nobody waits while it is made; one is kept.
            let _lost = segment.set((0..count).map(|_| Set::default()).collect());
        }
        segment.get()?.get(number % SEGMENT)
    }

    /// Every word that is live.
    #[cfg(test)]
    pub(super) fn live<W: Word>(&self) -> Vec<u64> {
        let sets = self.segments.iter().filter_map(OnceLock::get).flatten();
        let words = sets.flat_map(|set| &set.words).map(|word| word.load(Ordering::SeqCst));
        words.filter(|word| W::stage(*word) == Stage::Live).collect()
    }
}

impl Set {
    /// The slot of a tag with its word, `Born` or `Live`.
    pub(super) fn find<W: Word>(&self, tag: u64) -> Option<(Slot<'_>, u64)> {
        'again: loop {
            let index = self.index.load(Ordering::Acquire);
            for slot in self.slots() {
                if index & slot.bit() == 0 || !slot.has(tag) {
                    continue;
                }
                let word = slot.word.load(Ordering::Acquire);
                if !matches!(W::stage(word), Stage::Born | Stage::Live) {
                    continue;
                }
                // In this order: what has the word's age or is younger is seen to be published,
                // and to have the tag; if it is younger, whoever expects the word will fail.
                if self.index.load(Ordering::Acquire) & slot.bit() == 0 || !slot.has(tag) {
                    continue 'again;
                }
                return Some((slot, word));
            }
            return None;
        }
    }

    /// The slot of a tag with its word, put in if it is not there: as what [`Self::find`] finds.
    /// If no slot is free, the one is taken whose word is worth least; none where all are worth
    /// too much to be forgotten.
    pub(super) fn find_or_insert<W: Word>(
        &self,
        tag: u64,
        worth: impl Fn(u64) -> Option<i64>,
    ) -> Option<(Slot<'_>, u64)> {
        if let Some(found) = self.find::<W>(tag) {
            return Some(found);
        }
        let (slot, taken) = self.take::<W>(worth)?;
        slot.tag.store(tag, Ordering::Release);
        let born = W::born(taken, self.index.load(Ordering::Acquire) / CHANGE);
        slot.word.store(born, Ordering::Release);
        loop {
            let index = self.index.load(Ordering::Acquire);
            if let Some(found) = self.find::<W>(tag) {
                // Somebody else has brought the same key meanwhile.
                slot.word.store(W::free(born), Ordering::Release);
                return Some(found);
            }
            let published = (index | slot.bit()).wrapping_add(CHANGE);
            if self.index.compare_exchange(index, published, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Some((slot, born));
            }
        }
    }

    /// Take a slot away from whom it matters to least; it is not published then.
    fn take<W: Word>(&self, worth: impl Fn(u64) -> Option<i64>) -> Option<(Slot<'_>, u64)> {
        loop {
            // Among equals each has its turn.
            let first = usize::try_from(self.index.load(Ordering::Relaxed) / CHANGE % WAYS as u64).unwrap_or(0);
            let mut least: Option<(i64, Slot<'_>, u64)> = None;
            for slot in self.slots().cycle().skip(first).take(WAYS) {
                let word = slot.word.load(Ordering::Acquire);
                let worth = match W::stage(word) {
                    Stage::Free => Some(i64::MIN),
                    Stage::Live => worth(word),
                    Stage::Taken | Stage::Born => None,
                };
                if let Some(worth) = worth.filter(|worth| least.as_ref().is_none_or(|least| *worth < least.0)) {
                    least = Some((worth, slot, word));
                }
            }
            let (_, slot, word) = least?;
            let taken = W::taken(word);
            if slot.change(word, taken) {
                if W::stage(word) == Stage::Live {
                    // What is live is published, and only its taker may end that: the bit is set.
                    self.index.fetch_add(CHANGE - slot.bit(), Ordering::AcqRel);
                }
                return Some((slot, taken));
            }
        }
    }

    /// A slot by its number.
    pub(super) fn slot(&self, number: usize) -> Option<Slot<'_>> {
        Some(Slot { number, tag: self.tags.get(number)?, word: self.words.get(number)? })
    }

    fn slots(&self) -> impl Iterator<Item = Slot<'_>> + Clone {
        self.tags.iter().zip(&self.words).enumerate().map(|(number, (tag, word))| Slot { number, tag, word })
    }
}

impl Slot<'_> {
    /// Put another word in the place of this one; false where it is another already.
    pub(super) fn change(&self, word: u64, next: u64) -> bool {
        self.word.compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Take so much from its word, which has it.
    pub(super) fn subtract(&self, less: u64) {
        self.word.fetch_sub(less, Ordering::AcqRel);
    }

    /// Whether this is its tag.
    pub(super) fn has(&self, tag: u64) -> bool {
        self.tag.load(Ordering::Acquire) == tag
    }

    fn bit(&self) -> u64 {
        1 << self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stage is the word, and no more.
    struct Plain;

    impl Word for Plain {
        fn stage(word: u64) -> Stage {
            [Stage::Free, Stage::Taken, Stage::Born, Stage::Live][(word & 3) as usize]
        }

        fn taken(_: u64) -> u64 {
            1
        }

        fn born(_: u64, changes: u64) -> u64 {
            changes << 2 | 2
        }

        fn free(_: u64) -> u64 {
            0
        }
    }

    #[test]
    fn a_set_is_four_cache_lines() {
        assert_eq!((SET, align_of::<Set>()), (256, 64));
    }

    #[test]
    fn every_set_can_be_reached_and_its_memory_comes_with_its_use() {
        let table = Table::new(600 * SET);
        assert!(table.segments.iter().all(|segment| segment.get().is_none()));
        assert_eq!(table.set_of(0).unwrap().1, 0);
        assert_eq!(table.set_of(u64::MAX).unwrap().1, 599);
        let made: Vec<_> = table.segments.iter().map(|segment| segment.get().map(|sets| sets.len())).collect();
        assert_eq!(made, [Some(256), None, Some(88)]);
        assert!(table.set(600).is_none());
    }

    #[test]
    fn a_full_set_gives_the_slot_that_is_worth_least() {
        let set = Set::default();
        let put = |tag: u64, worth: &dyn Fn(u64) -> Option<i64>| {
            let (slot, word) = set.find_or_insert::<Plain>(tag, worth)?;
            assert!(slot.change(word, tag << 2 | 3));
            Some(slot.number)
        };
        let kept = |_| None;
        let slots: Vec<_> = (100..115).map(|tag| put(tag, &kept).unwrap()).collect();
        assert_eq!(slots.iter().collect::<std::collections::HashSet<_>>().len(), WAYS);
        assert_eq!(put(200, &kept), None);
        assert!((100..115).all(|tag| put(tag, &kept).is_some()), "those that are there need no room");
        let all_but_107 = |word: u64| if word >> 2 == 107 { Some(3) } else { Some(7) };
        assert_eq!(put(200, &all_but_107), Some(slots[7]));
        assert!(set.find::<Plain>(107).is_none() && set.find::<Plain>(200).is_some());
        // Among equals none is taken twice in a row.
        let same = |_| Some(0);
        assert_ne!(put(300, &same), put(301, &same));
    }

    #[test]
    fn threads_that_bring_one_key_find_one_slot() {
        const THREADS: usize = 2;
        let sets: Vec<Set> = (0..100_000).map(|_| Set::default()).collect();
        let arrived = AtomicU64::new(0);
        let bring = || {
            let found = sets.iter().zip(0..).map(|(set, tag)| {
                // Let go at the same moment, as no barrier that sleeps does it.
                let all = (arrived.fetch_add(1, Ordering::SeqCst) / THREADS as u64 + 1) * THREADS as u64;
                let mut spun = 0_u64;
                while arrived.load(Ordering::SeqCst) < all {
                    spun += 1;
                    if spun.is_multiple_of(1000) {
                        std::thread::yield_now();
                    }
                }
                set.find_or_insert::<Plain>(tag, |_| None).unwrap().0.number
            });
            found.collect::<Vec<_>>()
        };
        let found: Vec<Vec<usize>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(bring)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (number, set) in sets.iter().enumerate() {
            assert!(found.iter().all(|mine| mine[number] == found[0][number]));
            assert_eq!(set.index.load(Ordering::SeqCst).count_ones(), 2, "one slot, one change");
        }
    }
}
