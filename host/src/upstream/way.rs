//! The way to a peer, which kept connections belong to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::config::{Address, Dial};

/// Where a peer is and how it is connected to. Peers of any upstream that have both in common
/// share it, over reloads too; with the last of them go the connections that are kept to it.
#[derive(Debug)]
pub struct Way {
    /// Tells it from every other, also from one that was equal and is gone.
    pub(super) id: u64,
    /// Where.
    pub(super) address: Address,
    /// How.
    pub(super) dial: Arc<Dial>,
}

impl Way {
    fn new(address: Address, dial: Arc<Dial>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), address, dial }
    }

    /// One by the same settings to another address, which nobody shares.
    pub(super) fn apart(&self, address: Address) -> Self {
        Self::new(address, Arc::clone(&self.dial))
    }
}

/// Where and how.
type Key = (Address, Arc<Dial>);

/// Every way that is in use.
#[derive(Debug, Default)]
pub(super) struct Ways {
    ways: Mutex<HashMap<Key, Weak<Way>>>,
}

impl Ways {
    /// The one to this address by these settings, made where there is none.
    pub(super) fn of(&self, address: &Address, dial: &Arc<Dial>) -> Arc<Way> {
        let mut all = self.ways.lock();
        all.retain(|_, way| way.strong_count() > 0);
        let kept = all.entry((address.clone(), Arc::clone(dial))).or_default();
        kept.upgrade().unwrap_or_else(|| {
            let way = Arc::new(Way::new(address.clone(), Arc::clone(dial)));
            *kept = Arc::downgrade(&way);
            way
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_shared_as_long_as_it_is_used() {
        let ways = Ways::default();
        let address = |port| Address::Tcp(([127, 0, 0, 1], port).into());
        let plain = || Arc::new(Dial::default());
        let one = ways.of(&address(1), &plain());
        assert!(Arc::ptr_eq(&one, &ways.of(&address(1), &plain())));
        assert!(!Arc::ptr_eq(&one, &ways.of(&address(2), &plain())));
        let bound = Arc::new(Dial { bind: Some([127, 0, 0, 2].into()), ..Dial::default() });
        assert!(!Arc::ptr_eq(&one, &ways.of(&address(1), &bound)));
        let id = one.id;
        drop(one);
        assert_ne!(ways.of(&address(1), &plain()).id, id);
    }
}
