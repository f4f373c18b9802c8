//! The proxy's own numbers, and their one table of names.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::access::AccessTally;
use super::messages::MessageTally;
use super::tally::{Subject, Tallies, Totals, class};
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
    /// Connections of streams begun.
    pub streams: Count,
    /// Connections of streams open.
    pub streams_open: Count,
    /// Configurations taken into use after the first.
    pub reloads: Count,
    /// Client connections that have sent a part of a head.
    pub reading: Count,
    /// What came of the exchanges of each site and peer.
    pub tallies: Arc<Tallies>,
    /// What plugins decided about messages.
    pub messages: Arc<MessageTally>,
    /// What came of tunnels that were bound by their grants.
    pub access: Arc<AccessTally>,
}

impl Metrics {
    /// Count an exchange that ended.
    pub fn exchange_ended(&self, summary: &Summary) {
        if let Some(count) = self.responses.get(class(summary.status)) {
            count.add(1);
        }
        self.bytes_in.add(summary.bytes_in);
        self.bytes_out.add(summary.bytes_out);
    }

    /// Count a stream's connection that ended.
    pub fn stream_ended(&self, summary: &Summary) {
        self.streams_open.sub(1);
        self.bytes_in.add(summary.bytes_in);
        self.bytes_out.add(summary.bytes_out);
    }

    /// What client connections are at now. nginx: `stub_status`.
    pub fn connections(&self) -> Connections {
        let ended: u64 = self.responses.iter().map(Count::get).sum();
        let (active, reading) = (self.connections_open.get(), self.reading.get());
        // Every request begun has a record, and every record ends with a status.
        let writing = self.requests.get().saturating_sub(ended) + self.streams_open.get();
        Connections { active, reading, writing, waiting: active.saturating_sub(reading + writing) }
    }

    /// Prometheus text, with how many tunnels are open.
    pub fn render(&self, out: &mut String, tunnels: usize) {
        let counters: [(&str, &str, &Count); 7] = [
            ("tidegate_connections_total", "Client connections accepted.", &self.connections),
            (
                "tidegate_connections_refused_total",
                "Client connections closed at once because of a cap.",
                &self.connections_refused,
            ),
            ("tidegate_requests_total", "Requests begun.", &self.requests),
            ("tidegate_streams_total", "Connections of streams begun.", &self.streams),
            ("tidegate_bytes_in_total", "Bytes from clients after the head.", &self.bytes_in),
            ("tidegate_bytes_out_total", "Bytes to clients after the head.", &self.bytes_out),
            ("tidegate_reloads_total", "Configurations taken into use after the first.", &self.reloads),
        ];
        for (name, help, count) in counters {
            line(out, name, help, "counter", count.get());
        }
        line(out, "tidegate_connections_open", "Client connections open.", "gauge", self.connections_open.get());
        line(out, "tidegate_streams_open", "Connections of streams open.", "gauge", self.streams_open.get());
        line(out, "tidegate_tunnels_open", "Tunnels open.", "gauge", tunnels as u64);
        header(out, "tidegate_connections", "Client connections open, by what they are at.", "gauge");
        let now = self.connections();
        for (state, count) in [("reading", now.reading), ("writing", now.writing), ("waiting", now.waiting)] {
            let _infallible = writeln!(out, "tidegate_connections{{state=\"{state}\"}} {count}");
        }
        header(out, "tidegate_responses_total", "Exchanges ended, by the class of their status.", "counter");
        for (class, count) in (1..).zip(&self.responses) {
            let _infallible = writeln!(out, "tidegate_responses_total{{class=\"{class}xx\"}} {}", count.get());
        }
        self.messages.render(out);
        self.access.render(out);
        render_tallies(out, &self.tallies.read());
    }
}

/// What client connections are at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// All that are open.
    pub active: u64,
    /// A part of a head has come.
    pub reading: u64,
    /// A request is being answered, or a tunnel is open.
    pub writing: u64,
    /// Nothing has come since they opened, or since the last answer.
    pub waiting: u64,
}

/// Held while a count is one higher.
#[derive(Debug)]
pub struct Raised(Arc<Metrics>);

impl Metrics {
    /// A client connection has sent a part of a head, until this is dropped.
    pub fn reads(self: &Arc<Self>) -> Raised {
        self.reading.add(1);
        Raised(Arc::clone(self))
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.reading.sub(1);
    }
}

/// One number of a tally: name, help, type, and where it is.
type Number = (&'static str, &'static str, &'static str, fn(&Totals) -> u64);

const NUMBERS: [Number; 6] = [
    ("requests_total", "Requests begun, by site; of a peer, the times that it was asked.", "counter", |t| t.requests),
    ("failures_total", "Times that a peer failed.", "counter", |t| t.failures),
    ("bytes_in_total", "Bytes from clients after the head.", "counter", |t| t.bytes_in),
    ("bytes_out_total", "Bytes to clients after the head.", "counter", |t| t.bytes_out),
    ("active", "Requests and tunnels that go on.", "gauge", |t| t.active),
    ("tunnels", "Tunnels open.", "gauge", |t| t.tunnels),
];

fn render_tallies(out: &mut String, all: &[(Subject, Totals)]) {
    for kind in ["site", "stream", "peer"] {
        // Most servers have no streams: then nothing is said of them.
        if kind == "stream" && !all.iter().any(|(subject, _)| matches!(subject, Subject::Stream(_))) {
            continue;
        }
        let mine: Vec<(String, &Totals)> = all
            .iter()
            .filter_map(|(subject, totals)| match subject {
                Subject::Site(name) if kind == "site" => Some((format!("site=\"{}\"", Label(name)), totals)),
                Subject::Stream(name) if kind == "stream" => Some((format!("stream=\"{}\"", Label(name)), totals)),
                Subject::Peer(upstream, peer) if kind == "peer" => {
                    Some((format!("upstream=\"{}\",peer=\"{}\"", Label(upstream), Label(peer)), totals))
                }
                _ => None,
            })
            .collect();
        for (name, help, sort, number) in NUMBERS {
            if kind != "peer" && name == "failures_total" {
                continue;
            }
            header(out, &format!("tidegate_{kind}_{name}"), help, sort);
            for (labels, totals) in &mine {
                let _infallible = writeln!(out, "tidegate_{kind}_{name}{{{labels}}} {}", number(totals));
            }
        }
        header(
            out,
            &format!("tidegate_{kind}_responses_total"),
            "Exchanges ended, by the class of their status.",
            "counter",
        );
        for (labels, totals) in &mine {
            for (class, count) in (1..).zip(totals.responses) {
                let _infallible =
                    writeln!(out, "tidegate_{kind}_responses_total{{{labels},class=\"{class}xx\"}} {count}");
            }
        }
    }
}

/// A label's value, escaped as Prometheus' text format wants.
pub struct Label<'a>(pub &'a str);

impl std::fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

/// The lines before the values of a metric in Prometheus' text format.
pub fn header(out: &mut String, name: &str, help: &str, kind: &str) {
    let _infallible = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(out: &mut String, name: &str, help: &str, kind: &str, value: u64) {
    header(out, name, help, kind);
    let _infallible = writeln!(out, "{name} {value}");
}
