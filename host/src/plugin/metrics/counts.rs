//! The numbers of plugins as values, for who shows them otherwise than Prometheus.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{KINDS, Labels, PluginNumbers, Registry, Series};
use crate::hook::Hook;
use crate::plugin::clock::Scale;

/// The numbers of the plugins of one name at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginCounts {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// Calls by hook, where there were any.
    pub calls: Vec<(Hook, u64)>,
    /// Failures by hook and stable code, where there were any.
    pub failures: Vec<(Hook, &'static str, u64)>,
    /// Instances that exist.
    pub instances: u64,
    /// How long its calls had a worker, making of instances included: CPU time, with what the
    /// system ran in between.
    pub cpu: Duration,
    /// The linear memories of its instances, bytes.
    pub memory: u64,
    /// The most that those have had at a time, bytes.
    pub memory_peak: u64,
    /// How often it was put into quarantine.
    pub quarantines: u64,
    /// The quarantine that it is in; of several plugins of the name, the one that ends last.
    pub quarantine: Option<QuarantineState>,
}

/// The quarantine that a plugin is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineState {
    /// Why it was put there: `8 failures in a row, the last: …`.
    pub reason: String,
    /// When a call will try it again; none while one does.
    pub next_probe: Option<Duration>,
    /// How often it has been tried in vain.
    pub probes: u32,
}

impl Registry {
    /// The numbers of every plugin, by name.
    pub fn counts(&self) -> Vec<PluginCounts> {
        let plugins: Vec<_> = self.plugins.lock().values().filter_map(Weak::upgrade).collect();
        plugins.iter().map(|plugin| plugin.counts(&self.scale)).collect()
    }
}

impl Registry {
    /// What the plugins of one name keep themselves, as lines of Prometheus' text without the name's
    /// prefix and the plugin's label: `seen{kind="a"} 3`.
    pub fn own(&self, name: &str) -> Vec<(String, f64)> {
        let plugins: Vec<_> = self.plugins.lock().values().filter_map(Weak::upgrade).collect();
        let mut lines = Vec::new();
        for plugin in plugins.iter().filter(|plugin| &*plugin.name == name) {
            for (family, series) in plugin.families.lock().iter() {
                for (labels, series) in &series.series {
                    series.values(family, labels, &mut lines);
                }
            }
        }
        lines
    }
}

impl Series {
    /// What it says, by the names and labels that it is shown under.
    fn values(&self, name: &str, labels: &Labels, lines: &mut Vec<(String, f64)>) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let full = |name: String| if labels.is_empty() { name } else { format!("{name}{{{}}}", labels.join(",")) };
        let number = |count: u64| {
            // Exact up to 2^53, which is more than any test counts.
            #[expect(clippy::cast_precision_loss, reason = "shown, not counted with")]
            let number = count as f64;
            number
        };
        match self {
            Self::Counter(count) => lines.push((full(name.to_owned()), number(count.load(Ordering::Relaxed)))),
            Self::Gauge(bits) => lines.push((full(name.to_owned()), f64::from_bits(bits.load(Ordering::Relaxed)))),
            Self::Histogram(histogram) => {
                let count = histogram.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum();
                let sum = f64::from_bits(histogram.sum.load(Ordering::Relaxed));
                lines.push((full(format!("{name}_count")), number(count)));
                lines.push((full(format!("{name}_sum")), sum));
            }
        }
    }
}

impl PluginNumbers {
    fn counts(&self, scale: &Scale) -> PluginCounts {
        let failures = Hook::ALL.iter().zip(&self.failures).flat_map(|(hook, row)| {
            KINDS.iter().zip(row).map(|(kind, count)| (*hook, kind.code(), count.load(Ordering::Relaxed)))
        });
        let (memory, memory_peak) = self.memories();
        let shown = self.guards().iter().filter_map(|guard| guard.shown()).max_by_key(|state| state.next_probe);
        PluginCounts {
            name: Arc::clone(&self.name),
            calls: Hook::ALL.into_iter().map(|hook| (hook, self.calls(hook))).filter(|(_, n)| *n > 0).collect(),
            failures: failures.filter(|(.., count)| *count > 0).collect(),
            instances: u64::try_from(self.live()).unwrap_or_default(),
            cpu: scale.time(self.ticks()),
            memory,
            memory_peak,
            quarantines: self.quarantines(),
            quarantine: shown,
        }
    }
}
