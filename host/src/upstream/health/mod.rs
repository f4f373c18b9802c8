//! Whether a peer can be used: what requests have met (`passive`), and what checks have found.

mod passive;

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;

use super::{Peer, Tick, WHOLE};
use crate::error::Error;
use passive::Passive;
pub use passive::Tolerance;

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
            let time = self.tolerance.fail_timeout;
            tracing::warn!(peer = %self.name, upstream = %self.upstream, %error, ?time, "peer is unavailable");
        }
    }

    /// A request to it came to its answer.
    pub fn succeeded(&self) {
        if self.vitals.health.passive.succeeded(&self.tolerance) {
            self.vitals.returns(Tick::now());
            tracing::info!(peer = %self.name, upstream = %self.upstream, "peer is available again");
        }
    }

    /// Whether its health lets it be chosen. Where failures have taken it out for long enough,
    /// it may be tried by one: see [`Peer::take`].
    pub(super) fn is_well(&self, now: Tick) -> bool {
        self.is_alone() || self.vitals.health.passive.is_available(&self.tolerance, now)
    }

    /// It was chosen. False where it may be tried by one request at a time, and another one was
    /// faster: then it must be chosen anew.
    pub(super) fn take(&self, now: Tick) -> bool {
        self.is_alone() || self.vitals.health.passive.take(&self.tolerance, now)
    }

    /// What it is now.
    pub fn state(&self) -> State {
        if self.down {
            State::Down
        } else if !self.is_alone() && !self.vitals.health.passive.is_trusted(&self.tolerance) {
            State::Unavailable
        } else {
            State::Up
        }
    }
}
