//! A map of bounded size that forgets what was not used for longest.

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::Arc;

/// No entry.
const NONE: u32 = u32::MAX;

/// What an entry costs beside its key, bytes: about what nginx counts for one.
pub(super) const ENTRY: usize = 128;

/// Values by key, in the order of their last use.
pub(super) struct Lru<V> {
    index: HashMap<Arc<[u8]>, u32, RandomState>,
    entries: Vec<Entry<V>>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
    /// The bytes in use, and the most that may be.
    used: usize,
    most: usize,
}

struct Entry<V> {
    key: Arc<[u8]>,
    value: V,
    newer: u32,
    older: u32,
}

impl<V> Lru<V> {
    /// An empty map that never holds more than `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        let index = HashMap::default();
        Self { index, entries: Vec::new(), free: Vec::new(), newest: NONE, oldest: NONE, used: 0, most }
    }

    /// The value of a key, which is now the one used last.
    pub(super) fn get(&mut self, key: &[u8]) -> Option<&mut V> {
        let at = *self.index.get(key)?;
        if at != self.newest {
            self.unlink(at);
            self.link(at);
        }
        self.entry(at).map(|entry| &mut entry.value)
    }

    /// Whether a key could be held at all.
    pub(super) fn fits(&self, key: &[u8]) -> bool {
        key.len() + ENTRY <= self.most
    }

    /// The value that was not used for longest.
    pub(super) fn oldest(&self) -> Option<&V> {
        self.entries.get(self.oldest as usize).map(|entry| &entry.value)
    }

    /// Forget what was not used for longest; false where there is nothing.
    pub(super) fn forget_oldest(&mut self) -> bool {
        let at = self.oldest;
        let Some(key) = self.entry(at).map(|entry| Arc::clone(&entry.key)) else { return false };
        self.unlink(at);
        self.index.remove(&key);
        self.used = self.used.saturating_sub(key.len() + ENTRY);
        // The key's memory goes now, not when the place is taken again.
        if let Some(entry) = self.entry(at) {
            entry.key = Arc::default();
        }
        self.free.push(at);
        true
    }

    /// Put in a key that is not there, forgetting others where there is no room for it; false
    /// where there never is.
    pub(super) fn insert(&mut self, key: &[u8], value: V) -> bool {
        if !self.fits(key) {
            return false;
        }
        let cost = key.len() + ENTRY;
        while self.used + cost > self.most {
            if !self.forget_oldest() {
                break;
            }
        }
        let key: Arc<[u8]> = key.into();
        let entry = Entry { key: Arc::clone(&key), value, newer: NONE, older: NONE };
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(place) = self.entry(at) {
                    *place = entry;
                }
                at
            }
            None => {
                let Ok(at) = u32::try_from(self.entries.len()) else { return false };
                self.entries.push(entry);
                at
            }
        };
        self.index.insert(key, at);
        self.used += cost;
        self.link(at);
        true
    }

    /// How many keys there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    fn entry(&mut self, at: u32) -> Option<&mut Entry<V>> {
        self.entries.get_mut(at as usize)
    }

    /// Make an entry that is in no order the newest.
    fn link(&mut self, at: u32) {
        let before = std::mem::replace(&mut self.newest, at);
        if let Some(entry) = self.entry(at) {
            (entry.newer, entry.older) = (NONE, before);
        }
        match self.entry(before) {
            Some(before) => before.newer = at,
            None => self.oldest = at,
        }
    }

    /// Take an entry out of the order.
    fn unlink(&mut self, at: u32) {
        let Some((newer, older)) = self.entry(at).map(|entry| (entry.newer, entry.older)) else { return };
        match self.entry(newer) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        match self.entry(older) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of one byte: room for three.
    fn three() -> Lru<u32> {
        Lru::new(3 * (ENTRY + 1))
    }

    fn keys(lru: &mut Lru<u32>) -> Vec<u8> {
        let mut found = Vec::new();
        let mut at = lru.oldest;
        while let Some(entry) = lru.entry(at) {
            found.push(entry.key[0]);
            at = entry.newer;
        }
        assert_eq!(found.len(), lru.index.len());
        found
    }

    #[test]
    fn the_least_used_is_forgotten_first() {
        let mut lru = three();
        for key in b"abc" {
            assert!(lru.insert(&[*key], u32::from(*key)));
        }
        assert_eq!(keys(&mut lru), b"abc");
        assert_eq!(lru.get(b"a").copied(), Some(97));
        assert_eq!(lru.get(b"c").copied(), Some(99));
        assert_eq!(lru.get(b"c").copied(), Some(99));
        assert_eq!(keys(&mut lru), b"bac");
        assert!(lru.insert(b"d", 100));
        assert_eq!(keys(&mut lru), b"acd");
        assert_eq!(lru.get(b"b"), None);
        assert_eq!(lru.oldest(), Some(&97));
    }

    #[test]
    fn memory_is_bounded_and_used_again() {
        let mut lru = three();
        for number in 0..1000_u32 {
            assert!(lru.insert(&[(number % 251) as u8], number));
        }
        assert_eq!((lru.index.len(), lru.entries.len()), (3, 3));
        while lru.forget_oldest() {}
        assert_eq!((lru.used, lru.index.len(), lru.oldest, lru.newest), (0, 0, NONE, NONE));
        assert!(lru.insert(b"x", 1));
        assert_eq!((keys(&mut lru), lru.entries.len()), (b"x".to_vec(), 3));
    }

    #[test]
    fn a_key_larger_than_all_is_refused() {
        let mut lru = three();
        assert!(lru.insert(b"a", 1));
        assert!(!lru.insert(&[0; 3 * (ENTRY + 1)], 2));
        assert_eq!(keys(&mut lru), b"a");
        // Two small ones make room for a larger one.
        lru.insert(b"b", 1);
        lru.insert(b"c", 1);
        assert!(lru.insert(&[7; ENTRY], 3));
        assert_eq!(keys(&mut lru), [b'c', 7]);
    }
}
