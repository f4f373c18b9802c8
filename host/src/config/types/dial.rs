//! How connections to peers are made.

use std::net::IpAddr;
use std::sync::Arc;

use crate::proxy_protocol;
use crate::tls::{Client, ServerName};

/// How connections to one peer are made. A connection serves whatever is equal to what it was
/// made by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Dial {
    /// TLS; none for plain connections. nginx: `proxy_pass https://`.
    pub tls: Option<PeerTls>,
    /// The address to connect from; none leaves it to the system. nginx: `proxy_bind`.
    pub bind: Option<IpAddr>,
    /// Whether the system probes connections that are silent. nginx: `proxy_socket_keepalive`.
    pub tcp_keepalive: bool,
    /// TCP's congestion control; none for the system's (see [`crate::socket::congestion`]).
    pub congestion_control: Option<Arc<str>>,
    /// The PROXY protocol's header that each connection begins with; none for none. Connections
    /// with one serve one client. nginx: `proxy_protocol` (stream).
    pub proxy_protocol: Option<proxy_protocol::Version>,
}

/// TLS with one peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerTls {
    /// What holds for all peers of the upstream.
    pub client: Client,
    /// What the peer is called: sent to it (SNI) where it is no IP address, and verified.
    /// nginx: `proxy_ssl_name`.
    pub name: ServerName<'static>,
}
