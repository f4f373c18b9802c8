//! The load generator: one thread, one `epoll`, one file per kind of load. Each kind opens
//! its connections, checks that the answers are right, and then runs until the meter says
//! that the window is over.

pub(crate) mod burst;
pub(crate) mod echo;
pub(crate) mod get;
pub(crate) mod handshake;
pub(crate) mod idle;
pub(crate) mod stream;
pub(crate) mod tls;

use std::time::{Duration, Instant};

use crate::error::{BenchError, Result};
use crate::process::{Cpu, Reading, Tree};

/// A run in which nothing happens for so long is over.
const STALL: Duration = Duration::from_secs(10);
/// How long a load waits for readiness before it looks at the clock again.
pub(crate) const GLANCE: Duration = Duration::from_millis(50);
/// How many connections or tunnels a load uses.
pub(crate) const CONNECTIONS: usize = 64;
/// The same for large messages: few, so that what is in flight fits into a cache.
pub(crate) const BULK_TUNNELS: usize = 4;

/// How long to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Not counted.
    pub(crate) warm_up: Duration,
    /// Counted.
    pub(crate) window: Duration,
}

/// What was seen within the window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Completed operations (bytes, for streams).
    pub(crate) operations: u64,
    /// Operations of the whole run, warm-up included.
    pub(crate) all_operations: u64,
    /// Length of the window.
    pub(crate) wall: Duration,
    /// Processor time that the proxy used in it.
    pub(crate) cpu: Cpu,
}

/// Counts operations and reads the proxy's clocks at both edges of the window.
pub(crate) struct Meter<'a> {
    tree: &'a Tree,
    span: Span,
    started: Instant,
    operations: u64,
    opened: Option<(Reading, Instant, u64)>,
    progress: (Instant, u64),
}

impl<'a> Meter<'a> {
    /// Starts the warm-up.
    pub(crate) fn start(tree: &'a Tree, span: Span) -> Self {
        let now = Instant::now();
        Self { tree, span, started: now, operations: 0, opened: None, progress: (now, 0) }
    }

    /// Count operations.
    pub(crate) fn count(&mut self, operations: u64) {
        self.operations += operations;
    }

    /// Call often; answers the window when it is over.
    pub(crate) fn look(&mut self) -> Result<Option<Window>> {
        let now = Instant::now();
        let (since, count) = self.progress;
        if count != self.operations {
            self.progress = (now, self.operations);
        } else if now - since > STALL {
            return Err(BenchError::Stalled(STALL.as_secs()));
        }
        let Some((reading, opened, before)) = self.opened else {
            if now - self.started >= self.span.warm_up {
                self.opened = Some((self.tree.cpu()?, Instant::now(), self.operations));
            }
            return Ok(None);
        };
        if now - opened < self.span.window {
            return Ok(None);
        }
        let cpu = self.tree.cpu()?.used_since(reading);
        Ok(Some(Window {
            operations: self.operations - before,
            all_operations: self.operations,
            wall: opened.elapsed(),
            cpu,
        }))
    }
}
