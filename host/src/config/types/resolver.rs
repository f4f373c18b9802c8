//! Names of peers, and how they are looked up.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Place;
use crate::config::defaults;

/// A name that stands for peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// What is asked for.
    pub question: Question,
    /// The port of every address; a service's answer says it itself.
    pub port: Option<u16>,
    /// When it is asked.
    pub resolve: Resolve,
    /// Where the name stands in the configuration.
    pub place: Place,
}

/// What is asked for, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// The addresses of a host: A and AAAA.
    Host(Arc<str>),
    /// The hosts of a service: SRV (RFC 2782), and then their addresses.
    Service(Arc<str>),
}

impl Question {
    /// The name alone.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Host(name) | Self::Service(name) => name,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Service(name) => write!(f, "SRV {name}"),
        }
    }
}

/// When a name is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolve {
    /// At the start, where it must have an answer, and again when the answer's time is over.
    /// nginx: `resolve`.
    #[default]
    Ttl,
    /// As [`Resolve::Ttl`], but nobody waits for the first answer.
    Lazy,
    /// When the configuration is taken into use, only. nginx: without `resolve`.
    Once,
}

/// `[resolver]`. nginx: `resolver`. Its default is that of a file without the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resolver {
    /// Name servers; empty for those of the system. nginx: `resolver`.
    pub addresses: Vec<SocketAddr>,
    /// How long an answer is used, whatever it says itself. nginx: `valid=`.
    pub valid: Option<Duration>,
    /// How long an answer may take. nginx: `resolver_timeout`.
    pub timeout: Duration,
    /// Whether IPv6 addresses are used; none decides by what the machine can reach. nginx: `ipv6=`.
    pub ipv6: Option<bool>,
    /// The least time between two questions for a name.
    pub min_ttl: Duration,
    /// The most that an answer is used.
    pub max_ttl: Duration,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            valid: None,
            timeout: defaults::RESOLVER_TIMEOUT,
            ipv6: None,
            min_ttl: defaults::MIN_TTL,
            max_ttl: defaults::MAX_TTL,
        }
    }
}
