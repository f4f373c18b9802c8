//! What is open at the same time in one zone: counts by key, in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::lru::ENTRY;

/// More shards than cores, so that two workers seldom want the same.
const SHARDS: usize = 64;

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

/// How many are open with one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    requests: u32,
    tunnels: u32,
}

impl Counts {
    fn of(&mut self, class: Class) -> &mut u32 {
        match class {
            Class::Request => &mut self.requests,
            Class::Tunnel => &mut self.tunnels,
        }
    }

    fn allow(self, class: Class, caps: &Caps) -> bool {
        let (own, cap) = match class {
            Class::Request => (self.requests, caps.requests),
            Class::Tunnel => (self.tunnels, caps.tunnels),
        };
        let total = self.requests.saturating_add(self.tunnels);
        caps.total.is_none_or(|most| total < most) && cap.is_none_or(|most| own < most)
    }
}

type Shard = HashMap<Arc<[u8]>, Counts>;

/// Counts by key, in shards that are locked for a look each.
pub(super) struct Opened {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    hasher: RandomState,
    /// The bytes in use, and the most that may be: what is open cannot be forgotten.
    used: AtomicUsize,
    most: usize,
}

/// A place among what is open; free again when dropped.
pub struct Slot {
    zone: Arc<Opened>,
    key: Arc<[u8]>,
    class: Class,
}

impl Opened {
    /// Nothing open, and never more than `size` bytes of keys.
    pub(super) fn new(size: usize) -> Self {
        let shards = (0..SHARDS).map(|_| CachePadded::default()).collect();
        Self { shards, hasher: RandomState::new(), used: AtomicUsize::new(0), most: size }
    }

    /// Take a place; none where the caps, or the zone's size, leave none.
    pub(super) fn enter(self: &Arc<Self>, key: &[u8], class: Class, caps: &Caps) -> Option<Slot> {
        let mut shard = self.shard(key)?.lock();
        let entry = match shard.get_key_value(key) {
            Some((key, counts)) if counts.allow(class, caps) => Arc::clone(key),
            Some(_) => return None,
            None if Counts::default().allow(class, caps) && self.reserve(key) => key.into(),
            None => return None,
        };
        let count = shard.entry(Arc::clone(&entry)).or_default().of(class);
        *count = count.saturating_add(1);
        Some(Slot { zone: Arc::clone(self), key: entry, class })
    }

    /// Room for one more key.
    fn reserve(&self, key: &[u8]) -> bool {
        let more = |used: usize| used.checked_add(key.len() + ENTRY).filter(|used| *used <= self.most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn leave(&self, key: &Arc<[u8]>, class: Class) {
        let Some(mut shard) = self.shard(key).map(|shard| shard.lock()) else { return };
        let Some(counts) = shard.get_mut(key) else { return };
        let count = counts.of(class);
        *count = count.saturating_sub(1);
        if *counts == Counts::default() {
            shard.remove(key);
            self.used.fetch_sub(key.len() + ENTRY, Ordering::Relaxed);
        }
    }

    fn shard(&self, key: &[u8]) -> Option<&Mutex<Shard>> {
        let hash = usize::try_from(self.hasher.hash_one(key) & u64::from(u32::MAX)).unwrap_or(0);
        self.shards.get(hash % SHARDS).map(|shard| &**shard)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.zone.leave(&self.key, self.class);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(total: Option<u32>, requests: Option<u32>, tunnels: Option<u32>) -> Caps {
        Caps { total, requests, tunnels }
    }

    #[test]
    fn a_place_is_free_again_when_dropped() {
        let zone = Arc::new(Opened::new(32 << 10));
        let two = caps(Some(2), None, None);
        let first = zone.enter(b"a", Class::Request, &two).unwrap();
        let _second = zone.enter(b"a", Class::Tunnel, &two).unwrap();
        assert!(zone.enter(b"a", Class::Tunnel, &two).is_none());
        assert!(zone.enter(b"b", Class::Tunnel, &two).is_some());
        drop(first);
        assert!(zone.enter(b"a", Class::Tunnel, &two).is_some());
    }

    #[test]
    fn requests_and_tunnels_have_caps_of_their_own() {
        let zone = Arc::new(Opened::new(32 << 10));
        let caps = caps(Some(3), Some(2), Some(1));
        let _tunnel = zone.enter(b"a", Class::Tunnel, &caps).unwrap();
        assert!(zone.enter(b"a", Class::Tunnel, &caps).is_none());
        let _one = zone.enter(b"a", Class::Request, &caps).unwrap();
        let _two = zone.enter(b"a", Class::Request, &caps).unwrap();
        assert!(zone.enter(b"a", Class::Request, &caps).is_none());
        assert!(zone.enter(b"b", Class::Tunnel, &Caps { total: Some(0), ..caps }).is_none());
    }

    #[test]
    fn a_full_zone_refuses_new_keys_and_is_empty_in_the_end() {
        let zone = Arc::new(Opened::new(10 * (ENTRY + 1)));
        let no_cap = Caps::default();
        let slots: Vec<_> = (0..20).map(|key| zone.enter(&[key], Class::Request, &no_cap)).collect();
        assert_eq!(slots.iter().flatten().count(), 10);
        assert!(zone.enter(&[0], Class::Request, &no_cap).is_some(), "a key that is there needs no room");
        drop(slots);
        assert_eq!(zone.used.load(Ordering::Relaxed), 0);
        assert!(zone.shards.iter().all(|shard| shard.lock().is_empty()));
    }

    #[test]
    fn workers_never_pass_a_cap_together() {
        let zone = Arc::new(Opened::new(32 << 10));
        let five = caps(Some(5), None, None);
        let work = || {
            for _ in 0..2000 {
                let held: Vec<_> = (0..3).filter_map(|_| zone.enter(b"a", Class::Tunnel, &five)).collect();
                let open = zone.shard(b"a").unwrap().lock().get(&b"a"[..]).map_or(0, |counts| counts.tunnels);
                assert!(open <= 5 && open as usize >= held.len(), "{open}");
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(work);
            }
        });
        assert_eq!(zone.used.load(Ordering::Relaxed), 0);
    }
}
