//! The metrics that plugins keep themselves: the values that all instances of a plugin share.

use std::sync::atomic::{AtomicU64, Ordering};

/// The types of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plugin) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One series: the value that all instances of a plugin share.
#[derive(Debug)]
pub(in crate::plugin) enum Series {
    Counter(AtomicU64),
    /// The bits of an `f64`.
    Gauge(AtomicU64),
    Histogram(Histogram),
}

#[derive(Debug)]
pub(in crate::plugin) struct Histogram {
    pub(super) bounds: Vec<f64>,
    /// One more than bounds: the last is for what is above all of them.
    pub(super) counts: Vec<AtomicU64>,
    /// The bits of an `f64`.
    pub(super) sum: AtomicU64,
}

impl Series {
    pub(super) fn new(kind: Kind, bounds: &[f64]) -> Self {
        match kind {
            Kind::Counter => Self::Counter(AtomicU64::new(0)),
            Kind::Gauge => Self::Gauge(AtomicU64::new(0)),
            Kind::Histogram => Self::Histogram(Histogram {
                bounds: bounds.to_vec(),
                counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
                sum: AtomicU64::new(0),
            }),
        }
    }

    /// Add to a counter; nothing for the other types.
    pub(in crate::plugin) fn add(&self, n: u64) {
        if let Self::Counter(value) = self {
            value.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Set a gauge; nothing for the other types.
    pub(in crate::plugin) fn set(&self, value: f64) {
        if let Self::Gauge(bits) = self {
            bits.store(value.to_bits(), Ordering::Relaxed);
        }
    }

    /// Count a value in a histogram; nothing for the other types, and for no number.
    pub(in crate::plugin) fn observe(&self, value: f64) {
        let Self::Histogram(h) = self else { return };
        if value.is_nan() {
            return;
        }
        let bucket = h.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = h.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // Never fails: `add` always has a value.
        let _ = h.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}
