//! Whether a peer can be used: what requests have met (`passive`), and what checks have found.

mod passive;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use rustix::time::{ClockId, clock_gettime};

use super::Peer;
use crate::error::Error;
use passive::Passive;
pub use passive::Tolerance;

/// Time since the system's start, to the grain of the kernel's tick: cheap, and never back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(u64);

impl Now {
    /// The time now.
    pub fn read() -> Self {
        let time = clock_gettime(ClockId::MonotonicCoarse);
        let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
        Self(seconds.unwrap_or_default() * 1000 + nanos.unwrap_or_default() / 1_000_000)
    }

    /// Milliseconds.
    fn millis(self) -> u64 {
        self.0
    }
}

/// What is known of a peer's health. A part of its vitals, so it is shared by all workers and
/// outlives reloads.
#[derive(Debug, Default)]
pub struct Health {
    passive: Passive,
    failure: ArcSwapOption<Failure>,
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
    /// It failed `max_fails` times, and `fail_timeout` has not passed yet, or the request that
    /// tries it since is under way.
    Unavailable,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Up, Self::Down, Self::Unavailable];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
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

    /// What failures have taken of the weight and picks have not given back yet.
    pub fn lost_weight(&self) -> u32 {
        self.passive.lost_weight()
    }

    /// Give one of it back. nginx does so each time that a choice comes by the peer.
    pub fn regain_weight(&self) {
        self.passive.regain_weight();
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
        let disabled = health.passive.failed(&self.tolerance, self.weight, Now::read());
        if disabled {
            let time = self.tolerance.fail_timeout;
            tracing::warn!(peer = %self.name, upstream = %self.upstream, %error, ?time, "peer is unavailable");
        }
    }

    /// A request to it came to its answer.
    pub fn succeeded(&self) {
        if self.vitals.health.passive.succeeded(&self.tolerance) {
            tracing::info!(peer = %self.name, upstream = %self.upstream, "peer is available again");
        }
    }

    /// Whether its health lets it be chosen. Where failures have taken it out for long enough,
    /// it may be tried by one: see [`Peer::take`].
    pub(super) fn is_well(&self, now: Now) -> bool {
        self.is_alone() || self.vitals.health.passive.is_available(&self.tolerance, now)
    }

    /// It was chosen. False where it may be tried by one request at a time, and another one was
    /// faster: then it must be chosen anew.
    pub(super) fn take(&self, now: Now) -> bool {
        self.is_alone() || self.vitals.health.passive.take(&self.tolerance, now)
    }

    /// What it is now.
    pub fn state(&self, now: Now) -> State {
        if self.weight == 0 {
            State::Down
        } else if !self.is_alone() && !self.vitals.health.passive.is_trusted(&self.tolerance) && !self.is_well(now) {
            State::Unavailable
        } else {
            State::Up
        }
    }
}

/// Milliseconds of a time span.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
