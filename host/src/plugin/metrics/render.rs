//! The numbers as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::series::{Kind, Series};
use super::{KINDS, LONGEST_TEXT, Labels, PluginNumbers};
use crate::hook::Hook;
use crate::plugin::clock::Scale;

// Writing to a `String` cannot fail, so its results are dropped below.

/// Calls, failures and instances.
pub(super) fn calls(plugins: &[Arc<PluginNumbers>], out: &mut String) {
    head(out, "tidegate_hook_calls_total", "counter", "Calls of plugins, by hook.");
    for plugin in plugins {
        for hook in Hook::ALL {
            let calls = plugin.calls(hook);
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
        let _ = writeln!(out, "\"}} {}", plugin.live());
    }
}

/// A family with one value for each plugin: its name after `tidegate_plugin_`, type and help.
type OneEach = (&'static str, &'static str, &'static str, fn(&PluginNumbers, &Scale) -> String);

/// What the plugins use, and which of them are in quarantine.
const USE: [OneEach; 5] = [
    ("cpu_seconds_total", "counter", "How long calls of plugins had a worker.", |plugin, scale| {
        format!("{:.9}", scale.time(plugin.ticks()).as_secs_f64())
    }),
    ("memory_bytes", "gauge", "Linear memories of the instances that exist.", |plugin, _| {
        plugin.memories().0.to_string()
    }),
    ("memory_peak_bytes", "gauge", "The most that they have had at a time.", |plugin, _| {
        plugin.memories().1.to_string()
    }),
    ("quarantined", "gauge", "1 where a plugin is in quarantine.", |plugin, _| {
        u8::from(plugin.guards().iter().any(|guard| guard.shown().is_some())).to_string()
    }),
    ("quarantines_total", "counter", "Times that a plugin was put into quarantine.", |plugin, _| {
        plugin.quarantines().to_string()
    }),
];

/// Whether a family of the host's has this name.
pub(super) fn is_hosts_own(name: &str) -> bool {
    name == "instances" || USE.iter().any(|(own, ..)| *own == name)
}

/// See [`USE`].
pub(super) fn use_of(plugins: &[Arc<PluginNumbers>], scale: &Scale, out: &mut String) {
    for (name, kind, help, value) in USE {
        let name = format!("tidegate_plugin_{name}");
        head(out, &name, kind, help);
        for plugin in plugins {
            let _ = writeln!(out, "{name}{{{}}} {}", label_text(&plugin.name, &Labels::new()), value(plugin, scale));
        }
    }
}

/// The plugins' own families: one head for each name, whichever plugins have it.
pub(super) fn own(plugins: &[Arc<PluginNumbers>], out: &mut String) {
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
