//! What is open at the same time in one zone: counts by key, in bounded memory.

use std::sync::Arc;

use super::table::{Stage, Table, Word};

/// The most that can be counted of one class with one key, which the bounds of the
/// configuration keep below.
const MOST: u64 = (1 << 21) - 1;

/// What is counted: a request, or one that asks to leave HTTP and may become a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A plain request, from its head to the end of its answer.
    Request,
    /// A handshake and the tunnel that it opens, to the tunnel's end.
    Tunnel,
}

/// How many may be open at once with one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
    /// Requests and tunnels together. nginx: `limit_conn`.
    pub total: Option<u32>,
    /// Requests that are no tunnels.
    pub requests: Option<u32>,
    /// Tunnels.
    pub tunnels: Option<u32>,
}

/// Both counts of a key in one word, so that a compare-exchange sees both: 21 bits of tunnels,
/// 21 of requests, 20 of how often the slot was taken, 2 of the [`Stage`].
///
/// The number tells apart the slot of one key from that of the next with the same counts. For
/// a thread to be deceived it must sleep between reading a word and changing it while its slot
/// is taken 2²⁰ times, or a multiple of that.
struct Counts;

const STAGE: u64 = 3;
const TAKEN: u64 = 1;
const BORN: u64 = 2;
const LIVE: u64 = 3;
const TIMES: u64 = 1 << 2;
const TIMES_MASK: u64 = ((1 << 20) - 1) << 2;

impl Word for Counts {
    fn stage(word: u64) -> Stage {
        match word & STAGE {
            TAKEN => Stage::Taken,
            BORN => Stage::Born,
            LIVE => Stage::Live,
            _ => Stage::Free,
        }
    }

    fn taken(word: u64) -> u64 {
        (word & TIMES_MASK).wrapping_add(TIMES) & TIMES_MASK | TAKEN
    }

    fn born(taken: u64, _: u64) -> u64 {
        taken & TIMES_MASK | BORN
    }

    fn free(born: u64) -> u64 {
        born & TIMES_MASK
    }
}

impl Class {
    /// One of it in a word.
    fn one(self) -> u64 {
        match self {
            Self::Request => 1 << 22,
            Self::Tunnel => 1 << 43,
        }
    }

    /// How many of it there are in a word.
    fn count(self, word: u64) -> u64 {
        (word / self.one()) & MOST
    }
}

impl Caps {
    /// Whether there may be one more beside what a word counts.
    fn allow(&self, class: Class, word: u64) -> bool {
        let (requests, tunnels) = (Class::Request.count(word), Class::Tunnel.count(word));
        let (own, cap) = match class {
            Class::Request => (requests, self.requests),
            Class::Tunnel => (tunnels, self.tunnels),
        };
        let below = |count: u64, cap: Option<u32>| cap.is_none_or(|most| count < u64::from(most));
        own < MOST && below(own, cap) && below(requests + tunnels, self.total)
    }
}

/// A key is forgotten for another one where nothing is open with it, and never else.
fn worth(word: u64) -> Option<i64> {
    (Class::Request.count(word) == 0 && Class::Tunnel.count(word) == 0).then_some(0)
}

/// Counts by key.
#[derive(Debug)]
pub(super) struct Opened(Table);

/// A place among what is open; free again when dropped.
#[derive(Debug)]
pub struct Slot {
    opened: Arc<Opened>,
    set: usize,
    slot: usize,
    class: Class,
}

impl Opened {
    /// Nothing open, in at most `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        Self(Table::new(size))
    }

    /// Take a place; none where the caps leave none, or where so many other keys have something
    /// open that this one cannot be counted.
    pub(super) fn enter(self: &Arc<Self>, key: &[u8], class: Class, caps: &Caps) -> Option<Slot> {
        let tag = self.0.tag(key);
        let (set, number) = self.0.set_of(tag)?;
        // What may never be open needs no place to be counted.
        if !caps.allow(class, 0) {
            return None;
        }
        loop {
            let (slot, word) = set.find_or_insert::<Counts>(tag, worth)?;
            if !caps.allow(class, word) {
                return None;
            }
            if slot.change(word, (word | LIVE) + class.one()) {
                return Some(Slot { opened: Arc::clone(self), set: number, slot: slot.number, class });
            }
        }
    }

    fn leave(&self, set: usize, slot: usize, class: Class) {
        // What counts something is never taken, so it is the slot still that was entered.
        if let Some(slot) = self.0.set(set).and_then(|set| set.slot(slot)) {
            slot.subtract(class.one());
        }
    }

    /// How many keys have something open.
    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.0.live::<Counts>().into_iter().filter(|word| worth(*word).is_none()).count()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.opened.leave(self.set, self.slot, self.class);
    }
}

#[cfg(test)]
mod tests;
