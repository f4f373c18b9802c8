//! The numbers of the process for people and programs: nginx's `stub_status`, and JSON.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::{certificates, guards, names, peers};
use crate::observe::{Subject, Totals};
use crate::plugin::Runtime;
use crate::proxy::Proxy;

/// When the process began, near enough: asked for first when the pages are set up.
pub(super) static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// nginx's page, byte for byte in its form.
pub(super) fn stub(proxy: &Proxy) -> String {
    let metrics = &proxy.metrics;
    let now = metrics.connections();
    let (accepted, requests) = (metrics.connections.get(), metrics.requests.get());
    format!(
        "Active connections: {} \nserver accepts handled requests\n {} {} {} \nReading: {} Writing: {} Waiting: {} \n",
        now.active, accepted, accepted, requests, now.reading, now.writing, now.waiting
    )
}

/// Everything that is counted, as a JSON object.
pub(super) fn json(proxy: &Proxy, runtime: &Runtime) -> String {
    let metrics = &proxy.metrics;
    let now = metrics.connections();
    let (sites, streams, mut upstreams) = tallies(proxy);
    names::status(proxy, &mut upstreams);
    guards::describe(proxy, &mut upstreams);
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "uptime_seconds": STARTED.elapsed().as_secs(),
        "reloads": metrics.reloads.get(),
        "connections": {
            "accepted": metrics.connections.get(),
            "active": now.active,
            "reading": now.reading,
            "writing": now.writing,
            "waiting": now.waiting,
        },
        "requests": metrics.requests.get(),
        "responses": classes(&metrics.responses.each_ref().map(crate::observe::Count::get)),
        "bytes_in": metrics.bytes_in.get(),
        "bytes_out": metrics.bytes_out.get(),
        "tunnels": proxy.tunnels.len(),
        "sites": sites,
        "streams": streams,
        "upstreams": upstreams,
        "certificates": certificates::status(proxy),
        "plugins": plugins(runtime),
        "loaded": loaded(runtime),
    });
    format!("{value:#}\n")
}

fn classes(counts: &[u64; 5]) -> Value {
    Value::Object((1..).zip(counts).map(|(class, count)| (format!("{class}xx"), json!(count))).collect())
}

/// Sites and streams by name, and upstreams by name with their peers.
fn tallies(proxy: &Proxy) -> (Map<String, Value>, Map<String, Value>, Map<String, Value>) {
    let (mut sites, mut streams) = (Map::new(), Map::new());
    let mut upstreams: Vec<(String, Totals, Map<String, Value>)> = Vec::new();
    let known = peers::all(proxy);
    for (subject, totals) in proxy.metrics.tallies.read() {
        match subject {
            Subject::Site(name) => {
                sites.insert(name.to_string(), Value::Object(numbers(&totals)));
            }
            Subject::Stream(name) => {
                streams.insert(name.to_string(), Value::Object(numbers(&totals)));
            }
            Subject::Peer(upstream, peer) => {
                // They come sorted, so that the peers of one stand together.
                if upstreams.last().is_none_or(|(name, ..)| **name != *upstream) {
                    upstreams.push((upstream.to_string(), Totals::default(), Map::new()));
                }
                let Some((_, sum, peers)) = upstreams.last_mut() else { continue };
                sum.add(&totals);
                let mut value = with_failures(&totals);
                if let Some(known) = known.get(&(upstream, Arc::clone(&peer))) {
                    peers::describe(known, &mut value);
                }
                peers.insert(peer.to_string(), value.into());
            }
        }
    }
    let upstream = |(name, sum, peers): (String, Totals, Map<String, Value>)| {
        let mut value = with_failures(&sum);
        value.insert("peers".to_owned(), Value::Object(peers));
        (name, Value::Object(value))
    };
    (sites, streams, upstreams.into_iter().map(upstream).collect())
}

fn numbers(totals: &Totals) -> Map<String, Value> {
    let mut numbers = Map::new();
    for (name, count) in [
        ("requests", totals.requests),
        ("active", totals.active),
        ("tunnels", totals.tunnels),
        ("bytes_in", totals.bytes_in),
        ("bytes_out", totals.bytes_out),
    ] {
        numbers.insert(name.to_owned(), count.into());
    }
    numbers.insert("responses".to_owned(), classes(&totals.responses));
    numbers
}

fn with_failures(totals: &Totals) -> Map<String, Value> {
    let mut numbers = numbers(totals);
    numbers.insert("failures".to_owned(), totals.failures.into());
    numbers
}

/// What the plugin runtime has in memory.
fn loaded(runtime: &Runtime) -> Value {
    let loads = runtime.loads();
    json!({ "plugins": loads.plugins, "components": loads.components, "instances": loads.instances })
}

/// Plugins by name: calls and failures by hook, what they use, and the quarantine that they are in.
fn plugins(runtime: &Runtime) -> Map<String, Value> {
    let one = |plugin: crate::plugin::PluginCounts| {
        let calls: Map<_, _> = plugin.calls.iter().map(|(hook, count)| (hook.to_string(), json!(count))).collect();
        let mut failures = Map::new();
        for (hook, code, count) in &plugin.failures {
            let by_code = failures.entry(hook.to_string()).or_insert_with(|| json!({}));
            if let Value::Object(by_code) = by_code {
                by_code.insert((*code).to_owned(), json!(count));
            }
        }
        let quarantine = plugin.quarantine.map(|state| {
            json!({
                "reason": state.reason,
                "next_probe_seconds": state.next_probe.map(|time| time.as_secs_f64()),
                "failed_probes": state.probes,
            })
        });
        let value = json!({
            "calls": calls,
            "failures": failures,
            "instances": plugin.instances,
            "cpu_seconds": plugin.cpu.as_secs_f64(),
            "memory_bytes": plugin.memory,
            "memory_peak_bytes": plugin.memory_peak,
            "quarantines": plugin.quarantines,
            "quarantine": quarantine,
        });
        (plugin.name.to_string(), value)
    };
    runtime.metrics().counts().into_iter().map(one).collect()
}
