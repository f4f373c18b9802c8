//! What plugins are given besides requests of their own: stores, secrets, variables of the environment.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidegate_cidr::Cidr;

use super::PeerTls;
use crate::config::Secret;

/// `[kv.NAME]`: keys and values that plugins keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kv {
    /// Its name.
    pub name: Arc<str>,
    /// The longest value, bytes.
    pub max_value: usize,
    /// Where it is.
    pub place: KvPlace,
}

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvPlace {
    /// In the process.
    Memory(KvMemory),
    /// In a Redis.
    Redis(KvRedis),
}

/// The bounds of a store in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvMemory {
    /// The most keys.
    pub max_keys: usize,
    /// The most bytes, with what keys cost besides their own.
    pub max_bytes: usize,
    /// Whether a full store refuses new keys, or drops others for them.
    pub refuse: bool,
}

/// A Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvRedis {
    /// Where it listens.
    pub address: KvAddress,
    /// The database's number.
    pub database: i64,
    /// Who the proxy is; none for the user that a password alone means.
    pub user: Option<String>,
    /// The password; empty for none.
    pub password: Secret,
    /// How long an operation may take, with a connection that is made for it.
    pub timeout: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
}

/// Where a Redis listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvAddress {
    /// A host, by name or address, and a port.
    Tcp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// TLS; none for plain.
        tls: Option<PeerTls>,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for KvAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What a plugin is granted, but for destinations of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// Stores.
    pub kv: Vec<KvGranted>,
    /// Secrets by name.
    pub secrets: Vec<(Arc<str>, Secret)>,
    /// Variables of the proxy's environment, as they were when the configuration was read.
    pub environment: Vec<(String, Secret)>,
    /// Ranges that are not public and may be reached by name all the same.
    pub private: Vec<Cidr>,
    /// Requests of its own that may be under way at once.
    pub max_fetches: usize,
}

/// A store that a plugin is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvGranted {
    /// Index into `Config::kv`.
    pub store: usize,
    /// The store's name.
    pub name: Arc<str>,
    /// What stands before each key.
    pub prefix: Arc<str>,
}
