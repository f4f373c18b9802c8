//! `[resolver]`.

use std::net::{IpAddr, SocketAddr};

use crate::config::defaults;
use crate::config::document::Value;
use crate::config::keys as k;
use crate::config::reader::Reader;
use crate::config::types::Resolver;

/// The port of a name server that has none (RFC 1035 §4.2).
const DOMAIN: u16 = 53;

/// Read it.
pub(super) fn resolver(root: &Reader<'_>) -> Resolver {
    let table = root.table(&k::RESOLVER);
    let (min_ttl, max_ttl) = (table.duration(&k::MIN_TTL), table.duration(&k::MAX_TTL));
    let (min_ttl, max_ttl) = (min_ttl.unwrap_or(defaults::MIN_TTL), max_ttl.unwrap_or(defaults::MAX_TTL));
    if min_ttl > max_ttl {
        let item = table.own(&k::MIN_TTL).or_else(|| table.own(&k::MAX_TTL));
        if let Some(item) = item {
            table.cx.problem(item.at(), &item.path, "`min_ttl` is more than `max_ttl`");
        }
    }
    Resolver {
        addresses: addresses(&table),
        valid: table.duration(&k::RESOLVER_VALID),
        timeout: table.duration(&k::RESOLVER_TIMEOUT).unwrap_or(defaults::RESOLVER_TIMEOUT),
        ipv6: table.own(&k::RESOLVER_IPV6).and_then(|item| match item.node.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }),
        min_ttl,
        max_ttl,
    }
}

fn addresses(table: &Reader<'_>) -> Vec<SocketAddr> {
    if let Some(empty) = table.own(&k::RESOLVER_ADDRESSES).filter(|list| list.node.is_empty_list()) {
        table.cx.hinted(empty.at(), &empty.path, "no name servers", "leave it out for those of the system");
    }
    let mut addresses = Vec::new();
    for text in table.own_texts(&k::RESOLVER_ADDRESSES) {
        let alone = text.text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DOMAIN));
        match alone.or_else(|_| text.text.parse::<SocketAddr>()) {
            Ok(address) if address.port() != 0 => addresses.push(address),
            _ => table.cx.hinted(
                text.at,
                &text.path,
                format!("\"{}\" is not the address of a name server", text.text),
                "such as \"10.0.0.2\", \"10.0.0.2:53\" or \"[::1]:53\"",
            ),
        }
    }
    addresses
}
