//! What guests say: lines for the log, tagged with the plugin's name, and not too many.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use super::stage::Stage;
use super::voice::Voice;

/// Lines a second that one plugin may write.
const MOST_LINES: u64 = 1000;
/// Bytes of one line; the rest is cut off.
const LONGEST_LINE: usize = 4096;

/// The log of one plugin, shared by its instances.
#[derive(Debug)]
pub(super) struct Output {
    plugin: Arc<str>,
    /// The second that is counted, and the lines in it: 32 bits each.
    window: AtomicU64,
    /// Who hears the lines in place of the log.
    stage: Option<Arc<Stage>>,
}

impl Output {
    pub(super) fn new(plugin: Arc<str>, stage: Option<Arc<Stage>>) -> Self {
        Self { plugin, window: AtomicU64::new(0), stage }
    }

    /// Whether a line of this level would be written.
    pub(super) fn enabled(&self, level: Level) -> bool {
        if let Some(stage) = &self.stage {
            return stage.listens();
        }
        match level {
            Level::ERROR => tracing::enabled!(target: "tidegate::guest", Level::ERROR),
            Level::WARN => tracing::enabled!(target: "tidegate::guest", Level::WARN),
            Level::INFO => tracing::enabled!(target: "tidegate::guest", Level::INFO),
            Level::DEBUG => tracing::enabled!(target: "tidegate::guest", Level::DEBUG),
            _ => tracing::enabled!(target: "tidegate::guest", Level::TRACE),
        }
    }

    /// Write one line.
    pub(super) fn line(&self, level: Level, text: &str) {
        if !self.enabled(level) {
            return;
        }
        if let Some(stage) = &self.stage {
            return stage.hear(level, tidy(text));
        }
        let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        match self.admit(second) {
            Admitted::No => return,
            Admitted::After(0) => {}
            Admitted::After(dropped) => {
                tracing::warn!(target: "tidegate::guest", plugin = %self.plugin, dropped, "lines over 1000 a second were dropped");
            }
        }
        let plugin = &*self.plugin;
        let text = tidy(text);
        match level {
            Level::ERROR => tracing::error!(target: "tidegate::guest", plugin, "{text}"),
            Level::WARN => tracing::warn!(target: "tidegate::guest", plugin, "{text}"),
            Level::INFO => tracing::info!(target: "tidegate::guest", plugin, "{text}"),
            Level::DEBUG => tracing::debug!(target: "tidegate::guest", plugin, "{text}"),
            _ => tracing::trace!(target: "tidegate::guest", plugin, "{text}"),
        }
    }

    /// Count a line in this second.
    fn admit(&self, second: u64) -> Admitted {
        let second = second & u64::from(u32::MAX);
        let mut now = self.window.load(Ordering::Relaxed);
        loop {
            let lines = now & u64::from(u32::MAX);
            let next = if now >> 32 == second { now + 1 } else { second << 32 | 1 };
            match self.window.compare_exchange_weak(now, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) if now >> 32 != second => return Admitted::After(lines.saturating_sub(MOST_LINES)),
                Ok(_) if lines < MOST_LINES => return Admitted::After(0),
                Ok(_) => return Admitted::No,
                Err(found) => now = found,
            }
        }
    }
}

/// Whether a line may be written.
#[derive(Debug, PartialEq, Eq)]
enum Admitted {
    No,
    /// Yes, and so many were dropped in the last second that had lines.
    After(u64),
}

/// Cut a line and take out what could forge another one, or speak to a terminal.
fn tidy(text: &str) -> String {
    let cut = text.get(..text.floor_char_boundary(LONGEST_LINE)).unwrap_or_default();
    cut.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect()
}

/// A guest's stdout or stderr: each line becomes one of the log.
#[derive(Clone)]
pub(super) struct Stream {
    voice: Arc<Voice>,
    level: Level,
}

impl Stream {
    pub(super) fn new(voice: &Arc<Voice>, level: Level) -> Self {
        Self { voice: Arc::clone(voice), level }
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines { stream: self.clone(), partial: Vec::new() })
    }
}

struct Lines {
    stream: Stream,
    /// The line that has no end yet.
    partial: Vec<u8>,
}

impl Lines {
    fn end_line(&mut self) {
        if !self.partial.is_empty() {
            let level = self.stream.level;
            // What a language's runtime has to say of a failure it says there.
            self.stream.voice.say(level, &String::from_utf8_lossy(&self.partial), level == Level::WARN);
            self.partial.clear();
        }
    }
}

impl AsyncWrite for Lines {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            let (line, ended) = part.strip_suffix(b"\n").map_or((part, false), |line| (line, true));
            let room = LONGEST_LINE.saturating_sub(self.partial.len());
            self.partial.extend(line.iter().take(room));
            if ended {
                self.end_line();
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end_line();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end_line();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_lines_over_the_limit_and_says_how_many() {
        let output = Output::new("p".into(), None);
        let admitted = (0..MOST_LINES + 5).filter(|_| output.admit(7) != Admitted::No).count();
        assert_eq!(admitted as u64, MOST_LINES);
        assert_eq!(output.admit(8), Admitted::After(5));
        assert_eq!(output.admit(9), Admitted::After(0));
    }

    #[test]
    fn a_line_cannot_forge_another() {
        assert_eq!(tidy("a\r\nb\x1b[31m\tc"), "a  b [31m\tc");
        assert_eq!(tidy(&"ä".repeat(LONGEST_LINE)).len(), LONGEST_LINE);
    }
}
