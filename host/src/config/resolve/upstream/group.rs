//! One `[upstreams.NAME]`.

use std::sync::Arc;

use super::dial::Dialing;
use super::guard;
use super::health::health;
use super::peer::{full_peer, short_peer};
use super::{policy, sticky};
use crate::config::defaults;
use crate::config::key::{Key, Kind};
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
    let protocol = protocol(table, &k::PROTOCOL).unwrap_or_default();
    check_sharing(table, protocol);
    let keepalive = table.count(&k::KEEPALIVE).and_then(|n| usize::try_from(n).ok());
    Upstream {
        policy: policy::policy(table),
        sticky: sticky::sticky(table),
        keepalive: keepalive.unwrap_or_default(),
        keepalive_timeout: table
            .duration(&k::UPSTREAM_KEEPALIVE_TIMEOUT)
            .unwrap_or(defaults::UPSTREAM_KEEPALIVE_TIMEOUT),
        protocol,
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

/// The version of HTTP that a key says; none where it is absent, or was reported.
pub(super) fn protocol(table: &Reader<'_>, key: &Key) -> Option<Protocol> {
    match table.text(key)? {
        "h1" => Some(Protocol::H1),
        "h2" => Some(Protocol::H2),
        "auto" => Some(Protocol::Auto),
        _ => None,
    }
}

/// A connection of HTTP/2 is shared by clients, and what a PROXY protocol header says holds for one.
fn check_sharing(table: &Reader<'_>, protocol: Protocol) {
    let Some(text) = table.own_placed(&k::PROTOCOL).filter(|_| protocol == Protocol::H2) else { return };
    if table.own(&k::UPSTREAM_PROXY_PROTOCOL).is_some() {
        let message = "does not go with `proxy_protocol`: a connection of HTTP/2 is shared by many clients, and its \
                       header names one";
        table.cx.hinted(
            text.at,
            &text.path,
            message,
            "\"h1\"; or leave `proxy_protocol` out: X-Forwarded-For names them",
        );
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
