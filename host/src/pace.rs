//! Whether a client's connection is idle, sending a head, or being served, and since when.
//!
//! One timer a connection looks at this when it fires, so that requests move no timers.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The start of the program: times here are milliseconds since then.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A connection's pace.
#[derive(Debug)]
pub struct Pace {
    /// Requests being served.
    serving: AtomicU64,
    /// Since when nothing is served.
    idle_since: AtomicU64,
    /// Since when a head is on its way; 0 while there is none.
    head_since: AtomicU64,
}

/// Held while a request is served.
#[derive(Debug)]
pub struct Busy(Arc<Pace>);

impl Pace {
    /// A connection that was just accepted.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { serving: AtomicU64::new(0), idle_since: AtomicU64::new(now()), head_since: AtomicU64::new(0) })
    }

    /// Bytes came from the client.
    pub fn received(&self) {
        if self.serving.load(Ordering::Relaxed) == 0 && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(now(), Ordering::Relaxed);
        }
    }

    /// A head is there, and a request is being served until the guard is dropped.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.serving.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// When the connection will have been slow or idle for too long, as it looks now; none
    /// while a request is served.
    pub fn deadline(&self, head: Duration, idle: Duration) -> Option<Instant> {
        if self.serving.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let (since, allowed) = match self.head_since.load(Ordering::Relaxed) {
            0 => (self.idle_since.load(Ordering::Relaxed), idle),
            since => (since, head),
        };
        Some(*START + Duration::from_millis(since) + allowed)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idle_since.store(now(), Ordering::Relaxed);
        self.0.serving.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Never 0, which means "not".
fn now() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(1);
    const IDLE: Duration = Duration::from_secs(1000);

    #[test]
    fn a_deadline_for_each_state() {
        let pace = Pace::new();
        let soon = Instant::now() + Duration::from_secs(10);
        assert!(pace.deadline(HEAD, IDLE).unwrap() > soon, "idle");
        pace.received();
        assert!(pace.deadline(HEAD, IDLE).unwrap() < soon, "a head is on its way");
        let (first, second) = (pace.busy(), pace.busy());
        assert_eq!(pace.deadline(HEAD, IDLE), None);
        drop(first);
        assert_eq!(pace.deadline(HEAD, IDLE), None, "the pipelined one goes on");
        drop(second);
        assert!(pace.deadline(HEAD, IDLE).unwrap() > soon, "idle again");
    }
}
