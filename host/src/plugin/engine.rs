//! The engine that compiles and runs components.

use std::num::NonZeroUsize;
use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails,
};

/// How often the epoch rises, and so how exactly a deadline is kept. 5 ms costs 0.3 % of
/// one core while plugins run, and nothing while none does (see `ticker`).
pub(super) const TICK: Duration = Duration::from_millis(5);

/// The most linear memory that any plugin may be given, bytes.
pub(super) const MAX_MEMORY: u64 = 512 << 20;

/// Make the engine, with room for `slots` instances at a time and a stack of so many bytes for
/// each call. Plugins of the sync lane run on the worker's own stack, so a worker's must be
/// well above this.
pub(super) fn engine(slots: u32, stack: usize) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        // Off, a call costs 0.17 µs, and 0.51 µs otherwise; only the async ABI needs it.
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(stack)
        // With room for the functions of the host.
        .async_stack_size(stack.saturating_add(512 << 10))
        // Costs only memory, of components that have DWARF, and time when one of them fails.
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(16));
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_memories(slots)
        .total_tables(slots.saturating_mul(8))
        // A Rust component is 3 core instances, a Python one far more.
        .total_core_instances(slots.saturating_mul(32))
        .total_stacks(slots)
        .max_tables_per_module(8)
        .table_elements(super::limits::TABLE_ELEMENTS)
        .max_component_instance_size(8 << 20)
        .max_core_instance_size(4 << 20)
        .max_memory_size(usize::try_from(MAX_MEMORY).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(2 << 20)
        .table_keep_resident(64 << 10)
        // Linux 6.7 and later: resets a slot without madvise, which does not scale.
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(32);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}
