//! Messages that plugins were asked about: counted without that workers meet.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use super::metrics::header;
use super::seat::seat;
use crate::hook::Way;

/// Parts of a tally: as many workers count without meeting.
const PARTS: usize = 8;
/// Ways and decisions.
const KINDS: usize = 10;

/// What was decided about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Decision {
    /// It passed all plugins as it was.
    Pass,
    /// A plugin put another in its place.
    Replace,
    /// A plugin left it out.
    Drop,
    /// A plugin sent messages of its own.
    Inject,
    /// A plugin closed the tunnel.
    Close,
}

const DECISIONS: [(Decision, &str); 5] = [
    (Decision::Pass, "pass"),
    (Decision::Replace, "replace"),
    (Decision::Drop, "drop"),
    (Decision::Inject, "inject"),
    (Decision::Close, "close"),
];

/// What was decided about all messages of a server.
#[derive(Debug, Default)]
pub struct MessageTally {
    parts: [CachePadded<Part>; PARTS],
}

#[derive(Debug, Default)]
struct Part {
    decided: [AtomicU64; KINDS],
    bytes: [AtomicU64; 2],
}

/// One tunnel's share, which goes to the tally now and then.
#[derive(Debug)]
pub struct MessageCounts {
    tally: Arc<MessageTally>,
    decided: [u64; KINDS],
    bytes: [u64; 2],
    has_news: bool,
}

fn place(way: Way, decision: Decision) -> usize {
    usize::from(way == Way::Down) * DECISIONS.len() + decision as usize
}

impl MessageCounts {
    /// Nothing was decided yet.
    pub fn new(tally: Arc<MessageTally>) -> Self {
        Self { tally, decided: [0; KINDS], bytes: [0; 2], has_news: false }
    }

    /// This was decided about a message of so many bytes.
    pub fn decided(&mut self, way: Way, decision: Decision, bytes: usize) {
        if let Some(count) = self.decided.get_mut(place(way, decision)) {
            *count += 1;
        }
        if let Some(count) = self.bytes.get_mut(usize::from(way == Way::Down)) {
            *count += bytes as u64;
        }
        self.has_news = true;
    }

    /// Let the tally have what came since the last time.
    pub fn report(&mut self) {
        if !std::mem::take(&mut self.has_news) {
            return;
        }
        let Some(part) = self.tally.parts.get(seat() % PARTS) else { return };
        let decided = self.decided.iter_mut().zip(&part.decided);
        for (mine, all) in decided.chain(self.bytes.iter_mut().zip(&part.bytes)) {
            if *mine > 0 {
                all.fetch_add(std::mem::take(mine), Ordering::Relaxed);
            }
        }
    }
}

impl MessageTally {
    /// Prometheus text.
    pub(super) fn render(&self, out: &mut String) {
        let sum = |of: &dyn Fn(&Part) -> Option<u64>| self.parts.iter().filter_map(|part| of(part)).sum::<u64>();
        let ways = [(Way::Up, "in"), (Way::Down, "out")];
        header(
            out,
            "tidegate_messages_total",
            "What plugins decided about messages, from clients (in) and to them (out).",
            "counter",
        );
        for (way, direction) in ways {
            for (decision, word) in DECISIONS {
                let count =
                    sum(&|part| part.decided.get(place(way, decision)).map(|count| count.load(Ordering::Relaxed)));
                let _infallible =
                    writeln!(out, "tidegate_messages_total{{direction=\"{direction}\",decision=\"{word}\"}} {count}");
            }
        }
        header(out, "tidegate_message_bytes_total", "Bytes of the messages that plugins decided about.", "counter");
        for (way, direction) in ways {
            let bytes =
                sum(&|part| part.bytes.get(usize::from(way == Way::Down)).map(|count| count.load(Ordering::Relaxed)));
            let _infallible = writeln!(out, "tidegate_message_bytes_total{{direction=\"{direction}\"}} {bytes}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_decision_is_counted_once() {
        let tally = Arc::new(MessageTally::default());
        let mut counts = MessageCounts::new(Arc::clone(&tally));
        counts.decided(Way::Up, Decision::Pass, 5);
        counts.decided(Way::Up, Decision::Pass, 6);
        counts.decided(Way::Down, Decision::Close, 7);
        let shown = || {
            let mut out = String::new();
            tally.render(&mut out);
            out
        };
        assert!(!shown().lines().any(|line| !line.starts_with('#') && !line.ends_with(" 0")));
        counts.report();
        counts.report();
        let lines = shown();
        for line in [
            "tidegate_messages_total{direction=\"in\",decision=\"pass\"} 2",
            "tidegate_messages_total{direction=\"out\",decision=\"close\"} 1",
            "tidegate_messages_total{direction=\"out\",decision=\"pass\"} 0",
            "tidegate_message_bytes_total{direction=\"in\"} 11",
            "tidegate_message_bytes_total{direction=\"out\"} 7",
        ] {
            assert!(lines.contains(line), "{line}\n{lines}");
        }
    }
}
