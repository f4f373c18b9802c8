//! How many connections a stream may have at once, over all workers and over reloads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// The connections of one stream.
#[derive(Debug)]
pub(super) struct Room {
    taken: AtomicU32,
    /// 0 for any number.
    most: AtomicU32,
}

/// A place, until this is dropped.
#[derive(Debug)]
pub struct Place(Arc<Room>);

/// The rooms of all streams, by name.
#[derive(Debug, Default)]
pub struct Rooms(Mutex<HashMap<Arc<str>, Weak<Room>>>);

impl Rooms {
    /// That of a stream: the one that somebody is in, or a new one.
    pub(super) fn of(&self, name: &Arc<str>, most: Option<u32>) -> Arc<Room> {
        let mut all = self.0.lock();
        all.retain(|_, room| room.strong_count() > 0);
        let kept = all.entry(Arc::clone(name)).or_default();
        let most = most.unwrap_or_default();
        if let Some(room) = kept.upgrade() {
            room.most.store(most, Ordering::Relaxed);
            return room;
        }
        let room = Arc::new(Room { taken: AtomicU32::new(0), most: AtomicU32::new(most) });
        *kept = Arc::downgrade(&room);
        room
    }
}

impl Room {
    /// One more; none where there are as many as there may be.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let place = Place(Arc::clone(self));
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let most = self.most.load(Ordering::Relaxed);
        // Dropping the place gives it back.
        (most == 0 || before < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_counts_over_reloads() {
        let rooms = Rooms::default();
        let name: Arc<str> = "s".into();
        let room = rooms.of(&name, Some(2));
        let held = (room.enter().unwrap(), room.enter().unwrap());
        assert!(room.enter().is_none() && room.enter().is_none(), "who is refused takes no place");
        drop(room);
        let again = rooms.of(&name, Some(3));
        let third = again.enter().unwrap();
        assert!(again.enter().is_none());
        assert!(rooms.of(&name, None).enter().is_some(), "no limit");
        drop((held, third, again));
        assert_eq!(rooms.of(&name, Some(1)).taken.load(Ordering::Relaxed), 0);
    }
}
