//! One peer: an address alone, or a table.

use std::net::SocketAddr;
use std::sync::Arc;

use super::dial::Dialing;
use super::name;
use crate::config::defaults;
use crate::config::keys as k;
use crate::config::reader::{Item, Reader, Text};
use crate::config::types::{Address, Peer, Question, Resolve};

/// `peers = ["127.0.0.1:9000"]`
pub(super) fn short_peer(table: &Reader<'_>, item: &Item<'_>, dialing: &Dialing) -> Option<Peer> {
    let text = item.node.text().filter(|t| !t.is_empty())?;
    peer(table, text, &Text { text, path: item.path.clone(), at: item.at() }, dialing)
}

/// `peers = [{ address = "127.0.0.1:9000" }]`
pub(super) fn full_peer(table: &Reader<'_>, dialing: &Dialing) -> Option<Peer> {
    let address = table.placed(&k::PEER_ADDRESS).filter(|a| !a.text.is_empty())?;
    let mut tags: Vec<_> =
        table.own_map(&k::TAGS).iter().map(|tag| (tag.name.to_owned(), tag.value.text.to_owned())).collect();
    tags.sort();
    let resolve = match table.text(&k::RESOLVE) {
        Some("lazy") => Resolve::Lazy,
        Some("once") => Resolve::Once,
        _ => Resolve::Ttl,
    };
    let made = match table.placed(&k::SERVICE).filter(|s| !s.text.is_empty()) {
        Some(service) => of_service(table, &address, &service, dialing, resolve)?,
        None => at(table, address.text, &address, dialing, resolve)?,
    };
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
        tags,
        route: table.text(&k::PEER_ROUTE).filter(|route| !route.is_empty()).map(Into::into),
        ..made
    })
}

/// A peer from `HOST:PORT` or `unix:PATH`.
pub(super) fn peer(reader: &Reader<'_>, text: &str, place: &Text<'_>, dialing: &Dialing) -> Option<Peer> {
    at(reader, text, place, dialing, Resolve::default())
}

/// nginx: `unix:PATH`.
fn unix(reader: &Reader<'_>, path: &str, place: &Text<'_>) -> Option<Address> {
    if path.is_empty() {
        reader.cx.hinted(place.at, &place.path, "has no path", "such as \"unix:/run/app.sock\"");
        return None;
    }
    let path = reader.cx.path(path);
    if let Err(error) = std::os::unix::net::SocketAddr::from_pathname(&path) {
        reader.cx.problem(place.at, &place.path, format!("{}: {error}", path.display()));
        return None;
    }
    Some(Address::Unix(Arc::from(path)))
}

fn at(reader: &Reader<'_>, text: &str, place: &Text<'_>, dialing: &Dialing, resolve: Resolve) -> Option<Peer> {
    let made = match text.strip_prefix("unix:") {
        Some(path) => Peer::new(text, unix(reader, path, place)?),
        None => tcp(reader, text, place, resolve)?,
    };
    Some(Peer { dial: dialing.to(reader, text, place)?, ..made })
}

/// `IP:PORT` or `NAME:PORT`.
fn tcp(reader: &Reader<'_>, text: &str, place: &Text<'_>, resolve: Resolve) -> Option<Peer> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.port() == 0 {
            reader.cx.problem(place.at, &place.path, format!("\"{text}\": a peer's port is not 0"));
            return None;
        }
        return Some(Peer::new(text, Address::Tcp(address)));
    }
    let port = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let Some((host, port)) = port.filter(|(host, port)| name::is_host(host) && *port > 0) else {
        let hint = match text.split_once("://") {
            Some(("https" | "wss", rest)) => {
                format!("write \"{}\", and `tls = true` for the upstream", rest.trim_end_matches('/'))
            }
            Some((_, rest)) => format!("write \"{}\"", rest.trim_end_matches('/')),
            None => "such as \"127.0.0.1:9000\", \"[::1]:9000\", \"backend:9000\" or \"unix:/run/app.sock\"".to_owned(),
        };
        reader.cx.hinted(place.at, &place.path, format!("\"{text}\" is not an address HOST:PORT"), hint);
        return None;
    };
    let question = Question::Host(name::key(host));
    Some(Peer::new(text, name::source(reader, place, question, Some(port), resolve)))
}

/// nginx: `server HOST service=… resolve`.
fn of_service(
    reader: &Reader<'_>,
    address: &Text<'_>,
    service: &Text<'_>,
    dialing: &Dialing,
    resolve: Resolve,
) -> Option<Peer> {
    let host = address.text;
    if !name::is_host(host) {
        let message = format!("\"{host}\" is not the name of a host");
        reader.cx.hinted(address.at, &address.path, message, "with `service` it has no port: the answer says it");
        return None;
    }
    let Some(full) = name::of_service(service.text, host) else {
        let message = format!("\"{}\" is not the name of a service", service.text);
        reader.cx.hinted(service.at, &service.path, message, "such as \"http\" or \"_ws._tcp\"");
        return None;
    };
    let question = Question::Service(name::key(&full));
    let made = Peer::new(&full, name::source(reader, address, question, None, resolve));
    Some(Peer { dial: dialing.to(reader, host, address)?, ..made })
}
