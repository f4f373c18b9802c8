//! `[upstreams.NAME]`, and upstreams that a route names by address.

mod dial;
mod group;
mod guard;
mod health;
mod name;
mod peer;
mod policy;
mod sticky;

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::plugin::Plugins;
use crate::config::defaults;
use crate::config::keys as k;
use crate::config::reader::{Reader, Text};
use crate::config::suggest;
use crate::config::types::{Policy, Protocol, Upstream};
use crate::config::variables::Variables;
use dial::Dialing;
pub(super) use dial::peer_tls;
pub(super) use name::is_host;

/// What the name of an upstream begins with where a route's own address has TLS.
const TLS: &str = "https://";
const NO_PATH: &str = "an address has no path here";
const USE_PREFIX: &str = "write `replace_prefix` for nginx's proxy_pass with a path";

/// All upstreams, by index and by name.
#[derive(Default)]
pub(super) struct Upstreams {
    pub(super) list: Vec<Upstream>,
    by_name: HashMap<Arc<str>, usize>,
    /// TLS with all defaults, once it is wanted.
    tls: OnceCell<Result<Dialing, String>>,
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
            all.push(group::upstream(named.name, &named.value));
        }
        all
    }

    /// The plugins that choose peers: once plugins are read.
    pub(super) fn take_balancers(&mut self, root: &Reader<'_>, plugins: &mut Plugins) {
        for named in root.named(&k::UPSTREAMS) {
            let Some(text) = named.value.placed(&k::BALANCER).filter(|text| !text.text.is_empty()) else { continue };
            match plugins.custom(root.cx, text.text) {
                Ok(index) => {
                    let Some(upstream) = self.named(named.name).and_then(|at| self.list.get_mut(at)) else { continue };
                    upstream.balancer = index;
                    if upstream.sticky.is_some() {
                        let message = "`sticky` and `balancer` would both choose the peer";
                        root.cx.hinted(text.at, &text.path, message, "leave one of them out");
                    }
                }
                Err((message, hint)) => root.cx.hinted(text.at, &text.path, message, hint),
            }
        }
    }

    /// Report what is wrong with the variables of `[upstreams.*]`.
    pub(super) fn check(root: &Reader<'_>, variables: &Variables) {
        for named in root.named(&k::UPSTREAMS) {
            policy::check(&named.value, variables);
            sticky::check(&named.value, variables);
        }
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
        let (tls, at) = match address.strip_prefix(TLS) {
            Some(at) => (true, at),
            None => (false, address.as_str()),
        };
        let place = Text { text: at, path: wanted.path.clone(), at: wanted.at };
        let plain = Dialing::default();
        let dialing = if tls { self.tls_dialing(reader, &place)? } else { &plain };
        let peer = peer::peer(reader, at, &place, dialing)?;
        Some(self.push(Upstream {
            name: address.as_str().into(),
            policy: Policy::default(),
            sticky: None,
            keepalive: usize::try_from(defaults::UPSTREAM_KEEPALIVE).unwrap_or(usize::MAX),
            keepalive_timeout: defaults::UPSTREAM_KEEPALIVE_TIMEOUT,
            protocol: Protocol::H1,
            ping: defaults::PING,
            admission: None,
            balancer: None,
            keepalive_requests: defaults::UPSTREAM_KEEPALIVE_REQUESTS,
            keepalive_time: defaults::UPSTREAM_KEEPALIVE_TIME,
            peers: vec![peer],
        }))
    }

    /// TLS with all defaults, made once for all addresses.
    fn tls_dialing(&self, reader: &Reader<'_>, place: &Text<'_>) -> Option<&Dialing> {
        match self.tls.get_or_init(Dialing::tls) {
            Ok(dialing) => Some(dialing),
            Err(why) => {
                let hint = "make it one of `[upstreams]` with `tls = { ca = … }`";
                reader.cx.hinted(place.at, &place.path, why.as_str(), hint);
                None
            }
        }
    }

    /// `Some(Some(address))` for an address, as the upstream that it makes is called:
    /// `HOST:PORT`, `unix:PATH`, or one of these behind [`TLS`]; `Some(None)` for what can only be
    /// a name, `None` for what has been reported.
    fn as_address(&self, reader: &Reader<'_>, wanted: &Text<'_>) -> Option<Option<String>> {
        let refuse = |message: &str, hint: &str| {
            reader.cx.hinted(wanted.at, &wanted.path, message, hint);
            None
        };
        let (scheme, rest) = match wanted.text.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None if wanted.text.starts_with("unix:") => ("http", wanted.text),
            None if wanted.text.contains(':') => return Some(Some(wanted.text.to_owned())),
            None if wanted.text.parse::<std::net::Ipv4Addr>().is_ok() => {
                return refuse("has no port", &format!("write \"{}:80\"", wanted.text));
            }
            None => return Some(None),
        };
        let (scheme, port) = match scheme {
            "http" | "ws" => ("", 80),
            "https" | "wss" => (TLS, 443),
            other => return refuse(&format!("unknown scheme `{other}`"), "there are http:// and https://"),
        };
        if let Some(path) = rest.strip_prefix("unix:") {
            // nginx: what stands behind a colon is the path of requests.
            return match path.contains(':') {
                true => refuse(NO_PATH, USE_PREFIX),
                false => Some(Some(format!("{scheme}{rest}"))),
            };
        }
        let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(p)));
        if path.is_some_and(|p| !p.is_empty()) {
            return refuse(NO_PATH, USE_PREFIX);
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Some(Some(if has_port { format!("{scheme}{authority}") } else { format!("{scheme}{authority}:{port}") }))
    }
}
