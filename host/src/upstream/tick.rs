//! Coarse time that fits into an atomic.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::time::Instant;

static ZERO: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A moment of the process's life: milliseconds since the first was asked for, from 1, so that 0
/// can mean none in an atomic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// That of now.
    pub fn now() -> Self {
        Self::of(Instant::now())
    }

    /// That of a moment.
    pub fn of(at: Instant) -> Self {
        Self(millis(at.saturating_duration_since(*ZERO)).saturating_add(1))
    }

    /// As a number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// From a number that [`Self::get`] gave.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Later by `time`.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(millis(time)))
    }

    /// The time since an earlier one; zero since a later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Default for Tick {
    fn default() -> Self {
        Self::now()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
