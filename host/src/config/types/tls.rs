//! TLS towards clients.

use crate::tls::server::{Entry, Settings, Wanted};

/// The versions of HTTP that a listener speaks, at least one. nginx: `listen … http2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocols {
    /// HTTP/1.1.
    pub h1: bool,
    /// HTTP/2: agreed on by ALPN with TLS, by prior knowledge without (RFC 9113 §3).
    pub h2: bool,
    /// HTTP/3, over UDP at the same port. nginx: `listen … quic`.
    pub h3: bool,
}

/// TLS of one listener.
#[derive(Debug, Clone)]
pub struct ListenerTls {
    /// What it offers.
    pub settings: Settings,
    /// What holds for the names of its sites, in order.
    pub names: Vec<(Entry, Wanted)>,
    /// What holds for other names, and for clients that give none.
    pub default: Wanted,
}
