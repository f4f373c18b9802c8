//! How long a peer takes: moving averages, and what the policy `least-time` makes of them.
//!
//! The rules are those of nginx's `ngx_http_upstream_least_time_module`: an average loses half of
//! its value each time that the peer was left alone for a while, so that a slow one gets chances;
//! averages above 5 s are equally bad; those within 20 ms of one another are equal.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::Tick;
use super::board::{Column, Seat};

/// A new time counts one twentieth.
const WEIGHT: u64 = 20;
/// An average is halved for each such time without a new one. nginx: `fail_timeout`'s default.
const FORGIVES: Duration = Duration::from_secs(10);
/// What is slower counts as this, milliseconds.
const SLOWEST: u64 = 5000;
/// What differs by less is equal, milliseconds.
const EQUAL: u64 = 20;

/// Both averages of a peer.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Until the answer's head.
    pub(super) header: Average,
    /// Until its last byte; of a tunnel until its 101.
    pub(super) whole: Average,
}

impl Pace {
    /// Note how slow the peer counts as now.
    pub(super) fn settle(&self, seat: &Seat, now: Tick) {
        seat.rank(Column::Header).store(self.header.rank(now), Ordering::Relaxed);
        seat.rank(Column::Whole).store(self.whole.rank(now), Ordering::Relaxed);
    }
}

/// An exponentially weighted moving average of times.
#[derive(Debug, Default)]
pub(super) struct Average {
    /// Microseconds; 0 before the first.
    average: AtomicU64,
    /// When the last one came, as a [`Tick`].
    at: AtomicU64,
    /// Milliseconds that it counts as when nothing has come since.
    fresh_rank: AtomicU32,
}

impl Average {
    /// One more time. Of two workers that add at once one may be lost: it is an average.
    pub(super) fn add(&self, took: Duration, now: Tick) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).clamp(1, 1 << 40);
        let before = self.average.load(Ordering::Relaxed);
        let after = if before == 0 { took } else { (before * (WEIGHT - 1) + took) / WEIGHT };
        self.average.store(after.max(1), Ordering::Relaxed);
        self.fresh_rank.store(rank(after / 1000), Ordering::Relaxed);
        self.at.store(now.get(), Ordering::Relaxed);
    }

    /// The average; none before the first.
    pub(super) fn average(&self) -> Option<Duration> {
        Some(self.average.load(Ordering::Relaxed)).filter(|average| *average > 0).map(Duration::from_micros)
    }

    fn rank(&self, now: Tick) -> u32 {
        let average = self.average.load(Ordering::Relaxed);
        let idle = now.since(Tick::from_number(self.at.load(Ordering::Relaxed)));
        let halved = idle.as_secs() / FORGIVES.as_secs();
        match u32::try_from(halved) {
            Ok(0) => self.fresh_rank.load(Ordering::Relaxed),
            Ok(halved) => rank(average.checked_shr(halved).unwrap_or(0) / 1000),
            Err(_) => rank(0),
        }
    }
}

/// What so many milliseconds count as.
fn rank(millis: u64) -> u32 {
    let rank = if millis > SLOWEST { SLOWEST } else { millis + EQUAL - millis % EQUAL };
    u32::try_from(rank).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_move_and_are_forgiven() {
        let (average, start) = (Average::default(), Tick::now());
        assert_eq!((average.average(), average.fresh_rank.load(Ordering::Relaxed)), (None, 0));
        average.add(Duration::from_millis(100), start);
        assert_eq!((average.average(), average.rank(start)), (Some(Duration::from_millis(100)), 120));
        average.add(Duration::from_millis(500), start);
        assert_eq!((average.average(), average.rank(start)), (Some(Duration::from_millis(120)), 140));
        let later = |seconds| start.after(Duration::from_secs(seconds));
        assert_eq!([9, 10, 20, 900].map(|s| average.rank(later(s))), [140, 80, 40, 20]);
    }

    #[test]
    fn ranks_are_in_steps_and_end() {
        assert_eq!([0, 19, 20, 4999, 5000, 5001, 60_000].map(rank), [20, 20, 40, 5000, 5020, 5000, 5000]);
    }
}
