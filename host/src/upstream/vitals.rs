//! What is known of a peer: kept over reloads and changes of its upstream's set.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::board::{Block, Board, Column, Seat};
use super::sessions::Sessions;
use super::way::Ways;
use super::{Health, Tick, breaker, pace};
use crate::config::Address;

/// A peer's whole share.
pub const WHOLE: u32 = 1 << 16;

/// What is known of a peer: shared by all that speak with it, and kept over reloads and changes
/// of the upstream's set for as long as anyone holds it.
#[derive(Debug)]
pub struct Vitals {
    id: u64,
    /// Its number of exchanges and tunnels, and how slow it is, beside those of the others.
    seat: Seat,
    /// How long it takes.
    pace: pace::Pace,
    /// Whether no set has had it yet.
    fresh: AtomicBool,
    /// When its slow start began, as a [`Tick`]; 0 where it is over or there was none.
    rising_since: AtomicU64,
    /// What failures took from its share, of [`WHOLE`].
    lost: AtomicU32,
    /// What requests and checks have met.
    pub health: Health,
    /// Its breaker, where it has one.
    pub(super) breaker: breaker::Kept,
}

impl Vitals {
    fn new(seat: Seat) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            seat,
            pace: pace::Pace::default(),
            fresh: AtomicBool::new(true),
            rising_since: AtomicU64::new(0),
            lost: AtomicU32::new(0),
            health: Health::default(),
            breaker: breaker::Kept::default(),
        }
    }

    /// A number that no other peer of the process has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Exchanges and tunnels that it serves now.
    pub fn active(&self) -> u32 {
        self.seat.active().load(Ordering::Relaxed)
    }

    /// One more; false where it has `most` already (0: any number).
    pub(super) fn enter(&self, most: u32) -> bool {
        if most == 0 {
            self.seat.active().fetch_add(1, Ordering::Relaxed);
            self.seat.total().fetch_add(1, Ordering::Relaxed);
            return true;
        }
        // Two workers that both saw room for one must not both take it.
        let taken =
            self.seat.active().fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < most).then_some(n + 1));
        if taken.is_ok() {
            self.seat.total().fetch_add(1, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    /// One less.
    pub(super) fn leave(&self) {
        self.seat.active().fetch_sub(1, Ordering::Relaxed);
        self.seat.total().fetch_sub(1, Ordering::Relaxed);
    }

    /// Its share of what its weight promises, of [`WHOLE`]: less while it has its slow start, and
    /// after failures. `slow_start` is the peer's own; zero for none.
    pub(super) fn share(&self, slow_start: Duration, now: Tick) -> u32 {
        let healthy = WHOLE - self.lost.load(Ordering::Relaxed).min(WHOLE - 1);
        if slow_start.is_zero() {
            return healthy;
        }
        let since = self.rising_since.load(Ordering::Relaxed);
        if since == 0 {
            return healthy;
        }
        let (past, whole) = (now.since(Tick::from_number(since)), slow_start);
        if past >= whole {
            self.rising_since.store(0, Ordering::Relaxed);
            return healthy;
        }
        let part = u64::try_from(past.as_millis() * u128::from(WHOLE) / whole.as_millis().max(1)).unwrap_or(0);
        // Never nothing: one that is asked for nothing could not show that it works.
        u32::try_from(u64::from(healthy) * part / u64::from(WHOLE)).unwrap_or(healthy).max(WHOLE / 100)
    }

    /// It serves again after a time in which it did not: its slow start begins. nginx Plus:
    /// `slow_start`.
    pub fn returns(&self, now: Tick) {
        self.rising_since.store(now.get(), Ordering::Relaxed);
    }

    /// A failure takes so much from its share, of [`WHOLE`]. nginx: the difference of weight and
    /// effective weight. Policies by weight follow at once.
    pub(super) fn lose(&self, part: u32) {
        let more = |lost: u32| Some(lost.saturating_add(part).min(WHOLE));
        let _always = self.lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// A choice came by it: it gets one of its weight back. nginx: `effective_weight++`.
    pub(super) fn regain(&self, weight: u32) {
        let step = WHOLE.div_ceil(weight.max(1));
        let less = |lost: u32| (lost > 0).then(|| lost.saturating_sub(step));
        let _nothing_lost = self.lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// The head of an answer came after this time.
    pub(super) fn answered(&self, took: Duration, now: Tick) {
        self.pace.header.add(took, now);
        self.pace.settle(&self.seat, now);
    }

    /// The last byte of an answer came after this time.
    pub(super) fn finished(&self, took: Duration, now: Tick) {
        self.pace.whole.add(took, now);
        self.pace.settle(&self.seat, now);
    }

    /// Forgive what is long ago.
    pub(super) fn settle(&self, now: Tick) {
        self.pace.settle(&self.seat, now);
    }

    /// The average time until the head of an answer; none before the first.
    pub fn header_time(&self) -> Option<Duration> {
        self.pace.header.average()
    }

    /// The average time until an answer's last byte; none before the first.
    pub fn response_time(&self) -> Option<Duration> {
        self.pace.whole.average()
    }

    /// How slow it counts as, see [`pace`].
    pub(super) fn rank(&self, column: Column) -> u32 {
        self.seat.rank(column).load(Ordering::Relaxed)
    }

    /// Where its numbers are.
    pub(super) fn place(&self) -> (&Arc<Block>, usize) {
        self.seat.place()
    }

    /// Whether no set had it before; a set has it from now on.
    pub(super) fn join(&self) -> bool {
        self.fresh.swap(false, Ordering::Relaxed)
    }

    /// Whether no set had it before.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh.load(Ordering::Relaxed)
    }
}

/// The vitals of every peer that is in use, by upstream and address, and the ways to them.
#[derive(Debug, Default)]
pub struct Known {
    inner: Mutex<Inner>,
    pub(super) ways: Ways,
}

#[derive(Debug, Default)]
struct Inner {
    vitals: HashMap<(Arc<str>, Address), Weak<Vitals>>,
    boards: HashMap<Arc<str>, Weak<Board>>,
    sessions: HashMap<Arc<str>, Weak<Sessions>>,
}

impl Inner {
    /// Where the peers of an upstream have their seats.
    fn board(&mut self, upstream: &Arc<str>) -> Arc<Board> {
        let board = self.boards.get(upstream).and_then(Weak::upgrade).unwrap_or_default();
        self.boards.insert(Arc::clone(upstream), Arc::downgrade(&board));
        board
    }
}

impl Known {
    /// Where the peers of an upstream have their seats.
    pub(super) fn board(&self, upstream: &Arc<str>) -> Arc<Board> {
        self.inner.lock().board(upstream)
    }

    /// The learnt sessions of an upstream: those that are there, where they are kept in the same
    /// way, or none yet.
    pub(super) fn sessions(&self, upstream: &Arc<str>, most: usize, timeout: Duration) -> Arc<Sessions> {
        let mut inner = self.inner.lock();
        inner.sessions.retain(|_, sessions| sessions.strong_count() > 0);
        let kept = inner.sessions.get(upstream).and_then(Weak::upgrade).filter(|kept| kept.fits(most, timeout));
        kept.unwrap_or_else(|| {
            let made = Arc::new(Sessions::new(most, timeout));
            inner.sessions.insert(Arc::clone(upstream), Arc::downgrade(&made));
            made
        })
    }

    /// Those of one peer, as they are if anyone holds them, or new ones.
    pub(super) fn of(&self, upstream: &Arc<str>, address: &Address) -> Arc<Vitals> {
        let mut inner = self.inner.lock();
        let key = (Arc::clone(upstream), address.clone());
        if let Some(kept) = inner.vitals.get(&key).and_then(Weak::upgrade) {
            return kept;
        }
        // Only with a new one, so that reading a configuration of many peers is not square in them.
        if inner.vitals.len() >= inner.vitals.capacity() {
            inner.vitals.retain(|_, vitals| vitals.strong_count() > 0);
            inner.boards.retain(|_, board| board.strong_count() > 0);
        }
        let board = inner.board(upstream);
        let vitals = Arc::new(Vitals::new(board.take()));
        inner.vitals.insert(key, Arc::downgrade(&vitals));
        vitals
    }
}
