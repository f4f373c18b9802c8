//! What one plugin may use.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// Table elements that one instance may have, and one table of the pool.
pub(super) const TABLE_ELEMENTS: usize = 40_000;

/// Components above this many bytes carry a language runtime (JavaScript, Python): they get
/// more time to configure themselves, and fewer of their big instances are kept.
const LARGE: usize = 1 << 20;

/// The limits of one plugin, from its configuration and its size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Linear memory of one instance, bytes.
    pub(super) memory: usize,
    /// The longest that one call may run or wait.
    pub(super) deadline: Duration,
    /// The longest that making and configuring an instance may take.
    pub(super) configure: Duration,
    /// Bytes that one call or one answer may carry from the guest to the host. Without
    /// this bound a small answer could name one string a thousand times.
    pub(super) hostcall_fuel: usize,
    /// Calls after which an instance is replaced by a fresh one.
    pub(super) calls: u64,
    /// Idle instances that each worker keeps.
    pub(super) idle: usize,
}

impl Limits {
    /// The limits of a plugin whose component has `size` bytes.
    pub(super) fn new(deadline: Duration, memory: u64, size: usize) -> Self {
        let large = size > LARGE;
        let of = |small, big| if large { big } else { small };
        Self {
            memory: usize::try_from(memory).unwrap_or(usize::MAX),
            deadline,
            configure: Duration::from_secs(of(1, 10)),
            hostcall_fuel: if large { 4 << 20 } else { 1 << 20 },
            calls: of(1_000_000, 100_000),
            idle: if large { 1 } else { super::pool::MOST_IDLE },
        }
    }
}

/// Counts the memory of one instance and refuses what is above the limit.
#[derive(Debug)]
pub(super) struct Meter {
    limit: usize,
    /// Linear memory now, all memories of the instance together, bytes.
    pub(super) memory: usize,
    tables: usize,
    /// What it would have had, had the last refused wish been granted.
    pub(super) refused: Option<usize>,
}

impl Meter {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, memory: 0, tables: 0, refused: None }
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_sub(current).saturating_add(desired);
        if total > self.limit {
            self.refused = Some(total);
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.tables.saturating_sub(current).saturating_add(desired);
        if total > TABLE_ELEMENTS {
            return Ok(false);
        }
        self.tables = total;
        Ok(true)
    }
}
