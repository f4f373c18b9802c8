//! `[upstreams.NAME]`, and upstreams that a route names by address.

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use crate::config::defaults;
use crate::config::key::Kind;
use crate::config::keys as k;
use crate::config::reader::{Item, Reader, Text};
use crate::config::suggest;
use crate::config::types::{Peer, Policy, Upstream};

/// All upstreams, by index and by name.
#[derive(Default)]
pub(super) struct Upstreams {
    pub(super) list: Vec<Upstream>,
    by_name: HashMap<Arc<str>, usize>,
}

impl Upstreams {
    /// `[upstreams.*]`.
    pub(super) fn read(root: &Reader<'_>) -> Self {
        let mut all = Self::default();
        for named in root.named(&k::UPSTREAMS) {
            if named.name.contains(':') || named.name.is_empty() {
                let message = format!("\"{}\" is not a name", named.name);
                root.cx.hinted(named.name_at, &named.value.path, message, "without colons, which are for addresses");
            }
            all.push(upstream(named.name, &named.value));
        }
        all
    }

    fn push(&mut self, upstream: Upstream) -> usize {
        self.by_name.insert(Arc::clone(&upstream.name), self.list.len());
        self.list.push(upstream);
        self.list.len() - 1
    }

    /// The upstream of this name.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// All their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.by_name.keys().map(|name| &**name)
    }

    /// The upstream that a route means, made here if it is an address; none where it is
    /// neither, which is then a problem.
    pub(super) fn find(&mut self, reader: &Reader<'_>, wanted: &Text<'_>) -> Option<usize> {
        if let Some(index) = self.by_name.get(wanted.text) {
            return Some(*index);
        }
        let Some(address) = self.as_address(reader, wanted)? else {
            let names: Vec<&str> = self.by_name.keys().map(|n| &**n).collect();
            let hint = suggest::hint(wanted.text, names.iter().copied(), "an address is written HOST:PORT");
            let message = format!("no upstream named \"{}\"", wanted.text);
            reader.cx.hinted(wanted.at, &wanted.path, message, hint);
            return None;
        };
        if let Some(index) = self.by_name.get(address.as_str()) {
            return Some(*index);
        }
        let peer = peer(reader, &address, &Text { text: &address, path: wanted.path.clone(), at: wanted.at })?;
        Some(self.push(Upstream {
            name: address.as_str().into(),
            policy: Policy::default(),
            keepalive: usize::try_from(defaults::UPSTREAM_KEEPALIVE).unwrap_or(usize::MAX),
            keepalive_timeout: defaults::UPSTREAM_KEEPALIVE_TIMEOUT,
            peers: vec![peer],
        }))
    }

    /// `Some(Some(HOST:PORT))` for an address, `Some(None)` for what can only be a name,
    /// `None` for what has been reported.
    fn as_address(&self, reader: &Reader<'_>, wanted: &Text<'_>) -> Option<Option<String>> {
        let refuse = |message: &str, hint: &str| {
            reader.cx.hinted(wanted.at, &wanted.path, message, hint);
            None
        };
        let (scheme, rest) = match wanted.text.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None if wanted.text.starts_with("unix:") => {
                return refuse("Unix sockets are not supported yet", "there is HOST:PORT");
            }
            None if wanted.text.contains(':') => return Some(Some(wanted.text.to_owned())),
            None if wanted.text.parse::<std::net::Ipv4Addr>().is_ok() => {
                return refuse("has no port", &format!("write \"{}:80\"", wanted.text));
            }
            None => return Some(None),
        };
        match scheme {
            "http" => {}
            "https" | "wss" => return refuse("TLS towards upstreams is not supported yet", "there is http://"),
            "ws" => return refuse("the scheme is not `ws`", "write http://: WebSockets work on every route"),
            other => return refuse(&format!("unknown scheme `{other}`"), "there is http://"),
        }
        let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(p)));
        if path.is_some_and(|p| !p.is_empty()) {
            return refuse("an address has no path here", "write `replace_prefix` for nginx's proxy_pass with a path");
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Some(Some(if has_port { authority.to_owned() } else { format!("{authority}:80") }))
    }
}

fn upstream(name: &str, table: &Reader<'_>) -> Upstream {
    let Kind::TextsOrTables(section) = k::PEERS.kind else { return empty(name) };
    let mut peers = Vec::new();
    let items = table.items(&k::PEERS);
    for item in &items {
        match table.table_at(item, section) {
            Some(entry) => peers.extend(full_peer(&entry)),
            None => peers.extend(short_peer(table, item)),
        }
    }
    let list = table.own(&k::PEERS).filter(|list| !items.is_empty() || list.node.is_empty_list());
    // A peer that has been reported might have been live.
    if let Some(list) = list.filter(|_| peers.len() == items.len() && peers.iter().all(|p| p.down)) {
        let what = if peers.is_empty() { "has no peers" } else { "has no live peer: all are down" };
        table.cx.hinted(list.at(), &list.path, what, "an upstream needs at least one peer that is not down");
    }
    let keepalive = table.count(&k::KEEPALIVE).and_then(|n| usize::try_from(n).ok());
    Upstream {
        // The policy is checked already: there is one.
        keepalive: keepalive.unwrap_or_default(),
        keepalive_timeout: table
            .duration(&k::UPSTREAM_KEEPALIVE_TIMEOUT)
            .unwrap_or(defaults::UPSTREAM_KEEPALIVE_TIMEOUT),
        peers,
        ..empty(name)
    }
}

fn empty(name: &str) -> Upstream {
    Upstream {
        name: name.into(),
        policy: Policy::RoundRobin,
        keepalive: 0,
        keepalive_timeout: defaults::UPSTREAM_KEEPALIVE_TIMEOUT,
        peers: Vec::new(),
    }
}

/// `peers = ["127.0.0.1:9000"]`
fn short_peer(table: &Reader<'_>, item: &Item<'_>) -> Option<Peer> {
    let text = item.node.text().filter(|t| !t.is_empty())?;
    peer(table, text, &Text { text, path: item.path.clone(), at: item.at() })
}

/// `peers = [{ address = "127.0.0.1:9000" }]`
fn full_peer(table: &Reader<'_>) -> Option<Peer> {
    let address = table.placed(&k::PEER_ADDRESS).filter(|a| !a.text.is_empty())?;
    let weight = table.count(&k::WEIGHT).and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    Some(Peer { weight, down: table.flag(&k::DOWN), ..peer(table, address.text, &address)? })
}

/// A peer from `HOST:PORT`. A name is resolved by the system, once.
fn peer(reader: &Reader<'_>, text: &str, place: &Text<'_>) -> Option<Peer> {
    let made = |address| Peer { name: text.into(), address, weight: 1, down: false };
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.port() == 0 {
            reader.cx.problem(place.at, &place.path, format!("\"{text}\": a peer's port is not 0"));
            return None;
        }
        return Some(made(address));
    }
    let port = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let Some((host, port)) =
        port.filter(|(host, port)| !host.is_empty() && !host.contains([':', '/', ' ']) && *port > 0)
    else {
        let hint = match text.split_once("://") {
            Some((_, rest)) => format!("write \"{}\"", rest.trim_end_matches('/')),
            None => "such as \"127.0.0.1:9000\", \"[::1]:9000\" or \"backend:9000\"".to_owned(),
        };
        reader.cx.hinted(place.at, &place.path, format!("\"{text}\" is not an address HOST:PORT"), hint);
        return None;
    };
    let found: Vec<SocketAddr> = match (host, port).to_socket_addrs() {
        Ok(found) => found.collect(),
        Err(e) => {
            reader.cx.problem(place.at, &place.path, format!("cannot resolve \"{host}\": {e}"));
            return None;
        }
    };
    // Backends named `localhost` mostly listen on IPv4 alone, and nobody tries the next
    // address yet.
    let address = found.iter().find(|a| a.is_ipv4()).or(found.first()).copied();
    if address.is_none() {
        reader.cx.problem(place.at, &place.path, format!("cannot resolve \"{host}\": it has no address"));
    }
    address.map(made)
}
