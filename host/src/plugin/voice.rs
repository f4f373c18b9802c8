//! What one instance says. Errors, and what it prints to its standard error, are held back until its
//! call has ended: where it fails, they are its last words, and belong into the one line about that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tracing::Level;

use super::output::Output;

/// Bytes that are held back; what is said beyond them is told at once.
const MOST_HELD: usize = 4096;

/// The log of one instance.
pub(super) struct Voice {
    output: Arc<Output>,
    /// Whether something is held: what each call looks at.
    holds: AtomicBool,
    held: Mutex<Vec<(Level, String)>>,
}

impl Voice {
    pub(super) fn new(output: &Arc<Output>) -> Arc<Self> {
        Arc::new(Self { output: Arc::clone(output), holds: AtomicBool::new(false), held: Mutex::default() })
    }

    /// Whether a line of this level would be written.
    pub(super) fn enabled(&self, level: Level) -> bool {
        self.output.enabled(level)
    }

    /// A line. One that might be the last is held back.
    pub(super) fn say(&self, level: Level, text: &str, is_grave: bool) {
        if !is_grave {
            self.tell();
            return self.output.line(level, text);
        }
        if !self.output.enabled(level) {
            return;
        }
        let mut held = self.held.lock();
        let size: usize = held.iter().map(|(_, text)| text.len()).sum();
        if size + text.len() > MOST_HELD {
            for (level, text) in held.drain(..) {
                self.output.line(level, &text);
            }
        }
        let cut = text.get(..text.floor_char_boundary(MOST_HELD)).unwrap_or_default();
        held.push((level, cut.to_owned()));
        self.holds.store(true, Ordering::Relaxed);
    }

    /// The call went well: what was held are lines as others.
    pub(super) fn tell(&self) {
        if self.holds.swap(false, Ordering::Relaxed) {
            for (level, text) in self.held.lock().drain(..) {
                self.output.line(level, &text);
            }
        }
    }

    /// The call failed: its last words.
    pub(super) fn last_words(&self) -> String {
        self.holds.store(false, Ordering::Relaxed);
        let held = std::mem::take(&mut *self.held.lock());
        held.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.tell();
    }
}
