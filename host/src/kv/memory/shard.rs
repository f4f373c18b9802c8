//! A part of a store in memory: a map to slots, over which the hand of a clock goes.

use std::collections::HashMap;
use std::sync::Arc;

/// What a key costs besides its own and its value's bytes: its slot, its place in the map and
/// what the allocator takes.
const OVERHEAD: usize = 160;

/// A value. The two are one to whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Bytes(Arc<[u8]>),
    Number(i64),
}

impl Value {
    pub(super) fn bytes(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Number(number) => number.to_string().into_bytes(),
        }
    }

    /// As a number, where its text is one exactly as this writes it; so does Redis.
    pub(super) fn to_number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Bytes(bytes) => {
                let text = std::str::from_utf8(bytes).ok()?;
                text.parse().ok().filter(|number: &i64| number.to_string() == text)
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Number(_) => size_of::<i64>(),
        }
    }
}

/// The bytes that a key and its value count for.
pub(super) fn cost(key: &[u8], value: &Value) -> usize {
    key.len() + value.len() + OVERHEAD
}

/// Keys with their values.
#[derive(Default)]
pub(super) struct Shard {
    /// Where each key's slot is.
    places: HashMap<Arc<[u8]>, usize>,
    slots: Vec<Slot>,
    /// The slot that is judged next for its room.
    hand: usize,
    /// The slot that is looked at next for its end.
    sweep: usize,
}

struct Slot {
    key: Arc<[u8]>,
    value: Value,
    /// When it ends, milliseconds.
    until: u64,
    /// Whether it was used, after it was made, since the hand came by.
    used: bool,
}

impl Shard {
    /// A key's value and end, which counts as a use.
    pub(super) fn look(&mut self, key: &[u8]) -> Option<(Value, u64)> {
        let slot = self.slots.get_mut(*self.places.get(key)?)?;
        slot.used = true;
        Some((slot.value.clone(), slot.until))
    }

    /// What a key that is there costs.
    pub(super) fn cost_of(&self, key: &[u8]) -> Option<usize> {
        self.slots.get(*self.places.get(key)?).map(|slot| cost(&slot.key, &slot.value))
    }

    /// Set a key; the room is taken.
    pub(super) fn put(&mut self, key: &[u8], value: Value, until: u64) {
        if let Some(slot) = self.places.get(key).and_then(|place| self.slots.get_mut(*place)) {
            (slot.value, slot.until, slot.used) = (value, until, true);
            return;
        }
        let key: Arc<[u8]> = key.into();
        self.places.insert(Arc::clone(&key), self.slots.len());
        // Not used yet: a flood of keys that nobody asks for again drives out its own.
        self.slots.push(Slot { key, value, until, used: false });
    }

    /// Delete a key; what it cost.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<usize> {
        let place = *self.places.get(key)?;
        self.take(place)
    }

    /// Look at one more slot, and drop it where it has expired; what it cost.
    pub(super) fn expire_one(&mut self, now: u64) -> Option<usize> {
        if self.sweep >= self.slots.len() {
            self.sweep = 0;
        }
        let place = self.sweep;
        if self.slots.get(place)?.until <= now {
            return self.take(place);
        }
        self.sweep += 1;
        None
    }

    /// Drop all that have expired; what each cost.
    pub(super) fn expire_all(&mut self, now: u64) -> Vec<usize> {
        let mut freed = Vec::new();
        let mut place = 0;
        while let Some(slot) = self.slots.get(place) {
            if slot.until > now {
                place += 1;
            } else if let Some(cost) = self.take(place) {
                // The last one has come into its place, so that is looked at again.
                freed.push(cost);
            }
        }
        freed
    }

    /// Drop the next key that has expired or was not used since the hand came by, or with `any`
    /// the next one, but for `keep`; what it cost. None where the hand came round in vain.
    pub(super) fn evict(&mut self, now: u64, keep: &[u8], any: bool) -> Option<usize> {
        for _ in 0..self.slots.len() {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let place = self.hand;
            let slot = self.slots.get_mut(place)?;
            if *slot.key != *keep && (any || slot.until <= now || !slot.used) {
                return self.take(place);
            }
            slot.used = false;
            self.hand += 1;
        }
        None
    }

    /// Take a slot out; the last one comes into its place.
    fn take(&mut self, place: usize) -> Option<usize> {
        if place >= self.slots.len() {
            return None;
        }
        let slot = self.slots.swap_remove(place);
        self.places.remove(&slot.key);
        if let Some(moved) = self.slots.get(place)
            && let Some(at) = self.places.get_mut(&moved.key)
        {
            *at = place;
        }
        Some(cost(&slot.key, &slot.value))
    }
}
