//! One `[upstreams.NAME]`.

use std::sync::Arc;

use super::dial::Dialing;
use super::guard;
use super::health::health;
use super::peer::{full_peer, short_peer};
use super::{policy, sticky};
use crate::config::defaults;
use crate::config::key::Kind;
use crate::config::keys as k;
use crate::config::reader::Reader;
use crate::config::types::{Peer, Policy, Protocol, Upstream};

/// Read one.
pub(super) fn upstream(name: &str, table: &Reader<'_>) -> Upstream {
    let Kind::TextsOrTables(section) = k::PEERS.kind else { return empty(name) };
    let dialing = Dialing::read(table);
    let mut peers = Vec::new();
    let items = table.items(&k::PEERS);
    for item in &items {
        match table.table_at(item, section) {
            Some(entry) => {
                policy::check_peer(table, &entry);
                peers.extend(full_peer(&entry, &dialing));
            }
            None => peers.extend(short_peer(table, item, &dialing)),
        }
    }
    // Read before peers are given it, so that its problems are told once.
    let health = health(table, name).map(Arc::new);
    peers.iter_mut().for_each(|peer: &mut Peer| peer.health.clone_from(&health));
    let list = table.own(&k::PEERS).filter(|list| !items.is_empty() || list.node.is_empty_list());
    // A peer that has been reported might have been live.
    if let Some(list) = list.filter(|_| peers.len() == items.len() && peers.iter().all(|p| p.down)) {
        let what = if peers.is_empty() { "has no peers" } else { "has no live peer: all are down" };
        table.cx.hinted(list.at(), &list.path, what, "an upstream needs at least one peer that is not down");
    }
    let breaker = guard::breaker(table);
    peers.iter_mut().for_each(|peer| peer.breaker = breaker);
    let keepalive = table.count(&k::KEEPALIVE).and_then(|n| usize::try_from(n).ok());
    Upstream {
        policy: policy::policy(table),
        sticky: sticky::sticky(table),
        keepalive: keepalive.unwrap_or_default(),
        keepalive_timeout: table
            .duration(&k::UPSTREAM_KEEPALIVE_TIMEOUT)
            .unwrap_or(defaults::UPSTREAM_KEEPALIVE_TIMEOUT),
        protocol: protocol(table),
        ping: table.duration(&k::PING).unwrap_or(defaults::PING),
        admission: guard::admission(table),
        keepalive_requests: table
            .count(&k::UPSTREAM_KEEPALIVE_REQUESTS)
            .unwrap_or(defaults::UPSTREAM_KEEPALIVE_REQUESTS),
        keepalive_time: table.duration(&k::UPSTREAM_KEEPALIVE_TIME).unwrap_or(defaults::UPSTREAM_KEEPALIVE_TIME),
        peers,
        ..empty(name)
    }
}

fn protocol(table: &Reader<'_>) -> Protocol {
    match table.text(&k::PROTOCOL) {
        Some("h2") => Protocol::H2,
        Some("auto") => Protocol::Auto,
        // Anything else was reported.
        _ => Protocol::H1,
    }
}

fn empty(name: &str) -> Upstream {
    Upstream {
        name: name.into(),
        policy: Policy::RoundRobin,
        sticky: None,
        keepalive: 0,
        keepalive_timeout: defaults::UPSTREAM_KEEPALIVE_TIMEOUT,
        protocol: Protocol::H1,
        ping: defaults::PING,
        admission: None,
        balancer: None,
        keepalive_requests: defaults::UPSTREAM_KEEPALIVE_REQUESTS,
        keepalive_time: defaults::UPSTREAM_KEEPALIVE_TIME,
        peers: Vec::new(),
    }
}
