//! A plugin on a stage: what it says is kept, and its clock stands still. For tools of plugins'
//! authors, where there is no log to read and no time to wait for.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::Level;

/// Lines that are kept; what is said beyond them is lost.
const MOST_LINES: usize = 1000;

/// What a plugin is given in place of the proxy's log and clock.
#[derive(Debug, Default)]
pub struct Stage {
    /// Nanoseconds since 1970 that its clocks show; 0 for the real ones.
    now: AtomicU64,
    /// Whether nobody listens.
    is_deaf: bool,
    lines: Mutex<Vec<(Level, String)>>,
    /// The most linear memory that an instance had after a call, bytes.
    memory: AtomicUsize,
}

impl Stage {
    /// A stage on which every line is heard, whatever its level, with the real clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// A stage without listeners: no line is even made, as in a proxy that logs nothing.
    pub fn deaf() -> Self {
        Self { is_deaf: true, ..Self::default() }
    }

    /// Let its clocks stand at this time since 1970.
    pub fn set_clock(&self, since_1970: Duration) {
        self.now.store(u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }

    /// The time since 1970 at which its clocks stand; none where they run.
    pub fn clock(&self) -> Option<Duration> {
        Some(self.now.load(Ordering::Relaxed)).filter(|now| *now > 0).map(Duration::from_nanos)
    }

    /// What was said since the last time.
    pub fn take_lines(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut *self.lines.lock())
    }

    /// The most linear memory that an instance had after a call, bytes; 0 before the first.
    pub fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    pub(super) fn listens(&self) -> bool {
        !self.is_deaf
    }

    pub(super) fn hear(&self, level: Level, text: String) {
        let mut lines = self.lines.lock();
        if !self.is_deaf && lines.len() < MOST_LINES {
            lines.push((level, text));
        }
    }

    pub(super) fn saw_memory(&self, bytes: usize) {
        self.memory.fetch_max(bytes, Ordering::Relaxed);
    }
}
