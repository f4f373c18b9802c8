//! Peers now: what they are, why, and since when; for `/status` and `/metrics`.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::observe::{Label, header};
use crate::proxy::Proxy;
use crate::upstream::{Peer, State, Tick, WHOLE};

/// The peers of the configuration in use, by upstream and name.
pub(super) fn all(proxy: &Proxy) -> HashMap<(Arc<str>, Arc<str>), Arc<Peer>> {
    let snapshot = proxy.snapshot.load();
    let peers = snapshot.upstreams.values().flat_map(|upstream| upstream.peers());
    peers.map(|peer| ((Arc::clone(&peer.upstream), Arc::clone(&peer.name)), peer)).collect()
}

/// What a peer is, as parts of its object.
pub(super) fn describe(peer: &Peer, into: &mut Map<String, Value>) {
    let health = &peer.vitals.health;
    let failure = health.failure().map(|failure| json!({ "text": failure.text, "at": time(failure.at) }));
    let mut put = |name: &str, value: Value| into.insert(name.to_owned(), value);
    put("address", peer.address.to_string().into());
    put("state", peer.state().name().into());
    put("since", health.changed_at().map(time).into());
    put("last_failure", failure.into());
    put("weight", peer.weight.into());
    put("effective_weight", effective_weight(peer).into());
    put("fails", health.fails().into());
    if peer.health.is_some() {
        let (passed, failed) = health.checks();
        put("checks", json!({ "passed": passed, "failed": failed }));
    }
}

/// Its weight after failures and during a slow start, to three places.
fn effective_weight(peer: &Peer) -> f64 {
    let share = f64::from(peer.share(Tick::now())) / f64::from(WHOLE);
    (f64::from(peer.weight) * share * 1000.0).round() / 1000.0
}

/// RFC 3339, UTC.
fn time(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Prometheus text.
pub(super) fn metrics(proxy: &Proxy, out: &mut String) {
    let peers = all(proxy);
    let mut peers: Vec<(String, &Peer)> = peers
        .iter()
        .map(|((upstream, name), peer)| (format!("upstream=\"{}\",peer=\"{}\"", Label(upstream), Label(name)), &**peer))
        .collect();
    peers.sort_by(|(a, _), (b, _)| a.cmp(b));
    header(out, "tidegate_peer_state", "1 for the state that a peer is in.", "gauge");
    for (labels, peer) in &peers {
        let now = peer.state();
        for state in State::ALL {
            let value = u8::from(state == now);
            let _infallible = writeln!(out, "tidegate_peer_state{{{labels},state=\"{}\"}} {value}", state.name());
        }
    }
    header(out, "tidegate_peer_fails", "Failed requests that count against a peer now.", "gauge");
    for (labels, peer) in &peers {
        let _infallible = writeln!(out, "tidegate_peer_fails{{{labels}}} {}", peer.vitals.health.fails());
    }
    header(out, "tidegate_peer_effective_weight", "Weight after failures and during a slow start.", "gauge");
    for (labels, peer) in &peers {
        let _infallible = writeln!(out, "tidegate_peer_effective_weight{{{labels}}} {}", effective_weight(peer));
    }
    header(out, "tidegate_peer_checks_total", "Health checks that ended, by what they found.", "counter");
    for (labels, peer) in peers.iter().filter(|(_, peer)| peer.health.is_some()) {
        let (passed, failed) = peer.vitals.health.checks();
        for (result, count) in [("passed", passed), ("failed", failed)] {
            let _infallible = writeln!(out, "tidegate_peer_checks_total{{{labels},result=\"{result}\"}} {count}");
        }
    }
}
