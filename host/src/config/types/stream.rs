//! Streams: connections that are passed on as they are.

use std::sync::Arc;
use std::time::Duration;

use tidegate_cidr::Cidr;

use super::{AccessLog, Limits};
use crate::tls::server::Entry;

/// One `[[streams]]`. nginx: a `server` of `stream`.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Unique.
    pub name: Arc<str>,
    /// The names that TLS clients ask for.
    pub names: Vec<Entry>,
    /// Protocols, one of which they must offer; empty for any.
    pub alpn: Vec<String>,
    /// Takes TLS whose name nobody has.
    pub default: bool,
    /// Waits for a TLS client's first message in any case. nginx: `ssl_preread`.
    pub preread: bool,
    /// Index into `Config::upstreams`.
    pub upstream: usize,
    /// How long connecting to a peer may take. nginx: `proxy_connect_timeout`.
    pub connect_timeout: Duration,
    /// How long neither side may send anything. nginx: `proxy_timeout`.
    pub idle_timeout: Duration,
    /// When one side ends, keep the other direction open. nginx: `proxy_half_close`.
    pub half_close: bool,
    /// Whether another peer is tried.
    pub next: NextPeer,
    /// Who may connect; the first rule that fits decides.
    pub access: Vec<AccessRule>,
    /// How many there may be by key: no rates, no sizes.
    pub limits: Limits,
    /// How many there may be at all; none for any number.
    pub max_connections: Option<u32>,
    /// Its access logs.
    pub access_logs: Arc<[AccessLog]>,
}

impl Stream {
    /// Whether it takes all that no other stream of a listener takes.
    pub fn takes_rest(&self) -> bool {
        self.names.is_empty() && self.alpn.is_empty() && !self.default
    }
}

/// Whether another peer is tried where one cannot be connected to. nginx: `proxy_next_upstream` of
/// `stream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextPeer {
    /// Whether at all.
    pub on: bool,
    /// How many peers may be tried; none for all.
    pub tries: Option<u32>,
    /// How long after the first was; none for ever.
    pub timeout: Option<Duration>,
}

/// nginx: `allow`, `deny`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessRule {
    /// Whether whom it fits may come.
    pub allow: bool,
    /// Whom it fits; none for all.
    pub range: Option<Cidr>,
}

/// The streams of one listener.
#[derive(Debug, Clone)]
pub struct StreamsHere {
    /// Indexes into `Config::streams`, at least one.
    pub streams: Vec<usize>,
    /// Names that are terminated here: those of sites with TLS.
    pub sites: Vec<Entry>,
    /// How long a client may take to say what it asks for. nginx: `preread_timeout`.
    pub preread_timeout: Duration,
}
