//! After the switch: two streams and what flows between them, until it ends.
//!
//! A tunnel at rest holds its two sockets, one timer and a registry entry; buffers and
//! pipes are the worker's, lent for the length of one step.

mod access;
mod ends;
mod farewell;
mod flow;
mod frames;
mod io_uring;
mod labels;
mod pipe;
mod registry;
mod relay;
mod run;
mod sides;
mod told;

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Sleep;

pub use self::io_uring::allow as allow_io_uring;
pub use access::{Access, Renewal, variables};
pub use labels::{Bound, Label};
pub use registry::{Control, Registry};
pub use relay::{Inspection, extension};
pub use run::{Running, run};
pub use told::Told;

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
    /// What plugins are to see of it; none where it is none of their business.
    pub inspection: Option<Inspection>,
    /// Who is told when it opens and ends; none where nobody is.
    pub told: Option<Told>,
    /// What its grant binds it to; none where it lives as long as it likes.
    pub access: Option<Box<Access>>,
    /// A timer of the same task that has done its work, to be used again; none where there is none. To wait for
    /// longer costs a timer less than to be made.
    pub timer: Option<Pin<Box<Sleep>>>,
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
    /// What one side sent is no frame, or none that may be there. As the four that follow: only
    /// where plugins look at messages.
    BadFrame,
    /// A text is not UTF-8, or a compressed message cannot be inflated.
    BadData,
    /// A message is larger than `messages.max_size`, or was compressed too well.
    TooLarge,
    /// A plugin said so.
    PluginClosed,
    /// A plugin failed that fails closed.
    PluginFailed,
    /// Its grant is over, or it has lived as long as it may.
    Expired,
    /// Its grant was revoked.
    Revoked,
    /// It was asked about again, and refused.
    Denied,
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
            Self::BadFrame => "tunnel.bad_frame",
            Self::BadData => "tunnel.bad_data",
            Self::TooLarge => "tunnel.too_large",
            Self::PluginClosed => "tunnel.plugin_closed",
            Self::PluginFailed => "tunnel.plugin_failed",
            Self::Expired => "tunnel.expired",
            Self::Revoked => "tunnel.revoked",
            Self::Denied => "tunnel.denied",
        }
    }

    /// The code of the close frame that says so (RFC 6455 §7.4.1), where the proxy speaks the
    /// protocol; none where a side ended it, or a plugin that chose one.
    pub fn close_code(self) -> Option<u16> {
        match self {
            Self::Client | Self::Upstream | Self::ClientReset | Self::UpstreamReset | Self::PluginClosed => None,
            Self::Idle | Self::Drain => Some(1001),
            Self::PeerUnhealthy => Some(1012),
            Self::BadFrame => Some(1002),
            Self::BadData => Some(1007),
            Self::TooLarge => Some(1009),
            Self::PluginFailed => Some(1011),
            // Who ends it so says with which.
            Self::Expired | Self::Revoked | Self::Denied => Some(1008),
        }
    }

    /// Whether what each side was sent is all that there was for it.
    pub fn is_in_order(self) -> bool {
        !matches!(self, Self::ClientReset | Self::UpstreamReset)
    }
}
