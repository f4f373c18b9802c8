//! Numbers about plugins, and those that plugins keep themselves, as Prometheus text.

mod counts;
mod numbers;
mod render;
mod series;

pub use counts::{PluginCounts, QuarantineState};
pub(super) use numbers::PluginNumbers;
pub(super) use series::{Kind, Series};

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::clock::Scale;
use crate::hook::HookFailureKind;

/// Series that one plugin may have.
const MOST_SERIES: usize = 1000;
/// Labels that one series may have.
const MOST_LABELS: usize = 16;
/// Buckets that one histogram may have.
const MOST_BUCKETS: usize = 64;
/// Bytes that a name, help text or label value may have; what is longer is cut.
const LONGEST_TEXT: usize = 1024;

const KINDS: [HookFailureKind; 7] = [
    HookFailureKind::Trap,
    HookFailureKind::Deadline,
    HookFailureKind::Memory,
    HookFailureKind::BadAnswer,
    HookFailureKind::Instantiate,
    HookFailureKind::HostCalls,
    HookFailureKind::Quarantined,
];

/// The numbers of all loaded plugins. Those of one go with it when it is dropped, and go on
/// where a plugin of the same name takes its place.
pub struct Registry {
    plugins: Mutex<BTreeMap<Arc<str>, Weak<PluginNumbers>>>,
    workers: usize,
    scale: Scale,
}

/// By name.
type Families = BTreeMap<String, Family>;
/// Label names and values, in the order of their names.
pub(super) type Labels = Vec<(String, String)>;

struct Family {
    kind: Kind,
    help: String,
    series: BTreeMap<Labels, Arc<Series>>,
}

/// Why a metric was not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    BadName,
    TooMany,
    TypeMismatch,
}

impl Registry {
    pub(super) fn new(workers: usize) -> Self {
        Self { plugins: Mutex::default(), workers: workers.max(1), scale: Scale::new() }
    }

    /// The numbers of the plugins of this name.
    pub(super) fn plugin(&self, name: &Arc<str>) -> Arc<PluginNumbers> {
        let mut plugins = self.plugins.lock();
        plugins.retain(|_, numbers| numbers.strong_count() > 0);
        if let Some(numbers) = plugins.get(name).and_then(Weak::upgrade) {
            return numbers;
        }
        let numbers = Arc::new(PluginNumbers::new(name, self.workers));
        plugins.insert(Arc::clone(name), Arc::downgrade(&numbers));
        numbers
    }

    /// Register a series, or find the one that is there.
    pub(super) fn register(
        &self,
        plugin: &PluginNumbers,
        kind: Kind,
        (name, help): (String, String),
        mut labels: Labels,
        bounds: &[f64],
    ) -> Result<Arc<Series>, Refused> {
        labels.sort();
        let rising = bounds.iter().is_sorted_by(|a, b| a < b) && bounds.iter().all(|b| b.is_finite());
        let named = is_name(&name)
            && !render::is_hosts_own(&name)
            && labels.len() <= MOST_LABELS
            && labels.iter().all(|(n, _)| is_label(n));
        let once = labels.is_sorted_by(|(a, _), (b, _)| a < b);
        if !named || !once || !rising || bounds.len() > MOST_BUCKETS {
            return Err(Refused::BadName);
        }
        for (_, value) in &mut labels {
            value.truncate(value.floor_char_boundary(LONGEST_TEXT));
        }
        // Held to the end: one registration at a time, so that two plugins cannot take one
        // name for two types.
        let others = self.plugins.lock();
        let taken = |other: &PluginNumbers| other.families.lock().get(&name).is_some_and(|f| f.kind != kind);
        if others.values().filter_map(Weak::upgrade).any(|other| taken(&other)) {
            return Err(Refused::TypeMismatch);
        }
        let mut families = plugin.families.lock();
        let series = families.values().map(|f| f.series.len()).sum::<usize>();
        let family = families.entry(name).or_insert_with(|| Family { kind, help, series: BTreeMap::new() });
        if let Some(found) = family.series.get(&labels) {
            return Ok(Arc::clone(found));
        }
        if series >= MOST_SERIES {
            return Err(Refused::TooMany);
        }
        let new = Arc::new(Series::new(kind, bounds));
        family.series.insert(labels, Arc::clone(&new));
        Ok(new)
    }

    /// Write everything in Prometheus' text format (version 0.0.4).
    pub fn render(&self, out: &mut String) {
        let plugins: Vec<_> = self.plugins.lock().values().filter_map(Weak::upgrade).collect();
        render::calls(&plugins, out);
        render::use_of(&plugins, &self.scale, out);
        render::own(&plugins, out);
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.len() <= LONGEST_TEXT
}

/// `plugin` and `le` are the host's, names with two underscores Prometheus' own.
fn is_label(name: &str) -> bool {
    is_name(name) && !name.starts_with("__") && name != "plugin" && name != "le"
}

#[cfg(test)]
mod tests;
