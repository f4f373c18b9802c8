//! Idle instances: a few for each worker and plugin, taken and put back without a lock.
//!
//! They belong to the plugin, not to the threads that use them. So a plugin that a reload
//! retires takes all of them with it when its last request ends, and no worker has to be
//! told to clean up.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;
use crossbeam_utils::atomic::AtomicCell;

/// Idle instances that one worker keeps of one plugin at most.
pub(super) const MOST_IDLE: usize = 4;

/// The idle instances of one plugin.
pub(super) struct Pool<T> {
    /// One for each worker, in its own cache lines.
    shelves: Box<[CachePadded<Shelf<T>>]>,
    most: usize,
}

type Shelf<T> = [AtomicCell<Option<Box<T>>>; MOST_IDLE];

impl<T> Pool<T> {
    /// A pool that keeps `most` instances for each of `workers`.
    pub(super) fn new(workers: usize, most: usize) -> Self {
        let shelf = || CachePadded::new([const { AtomicCell::new(None) }; MOST_IDLE]);
        Self { shelves: (0..workers.max(1)).map(|_| shelf()).collect(), most }
    }

    /// Take one from the shelf of this seat.
    pub(super) fn take(&self, seat: usize) -> Option<Box<T>> {
        // From the front, so that the first is the busiest and has the warmest caches.
        self.shelf(seat).find_map(AtomicCell::take)
    }

    /// Put one back; dropped where the shelf is full.
    pub(super) fn put(&self, seat: usize, instance: Box<T>) {
        let mut instance = Some(instance);
        for place in self.shelf(seat) {
            instance = place.swap(instance);
            if instance.is_none() {
                return;
            }
        }
    }

    fn shelf(&self, seat: usize) -> impl Iterator<Item = &AtomicCell<Option<Box<T>>>> {
        let shelf = self.shelves.get(seat % self.shelves.len());
        shelf.into_iter().flat_map(|s| s.iter()).take(self.most)
    }
}

/// Numbers the threads that call plugins of one runtime: 0, 1, 2 …
pub(super) struct Seats {
    runtime: u64,
    next: AtomicUsize,
}

thread_local! {
    /// The runtime for which this thread was last numbered, and its number.
    static SEAT: Cell<(u64, usize)> = const { Cell::new((0, 0)) };
}

impl Seats {
    pub(super) fn new() -> Self {
        static RUNTIMES: AtomicU64 = AtomicU64::new(1);
        Self { runtime: RUNTIMES.fetch_add(1, Ordering::Relaxed), next: AtomicUsize::new(0) }
    }

    /// This thread's number.
    pub(super) fn mine(&self) -> usize {
        let (runtime, seat) = SEAT.get();
        if runtime == self.runtime { seat } else { self.sit_down() }
    }

    #[cold]
    fn sit_down(&self) -> usize {
        let seat = self.next.fetch_add(1, Ordering::Relaxed);
        SEAT.set((self.runtime, seat));
        seat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_as_many_as_it_may_and_gives_them_to_their_seat() {
        let pool = Pool::new(2, 2);
        for n in 0..5 {
            pool.put(0, Box::new(n));
        }
        assert!(pool.take(1).is_none(), "another worker's shelf");
        assert!(pool.take(2).is_some(), "seats beyond the workers share");
        assert!(pool.take(0).is_some());
        assert!(pool.take(0).is_none());
    }

    #[test]
    fn drops_what_it_holds() {
        let token = std::sync::Arc::new(());
        let pool = Pool::new(3, MOST_IDLE);
        for seat in 0..3 {
            pool.put(seat, Box::new(token.clone()));
        }
        assert_eq!(std::sync::Arc::strong_count(&token), 4);
        drop(pool);
        assert_eq!(std::sync::Arc::strong_count(&token), 1);
    }

    #[test]
    fn instances_are_taken_without_a_lock() {
        assert!(AtomicCell::<Option<Box<u64>>>::is_lock_free());
    }

    #[test]
    fn threads_are_numbered_for_each_runtime() {
        let (one, two) = (Seats::new(), Seats::new());
        assert_eq!((one.mine(), one.mine()), (0, 0));
        let other = std::thread::scope(|s| s.spawn(|| one.mine()).join().unwrap());
        assert_eq!((other, two.mine()), (1, 0));
    }
}
