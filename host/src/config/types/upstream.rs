//! Upstreams and their peers.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::dial::Dial;
use super::{Admission, Breaker, Health, Lookup};
use crate::config::{Secret, defaults};
use crate::hook::Template;

/// One `[upstreams.NAME]`. nginx: `upstream`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// How a peer is chosen.
    pub policy: Policy,
    /// How sessions stay with a peer; none where they do not. nginx: `sticky`.
    pub sticky: Option<Sticky>,
    /// Idle connections kept by each worker for each peer. nginx: `keepalive`.
    pub keepalive: usize,
    /// How long an idle connection is kept. nginx: `keepalive_timeout` (upstream).
    pub keepalive_timeout: Duration,
    /// Which version of HTTP its peers are asked in. nginx: `proxy_http_version`.
    pub protocol: Protocol,
    /// With HTTP/2: how long a peer may be silent about what it was sent before a PING asks it for
    /// a sign of life, and how long that may take.
    pub ping: Duration,
    /// How much it is given at once; none for any number.
    pub admission: Option<Admission>,
    /// Index into `Config::plugins` of the one that is asked for a peer first.
    pub balancer: Option<usize>,
    /// Requests that one connection serves. nginx: `keepalive_requests` (upstream).
    pub keepalive_requests: u64,
    /// How long one connection serves requests. nginx: `keepalive_time` (upstream).
    pub keepalive_time: Duration,
    /// At least one that is not down.
    pub peers: Vec<Peer>,
}

/// Which version of HTTP peers are asked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    H1,
    /// HTTP/2: over TLS by ALPN, else with prior knowledge (RFC 9113 §3.3).
    H2,
    /// Over TLS what the peer chooses by ALPN, else HTTP/1.1.
    Auto,
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
    /// The least busy by weight. nginx: `least_conn`.
    LeastConn,
    /// The same for the same client network. nginx: `ip_hash`.
    IpHash,
    /// The same for the same key. nginx: `hash`.
    Hash {
        /// The key.
        key: Template,
        /// Whether few keys move when peers change. nginx: `consistent`.
        consistent: bool,
    },
    /// By chance. nginx: `random`.
    Random,
    /// The less busy of two by chance. nginx: `random two least_conn`.
    RandomTwo,
    /// The one that is likely to answer first. nginx: `least_time`.
    LeastTime(Until),
}

/// What time `least-time` goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Until the answer's head.
    Header,
    /// Until its last byte.
    LastByte,
}

/// How the requests of a session find their peer again. nginx: `sticky`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sticky {
    /// By a cookie that the proxy sets.
    Cookie(StickyCookie),
    /// By a peer's route: the first of these texts that has a value.
    Route(Vec<Template>),
    /// By what a peer's answer began the session with.
    Learn(StickyLearn),
}

/// nginx: `sticky cookie`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyCookie {
    /// Its name.
    pub name: String,
    /// What its values are made with.
    pub secret: Secret,
    /// How long a client keeps it; none for as long as the client runs.
    pub expires: Option<Duration>,
    /// For which hosts; empty for the one that was asked.
    pub domain: Template,
    /// For which paths; none for the one that was asked.
    pub path: Option<String>,
    /// Not for scripts.
    pub http_only: bool,
    /// Not without TLS.
    pub secure: bool,
    /// `strict`, `lax` or `none`.
    pub same_site: Option<String>,
}

/// nginx: `sticky learn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyLearn {
    /// What names a session that an answer begins: the first that has a value.
    pub create: Vec<Template>,
    /// What names the session of a request.
    pub lookup: Vec<Template>,
    /// The most that are kept.
    pub sessions: usize,
    /// One that was not asked for in this time is forgotten.
    pub timeout: Duration,
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
    /// That of its upstream; none where it has none.
    pub breaker: Option<Breaker>,
    /// What balancers are told of it, in the order of the names.
    pub tags: Vec<(String, String)>,
    /// What requests call it that are to go to it. nginx: `route=`.
    pub route: Option<Arc<str>>,
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
            breaker: None,
            tags: Vec::new(),
            route: None,
            dial: Arc::default(),
        }
    }
}
