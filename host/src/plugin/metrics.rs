//! Numbers about plugins, and those that plugins keep themselves, as Prometheus text.

mod counts;

pub use counts::PluginCounts;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use crate::hook::{Hook, HookFailureKind};

/// Series that one plugin may have.
const MOST_SERIES: usize = 1000;
/// Labels that one series may have.
const MOST_LABELS: usize = 16;
/// Buckets that one histogram may have.
const MOST_BUCKETS: usize = 64;
/// Bytes that a name, help text or label value may have; what is longer is cut.
const LONGEST_TEXT: usize = 1024;

const KINDS: [HookFailureKind; 6] = [
    HookFailureKind::Trap,
    HookFailureKind::Deadline,
    HookFailureKind::Memory,
    HookFailureKind::BadAnswer,
    HookFailureKind::Instantiate,
    HookFailureKind::Resting,
];

/// The numbers of all loaded plugins. Those of one go with it when it is dropped, and go on
/// where a plugin of the same name takes its place.
pub struct Registry {
    plugins: Mutex<BTreeMap<Arc<str>, Weak<PluginNumbers>>>,
    workers: usize,
}

/// The numbers of the plugins of one name.
pub(super) struct PluginNumbers {
    name: Arc<str>,
    /// Calls by hook, one set for each worker.
    calls: Box<[CachePadded<[AtomicU64; Hook::ALL.len()]>]>,
    /// Failures by hook and kind.
    failures: [[AtomicU64; KINDS.len()]; Hook::ALL.len()],
    /// Instances that exist now.
    instances: AtomicI64,
    families: Mutex<Families>,
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

/// The types of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Why a metric was not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    BadName,
    TooMany,
    TypeMismatch,
}

/// One series: the value that all instances of a plugin share.
#[derive(Debug)]
pub(super) enum Series {
    Counter(AtomicU64),
    /// The bits of an `f64`.
    Gauge(AtomicU64),
    Histogram(Histogram),
}

#[derive(Debug)]
pub(super) struct Histogram {
    bounds: Vec<f64>,
    /// One more than bounds: the last is for what is above all of them.
    counts: Vec<AtomicU64>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl Series {
    fn new(kind: Kind, bounds: &[f64]) -> Self {
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
    pub(super) fn add(&self, n: u64) {
        if let Self::Counter(value) = self {
            value.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Set a gauge; nothing for the other types.
    pub(super) fn set(&self, value: f64) {
        if let Self::Gauge(bits) = self {
            bits.store(value.to_bits(), Ordering::Relaxed);
        }
    }

    /// Count a value in a histogram; nothing for the other types, and for no number.
    pub(super) fn observe(&self, value: f64) {
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

impl Registry {
    pub(super) fn new(workers: usize) -> Self {
        Self { plugins: Mutex::default(), workers: workers.max(1) }
    }

    /// The numbers of the plugins of this name.
    pub(super) fn plugin(&self, name: &Arc<str>) -> Arc<PluginNumbers> {
        let mut plugins = self.plugins.lock();
        plugins.retain(|_, numbers| numbers.strong_count() > 0);
        if let Some(numbers) = plugins.get(name).and_then(Weak::upgrade) {
            return numbers;
        }
        let numbers = Arc::new(PluginNumbers {
            name: Arc::clone(name),
            calls: (0..self.workers).map(|_| CachePadded::default()).collect(),
            failures: Default::default(),
            instances: AtomicI64::new(0),
            families: Mutex::default(),
        });
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
        let named = is_name(&name) && labels.len() <= MOST_LABELS && labels.iter().all(|(n, _)| is_label(n));
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
        render_calls(&plugins, out);
        render_own(&plugins, out);
    }
}

impl PluginNumbers {
    /// Count a call by the worker with this seat.
    pub(super) fn called(&self, seat: usize, hook: Hook) {
        let calls = self.calls.get(seat % self.calls.len());
        if let Some(count) = calls.and_then(|c| c.get(hook as usize)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Count a failure.
    pub(super) fn failed(&self, hook: Hook, kind: HookFailureKind) {
        let column = KINDS.iter().position(|k| *k == kind);
        if let Some(count) = self.failures.get(hook as usize).zip(column).and_then(|(row, c)| row.get(c)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// An instance was made (1) or dropped (-1).
    pub(super) fn instances(&self, change: i64) {
        self.instances.fetch_add(change, Ordering::Relaxed);
    }

    /// Instances that exist now.
    #[cfg(test)]
    pub(super) fn live(&self) -> i64 {
        self.instances.load(Ordering::Relaxed)
    }
}

// Writing to a `String` cannot fail, so its results are dropped below.

fn render_calls(plugins: &[Arc<PluginNumbers>], out: &mut String) {
    head(out, "tidegate_hook_calls_total", "counter", "Calls of plugins, by hook.");
    for plugin in plugins {
        for hook in Hook::ALL {
            let calls = plugin.calls.iter().filter_map(|c| c.get(hook as usize)).map(|c| c.load(Ordering::Relaxed));
            let calls = calls.sum::<u64>();
            if calls > 0 {
                let _ = write!(out, "tidegate_hook_calls_total{{plugin=\"");
                escape(&plugin.name, out);
                let _ = writeln!(out, "\",hook=\"{hook}\"}} {calls}");
            }
        }
    }
    head(out, "tidegate_hook_failures_total", "counter", "Calls of plugins that failed, by hook and kind.");
    for plugin in plugins {
        for (hook, row) in Hook::ALL.iter().zip(&plugin.failures) {
            for (kind, count) in KINDS.iter().zip(row) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let _ = write!(out, "tidegate_hook_failures_total{{plugin=\"");
                    escape(&plugin.name, out);
                    let _ = writeln!(out, "\",hook=\"{hook}\",kind=\"{}\"}} {count}", kind.code());
                }
            }
        }
    }
    head(out, "tidegate_plugin_instances", "gauge", "Instances of plugins that exist.");
    for plugin in plugins {
        let _ = write!(out, "tidegate_plugin_instances{{plugin=\"");
        escape(&plugin.name, out);
        let _ = writeln!(out, "\"}} {}", plugin.instances.load(Ordering::Relaxed));
    }
}

/// The plugins' own families: one head for each name, whichever plugins have it.
fn render_own(plugins: &[Arc<PluginNumbers>], out: &mut String) {
    let mut lines: BTreeMap<String, (Kind, String, String)> = BTreeMap::new();
    for plugin in plugins {
        for (name, family) in plugin.families.lock().iter() {
            let (.., text) =
                lines.entry(name.clone()).or_insert_with(|| (family.kind, family.help.clone(), String::new()));
            for (labels, series) in &family.series {
                render_series(&format!("tidegate_plugin_{name}"), &label_text(&plugin.name, labels), series, text);
            }
        }
    }
    for (name, (kind, help, text)) in lines {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        head(out, &format!("tidegate_plugin_{name}"), kind, &help);
        out.push_str(&text);
    }
}

fn render_series(name: &str, labels: &str, series: &Series, out: &mut String) {
    let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
    match series {
        Series::Counter(n) => {
            let _ = writeln!(out, "{name}{{{labels}}} {}", load(n));
        }
        Series::Gauge(bits) => {
            let _ = writeln!(out, "{name}{{{labels}}} {}", Number(f64::from_bits(load(bits))));
        }
        Series::Histogram(h) => {
            let mut below = 0;
            for (bound, count) in h.bounds.iter().copied().chain([f64::INFINITY]).zip(&h.counts) {
                below += load(count);
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{}\"}} {below}", Number(bound));
            }
            let _ = writeln!(out, "{name}_sum{{{labels}}} {}", Number(f64::from_bits(load(&h.sum))));
            let _ = writeln!(out, "{name}_count{{{labels}}} {below}");
        }
    }
}

fn label_text(plugin: &str, labels: &Labels) -> String {
    let mut text = String::from("plugin=\"");
    escape(plugin, &mut text);
    text.push('"');
    for (name, value) in labels {
        let _ = write!(text, ",{name}=\"");
        escape(value, &mut text);
        text.push('"');
    }
    text
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(out, "# HELP {name} ");
    let help = help.get(..help.floor_char_boundary(LONGEST_TEXT)).unwrap_or_default();
    // In a help text only these two are escaped.
    out.push_str(&help.replace('\\', "\\\\").replace('\n', "\\n"));
    let _ = writeln!(out, "\n# TYPE {name} {kind}");
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

/// A number as Prometheus writes it.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            n if n == f64::INFINITY => f.write_str("+Inf"),
            n if n == f64::NEG_INFINITY => f.write_str("-Inf"),
            n => write!(f, "{n}"),
        }
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
mod tests {
    use super::*;

    fn counter(
        registry: &Registry,
        plugin: &PluginNumbers,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Result<Arc<Series>, Refused> {
        let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        registry.register(plugin, Kind::Counter, (name.into(), "Help \\ me\n".into()), labels, &[])
    }

    #[test]
    fn writes_prometheus_text() {
        let registry = Registry::new(2);
        let jwt = registry.plugin(&"jwt".into());
        counter(&registry, &jwt, "denied", &[("why", "a \"b\"\\\n")]).unwrap().add(3);
        let seen = |v| {
            registry
                .register(&jwt, Kind::Histogram, ("took".into(), String::new()), vec![], &[0.5, 1.0])
                .unwrap()
                .observe(v)
        };
        [0.5, 0.7, 9.0, f64::NAN].into_iter().for_each(seen);
        registry.register(&jwt, Kind::Gauge, ("keys".into(), String::new()), vec![], &[]).unwrap().set(2.5);
        jwt.called(0, Hook::Origin);
        jwt.called(1, Hook::Origin);
        jwt.failed(Hook::Router, HookFailureKind::Deadline);
        let mut text = String::new();
        registry.render(&mut text);
        assert_eq!(
            text,
            r#"# HELP tidegate_hook_calls_total Calls of plugins, by hook.
# TYPE tidegate_hook_calls_total counter
tidegate_hook_calls_total{plugin="jwt",hook="origin"} 2
# HELP tidegate_hook_failures_total Calls of plugins that failed, by hook and kind.
# TYPE tidegate_hook_failures_total counter
tidegate_hook_failures_total{plugin="jwt",hook="router",kind="plugin.deadline"} 1
# HELP tidegate_plugin_instances Instances of plugins that exist.
# TYPE tidegate_plugin_instances gauge
tidegate_plugin_instances{plugin="jwt"} 0
# HELP tidegate_plugin_denied Help \\ me\n
# TYPE tidegate_plugin_denied counter
tidegate_plugin_denied{plugin="jwt",why="a \"b\"\\\n"} 3
# HELP tidegate_plugin_keys 
# TYPE tidegate_plugin_keys gauge
tidegate_plugin_keys{plugin="jwt"} 2.5
# HELP tidegate_plugin_took 
# TYPE tidegate_plugin_took histogram
tidegate_plugin_took_bucket{plugin="jwt",le="0.5"} 1
tidegate_plugin_took_bucket{plugin="jwt",le="1"} 2
tidegate_plugin_took_bucket{plugin="jwt",le="+Inf"} 3
tidegate_plugin_took_sum{plugin="jwt"} 10.2
tidegate_plugin_took_count{plugin="jwt"} 3
"#
        );
    }

    #[test]
    fn same_name_and_labels_are_one_series() {
        let registry = Registry::new(1);
        let plugin = registry.plugin(&"p".into());
        let one = counter(&registry, &plugin, "n", &[("a", "1"), ("b", "2")]).unwrap();
        let two = counter(&registry, &plugin, "n", &[("b", "2"), ("a", "1")]).unwrap();
        let other = counter(&registry, &plugin, "n", &[("a", "1"), ("b", "3")]).unwrap();
        assert!(Arc::ptr_eq(&one, &two) && !Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn refuses_what_it_cannot_show() {
        let registry = Registry::new(1);
        let plugin = registry.plugin(&"p".into());
        let other = registry.plugin(&"q".into());
        for name in ["", "1a", "a-b", "ä"] {
            assert_eq!(counter(&registry, &plugin, name, &[]).unwrap_err(), Refused::BadName, "{name}");
        }
        for label in ["le", "plugin", "__x", "a b"] {
            assert_eq!(counter(&registry, &plugin, "n", &[(label, "v")]).unwrap_err(), Refused::BadName, "{label}");
        }
        assert_eq!(counter(&registry, &plugin, "n", &[("a", "1"), ("a", "2")]).unwrap_err(), Refused::BadName);
        let falling = registry.register(&plugin, Kind::Histogram, ("h".into(), String::new()), vec![], &[2.0, 1.0]);
        assert_eq!(falling.unwrap_err(), Refused::BadName);
        counter(&registry, &other, "n", &[]).unwrap();
        let gauge = registry.register(&plugin, Kind::Gauge, ("n".into(), String::new()), vec![], &[]);
        assert_eq!(gauge.unwrap_err(), Refused::TypeMismatch);
        for n in 0..MOST_SERIES {
            counter(&registry, &plugin, "n", &[("n", &n.to_string())]).unwrap();
        }
        assert_eq!(counter(&registry, &plugin, "n", &[("n", "more")]).unwrap_err(), Refused::TooMany);
        counter(&registry, &plugin, "n", &[("n", "7")]).unwrap();
    }

    #[test]
    fn numbers_go_with_their_plugin_and_on_with_its_successor() {
        let registry = Registry::new(1);
        let old = registry.plugin(&"p".into());
        counter(&registry, &old, "n", &[]).unwrap().add(1);
        let new = registry.plugin(&"p".into());
        drop(old);
        counter(&registry, &new, "n", &[]).unwrap().add(1);
        let render = || {
            let mut text = String::new();
            registry.render(&mut text);
            text
        };
        assert!(render().contains("tidegate_plugin_n{plugin=\"p\"} 2\n"));
        drop(new);
        assert!(!render().contains("plugin=\"p\""));
    }
}
