//! One peer: an address alone, or a table.

use std::net::{SocketAddr, ToSocketAddrs as _};

use crate::config::defaults;
use crate::config::keys as k;
use crate::config::reader::{Item, Reader, Text};
use crate::config::types::{Address, Peer};

/// `peers = ["127.0.0.1:9000"]`
pub(super) fn short_peer(table: &Reader<'_>, item: &Item<'_>) -> Option<Peer> {
    let text = item.node.text().filter(|t| !t.is_empty())?;
    peer(table, text, &Text { text, path: item.path.clone(), at: item.at() })
}

/// `peers = [{ address = "127.0.0.1:9000" }]`
pub(super) fn full_peer(table: &Reader<'_>) -> Option<Peer> {
    let address = table.placed(&k::PEER_ADDRESS).filter(|a| !a.text.is_empty())?;
    let count = |key| table.count(key).and_then(|n| u32::try_from(n).ok());
    Some(Peer {
        weight: count(&k::WEIGHT).unwrap_or(1),
        down: table.flag(&k::DOWN),
        drain: table.flag(&k::DRAIN),
        backup: table.flag(&k::BACKUP),
        max_conns: count(&k::MAX_CONNS).unwrap_or(0),
        max_fails: count(&k::MAX_FAILS).unwrap_or(defaults::MAX_FAILS),
        fail_timeout: table.duration(&k::FAIL_TIMEOUT).unwrap_or(defaults::FAIL_TIMEOUT),
        slow_start: table.duration(&k::SLOW_START).unwrap_or_default(),
        ..peer(table, address.text, &address)?
    })
}

/// A peer from `HOST:PORT`. A name is resolved by the system, once.
pub(super) fn peer(reader: &Reader<'_>, text: &str, place: &Text<'_>) -> Option<Peer> {
    let made = |address| Peer::new(text, Address::Tcp(address));
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
