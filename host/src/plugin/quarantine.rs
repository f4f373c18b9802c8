//! Quarantine: a plugin that keeps failing is left alone for a while, so that a fault in it
//! costs neither the making of an instance for each request nor its deadline.
//!
//! One for each plugin, shared by workers: the fault is the component's, whichever worker meets
//! it. A call of a plugin that is well costs one relaxed load before it and one after it, of
//! the same cache line, which nobody writes then; successes are counted by worker. All else
//! happens under a lock, after a failure.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::metrics::QuarantineState;
use crate::hook::Quarantine;

/// States of a [`Guard`]; what is above them is when a quarantine ends, as [`now`] has it.
/// The last call did not fail.
const WELL: u64 = 0;
/// The last call failed, and it is not in quarantine.
const SHAKY: u64 = 1;
/// It is in quarantine, and one call tries it.
const PROBED: u64 = 2;

/// Watches one plugin.
pub(super) struct Guard {
    /// None where it is never put into quarantine.
    rules: Option<Quarantine>,
    state: CachePadded<AtomicU64>,
    /// Calls that went well, by worker.
    good: Box<[CachePadded<AtomicU64>]>,
    history: Mutex<History>,
}

/// What is known of a plugin's failures.
#[derive(Default)]
struct History {
    /// Failures since the last call that went well.
    row: u32,
    /// When the window began, ms.
    window: u64,
    /// Calls that had gone well by then.
    good_before: u64,
    /// Failures within the window.
    failures: u64,
    /// How often it was tried in vain, in this quarantine and those shortly before it.
    probes: u32,
    /// When the last quarantine ended, ms.
    ended: Option<u64>,
    reason: String,
}

/// Leave to call a plugin once. Dropped without a word of how it went (the client left), it
/// leaves a try to the next call.
pub(super) struct Pass<'a> {
    guard: &'a Guard,
    is_probe: bool,
}

/// A quarantine that begins or goes on.
pub(super) struct Sentence {
    /// Whether it begins.
    pub(super) is_new: bool,
    pub(super) reason: String,
    pub(super) lasts: Duration,
}

impl Guard {
    /// A guard by these rules over a plugin that `workers` call.
    pub(super) fn new(rules: Option<Quarantine>, workers: usize) -> Self {
        Self {
            rules,
            state: CachePadded::default(),
            good: (0..workers.max(1)).map(|_| CachePadded::default()).collect(),
            history: Mutex::default(),
        }
    }

    /// Leave for one call; none where the plugin is in quarantine.
    pub(super) fn admit(&self) -> Option<Pass<'_>> {
        if self.state.load(Ordering::Relaxed) <= SHAKY {
            return Some(self.free());
        }
        self.admit_probe()
    }

    /// Leave for a call that is made in quarantine too: a tunnel's, whose instance has not failed.
    pub(super) fn free(&self) -> Pass<'_> {
        Pass { guard: self, is_probe: false }
    }

    #[cold]
    fn admit_probe(&self) -> Option<Pass<'_>> {
        let state = self.state.load(Ordering::Relaxed);
        match state {
            WELL | SHAKY => return Some(self.free()),
            PROBED => return None,
            until if now() < until => return None,
            _ => {}
        }
        let mine = self.state.compare_exchange(state, PROBED, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        mine.then_some(Pass { guard: self, is_probe: true })
    }

    /// The quarantine that it is in.
    pub(super) fn shown(&self) -> Option<QuarantineState> {
        let state = self.state.load(Ordering::Relaxed);
        if state <= SHAKY {
            return None;
        }
        let history = self.history.lock();
        let left = (state != PROBED).then(|| Duration::from_millis(state.saturating_sub(now())));
        Some(QuarantineState { reason: history.reason.clone(), next_probe: left, probes: history.probes })
    }

    fn all_good(&self) -> u64 {
        self.good.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The first call after a failure that went well, or a try that did.
    #[cold]
    fn recover(&self, is_probe: bool) -> bool {
        let mut history = self.history.lock();
        history.row = 0;
        if !is_probe {
            // What began before a quarantine says nothing of it.
            let _in_quarantine = self.state.compare_exchange(SHAKY, WELL, Ordering::Relaxed, Ordering::Relaxed);
            return false;
        }
        history.ended = Some(now());
        history.failures = 0;
        history.window = 0;
        self.state.store(WELL, Ordering::Relaxed);
        true
    }
}

impl Pass<'_> {
    /// The call went well, on the worker with this seat. Whether that ended a quarantine.
    pub(super) fn good(mut self, seat: usize) -> bool {
        let guard = self.guard;
        if guard.rules.is_none() {
            return false;
        }
        if let Some(count) = guard.good.get(seat % guard.good.len()) {
            // Nearly always its own worker's alone, so not as one step, which would cost 5 ns.
            count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
        if guard.state.load(Ordering::Relaxed) == WELL {
            return false;
        }
        guard.recover(std::mem::take(&mut self.is_probe))
    }

    /// The call failed, and the plugin is to blame. The quarantine that this brings.
    #[cold]
    pub(super) fn bad(mut self, why: &str) -> Option<Sentence> {
        let guard = self.guard;
        let rules = guard.rules.as_ref()?;
        let mut history = guard.history.lock();
        let was_probe = std::mem::take(&mut self.is_probe);
        if !was_probe && guard.state.load(Ordering::Relaxed) > SHAKY {
            // It began before the quarantine.
            return None;
        }
        let now = now();
        let reason =
            if was_probe { Some("it failed again".to_owned()) } else { history.count(rules, guard.all_good(), now) };
        let Some(reason) = reason else {
            guard.state.store(SHAKY, Ordering::Relaxed);
            return None;
        };
        if was_probe {
            history.probes = history.probes.saturating_add(1);
        } else if history.ended.is_none_or(|ended| now.saturating_sub(ended) > millis(rules.window)) {
            history.probes = 0;
        } else {
            // It went well for a moment only: the next rest is longer than the last one was.
            history.probes = history.probes.saturating_add(1);
        }
        let lasts = rules.rest.saturating_mul(2_u32.saturating_pow(history.probes)).min(rules.longest_rest);
        history.reason = format!("{reason}, the last: {why}");
        history.failures = 0;
        history.row = 0;
        guard.state.store(now.saturating_add(millis(lasts)), Ordering::Relaxed);
        Some(Sentence { is_new: !was_probe, reason, lasts })
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.guard.state.store(now(), Ordering::Relaxed);
        }
    }
}

impl History {
    /// Count a failure. Why that was one too many, if it was.
    fn count(&mut self, rules: &Quarantine, good: u64, now: u64) -> Option<String> {
        self.row = self.row.saturating_add(1);
        if self.failures == 0 || now.saturating_sub(self.window) > millis(rules.window) {
            self.window = now;
            self.good_before = good;
            self.failures = 0;
        }
        self.failures += 1;
        if rules.row > 0 && self.row >= rules.row {
            return Some(format!("{} failures in a row", self.row));
        }
        let calls = good.saturating_sub(self.good_before).saturating_add(self.failures);
        let share = u64::from(rules.failures);
        let is_over =
            calls >= u64::from(rules.calls) && self.failures.saturating_mul(100) >= share.saturating_mul(calls);
        is_over.then(|| format!("{} of {calls} calls failed", self.failures))
    }
}

/// Milliseconds since the first look at the clock, on top of the states that are no time.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    millis(START.elapsed()).saturating_add(PROBED + 1)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Quarantine = Quarantine {
        row: 3,
        failures: 50,
        calls: 10,
        window: Duration::from_secs(600),
        rest: Duration::from_millis(2),
        longest_rest: Duration::from_millis(7),
    };

    fn fail(guard: &Guard) -> Option<Sentence> {
        guard.free().bad("it trapped")
    }

    fn probe(guard: &Guard) -> Pass<'_> {
        loop {
            if let Some(pass) = guard.admit() {
                return pass;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn failures_in_a_row() {
        let guard = Guard::new(Some(RULES), 1);
        assert!(fail(&guard).is_none() && fail(&guard).is_none());
        assert!(guard.admit().is_some() && guard.shown().is_none(), "two are borne");
        assert!(!guard.admit().unwrap().good(0));
        assert!(fail(&guard).is_none() && fail(&guard).is_none(), "the row begins anew");
        let sentence = fail(&guard).unwrap();
        assert_eq!((sentence.is_new, &*sentence.reason, sentence.lasts), (true, "3 failures in a row", RULES.rest));
        let shown = guard.shown().unwrap();
        assert_eq!((&*shown.reason, shown.probes), ("3 failures in a row, the last: it trapped", 0));
        assert!(fail(&guard).is_none(), "what began before says nothing new");
    }

    #[test]
    fn one_call_tries_it_and_rests_grow_up_to_the_longest() {
        let guard = Guard::new(Some(RULES), 1);
        (0..3).for_each(|_| drop(fail(&guard)));
        let mut rests = Vec::new();
        for _ in 0..4 {
            let pass = probe(&guard);
            assert!(guard.admit().is_none(), "one at a time");
            assert_eq!(guard.shown().unwrap().next_probe, None);
            let sentence = pass.bad("no").unwrap();
            assert!(!sentence.is_new);
            rests.push(sentence.lasts.as_millis());
        }
        assert_eq!(rests, [4, 7, 7, 7]);
        assert_eq!(guard.shown().unwrap().probes, 4);
        assert!(probe(&guard).good(0), "it ends the quarantine");
        assert!(guard.shown().is_none() && guard.admit().is_some());
        // Well for less than the window: the next rest goes on from there.
        let again = (0..3).find_map(|_| fail(&guard)).unwrap();
        assert_eq!((again.is_new, again.lasts.as_millis()), (true, 7));
    }

    #[test]
    fn a_try_that_nobody_waits_for_is_left_to_the_next_call() {
        let guard = Guard::new(Some(RULES), 1);
        (0..3).for_each(|_| drop(fail(&guard)));
        drop(probe(&guard));
        assert!(guard.admit().unwrap().is_probe);
    }

    #[test]
    fn a_share_of_calls() {
        let guard = Guard::new(Some(RULES), 2);
        // One after the other, so that there is no row.
        let mut sentence = None;
        for seat in 0..4 {
            assert!(fail(&guard).is_none());
            guard.admit().unwrap().good(seat);
        }
        assert!(fail(&guard).is_none(), "nine calls say nothing");
        guard.admit().unwrap().good(0);
        sentence = sentence.or(fail(&guard));
        assert_eq!(sentence.unwrap().reason, "6 of 11 calls failed");
    }

    #[test]
    fn a_small_share_is_borne() {
        let guard = Guard::new(Some(RULES), 1);
        for _ in 0..100 {
            assert!(fail(&guard).is_none());
            guard.admit().unwrap().good(0);
            guard.admit().unwrap().good(0);
        }
        assert!(guard.shown().is_none());
    }

    #[test]
    fn without_rules_nothing_is_too_much() {
        let guard = Guard::new(None, 1);
        assert!((0..100).all(|_| fail(&guard).is_none() && guard.admit().is_some()));
    }
}
