//! What checks have found: how many in a row, and what that makes of the peer.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::config;
use crate::upstream::Tick;

/// What checks make of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// None has been completed.
    Unknown,
    /// It may be used.
    Healthy,
    /// It must not be used.
    Unhealthy,
}

impl Verdict {
    const ALL: [Self; 3] = [Self::Unknown, Self::Healthy, Self::Unhealthy];

    fn number(self) -> u8 {
        self as u8
    }
}

/// What checks have found. Written by the one task that checks the peer, read by all.
#[derive(Debug, Default)]
pub(super) struct Active {
    verdict: AtomicU8,
    /// Checks that spoke against the verdict, in a row.
    against: AtomicU32,
    passed: AtomicU64,
    failed: AtomicU64,
    /// When the last check ended, as a [`Tick`]; 0 for never.
    checked_at: AtomicU64,
    /// When the verdict was made, as a [`Tick`].
    judged_at: AtomicU64,
}

impl Active {
    /// One load: asked for by each choice.
    pub(super) fn verdict(&self) -> Verdict {
        let number = self.verdict.load(Ordering::Relaxed);
        Verdict::ALL.into_iter().find(|verdict| verdict.number() == number).unwrap_or(Verdict::Unknown)
    }

    /// Checks that passed, and that failed.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.passed.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// When the last check ended.
    pub(super) fn checked_at(&self) -> Option<Tick> {
        Some(self.checked_at.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Tick::from_number)
    }

    /// When the verdict was made.
    pub(super) fn judged_at(&self) -> Tick {
        Tick::from_number(self.judged_at.load(Ordering::Relaxed))
    }

    /// A check has ended. Some where the verdict is another one now.
    pub(super) fn note(&self, settings: &config::Health, passed: bool, now: Tick) -> Option<Verdict> {
        let count = if passed { &self.passed } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
        self.checked_at.store(now.get(), Ordering::Relaxed);
        let (next, wanted) = match (self.verdict(), passed) {
            // nginx Plus: the first check decides.
            (Verdict::Unknown, true) => (Verdict::Healthy, 1),
            (Verdict::Unhealthy, true) => (Verdict::Healthy, settings.passes),
            (Verdict::Unknown | Verdict::Healthy, false) => (Verdict::Unhealthy, settings.fails),
            (Verdict::Healthy, true) | (Verdict::Unhealthy, false) => {
                self.against.store(0, Ordering::Relaxed);
                return None;
            }
        };
        if self.against.fetch_add(1, Ordering::Relaxed).saturating_add(1) < wanted {
            return None;
        }
        self.against.store(0, Ordering::Relaxed);
        self.judged_at.store(now.get(), Ordering::Relaxed);
        self.verdict.store(next.number(), Ordering::Relaxed);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Expect, OnUnhealthy, Probe, Protocol, TcpProbe};

    fn settings(fails: u32, passes: u32) -> config::Health {
        let expect = Expect { contains: None, matches: None, most: 1 };
        config::Health {
            probe: Probe::Tcp(TcpProbe { send: String::new(), expect }),
            interval: Duration::from_secs(1),
            jitter: Duration::ZERO,
            timeout: Duration::from_secs(1),
            fails,
            passes,
            port: None,
            protocol: Protocol::H1,
            mandatory: false,
            on_unhealthy: OnUnhealthy::Keep,
        }
    }

    #[test]
    fn as_many_in_a_row_as_are_wanted() {
        let (settings, active) = (settings(3, 2), Active::default());
        let note = |passed| active.note(&settings, passed, Tick::from_number(7));
        assert_eq!(active.verdict(), Verdict::Unknown);
        assert_eq!(note(true), Some(Verdict::Healthy), "the first decides");
        assert_eq!([note(false), note(false), note(true)], [None; 3]);
        assert_eq!([note(false), note(false)], [None; 2], "counted anew");
        assert_eq!(note(false), Some(Verdict::Unhealthy));
        assert_eq!([note(true), note(false), note(true)], [None; 3]);
        assert_eq!(note(true), Some(Verdict::Healthy));
        assert_eq!((active.counts(), active.checked_at()), ((5, 6), Some(Tick::from_number(7))));
    }

    #[test]
    fn an_unknown_peer_has_all_its_fails() {
        let (settings, active) = (settings(2, 5), Active::default());
        let note = |passed| active.note(&settings, passed, Tick::from_number(7));
        assert_eq!((note(false), active.verdict()), (None, Verdict::Unknown));
        assert_eq!(note(false), Some(Verdict::Unhealthy));
    }
}
