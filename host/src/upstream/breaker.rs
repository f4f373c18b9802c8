//! A breaker for each peer: it opens where too large a part of what the peer was asked lately
//! has failed, and then keeps requests away from it for a while, until one that tries it comes
//! to an answer.
//!
//! It differs from `max_fails`, which counts failures and not their part of all requests, and
//! which leaves a single peer in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Peer, Tick};
use crate::config;

/// Parts of the window: what is older than it is forgotten one part at a time.
const PARTS: u64 = 10;

/// A peer's breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    settings: config::Breaker,
    state: Arc<Switch>,
}

/// What a breaker does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// It lets them pass, and counts.
    Closed,
    /// It lets none pass.
    Open,
    /// It has let one pass, and waits for what becomes of it.
    HalfOpen,
}

impl Stance {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// What a verdict has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Nothing,
    /// It opened, after so many failures of so many requests.
    Opened(u64, u64),
    /// The one that tried the peer failed.
    StaysOpen,
    Closed,
}

/// The state of a breaker: shared by all that speak with the peer, without locks.
#[derive(Debug, Default)]
struct Switch {
    /// A stance and a tick: of closed, since when; of open, until when; of half-open, when the
    /// trial was let pass.
    state: AtomicU64,
    /// For each part of the window its number, what was asked, and what failed of it.
    parts: [AtomicU64; PARTS as usize],
    opened: AtomicU64,
}

/// What is kept of a peer's breaker over reloads that leave its settings as they are.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Option<(config::Breaker, Arc<Switch>)>>);

impl Kept {
    /// The breaker with these settings, in the state in which it is.
    pub(super) fn breaker(&self, settings: config::Breaker) -> Breaker {
        let mut kept = self.0.lock();
        if let Some((_, state)) = kept.as_ref().filter(|(before, _)| *before == settings) {
            return Breaker { settings, state: Arc::clone(state) };
        }
        let state = Arc::<Switch>::default();
        *kept = Some((settings, Arc::clone(&state)));
        Breaker { settings, state }
    }
}

impl Breaker {
    /// What it does with requests now.
    pub fn stance(&self) -> Stance {
        unpack(self.state.state.load(Ordering::Relaxed)).0
    }

    /// How often it has opened.
    pub fn opened(&self) -> u64 {
        self.state.opened.load(Ordering::Relaxed)
    }

    /// Whether the peer may be chosen.
    pub(super) fn may_serve(&self, now: Tick) -> bool {
        match unpack(self.state.state.load(Ordering::Relaxed)) {
            (Stance::Closed, _) => true,
            (Stance::Open, until) => now.get() >= until,
            (Stance::HalfOpen, _) => false,
        }
    }

    /// The peer was chosen. False where another request was faster to be the one that tries it.
    pub(super) fn take(&self, now: Tick) -> bool {
        let state = self.state.state.load(Ordering::Relaxed);
        match unpack(state) {
            (Stance::Closed, _) => true,
            (Stance::Open, until) => now.get() >= until && self.turn(state, Stance::HalfOpen, now.get()),
            (Stance::HalfOpen, _) => false,
        }
    }

    /// A request that was let pass at `picked` has no more to say: if it was the one that tried
    /// the peer and nothing was learnt, the next may.
    pub(super) fn release(&self, picked: Tick) {
        // After a verdict the state is another, and this does nothing.
        self.turn(pack(Stance::HalfOpen, picked.get()), Stance::Open, picked.get());
    }

    /// What became of a request that was let pass at `picked`.
    fn judge(&self, ok: bool, picked: Tick, now: Tick) -> Turn {
        let state = self.state.state.load(Ordering::Relaxed);
        match unpack(state) {
            // What was asked before it closed says nothing of the time since.
            (Stance::Closed, since) if picked.get() >= since => self.count(state, ok, now),
            (Stance::HalfOpen, since) if picked.get() >= since => {
                if !ok {
                    let until = now.after(self.settings.open).get();
                    return if self.turn(state, Stance::Open, until) { Turn::StaysOpen } else { Turn::Nothing };
                }
                for part in &self.state.parts {
                    part.store(0, Ordering::Relaxed);
                }
                if self.turn(state, Stance::Closed, now.get()) { Turn::Closed } else { Turn::Nothing }
            }
            _ => Turn::Nothing,
        }
    }

    fn count(&self, state: u64, ok: bool, now: Tick) -> Turn {
        let number = self.part_number(now);
        let Some(part) = self.state.parts.get(usize::try_from(number % PARTS).unwrap_or_default()) else {
            return Turn::Nothing;
        };
        let more = |part: u64| Some(Part::of(part).filter(number).with(ok).pack(number));
        let _always = part.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        if ok {
            return Turn::Nothing;
        }
        let (asked, failed) = self.sum(number);
        let config::Breaker { failures, requests, open, .. } = self.settings;
        if asked < u64::from(requests) || failed * 100 < asked * u64::from(failures) {
            return Turn::Nothing;
        }
        if !self.turn(state, Stance::Open, now.after(open).get()) {
            return Turn::Nothing;
        }
        self.state.opened.fetch_add(1, Ordering::Relaxed);
        Turn::Opened(failed, asked)
    }

    /// The number of the part of the window that a moment is in.
    fn part_number(&self, now: Tick) -> u64 {
        let step = u64::try_from(self.settings.window.as_millis()).unwrap_or(u64::MAX) / PARTS;
        now.get() / step.max(1)
    }

    /// What was asked and what failed within the window that ends with this part.
    fn sum(&self, number: u64) -> (u64, u64) {
        let mut sum = (0, 0);
        for part in &self.state.parts {
            let part = Part::of(part.load(Ordering::Relaxed));
            if number.wrapping_sub(part.number) & TAG < PARTS {
                sum = (sum.0 + part.asked, sum.1 + part.failed);
            }
        }
        sum
    }

    fn turn(&self, from: u64, to: Stance, tick: u64) -> bool {
        self.state.state.compare_exchange(from, pack(to, tick), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Peer {
    /// What became of a request that was picked at `picked`: a breaker counts it, where there is
    /// one.
    pub fn judge(&self, ok: bool, picked: Tick) {
        let Some(breaker) = &self.breaker else { return };
        let (peer, upstream) = (&*self.name, &*self.upstream);
        match breaker.judge(ok, picked, Tick::now()) {
            Turn::Nothing => {}
            Turn::Opened(failed, asked) => {
                let time = breaker.settings.open;
                tracing::warn!(peer, upstream, failed, asked, ?time, "breaker has opened: the peer is left out");
            }
            Turn::StaysOpen => tracing::warn!(peer, upstream, "breaker stays open: the request that tried failed"),
            Turn::Closed => tracing::info!(peer, upstream, "breaker has closed: the peer is used again"),
        }
    }
}

/// The bits of a state that are the stance.
const STANCE_BITS: u32 = 2;

fn pack(stance: Stance, tick: u64) -> u64 {
    let stance = match stance {
        Stance::Closed => 0,
        Stance::Open => 1,
        Stance::HalfOpen => 2,
    };
    (tick << STANCE_BITS) | stance
}

fn unpack(state: u64) -> (Stance, u64) {
    let stance = match state & 3 {
        0 => Stance::Closed,
        1 => Stance::Open,
        _ => Stance::HalfOpen,
    };
    (stance, state >> STANCE_BITS)
}

/// The bits of a count.
const COUNT_BITS: u32 = 20;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
/// What is kept of a part's number.
const TAG: u64 = (1 << (64 - 2 * COUNT_BITS)) - 1;

/// One part of the window, out of its atomic.
#[derive(Debug, Clone, Copy)]
struct Part {
    number: u64,
    asked: u64,
    failed: u64,
}

impl Part {
    fn of(packed: u64) -> Self {
        Self { number: packed >> (2 * COUNT_BITS), asked: (packed >> COUNT_BITS) & COUNT, failed: packed & COUNT }
    }

    /// Empty where it is that of an older window.
    fn filter(self, number: u64) -> Self {
        if self.number == number & TAG { self } else { Self { number, asked: 0, failed: 0 } }
    }

    fn with(self, ok: bool) -> Self {
        // Halved, both keep their proportion.
        let half = u32::from(self.asked == COUNT);
        Self { asked: (self.asked >> half) + 1, failed: (self.failed >> half) + u64::from(!ok), ..self }
    }

    fn pack(self, number: u64) -> u64 {
        ((number & TAG) << (2 * COUNT_BITS)) | (self.asked << COUNT_BITS) | self.failed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SETTINGS: config::Breaker =
        config::Breaker { failures: 50, requests: 4, window: Duration::from_secs(10), open: Duration::from_secs(30) };

    fn at(millis: u64) -> Tick {
        Tick::from_number(100_000 + millis)
    }

    fn tell(breaker: &Breaker, verdicts: &str, millis: u64) -> Vec<Turn> {
        verdicts.chars().map(|c| breaker.judge(c == '+', at(millis), at(millis))).collect()
    }

    #[test]
    fn opens_by_rate_and_closes_by_one_that_tries() {
        let kept = Kept::default();
        let breaker = kept.breaker(SETTINGS);
        assert!(tell(&breaker, "---", 0).iter().all(|turn| *turn == Turn::Nothing), "too few to say");
        assert!(breaker.may_serve(at(0)) && breaker.take(at(0)));
        assert_eq!(
            tell(&breaker, "++++-", 1),
            [Turn::Nothing, Turn::Nothing, Turn::Nothing, Turn::Nothing, Turn::Opened(4, 8)]
        );
        assert_eq!((breaker.stance(), breaker.opened()), (Stance::Open, 1));
        assert!(!breaker.may_serve(at(30_000)) && !breaker.take(at(30_000)));
        // What was asked before changes nothing any more.
        assert_eq!(tell(&breaker, "+-", 2), [Turn::Nothing, Turn::Nothing]);
        assert!(breaker.may_serve(at(30_001)) && breaker.take(at(30_001)));
        assert!(!breaker.may_serve(at(40_000)) && !breaker.take(at(40_000)), "one at a time");
        assert_eq!(tell(&breaker, "+-", 3), [Turn::Nothing, Turn::Nothing], "asked before it opened");
        assert_eq!(breaker.judge(false, at(30_001), at(31_000)), Turn::StaysOpen);
        assert!(!breaker.may_serve(at(60_999)) && breaker.take(at(61_000)));
        // It leaves without a word: the next may try.
        breaker.release(at(61_000));
        assert!(breaker.may_serve(at(61_000)) && breaker.take(at(61_001)));
        assert_eq!(breaker.judge(true, at(61_001), at(61_002)), Turn::Closed);
        breaker.release(at(61_001));
        assert_eq!(breaker.stance(), Stance::Closed);
        assert_eq!(tell(&breaker, "---", 61_003), [Turn::Nothing; 3], "it begins anew");
        assert_eq!(breaker.judge(false, at(5), at(61_004)), Turn::Nothing, "asked before it opened");
        assert!(matches!(breaker.judge(false, at(61_004), at(61_004)), Turn::Opened(4, 4)));
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let breaker = Kept::default().breaker(SETTINGS);
        tell(&breaker, "---", 0);
        tell(&breaker, "++", 9_000);
        assert_eq!(tell(&breaker, "-", 10_000), [Turn::Nothing], "1 of 3: the first three are gone");
        tell(&breaker, "-", 10_000);
        assert_eq!(breaker.stance(), Stance::Open, "2 of 4");
    }

    #[test]
    fn it_is_kept_as_long_as_its_settings_are() {
        let kept = Kept::default();
        tell(&kept.breaker(SETTINGS), "----", 0);
        assert_eq!(kept.breaker(SETTINGS).stance(), Stance::Open);
        assert_eq!(kept.breaker(config::Breaker { requests: 5, ..SETTINGS }).stance(), Stance::Closed);
    }

    #[test]
    fn counts_that_overflow_keep_their_proportion() {
        let full = Part { number: 7, asked: COUNT, failed: COUNT / 4 };
        let next = Part::of(full.with(false).pack(7));
        assert_eq!((next.asked, next.failed), (COUNT / 2 + 1, COUNT / 8 + 1));
    }

    #[test]
    fn one_of_many_threads_tries() {
        let breaker = Arc::new(Kept::default().breaker(SETTINGS));
        tell(&breaker, "----", 0);
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let breaker = Arc::clone(&breaker);
                std::thread::spawn(move || breaker.take(at(30_000)))
            })
            .collect();
        assert_eq!(threads.into_iter().map(|t| t.join().unwrap()).filter(|took| *took).count(), 1);
    }
}
