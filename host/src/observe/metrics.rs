//! The proxy's own numbers, and their one table of names.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::hook::Summary;

/// A number that only rises, or a gauge where [`Count::sub`] is used.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Add to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Take from it.
    pub fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The proxy's numbers. Updates are relaxed atomics: exact, and in no order.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Client connections accepted.
    pub connections: Count,
    /// Client connections open.
    pub connections_open: Count,
    /// Client connections closed at once, because there were as many as there may be.
    pub connections_refused: Count,
    /// Requests begun.
    pub requests: Count,
    /// Responses by class: 1xx (tunnels) to 5xx.
    pub responses: [Count; 5],
    /// Bytes from clients after the head.
    pub bytes_in: Count,
    /// Bytes to clients after the head.
    pub bytes_out: Count,
    /// Configurations taken into use after the first.
    pub reloads: Count,
}

impl Metrics {
    /// Count an exchange that ended.
    pub fn exchange_ended(&self, summary: &Summary) {
        let class = usize::from(summary.status / 100).saturating_sub(1);
        if let Some(count) = self.responses.get(class) {
            count.add(1);
        }
        self.bytes_in.add(summary.bytes_in);
        self.bytes_out.add(summary.bytes_out);
    }

    /// Prometheus text, with how many tunnels are open.
    pub fn render(&self, out: &mut String, tunnels: usize) {
        let counters: [(&str, &str, &Count); 6] = [
            ("tidegate_connections_total", "Client connections accepted.", &self.connections),
            (
                "tidegate_connections_refused_total",
                "Client connections closed at once because of a cap.",
                &self.connections_refused,
            ),
            ("tidegate_requests_total", "Requests begun.", &self.requests),
            ("tidegate_bytes_in_total", "Bytes from clients after the head.", &self.bytes_in),
            ("tidegate_bytes_out_total", "Bytes to clients after the head.", &self.bytes_out),
            ("tidegate_reloads_total", "Configurations taken into use after the first.", &self.reloads),
        ];
        for (name, help, count) in counters {
            line(out, name, help, "counter", count.get());
        }
        line(out, "tidegate_connections_open", "Client connections open.", "gauge", self.connections_open.get());
        line(out, "tidegate_tunnels_open", "Tunnels open.", "gauge", tunnels as u64);
        header(out, "tidegate_responses_total", "Exchanges ended, by the class of their status.", "counter");
        for (class, count) in (1..).zip(&self.responses) {
            let _infallible = writeln!(out, "tidegate_responses_total{{class=\"{class}xx\"}} {}", count.get());
        }
    }
}

fn header(out: &mut String, name: &str, help: &str, kind: &str) {
    let _infallible = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(out: &mut String, name: &str, help: &str, kind: &str, value: u64) {
    header(out, name, help, kind);
    let _infallible = writeln!(out, "{name} {value}");
}
