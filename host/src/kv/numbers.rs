//! What stores did, for `/metrics`.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Place, Store};
use crate::hook::{KvError, KvOperation};

/// An operation as metrics call it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    Get,
    Set,
    Delete,
    Increment,
    Swap,
    Raise,
}

const OPERATIONS: [(Which, &str); 6] = [
    (Which::Get, "get"),
    (Which::Set, "set"),
    (Which::Delete, "delete"),
    (Which::Increment, "increment"),
    (Which::Swap, "compare-and-swap"),
    (Which::Raise, "raise"),
];

const KINDS: [&str; 7] = ["denied", "invalid", "full", "not-a-number", "unavailable", "timeout", "other"];

impl Which {
    pub(super) fn of(operation: &KvOperation) -> Self {
        match operation {
            KvOperation::Get => Self::Get,
            KvOperation::Set { .. } => Self::Set,
            KvOperation::Delete => Self::Delete,
            KvOperation::Increment { .. } => Self::Increment,
            KvOperation::Swap { .. } => Self::Swap,
            KvOperation::Raise { .. } => Self::Raise,
        }
    }
}

fn kind(error: &KvError) -> usize {
    match error {
        KvError::Denied(_) => 0,
        KvError::Invalid(_) => 1,
        KvError::Full => 2,
        KvError::NotANumber => 3,
        KvError::Unavailable(_) => 4,
        KvError::Timeout => 5,
        KvError::Other(_) => 6,
    }
}

/// The numbers of one store.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    operations: [Operation; OPERATIONS.len()],
    errors: [AtomicU64; KINDS.len()],
}

#[derive(Debug, Default)]
struct Operation {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Numbers {
    /// Count an operation that began at `start`, and how it failed.
    pub(super) fn count(&self, which: Which, start: Instant, error: Option<&KvError>) {
        if let Some(operation) = self.operations.get(which as usize) {
            let took = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            operation.count.fetch_add(1, Ordering::Relaxed);
            operation.nanoseconds.fetch_add(took, Ordering::Relaxed);
        }
        if let Some(count) = error.and_then(|error| self.errors.get(kind(error))) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// Writing to a `String` cannot fail, so its results are dropped below.

/// Prometheus' text of all stores; nothing where there is none.
pub(super) fn render(stores: &[Arc<Store>], out: &mut String) {
    if stores.is_empty() {
        return;
    }
    let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
    head(out, "tidegate_kv_operations_total", "counter", "What plugins asked of stores.");
    for (store, operation, name) in operations(stores) {
        let _ =
            writeln!(out, "tidegate_kv_operations_total{{{store},operation=\"{name}\"}} {}", load(&operation.count));
    }
    head(out, "tidegate_kv_seconds_total", "counter", "How long that took.");
    for (store, operation, name) in operations(stores) {
        let seconds = std::time::Duration::from_nanos(load(&operation.nanoseconds)).as_secs_f64();
        let _ = writeln!(out, "tidegate_kv_seconds_total{{{store},operation=\"{name}\"}} {seconds}");
    }
    head(out, "tidegate_kv_errors_total", "counter", "What of it failed, by kind.");
    for store in stores {
        for (kind, count) in KINDS.iter().zip(&store.numbers.errors).filter(|(_, count)| load(count) > 0) {
            let _ = writeln!(out, "tidegate_kv_errors_total{{{},kind=\"{kind}\"}} {}", label(store), load(count));
        }
    }
    let held = stores.iter().filter_map(|store| match &store.place {
        Place::Memory(memory, _) => Some((label(store), memory.held())),
        Place::Redis(_) => None,
    });
    let held: Vec<_> = held.collect();
    head(
        out,
        "tidegate_kv_keys",
        "gauge",
        "Keys that stores in memory hold, those that have expired and were not met since among them.",
    );
    for (store, held) in &held {
        let _ = writeln!(out, "tidegate_kv_keys{{{store}}} {}", held.keys);
    }
    head(out, "tidegate_kv_bytes", "gauge", "Bytes that they hold, as `max_bytes` counts them.");
    for (store, held) in &held {
        let _ = writeln!(out, "tidegate_kv_bytes{{{store}}} {}", held.bytes);
    }
    head(out, "tidegate_kv_evicted_total", "counter", "Keys that made room for others before their end.");
    for (store, held) in &held {
        let _ = writeln!(out, "tidegate_kv_evicted_total{{{store}}} {}", held.evicted);
    }
    head(out, "tidegate_kv_connections_total", "counter", "Connections to a Redis, by what came of them.");
    for store in stores {
        let Place::Redis(redis) = &store.place else { continue };
        let (made, failed) = redis.connections();
        let store = label(store);
        let _ = writeln!(out, "tidegate_kv_connections_total{{{store},result=\"made\"}} {made}");
        let _ = writeln!(out, "tidegate_kv_connections_total{{{store},result=\"failed\"}} {failed}");
    }
}

/// Every operation that was asked for, with its store's label and its name.
fn operations(stores: &[Arc<Store>]) -> impl Iterator<Item = (String, &Operation, &'static str)> {
    stores.iter().flat_map(|store| {
        let named = OPERATIONS.iter().zip(&store.numbers.operations);
        let used = named.filter(|(_, operation)| operation.count.load(Ordering::Relaxed) > 0);
        used.map(move |((_, name), operation)| (label(store), operation, *name))
    })
}

fn label(store: &Store) -> String {
    format!("store=\"{}\"", store.name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}
