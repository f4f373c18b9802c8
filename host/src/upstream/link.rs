//! One HTTP/1.1 connection to a peer, idle or in use.

use std::sync::Arc;
use std::time::Duration;

use super::{Peer, Upstream, pool};
use crate::socket::Socket;
use crate::stream::Stream;

/// A connection to a peer. Dropping it closes it.
#[derive(Debug)]
pub struct Link {
    pub(super) stream: Stream<Socket>,
    pub(super) peer: Arc<Peer>,
    /// How many idle ones the upstream keeps.
    pub(super) keepalive: usize,
    /// For how long.
    pub(super) timeout: Duration,
}

impl Link {
    /// A connection that was just opened. A write may stall for `send_timeout`.
    pub fn new(stream: Socket, peer: &Arc<Peer>, upstream: &Upstream, send_timeout: Duration) -> Self {
        Self {
            stream: Stream::new(stream, send_timeout),
            peer: Arc::clone(peer),
            keepalive: upstream.keepalive,
            timeout: upstream.keepalive_timeout,
        }
    }

    /// Keep it for another request, if there is room.
    pub(super) fn give_back(self) {
        if self.keepalive > 0 {
            pool::put(self);
        }
    }

    /// Whether nothing has come from the peer since it was used: neither its end nor bytes
    /// that nobody asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.stream.get_mut().is_quiet()
    }
}
