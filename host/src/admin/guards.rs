//! What keeps upstreams and peers from too much, in numbers: breakers and admission.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::observe::{Label, header};
use crate::proxy::Proxy;
use crate::upstream::{GateCounts, Stance, Upstream};

/// The upstreams in use, by name.
fn upstreams(proxy: &Proxy) -> BTreeMap<Arc<str>, Arc<Upstream>> {
    let snapshot = proxy.snapshot.load();
    snapshot.upstreams.iter().map(|(name, upstream)| (Arc::clone(name), Arc::clone(upstream))).collect()
}

/// One number of a gate: name, help, type, and where it is.
type Number = (&'static str, &'static str, &'static str, fn(&GateCounts) -> u64);

const NUMBERS: [Number; 4] = [
    ("in_flight", "Places of an upstream's admission that are taken.", "gauge", |c| c.in_flight.into()),
    ("queued", "Those who wait for a place.", "gauge", |c| c.queued.into()),
    ("limit", "Places in all.", "gauge", |c| c.most.into()),
    ("refused_total", "Those who were refused.", "counter", |c| c.refused),
];

/// Prometheus text; nothing where no upstream has a guard.
pub(super) fn metrics(proxy: &Proxy, out: &mut String) {
    let upstreams = upstreams(proxy);
    let gates: Vec<(String, GateCounts)> = upstreams
        .values()
        .flat_map(|upstream| upstream.admission.iter().flat_map(|a| a.gates()).map(|gate| (&upstream.name, gate)))
        .map(|(name, (class, gate))| {
            (format!("upstream=\"{}\",class=\"{}\"", Label(name), class.name()), gate.counts())
        })
        .collect();
    for (name, help, kind, number) in NUMBERS.iter().filter(|_| !gates.is_empty()) {
        header(out, &format!("tidegate_admission_{name}"), help, kind);
        for (labels, counts) in &gates {
            let _infallible = writeln!(out, "tidegate_admission_{name}{{{labels}}} {}", number(counts));
        }
    }
    let breakers: Vec<(String, Stance, u64)> = upstreams
        .values()
        .flat_map(|upstream| upstream.peers())
        .filter_map(|peer| {
            let breaker = peer.breaker.as_ref()?;
            let labels = format!("upstream=\"{}\",peer=\"{}\"", Label(&peer.upstream), Label(&peer.name));
            Some((labels, breaker.stance(), breaker.opened()))
        })
        .collect();
    if breakers.is_empty() {
        return;
    }
    header(out, "tidegate_peer_breaker", "What a peer's breaker does: 1 for the state that it is in.", "gauge");
    for (labels, now, _) in &breakers {
        for stance in Stance::ALL {
            let (name, is) = (stance.name(), u8::from(stance == *now));
            let _infallible = writeln!(out, "tidegate_peer_breaker{{{labels},state=\"{name}\"}} {is}");
        }
    }
    header(out, "tidegate_peer_breaker_opened_total", "Times that a peer's breaker has opened.", "counter");
    for (labels, _, opened) in &breakers {
        let _infallible = writeln!(out, "tidegate_peer_breaker_opened_total{{{labels}}} {opened}");
    }
}

/// Put them into the status of upstreams.
pub(super) fn describe(proxy: &Proxy, status: &mut Map<String, Value>) {
    for (name, upstream) in upstreams(proxy) {
        let Some(Value::Object(value)) = status.get_mut(&*name) else { continue };
        if let Some(admission) = &upstream.admission {
            let gate = |counts: GateCounts| {
                json!({
                    "limit": counts.most,
                    "in_flight": counts.in_flight,
                    "queued": counts.queued,
                    "refused": counts.refused,
                })
            };
            let gates = admission.gates().map(|(class, counts)| (class.name().to_owned(), gate(counts.counts())));
            value.insert("admission".to_owned(), Value::Object(gates.collect()));
        }
        let Some(Value::Object(peers)) = value.get_mut("peers") else { continue };
        for peer in upstream.peers() {
            let (Some(breaker), Some(Value::Object(value))) = (&peer.breaker, peers.get_mut(&*peer.name)) else {
                continue;
            };
            value.insert("breaker".to_owned(), breaker.stance().name().into());
            value.insert("breaker_opened".to_owned(), breaker.opened().into());
        }
    }
}
