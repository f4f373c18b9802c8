//! Upstreams and their peers.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::dial::Dial;

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

/// How an upstream's peer is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// In turn, by weight, smoothly, as nginx does without a directive.
    #[default]
    RoundRobin,
}

/// One member of an upstream. nginx: `server` in `upstream`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// As written: `host:port` or `unix:PATH`. Names are resolved when the configuration is read.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// 1 or more. nginx: `weight=`.
    pub weight: u32,
    /// Out of use. nginx: `down`.
    pub down: bool,
    /// How connections to it are made.
    pub dial: Arc<Dial>,
}
