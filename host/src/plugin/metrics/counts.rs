//! The numbers of plugins as values, for who shows them otherwise than Prometheus.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::{KINDS, PluginNumbers, Registry};
use crate::hook::Hook;

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
}

impl Registry {
    /// The numbers of every plugin, by name.
    pub fn counts(&self) -> Vec<PluginCounts> {
        let plugins: Vec<_> = self.plugins.lock().values().filter_map(Weak::upgrade).collect();
        plugins.iter().map(|plugin| plugin.counts()).collect()
    }
}

impl PluginNumbers {
    fn counts(&self) -> PluginCounts {
        let calls = |hook: Hook| {
            let parts = self.calls.iter().filter_map(|calls| calls.get(hook as usize));
            parts.map(|count| count.load(Ordering::Relaxed)).sum::<u64>()
        };
        let failures = Hook::ALL.iter().zip(&self.failures).flat_map(|(hook, row)| {
            KINDS.iter().zip(row).map(|(kind, count)| (*hook, kind.code(), count.load(Ordering::Relaxed)))
        });
        PluginCounts {
            name: Arc::clone(&self.name),
            calls: Hook::ALL.into_iter().map(|hook| (hook, calls(hook))).filter(|(_, count)| *count > 0).collect(),
            failures: failures.filter(|(.., count)| *count > 0).collect(),
            instances: u64::try_from(self.instances.load(Ordering::Relaxed)).unwrap_or_default(),
        }
    }
}
