//! Failures of requests, in nginx's meaning (`ngx_http_upstream_free_round_robin_peer`).
//!
//! A peer that failed `max_fails` times is left out for `fail_timeout`; then one request tries
//! it, and only if that is answered it is back. Failures are forgotten by an answer that was
//! asked for later than `fail_timeout` after the last failure.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::upstream::Tick;

/// How many failures a peer is forgiven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// Failures that take it out; 0 for never. nginx: `max_fails`.
    pub max_fails: u32,
    /// For how long, and how long failures count. nginx: `fail_timeout`.
    pub fail_timeout: Duration,
}

/// What requests have met. Workers may interleave: a failure may then be counted a moment late,
/// as between nginx's processes; only who may try a peer is decided exactly.
#[derive(Debug, Default)]
pub(super) struct Passive {
    fails: AtomicU32,
    /// The last failure. nginx: `accessed`.
    failed_at: AtomicU64,
    /// The last failure, or the pick since which the peer is being tried. nginx: `checked`.
    tried_at: AtomicU64,
}

impl Passive {
    pub(super) fn fails(&self) -> u32 {
        self.fails.load(Ordering::Relaxed)
    }

    /// Whether it has failed less often than it may.
    pub(super) fn is_trusted(&self, tolerance: &Tolerance) -> bool {
        tolerance.max_fails == 0 || self.fails() < tolerance.max_fails
    }

    /// Whether it may be chosen: one load where it has not failed.
    pub(super) fn is_available(&self, tolerance: &Tolerance, now: Tick) -> bool {
        self.is_trusted(tolerance) || self.is_past(self.tried_at.load(Ordering::Relaxed), tolerance, now)
    }

    fn is_past(&self, tried_at: u64, tolerance: &Tolerance, now: Tick) -> bool {
        now.since(Tick::from_number(tried_at)) > tolerance.fail_timeout
    }

    /// It was chosen; false where another request tries it already.
    pub(super) fn take(&self, tolerance: &Tolerance, now: Tick) -> bool {
        if self.fails() == 0 {
            return true;
        }
        let tried_at = self.tried_at.load(Ordering::Relaxed);
        if !self.is_past(tried_at, tolerance, now) {
            return self.is_trusted(tolerance);
        }
        let first = self.tried_at.compare_exchange(tried_at, now.get(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        first || self.is_trusted(tolerance)
    }

    /// A request failed. True where that takes the peer out.
    pub(super) fn failed(&self, tolerance: &Tolerance, now: Tick) -> bool {
        let more = |fails: u32| Some(fails.saturating_add(1));
        let before = self.fails.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).unwrap_or_default();
        self.failed_at.store(now.get(), Ordering::Relaxed);
        self.tried_at.store(now.get(), Ordering::Relaxed);
        before.saturating_add(1) == tolerance.max_fails
    }

    /// What has been met is of no interest any more.
    pub(super) fn forget(&self) {
        self.fails.store(0, Ordering::Relaxed);
    }

    /// A request was answered. True where that brings the peer back.
    pub(super) fn succeeded(&self, tolerance: &Tolerance) -> bool {
        let fails = self.fails();
        // An answer to what was asked before the last failure says nothing of the time since.
        if fails == 0 || self.failed_at.load(Ordering::Relaxed) >= self.tried_at.load(Ordering::Relaxed) {
            return false;
        }
        let was_out = !self.is_trusted(tolerance);
        self.fails.compare_exchange(fails, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() && was_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Tolerance = Tolerance { max_fails: 3, fail_timeout: Duration::from_millis(100) };

    #[test]
    fn out_after_max_fails_and_tried_by_one() {
        let passive = Passive::default();
        let at = |millis: u64| Tick::from_number(1000 + millis);
        assert!(!passive.failed(&THREE, at(0)) && !passive.failed(&THREE, at(1)));
        assert!(passive.is_available(&THREE, at(1)) && passive.take(&THREE, at(1)));
        assert!(passive.failed(&THREE, at(2)), "the third");
        assert!(!passive.failed(&THREE, at(2)), "said once");
        assert!(!passive.is_available(&THREE, at(102)) && !passive.take(&THREE, at(102)));
        assert!(passive.is_available(&THREE, at(103)) && passive.take(&THREE, at(103)));
        assert!(!passive.is_available(&THREE, at(103)), "it is being tried");
        assert!(!passive.take(&THREE, at(103)), "by one only");
        // The trial goes on for longer than `fail_timeout`: nginx lets the next one try.
        assert!(passive.take(&THREE, at(204)));
        assert!(passive.succeeded(&THREE));
        assert_eq!(passive.fails(), 0);
        assert!(!passive.succeeded(&THREE), "said once");
    }

    #[test]
    fn failures_count_until_an_answer_after_fail_timeout() {
        let passive = Passive::default();
        let at = |millis: u64| Tick::from_number(1000 + millis);
        passive.failed(&THREE, at(0));
        assert!(passive.take(&THREE, at(50)) && !passive.succeeded(&THREE));
        assert_eq!(passive.fails(), 1, "an answer within fail_timeout forgives nothing");
        assert!(passive.take(&THREE, at(101)) && !passive.succeeded(&THREE));
        assert_eq!(passive.fails(), 0, "one after it does");
    }

    #[test]
    fn max_fails_0_never_takes_out() {
        let never = Tolerance { max_fails: 0, ..THREE };
        let passive = Passive::default();
        assert!((0..9).all(|_| !passive.failed(&never, Tick::from_number(5))));
        assert!(passive.is_available(&never, Tick::from_number(5)) && passive.take(&never, Tick::from_number(5)));
    }
}
