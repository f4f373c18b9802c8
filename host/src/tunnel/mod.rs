//! After the switch: two streams and what flows between them, until it ends.
//!
//! A tunnel at rest holds its two sockets, one timer and a registry entry; buffers and
//! pipes are the worker's, lent for the length of one step.

mod flow;
mod pipe;
mod registry;
mod run;

use std::time::Duration;

use bytes::Bytes;

pub use registry::{Control, Registry};
pub use run::run;

use crate::observe::Record;
use crate::socket::Socket;
use crate::upstream::Lease;

/// The peer's side of a tunnel that is about to open.
pub struct Opening {
    /// The peer's stream.
    pub upstream: Socket,
    /// What the peer sent right behind its 101.
    pub early: Bytes,
    /// What holds for the tunnel.
    pub terms: Terms,
    /// The record of the exchange that opened it.
    pub record: Option<Box<Record>>,
    /// The peer is busy with the tunnel all its life.
    pub lease: Lease,
}

/// What holds for a tunnel all its life.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How long neither side may send anything. nginx: `proxy_read_timeout`.
    pub idle: Duration,
    /// Whether one direction may outlive the other.
    pub half_close: bool,
}

/// Why a tunnel ended. Each has a stable code for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client closed.
    Client,
    /// The peer closed.
    Upstream,
    /// The client's connection failed.
    ClientReset,
    /// The peer's connection failed.
    UpstreamReset,
    /// Nothing came for too long.
    Idle,
    /// The server drained, and the tunnel outlived the deadline.
    Drain,
    /// Checks found the peer unhealthy, and `health.on_unhealthy` ends its tunnels.
    PeerUnhealthy,
}

impl End {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Client => "tunnel.client_closed",
            Self::Upstream => "tunnel.upstream_closed",
            Self::ClientReset => "tunnel.client_reset",
            Self::UpstreamReset => "tunnel.upstream_reset",
            Self::Idle => "tunnel.idle",
            Self::Drain => "tunnel.drain",
            Self::PeerUnhealthy => "tunnel.peer_unhealthy",
        }
    }
}
