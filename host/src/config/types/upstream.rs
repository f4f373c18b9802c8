//! Upstreams and their peers.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::dial::Dial;
use super::{Health, Lookup};
use crate::config::defaults;

/// One `[upstreams.NAME]`. nginx: `upstream`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// How a peer is chosen.
    pub policy: Policy,
    /// Idle connections kept by each worker for each peer. nginx: `keepalive`.
    pub keepalive: usize,
    /// How long an idle connection is kept. nginx: `keepalive_timeout` (upstream).
    pub keepalive_timeout: Duration,
    /// Requests that one connection serves. nginx: `keepalive_requests` (upstream).
    pub keepalive_requests: u64,
    /// How long one connection serves requests. nginx: `keepalive_time` (upstream).
    pub keepalive_time: Duration,
    /// At least one that is not down.
    pub peers: Vec<Peer>,
}

/// Where a peer is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix stream socket.
    Unix(Arc<Path>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where a peer's address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is written.
    Fixed(Address),
    /// A name, which may stand for many peers.
    Name(Arc<Lookup>),
}

impl From<Address> for Source {
    fn from(address: Address) -> Self {
        Self::Fixed(address)
    }
}

/// How an upstream's peer is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Policy {
    /// In turn, by weight, smoothly, as nginx does without a directive.
    #[default]
    RoundRobin,
}

/// One member of an upstream. nginx: `server` in `upstream`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// As written: `host:port` or `unix:PATH`; of a service, its full name.
    pub name: Arc<str>,
    /// Where it is.
    pub source: Source,
    /// 1 or more. nginx: `weight=`.
    pub weight: u32,
    /// Out of use. nginx: `down`.
    pub down: bool,
    /// Only for those that are stuck to it. nginx: `drain`.
    pub drain: bool,
    /// Only where no other can serve. nginx: `backup`.
    pub backup: bool,
    /// Exchanges and tunnels at once; 0 for any number. nginx: `max_conns=`.
    pub max_conns: u32,
    /// Failures that take it out for `fail_timeout`; 0 for never. nginx: `max_fails=`.
    pub max_fails: u32,
    /// How long failures count, and for how long they take it out. nginx: `fail_timeout=`.
    pub fail_timeout: Duration,
    /// How it is checked; none where it is not.
    pub health: Option<Arc<Health>>,
    /// How long its share grows when it is new or serves again; zero for not at all. nginx Plus:
    /// `slow_start=`.
    pub slow_start: Duration,
    /// How connections to it are made.
    pub dial: Arc<Dial>,
}

impl Peer {
    /// One of which nothing but its address is said.
    pub fn new(name: &str, source: impl Into<Source>) -> Self {
        Self {
            name: name.into(),
            source: source.into(),
            weight: 1,
            down: false,
            drain: false,
            backup: false,
            max_conns: 0,
            max_fails: defaults::MAX_FAILS,
            fail_timeout: defaults::FAIL_TIMEOUT,
            health: None,
            slow_start: Duration::ZERO,
            dial: Arc::default(),
        }
    }
}
