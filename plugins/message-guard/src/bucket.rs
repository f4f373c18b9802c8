//! Rates: a bucket that fills steadily and that messages take from.

use std::time::Duration;

/// How a bucket fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// How much comes in a second.
    pub per_second: f64,
    /// How much there is at most.
    pub burst: f64,
}

/// How full a bucket is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    level: f64,
    /// When that was so.
    since: Option<Duration>,
}

impl Bucket {
    /// A full one.
    pub fn full(pace: Pace) -> Self {
        Self { level: pace.burst, since: None }
    }

    /// Let in what has come until now.
    pub fn fill(&mut self, pace: Pace, now: Duration) {
        let passed = now.saturating_sub(self.since.unwrap_or(now));
        self.level = (self.level + passed.as_secs_f64() * pace.per_second).min(pace.burst);
        self.since = Some(now);
    }

    /// Whether there is so much.
    pub fn has(&self, amount: f64) -> bool {
        // What was added up in parts may lack a bit.
        self.level + 1e-6 >= amount
    }

    /// Whether there is anything.
    pub fn has_any(&self) -> bool {
        self.level > 1e-6
    }

    /// Take so much, even if it is not there yet.
    pub fn take(&mut self, amount: f64) {
        self.level -= amount;
    }
}
