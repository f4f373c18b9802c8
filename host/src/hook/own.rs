//! What plugins keep for one request, so that no other request sees it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

/// Things that belong to one request: the instances of plugins with `isolation = "request"`. All
/// copies of the request share them, and they go with the last one. Nothing where no plugin of the
/// configuration has any.
#[derive(Clone, Default)]
pub struct Own(Option<Arc<Mutex<Vec<Thing>>>>);

struct Thing {
    /// Whose it is.
    owner: u64,
    /// Whether its owner is asked again after the head of the answer.
    lasts: bool,
    what: Arc<dyn Any + Send + Sync>,
}

impl Own {
    /// With room for things, where there may be some.
    pub fn new(is_used: bool) -> Self {
        Self(is_used.then(Arc::default))
    }

    /// What this owner keeps.
    pub fn get<T: Any + Send + Sync>(&self, owner: u64) -> Option<Arc<T>> {
        let things = self.0.as_ref()?.lock();
        let found = things.iter().find(|thing| thing.owner == owner)?;
        Arc::downcast(Arc::clone(&found.what)).ok()
    }

    /// Keep this, in the place of what the owner has kept. `lasts`: beyond the head of the answer.
    pub fn put<T: Any + Send + Sync>(&self, owner: u64, lasts: bool, what: &Arc<T>) {
        let Some(things) = &self.0 else { return };
        let what: Arc<dyn Any + Send + Sync> = Arc::<T>::clone(what);
        let thing = Thing { owner, lasts, what };
        let mut things = things.lock();
        let before = match things.iter_mut().find(|thing| thing.owner == owner) {
            Some(place) => Some(std::mem::replace(place, thing)),
            None => {
                things.push(thing);
                None
            }
        };
        // Dropping it may run code of its own.
        drop(things);
        drop(before);
    }

    /// The head of the answer is done: a tunnel or a long body keeps only what is needed later.
    pub fn head_is_done(&self) {
        let Some(things) = &self.0 else { return };
        let done: Vec<_> = things.lock().extract_if(.., |thing| !thing.lasts).collect();
        drop(done);
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.as_ref().map(|things| things.lock().len());
        f.debug_tuple("Own").field(&count).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_belong_to_the_request_and_its_copies() {
        let own = Own::new(true);
        let copy = own.clone();
        let (short, long) = (Arc::new(1_u8), Arc::new(2_u8));
        own.put(7, false, &short);
        copy.put(8, true, &long);
        assert_eq!((own.get::<u8>(8), copy.get::<u8>(7)), (Some(Arc::new(2)), Some(Arc::new(1))));
        assert_eq!((own.get::<u8>(9), own.get::<u16>(7)), (None, None));
        own.put(7, false, &Arc::new(3_u8));
        assert_eq!((own.get::<u8>(7), Arc::strong_count(&short)), (Some(Arc::new(3)), 1));
        copy.head_is_done();
        assert_eq!((own.get::<u8>(7), own.get::<u8>(8)), (None, Some(Arc::new(2))));
        drop((own, copy));
        assert_eq!(Arc::strong_count(&long), 1, "they go with the last copy");
    }

    #[test]
    fn where_nobody_needs_it_there_is_nothing() {
        let own = Own::default();
        own.put(1, true, &Arc::new(1_u8));
        own.head_is_done();
        assert_eq!(own.get::<u8>(1), None);
    }
}
