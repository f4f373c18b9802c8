//! Connections that are passed on as they are: TLS by the name that the client asks for, without
//! being terminated, and plain TCP. nginx: `stream` with `ssl_preread`.
//!
//! What comes before HTTP on a listener, or in place of it: the first bytes are looked at and
//! left where they are ([`hello`], `peek`), a stream is chosen by them (`choose`), a peer is
//! connected to (`serve`), and from then on it is a tunnel like any other.

mod choose;
pub mod hello;
mod peek;
mod room;
mod serve;
mod variables;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use choose::{Chosen, choose};
pub use room::{Place, Rooms};
pub use serve::{Opened, open};

use crate::config::{self, AccessRule, NextPeer};
use crate::limit::{Limits, Zones};
use crate::observe::{Client, Logs, Tally};
use crate::proxy_protocol::Ends;
use crate::tls::server::{Entry, Names};
use crate::tunnel::Terms;
use crate::upstream::Upstream;
use room::Room;

/// One stream made ready. nginx: a `server` of `stream`.
pub struct Stream {
    /// Its name.
    pub name: Arc<str>,
    upstream: Arc<Upstream>,
    tally: Arc<Tally>,
    logs: Option<Arc<Logs>>,
    /// Who may connect; the first rule that fits decides.
    access: Box<[AccessRule]>,
    /// How many there may be by key.
    limits: Limits,
    /// How many there may be at all.
    room: Arc<Room>,
    connect_timeout: Duration,
    next: NextPeer,
    terms: Terms,
}

/// What a stream is made of beside its configuration.
pub struct Parts<'a> {
    /// Where it leads.
    pub upstream: Arc<Upstream>,
    /// Its numbers.
    pub tally: Arc<Tally>,
    /// Its access logs.
    pub logs: Option<Arc<Logs>>,
    /// What is counted by key.
    pub zones: &'a Zones,
    /// How many connections each stream has, over reloads.
    pub rooms: &'a Rooms,
}

/// The streams of one listener.
pub struct Here {
    /// Those that go by protocols, in order; each with the names that it takes, none for any.
    by_alpn: Vec<ByAlpn>,
    /// By name: a stream, or none where a site has the name; without either, what has no name.
    names: Names<Found>,
    /// What is neither: nginx's `default` of a `map` over `$ssl_preread_server_name`, and all that
    /// is no TLS.
    rest: Option<Arc<Stream>>,
    /// Whether the first bytes say where a connection goes.
    prereads: bool,
    /// How long they may take, where there is no TLS whose handshake has a time of its own.
    patience: Duration,
    /// The stream whose connections those are that end before it is known whose they are.
    first: Arc<Stream>,
}

/// A stream that goes by protocols.
struct ByAlpn {
    protocols: Vec<Box<[u8]>>,
    names: Option<Names<bool>>,
    stream: Arc<Stream>,
}

/// What a name leads to.
#[derive(Clone)]
enum Found {
    /// A stream.
    Stream(Arc<Stream>),
    /// A site, which terminates TLS.
    Site,
    /// Nobody has it.
    Nobody,
}

/// A client's connection as a stream sees it.
pub struct Arrived<'a> {
    /// The client's end.
    pub client: &'a Client,
    /// The proxy's end.
    pub local: SocketAddr,
    /// What a proxy in front says of it; none where none does.
    pub proxied: Option<Ends>,
}

impl Stream {
    /// Make a stream ready.
    pub fn new(config: &config::Stream, parts: Parts<'_>) -> Self {
        Self {
            name: Arc::clone(&config.name),
            upstream: parts.upstream,
            tally: parts.tally,
            logs: parts.logs,
            access: config.access.clone().into(),
            limits: Limits::new(&config.limits, parts.zones),
            room: parts.rooms.of(&config.name, config.max_connections),
            connect_timeout: config.connect_timeout,
            next: config.next,
            terms: Terms { idle: config.idle_timeout, half_close: config.half_close },
        }
    }
}

impl Here {
    /// The streams of a listener, out of all of the configuration's; none where it has none.
    pub fn new(config: &config::StreamsHere, all: &[(&config::Stream, Arc<Stream>)]) -> Option<Self> {
        let here: Vec<_> = config.streams.iter().filter_map(|index| all.get(*index)).collect();
        let (_, first) = here.first()?;
        let default = here.iter().find(|(config, _)| config.default);
        let mut names = Names::new(default.map_or(Found::Nobody, |(_, stream)| Found::Stream(Arc::clone(stream))));
        let mut by_alpn = Vec::new();
        for (config, stream) in &here {
            if config.alpn.is_empty() {
                config.names.iter().for_each(|name| names.insert(name, Found::Stream(Arc::clone(stream))));
                continue;
            }
            let protocols = config.alpn.iter().map(|name| name.as_bytes().into()).collect();
            by_alpn.push(ByAlpn { protocols, names: only(&config.names), stream: Arc::clone(stream) });
        }
        config.sites.iter().for_each(|name| names.insert(name, Found::Site));
        Some(Self {
            by_alpn,
            names,
            rest: here.iter().find(|(config, _)| config.takes_rest()).map(|(_, stream)| Arc::clone(stream)),
            prereads: here.iter().any(|(config, _)| config.preread || !config.takes_rest()),
            patience: config.preread_timeout,
            first: Arc::clone(first),
        })
    }
}

/// A table that says whether a name is one of these; none where any is.
fn only(entries: &[Entry]) -> Option<Names<bool>> {
    let mut names = Names::new(false);
    entries.iter().for_each(|name| names.insert(name, true));
    (!entries.is_empty()).then_some(names)
}
