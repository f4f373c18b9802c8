//! What is counted of the plugins of one name, on the path of each call.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::{Families, KINDS};
use crate::hook::{Hook, HookFailureKind};
use crate::plugin::clock;
use crate::plugin::quarantine::Guard;

/// The numbers of the plugins of one name.
pub(in crate::plugin) struct PluginNumbers {
    pub(super) name: Arc<str>,
    /// By worker, so that none waits for another one's cache line.
    pub(super) seats: Box<[CachePadded<Seat>]>,
    /// Failures by hook and kind.
    pub(super) failures: [[AtomicU64; KINDS.len()]; Hook::ALL.len()],
    /// Instances that exist now.
    instances: AtomicI64,
    /// Their linear memories now, bytes.
    memory: AtomicI64,
    /// The most that those have had, bytes.
    peak: AtomicI64,
    /// How often a plugin of this name was put into quarantine.
    quarantines: AtomicU64,
    /// Those of the plugins of this name that exist: several may, with configurations of their own.
    guards: Mutex<Vec<Weak<Guard>>>,
    pub(super) families: Mutex<Families>,
}

/// What one worker counts.
#[derive(Default)]
pub(super) struct Seat {
    /// Calls by hook.
    pub(super) calls: [AtomicU64; Hook::ALL.len()],
    /// For how long calls and the making of instances had the worker, in ticks of [`clock`].
    ticks: AtomicU64,
}

impl PluginNumbers {
    pub(super) fn new(name: &Arc<str>, workers: usize) -> Self {
        Self {
            name: Arc::clone(name),
            seats: (0..workers.max(1)).map(|_| CachePadded::default()).collect(),
            failures: Default::default(),
            instances: AtomicI64::new(0),
            memory: AtomicI64::new(0),
            peak: AtomicI64::new(0),
            quarantines: AtomicU64::new(0),
            guards: Mutex::default(),
            families: Mutex::default(),
        }
    }

    /// Count a call by the worker with this seat.
    pub(in crate::plugin) fn called(&self, seat: usize, hook: Hook) {
        if let Some(count) = self.seat(seat).and_then(|seat| seat.calls.get(hook as usize)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Count for how long the guest has had the worker with this seat, since a reading of [`clock`].
    pub(in crate::plugin) fn worked(&self, seat: usize, since: clock::Reading) {
        if let Some(seat) = self.seat(seat) {
            seat.ticks.fetch_add(since.ticks(), Ordering::Relaxed);
        }
    }

    /// Count a failure.
    pub(in crate::plugin) fn failed(&self, hook: Hook, kind: HookFailureKind) {
        let column = KINDS.iter().position(|k| *k == kind);
        if let Some(count) = self.failures.get(hook as usize).zip(column).and_then(|(row, c)| row.get(c)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// An instance was made (1) or dropped (-1).
    pub(in crate::plugin) fn instances(&self, change: i64) {
        self.instances.fetch_add(change, Ordering::Relaxed);
    }

    /// An instance's memories have grown by so many bytes, or are gone.
    pub(in crate::plugin) fn memory(&self, change: i64) {
        let now = self.memory.fetch_add(change, Ordering::Relaxed).saturating_add(change);
        if change > 0 {
            self.peak.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// A plugin of this name was put into quarantine.
    pub(in crate::plugin) fn quarantined(&self) {
        self.quarantines.fetch_add(1, Ordering::Relaxed);
    }

    /// One more plugin of this name exists.
    pub(in crate::plugin) fn guarded(&self, guard: &Arc<Guard>) {
        let mut guards = self.guards.lock();
        guards.retain(|guard| guard.strong_count() > 0);
        guards.push(Arc::downgrade(guard));
    }

    /// Instances that exist now.
    pub(in crate::plugin) fn live(&self) -> i64 {
        self.instances.load(Ordering::Relaxed)
    }

    /// Their linear memories now, and the most that they have had, bytes.
    pub(super) fn memories(&self) -> (u64, u64) {
        let load = |bytes: &AtomicI64| u64::try_from(bytes.load(Ordering::Relaxed)).unwrap_or_default();
        (load(&self.memory), load(&self.peak))
    }

    /// How often one of this name was put into quarantine.
    pub(super) fn quarantines(&self) -> u64 {
        self.quarantines.load(Ordering::Relaxed)
    }

    /// The plugins of this name that exist.
    pub(super) fn guards(&self) -> Vec<Arc<Guard>> {
        self.guards.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Calls of a hook.
    pub(super) fn calls(&self, hook: Hook) -> u64 {
        let counts = self.seats.iter().filter_map(|seat| seat.calls.get(hook as usize));
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// For how long calls had workers, in ticks of [`clock`].
    pub(super) fn ticks(&self) -> u64 {
        self.seats.iter().map(|seat| seat.ticks.load(Ordering::Relaxed)).sum()
    }

    fn seat(&self, seat: usize) -> Option<&Seat> {
        self.seats.get(seat % self.seats.len()).map(|seat| &**seat)
    }
}
