//! Whether a peer can be used: what requests have met (`passive`), and what checks have found.

mod active;
mod checks;
mod http2;
mod passive;
mod probe;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;

use super::{Peer, Tick, WHOLE};
use crate::error::Error;
use active::{Active, Verdict};
pub use checks::Cut;
use passive::Passive;
pub use passive::Tolerance;

/// What is known of a peer's health. A part of its vitals, so it is shared by all workers and
/// outlives reloads.
#[derive(Debug, Default)]
pub struct Health {
    passive: Passive,
    active: Active,
    failure: ArcSwapOption<Failure>,
    changed_at: ArcSwapOption<SystemTime>,
}

/// The last thing that went wrong with a peer.
#[derive(Debug)]
pub struct Failure {
    /// What.
    pub text: String,
    /// When.
    pub at: SystemTime,
}

/// What a peer is, in the words of the status page. nginx Plus: `state` of an upstream's peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is used.
    Up,
    /// The configuration takes it out.
    Down,
    /// The configuration lets it serve only those that are stuck to it.
    Draining,
    /// Checks have failed.
    Unhealthy,
    /// No check has passed yet, and one must before it is used.
    Checking,
    /// It failed `max_fails` times, and `fail_timeout` has not passed yet, or the request that
    /// tries it since is under way.
    Unavailable,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Up, Self::Down, Self::Draining, Self::Unhealthy, Self::Checking, Self::Unavailable];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Unhealthy => "unhealthy",
            Self::Checking => "checking",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Health {
    /// Failures that count now. nginx: `fails`.
    pub fn fails(&self) -> u32 {
        self.passive.fails()
    }

    /// The last thing that went wrong; none where nothing has.
    pub fn failure(&self) -> Option<Arc<Failure>> {
        self.failure.load_full()
    }

    /// Checks that passed, and that failed.
    pub fn checks(&self) -> (u64, u64) {
        self.active.counts()
    }

    /// When it turned well or unwell; none where it never did.
    pub fn changed_at(&self) -> Option<SystemTime> {
        self.changed_at.load().as_deref().copied()
    }

    fn changed(&self) {
        self.changed_at.store(Some(Arc::new(SystemTime::now())));
    }

    fn note(&self, text: String) {
        self.failure.store(Some(Arc::new(Failure { text, at: SystemTime::now() })));
    }
}

impl Peer {
    /// A request to it failed in a way that says something of the peer. nginx: an unsuccessful
    /// attempt (`max_fails`).
    pub fn failed(&self, error: &Error) {
        let health = &self.vitals.health;
        health.note(error.to_string());
        // nginx: with one server there is nothing to fall back on, so nothing is counted.
        if self.is_alone() {
            return;
        }
        // nginx: the effective weight falls by `weight / max_fails`, a whole number.
        let part = self.weight.checked_div(self.tolerance.max_fails).unwrap_or(0);
        let part = u64::from(part) * u64::from(WHOLE) / u64::from(self.weight.max(1));
        self.vitals.lose(u32::try_from(part).unwrap_or(WHOLE));
        if health.passive.failed(&self.tolerance, Tick::now()) {
            health.changed();
            let time = self.tolerance.fail_timeout;
            tracing::warn!(peer = %self.name, upstream = %self.upstream, %error, ?time, "peer is unavailable");
        }
    }

    /// A request to it came to its answer.
    pub fn succeeded(&self) {
        if self.vitals.health.passive.succeeded(&self.tolerance) {
            self.vitals.health.changed();
            self.vitals.returns(Tick::now());
            tracing::info!(peer = %self.name, upstream = %self.upstream, "peer is available again");
        }
    }

    /// Its checks pass again: what requests have met before is forgotten, and it starts slowly.
    fn recovered(&self, now: Tick) {
        self.vitals.health.passive.forget();
        self.vitals.returns(now);
    }

    /// Whether its health lets it be chosen. Where failures have taken it out for long enough,
    /// it may be tried by one: see [`Peer::take`]. A few loads, since each choice asks.
    pub(super) fn is_well(&self, now: Tick) -> bool {
        self.passes_checks() && (self.vitals.health.passive.is_available(&self.tolerance, now) || self.is_alone())
    }

    /// Whether checks have found it unhealthy.
    pub fn is_unhealthy(&self) -> bool {
        self.health.is_some() && self.vitals.health.active.verdict() == Verdict::Unhealthy
    }

    /// Whether checks let it be used.
    fn passes_checks(&self) -> bool {
        let Some(settings) = &self.health else { return true };
        match self.vitals.health.active.verdict() {
            Verdict::Healthy => true,
            Verdict::Unhealthy => false,
            Verdict::Unknown => !settings.mandatory,
        }
    }

    /// It was chosen. False where it may be tried by one request at a time, and another one was
    /// faster: then it must be chosen anew.
    pub(super) fn take(&self, now: Tick) -> bool {
        self.vitals.health.passive.take(&self.tolerance, now) || self.is_alone()
    }

    /// What it is now.
    pub fn state(&self) -> State {
        if self.down {
            State::Down
        } else if !self.passes_checks() {
            match self.vitals.health.active.verdict() {
                Verdict::Unknown => State::Checking,
                _ => State::Unhealthy,
            }
        } else if !self.is_alone() && !self.vitals.health.passive.is_trusted(&self.tolerance) {
            State::Unavailable
        } else if self.drain {
            State::Draining
        } else {
            State::Up
        }
    }
}

/// A random number: enough to spread checks and for their handshakes' keys.
fn chance() -> u64 {
    // Each has keys of its own, which come from the system's randomness.
    RandomState::new().hash_one(0_u8)
}
