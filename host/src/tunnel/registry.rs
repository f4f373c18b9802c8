//! The tunnels that are open: counted, and told to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dashmap::DashMap;
use tokio::sync::Notify;

/// Every open tunnel of a server, by number. Sharded, so that workers do not meet.
#[derive(Debug, Default)]
pub struct Registry {
    open: DashMap<u64, Arc<Control>>,
    next: AtomicU64,
}

/// How a tunnel is told something from outside.
#[derive(Debug, Default)]
pub struct Control {
    end: AtomicBool,
    wake: Notify,
}

impl Control {
    /// Wakes the tunnel when it is told something. To be polled once: it keeps the waker.
    pub async fn told(&self) {
        self.wake.notified().await;
    }

    /// Whether the tunnel is told to end: a look, without a lock.
    pub fn is_told_to_end(&self) -> bool {
        self.end.load(Ordering::Acquire)
    }

    fn tell_to_end(&self) {
        self.end.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

/// A tunnel's entry in the registry; leaves it when dropped.
#[derive(Debug)]
pub struct Entry {
    registry: Arc<Registry>,
    id: u64,
    /// How the tunnel is told something.
    pub control: Arc<Control>,
}

impl Registry {
    /// Enter a tunnel.
    pub fn enter(self: &Arc<Self>) -> Entry {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let control = Arc::new(Control::default());
        self.open.insert(id, Arc::clone(&control));
        Entry { registry: Arc::clone(self), id, control }
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Tell every tunnel to end. Those that enter later are not told.
    pub fn end_all(&self) {
        for entry in &self.open {
            entry.tell_to_end();
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.open.remove(&self.id);
    }
}
