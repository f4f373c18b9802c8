//! `[[streams]]`, and which listeners they are at.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Build, access, limits, logs, note, site, tls};
use crate::config::defaults;
use crate::config::keys as k;
use crate::config::pattern;
use crate::config::reader::{Reader, Text};
use crate::config::types::{Listener, NextPeer, Policy, Stream, StreamsHere};
use crate::config::variables::{Variables, is_stream_variable};

/// `[[streams]]`; the listeners that they are at are told so.
pub(super) fn streams(root: &Reader<'_>, build: &mut Build<'_>, listeners: &mut [Listener]) -> Vec<Stream> {
    let mut streams = Vec::new();
    let mut taken = Taken::default();
    for table in root.tables(&k::STREAMS) {
        let listen = site::listened(&table, &build.addresses, &k::STREAM_LISTEN);
        let Some(stream) = stream(&table, build, &mut taken) else { continue };
        for (listener, place) in listeners.iter_mut().zip(root.tables(&k::LISTENERS)) {
            if listen.is_empty() || listen.contains(&listener.address) {
                join(&table, &stream, streams.len(), listener, &place, &mut taken);
            }
        }
        streams.push(stream);
    }
    check_sites(root, build, listeners, &taken);
    streams
}

/// What is taken already, and the byte where that stands.
#[derive(Default)]
struct Taken {
    names: HashMap<Arc<str>, usize>,
    /// The rest, and the default, of listeners.
    rest: HashMap<SocketAddr, usize>,
    default: HashMap<SocketAddr, usize>,
    /// Names of TLS clients.
    server_names: HashMap<(SocketAddr, String), usize>,
}

fn stream(table: &Reader<'_>, build: &mut Build<'_>, taken: &mut Taken) -> Option<Stream> {
    let mut names = Vec::new();
    for name in table.own_texts(&k::STREAM_NAMES) {
        match pattern::check_site_name(name.text) {
            Ok(()) => names.extend(tls::entries(name.text)),
            Err(fault) => note(table.cx, name.at, &name.path, fault),
        }
    }
    let alpn = table.own_texts(&k::STREAM_ALPN);
    for protocol in alpn.iter().filter(|protocol| protocol.text.is_empty() || protocol.text.len() > 255) {
        table.cx.problem(protocol.at, &protocol.path, "must be 1 to 255 bytes");
    }
    for key in [&k::STREAM_NAMES, &k::STREAM_ALPN] {
        if let Some(list) = table.own(key).filter(|list| list.node.is_empty_list()) {
            table.cx.hinted(list.at(), &list.path, "an empty list would take nothing", "leave it out to take all");
        }
    }
    if let Some(item) = table.own(&k::STREAM_DEFAULT).filter(|_| table.flag(&k::STREAM_DEFAULT) && !alpn.is_empty()) {
        table.cx.problem(item.at(), &item.path, "does not go with `alpn`");
    }
    let upstream = upstream(table, build);
    let name = name(table, build, upstream, taken);
    let tries = table.count(&k::STREAM_NEXT_TRIES).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    Some(Stream {
        name,
        names,
        alpn: alpn.iter().map(|protocol| protocol.text.to_owned()).collect(),
        default: table.flag(&k::STREAM_DEFAULT),
        preread: table.flag(&k::STREAM_PREREAD),
        connect_timeout: table.duration(&k::STREAM_CONNECT_TIMEOUT).unwrap_or(defaults::CONNECT_TIMEOUT),
        idle_timeout: table.duration(&k::STREAM_IDLE_TIMEOUT).unwrap_or(defaults::STREAM_IDLE_TIMEOUT),
        half_close: table.flag(&k::STREAM_HALF_CLOSE),
        next: NextPeer {
            on: table.flag(&k::STREAM_NEXT),
            tries,
            timeout: table.duration(&k::STREAM_NEXT_TIMEOUT).filter(|time| !time.is_zero()),
        },
        access: access::rules(table, &k::STREAM_ACCESS),
        limits: limits::concurrent(table, &k::STREAM_CONCURRENT, build),
        max_connections: table
            .count(&k::STREAM_MAX_CONNECTIONS)
            .and_then(|n| u32::try_from(n).ok())
            .filter(|most| *most > 0),
        access_logs: logs::of_stream(table, &build.formats, &build.variables),
        upstream: upstream?,
    })
}

fn upstream(table: &Reader<'_>, build: &mut Build<'_>) -> Option<usize> {
    let wanted = table.placed(&k::STREAM_UPSTREAM).filter(|wanted| !wanted.text.is_empty())?;
    if wanted.text.contains("://") {
        let hint = "such as \"10.0.0.1:5432\"; TLS is said by `tls` of one of `[upstreams]`";
        table.cx.hinted(wanted.at, &wanted.path, "a stream's address has no scheme", hint);
        return None;
    }
    let index = build.upstreams.find(table, &wanted)?;
    let upstream = build.upstreams.list.get(index)?;
    let refuse = |what: &str| {
        let message = format!("upstream \"{}\" has `{what}`, which needs requests", wanted.text);
        table.cx.hinted(wanted.at, &wanted.path, message, "give the stream an upstream of its own");
    };
    if upstream.sticky.is_some() {
        refuse("sticky");
    }
    if upstream.balancer.is_some() {
        refuse("balancer");
    }
    if let Policy::Hash { key, .. } = &upstream.policy {
        check_variables(
            table,
            &wanted,
            &format!("the key of upstream \"{}\"", wanted.text),
            key.variables(),
            &build.variables,
        );
    }
    Some(index)
}

/// Report variables that only requests have.
pub(super) fn check_variables<'v>(
    table: &Reader<'_>,
    place: &Text<'_>,
    whose: &str,
    names: impl Iterator<Item = &'v str>,
    variables: &Variables,
) {
    for name in names.filter(|name| !is_stream_variable(name) && !variables.defined.iter().any(|d| d == name)) {
        let message = format!("{whose} reads `${name}`, which streams do not have");
        table.cx.hinted(place.at, &place.path, message, "docs/streams.md lists those that they have");
    }
}

fn name(table: &Reader<'_>, build: &Build<'_>, upstream: Option<usize>, taken: &mut Taken) -> Arc<str> {
    let given = table.own_placed(&k::STREAM_NAME).filter(|name| !name.text.is_empty());
    let first = table.own_texts(&k::STREAM_NAMES).first().map(|name| name.text.to_lowercase());
    let led = upstream.and_then(|index| build.upstreams.list.get(index)).map(|upstream| upstream.name.to_string());
    let name: Arc<str> = match &given {
        Some(given) => given.text.into(),
        None => first.or(led).unwrap_or_default().into(),
    };
    let (at, path) = given.map_or((table.at, table.path.clone()), |given| (given.at, given.path));
    if let Some(before) = taken.names.insert(Arc::clone(&name), at) {
        let line = table.cx.position(before).0;
        let message = format!("a stream named \"{name}\" stands at line {line} already");
        table.cx.hinted(at, &path, message, "give it a `name` of its own");
    }
    name
}

/// Put a stream to those of a listener.
fn join(
    table: &Reader<'_>,
    stream: &Stream,
    index: usize,
    listener: &mut Listener,
    place: &Reader<'_>,
    taken: &mut Taken,
) {
    let address = listener.address;
    // Listeners whose ports the system chooses are told apart by nothing.
    let names_it = address.port() != 0;
    let twice = |place: &mut HashMap<SocketAddr, usize>, what: &str| {
        if let Some(first) = place.insert(address, table.at).filter(|_| names_it) {
            let message = format!("the stream at line {} {what} at {address}", table.cx.position(first).0);
            table.cx.hinted(table.at, &table.path, message, "give it `names`, or a `listen` of its own");
        }
    };
    if stream.takes_rest() {
        twice(&mut taken.rest, "takes the rest");
    } else if stream.default {
        twice(&mut taken.default, "is the default");
    }
    for name in table.own_texts(&k::STREAM_NAMES).iter().filter(|_| stream.alpn.is_empty()) {
        let key = (address, name.text.to_lowercase());
        if let Some(first) = taken.server_names.insert(key, name.at).filter(|_| names_it) {
            let line = table.cx.position(first).0;
            let message = format!("a stream with \"{}\" stands at line {line} already", name.text);
            table.cx.problem(name.at, &name.path, message);
        }
    }
    let timeout = place.duration(&k::PREREAD_TIMEOUT).unwrap_or(defaults::PREREAD_TIMEOUT);
    let none = || StreamsHere { streams: Vec::new(), sites: Vec::new(), preread_timeout: timeout };
    listener.streams.get_or_insert_with(none).streams.push(index);
    listener.is_streams |= stream.takes_rest();
}

/// Names that sites terminate; sites that no connection can reach.
fn check_sites(root: &Reader<'_>, build: &Build<'_>, listeners: &mut [Listener], taken: &Taken) {
    let tables = root.tables(&k::SITES);
    for (listener, place) in listeners.iter_mut().zip(root.tables(&k::LISTENERS)) {
        let (address, has_tls) = (listener.address, tls::speaks_tls(&place));
        let Some(here) = &mut listener.streams else { continue };
        for (site, table) in build.tls.iter().zip(&tables) {
            let named = site.listen.contains(&address);
            if let Some(list) = table.own(&k::LISTEN).filter(|_| named && listener.is_streams) {
                let message = format!("what comes at {address} is a stream's");
                table.cx.hinted(list.at(), &list.path, message, "give the stream `names`, or another `listen`");
            }
            if !has_tls || listener.is_streams || !(named || site.listen.is_empty()) {
                continue;
            }
            for name in table.own_texts(&k::NAMES) {
                if let Some(first) = taken.server_names.get(&(address, name.text.to_lowercase())) {
                    let line = table.cx.position(*first).0;
                    let message = format!("the stream at line {line} passes \"{}\" on", name.text);
                    table.cx.problem(name.at, &name.path, message);
                }
                here.sites.extend(tls::entries(name.text));
            }
        }
    }
    let all = !listeners.is_empty() && listeners.iter().all(|listener| listener.is_streams);
    if let Some(first) = tables.first().filter(|_| all) {
        let hint = "give a stream `names`, or add a listener";
        root.cx.hinted(first.at, &first.path, "every listener is a stream's: no request can come", hint);
    }
}
