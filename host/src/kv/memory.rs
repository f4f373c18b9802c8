//! A store in memory: shards of a map, each behind a lock that is held for one operation and
//! never across an await.
//!
//! The bounds are the whole store's, kept in two atomics. Where there is no room, keys that
//! have expired go first and then, unless the store refuses, those that were not used since
//! the clock's hand last came by: of the shard at hand, or of another where that is empty.

mod shard;

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use crate::config::KvMemory;
use crate::hook::{KvError, KvOperation, KvValue};
use shard::{Shard, Value, cost};

/// Shards: more than machines have workers, so that two seldom meet.
const SHARDS: usize = 64;
/// How often a store that refuses looks through all shards for what has expired.
const SWEEP: u64 = 100;

/// The store.
pub(super) struct Memory {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    hasher: RandomState,
    keys: AtomicUsize,
    bytes: AtomicUsize,
    evicted: AtomicU64,
    /// When the last look through all shards was, milliseconds.
    swept: AtomicU64,
}

/// What a store holds.
pub(super) struct Held {
    pub(super) keys: usize,
    pub(super) bytes: usize,
    pub(super) evicted: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| CachePadded::default()).collect(),
            hasher: RandomState::new(),
            keys: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            swept: AtomicU64::new(0),
        }
    }
}

impl Memory {
    /// Do something to a key.
    pub(super) fn apply(&self, bounds: &KvMemory, key: &[u8], operation: KvOperation) -> Result<KvValue, KvError> {
        self.apply_at(now(), bounds, key, operation)
    }

    /// What it holds.
    pub(super) fn held(&self) -> Held {
        Held {
            keys: self.keys.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }

    fn apply_at(&self, now: u64, bounds: &KvMemory, key: &[u8], operation: KvOperation) -> Result<KvValue, KvError> {
        let index = usize::try_from(self.hasher.hash_one(key)).unwrap_or_default() % SHARDS;
        let Some(shard) = self.shards.get(index) else { return Err(KvError::Other("no shard".to_owned())) };
        let mut shard = shard.lock();
        let room = Room { memory: self, bounds, index, now };
        let current = self.current(&mut shard, key, now);
        match operation {
            KvOperation::Get => Ok(KvValue::Bytes(current.map(|(value, _)| value.to_bytes()))),
            KvOperation::Set { value, ttl } => {
                room.put(&mut shard, key, Value::bytes(value), end(now, ttl))?;
                Ok(KvValue::Done(true))
            }
            KvOperation::Delete => {
                self.release(shard.remove(key));
                Ok(KvValue::Done(current.is_some()))
            }
            KvOperation::Increment { by, ttl } => {
                let (before, until) = match current {
                    Some((value, until)) => (value.to_number().ok_or(KvError::NotANumber)?, until),
                    None => (0, end(now, ttl)),
                };
                let sum = before.checked_add(by).ok_or(KvError::NotANumber)?;
                room.put(&mut shard, key, Value::Number(sum), until)?;
                Ok(KvValue::Number(sum))
            }
            KvOperation::Swap { expected, new, ttl } => {
                if current.map(|(value, _)| value.to_bytes()) != expected {
                    return Ok(KvValue::Done(false));
                }
                match new {
                    Some(value) => room.put(&mut shard, key, Value::bytes(value), end(now, ttl))?,
                    None => self.release(shard.remove(key)),
                }
                Ok(KvValue::Done(true))
            }
            KvOperation::Raise { floor, by, most, ttl } => {
                let before = match current {
                    Some((value, _)) => value.to_number().ok_or(KvError::NotANumber)?.max(floor),
                    None => floor,
                };
                let sum = before.checked_add(by).ok_or(KvError::NotANumber)?;
                if sum > most {
                    return Ok(KvValue::Raised(false, before));
                }
                room.put(&mut shard, key, Value::Number(sum), end(now, ttl))?;
                Ok(KvValue::Raised(true, sum))
            }
        }
    }

    /// A key's value and end. One that has expired is gone.
    fn current(&self, shard: &mut Shard, key: &[u8], now: u64) -> Option<(Value, u64)> {
        let found = shard.look(key)?;
        if found.1 <= now {
            self.release(shard.remove(key));
            return None;
        }
        Some(found)
    }

    /// Take room for so much; whether there was some.
    fn reserve(&self, bounds: &KvMemory, keys: usize, bytes: usize) -> bool {
        let within = |most: usize, add: usize| move |n: usize| n.checked_add(add).filter(|sum| *sum <= most);
        let relaxed = Ordering::Relaxed;
        if self.keys.fetch_update(relaxed, relaxed, within(bounds.max_keys, keys)).is_err() {
            return false;
        }
        let has_room = self.bytes.fetch_update(relaxed, relaxed, within(bounds.max_bytes, bytes)).is_ok();
        if !has_room {
            self.keys.fetch_sub(keys, relaxed);
        }
        has_room
    }

    /// Give back the room of a key that is gone.
    fn release(&self, bytes: Option<usize>) {
        if let Some(bytes) = bytes {
            self.keys.fetch_sub(1, Ordering::Relaxed);
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// Room for one operation in one shard.
struct Room<'a> {
    memory: &'a Memory,
    bounds: &'a KvMemory,
    /// The shard that is locked.
    index: usize,
    now: u64,
}

impl Room<'_> {
    fn put(&self, shard: &mut Shard, key: &[u8], value: Value, until: u64) -> Result<(), KvError> {
        let wanted = cost(key, &value);
        match shard.cost_of(key) {
            Some(before) if before >= wanted => {
                self.memory.bytes.fetch_sub(before - wanted, Ordering::Relaxed);
            }
            Some(before) => self.make(shard, 0, wanted - before, key)?,
            None => {
                for _ in 0..2 {
                    self.memory.release(shard.expire_one(self.now));
                }
                self.make(shard, 1, wanted, key)?;
            }
        }
        shard.put(key, value, until);
        Ok(())
    }

    /// Take room, made where there is none. `keep` is the key that it is for.
    fn make(&self, shard: &mut Shard, keys: usize, bytes: usize, keep: &[u8]) -> Result<(), KvError> {
        let Self { memory, bounds, .. } = self;
        if bytes > bounds.max_bytes {
            return Err(KvError::Full);
        }
        let mut swept = false;
        while !memory.reserve(bounds, keys, bytes) {
            if bounds.refuse {
                if swept || !self.sweep(shard) {
                    return Err(KvError::Full);
                }
                swept = true;
                continue;
            }
            // Only where everything is in use, anything goes.
            let freed = [false, true]
                .into_iter()
                .find_map(|any| shard.evict(self.now, keep, any).or_else(|| self.evict_elsewhere(keep, any)));
            let Some(freed) = freed else { return Err(KvError::Full) };
            memory.release(Some(freed));
            memory.evicted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Drop a key of another shard. One that somebody else has locked is passed over: two that
    /// waited for each other's would wait for ever.
    fn evict_elsewhere(&self, keep: &[u8], any: bool) -> Option<usize> {
        let others = self.memory.shards.iter().cycle().skip(self.index + 1).take(SHARDS - 1);
        others.filter_map(|other| other.try_lock()).find_map(|mut other| other.evict(self.now, keep, any))
    }

    /// Drop everything that has expired, at most ten times a second; whether it looked.
    #[cold]
    fn sweep(&self, shard: &mut Shard) -> bool {
        let last = self.memory.swept.load(Ordering::Relaxed);
        let due = self.now >= last.saturating_add(SWEEP) || last == 0;
        let relaxed = Ordering::Relaxed;
        if !due || self.memory.swept.compare_exchange(last, self.now.max(1), relaxed, relaxed).is_err() {
            return false;
        }
        let release = |freed| self.memory.release(Some(freed));
        shard.expire_all(self.now).into_iter().for_each(release);
        let others = self.memory.shards.iter().enumerate().filter(|(index, _)| *index != self.index);
        for mut other in others.filter_map(|(_, other)| other.try_lock()) {
            other.expire_all(self.now).into_iter().for_each(release);
        }
        true
    }
}

/// Milliseconds since an arbitrary start.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    // Never 0, which would be before every end.
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

/// When a key ends that lasts for `ttl`.
fn end(now: u64, ttl: Option<Duration>) -> u64 {
    ttl.map_or(u64::MAX, |ttl| now.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
