//! What one plugin may use.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use super::metrics::PluginNumbers;
use crate::hook::Caps;

/// Elements that one table of the pool has room for, and so the most of `table`.
pub(super) const TABLE_ELEMENTS: usize = 40_000;

/// Components above this many bytes carry a language runtime (JavaScript, Python): they get
/// more time to configure themselves, and fewer of their big instances are kept.
const LARGE: usize = 1 << 20;

/// The limits of one plugin, from its configuration and its size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Linear memory of one instance, bytes.
    pub(super) memory: usize,
    /// Elements of its tables.
    pub(super) table: usize,
    /// The longest that one call may run or wait.
    pub(super) deadline: Duration,
    /// The longest that making and configuring an instance may take.
    pub(super) configure: Duration,
    /// Bytes that one call or one answer may carry from the guest to the host. Without
    /// this bound a small answer could name one string a thousand times.
    pub(super) output: usize,
    /// Functions of the host that one call may call.
    pub(super) host_calls: u64,
    /// Calls after which an instance is replaced by a fresh one.
    pub(super) calls: u64,
    /// Idle instances that each worker keeps.
    pub(super) idle: usize,
}

impl Limits {
    /// The limits of a plugin whose component has `size` bytes.
    pub(super) fn new(deadline: Duration, memory: u64, caps: Caps, size: usize) -> Self {
        let large = size > LARGE;
        let of = |small, big| if large { big } else { small };
        Self {
            memory: usize::try_from(memory).unwrap_or(usize::MAX),
            table: caps.table.min(TABLE_ELEMENTS),
            deadline,
            configure: Duration::from_secs(of(1, 10)),
            output: caps.output.unwrap_or(if large { 4 << 20 } else { 1 << 20 }),
            host_calls: caps.host_calls,
            calls: of(1_000_000, 100_000),
            idle: if large { 1 } else { super::pool::MOST_IDLE },
        }
    }
}

/// Counts what one instance uses, and refuses what is above its limits.
pub(super) struct Meter {
    memory_limit: usize,
    table_limit: usize,
    call_limit: u64,
    /// Linear memory now, all memories of the instance together, bytes.
    pub(super) memory: usize,
    tables: usize,
    /// Functions of the host that the current call has called.
    calls: u64,
    /// What it asked for and was refused, last, in the current call.
    pub(super) refused: Option<Refused>,
    numbers: Arc<PluginNumbers>,
}

/// What an instance would have had, had its wish been granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Bytes of memory.
    Memory(usize),
    /// Elements of tables.
    Table(usize),
}

impl Meter {
    pub(super) fn new(limits: &Limits, numbers: &Arc<PluginNumbers>) -> Self {
        Self {
            memory_limit: limits.memory,
            table_limit: limits.table,
            call_limit: limits.host_calls,
            memory: 0,
            tables: 0,
            calls: 0,
            refused: None,
            numbers: Arc::clone(numbers),
        }
    }

    /// A call begins.
    pub(super) fn begin(&mut self) {
        self.calls = 0;
        self.refused = None;
    }

    /// A function of the host was called.
    pub(super) fn count_call(&mut self) {
        self.calls = self.calls.wrapping_add(1);
    }

    /// The limit of such calls, where the current call has passed it.
    pub(super) fn passed_calls(&self) -> Option<u64> {
        (self.calls > self.call_limit).then_some(self.call_limit)
    }

    /// Stop a guest that calls the host for ever.
    ///
    /// # Errors
    /// Where the current call has passed the limit of such calls.
    pub(super) fn allow_call(&self) -> wasmtime::Result<()> {
        match self.passed_calls() {
            None => Ok(()),
            Some(most) => Err(wasmtime::Error::msg(format!("more than {most} calls of the host"))),
        }
    }

    fn change_memory(&mut self, total: usize) {
        let bytes = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.numbers.memory(bytes(total).saturating_sub(bytes(self.memory)));
        self.memory = total;
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.change_memory(0);
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_sub(current).saturating_add(desired);
        if total > self.memory_limit {
            self.refused = Some(Refused::Memory(total));
            return Ok(false);
        }
        self.change_memory(total);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.tables.saturating_sub(current).saturating_add(desired);
        if total > self.table_limit {
            self.refused = Some(Refused::Table(total));
            return Ok(false);
        }
        self.tables = total;
        Ok(true)
    }
}
