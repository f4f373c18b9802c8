//! One HTTP/1.1 connection to a peer, idle or in use.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::{Peer, Upstream, Way, pool};
use crate::socket::Socket;
use crate::stream::Stream;

/// A connection to a peer. Dropping it closes it.
#[derive(Debug)]
pub struct Link {
    pub(super) stream: Stream<Socket>,
    /// Which peers it serves; gone once there is none of them any more.
    pub(super) way: Weak<Way>,
    /// The way's, which is looked up by it.
    pub(super) way_id: u64,
    /// How many idle ones the upstream keeps.
    pub(super) keepalive: usize,
    /// For how long.
    pub(super) timeout: Duration,
    /// Requests that it may still serve.
    requests_left: u64,
    since: Instant,
    /// For how long it serves requests.
    longest: Duration,
}

impl Link {
    /// A connection that was opened at `since`. A write may stall for `send_timeout`.
    pub fn new(stream: Socket, since: Instant, peer: &Arc<Peer>, upstream: &Upstream, send_timeout: Duration) -> Self {
        Self {
            stream: Stream::new(stream, send_timeout),
            way: Arc::downgrade(&peer.way),
            way_id: peer.way.id,
            // What a PROXY protocol header has said holds for one client.
            keepalive: if peer.way.dial.proxy_protocol.is_some() { 0 } else { upstream.keepalive },
            timeout: upstream.keepalive_timeout,
            requests_left: upstream.keepalive_requests,
            since,
            longest: upstream.keepalive_time,
        }
    }

    /// It is used for another request.
    pub(super) fn begin_request(&mut self) {
        self.requests_left = self.requests_left.saturating_sub(1);
    }

    /// Keep it for another request, if it may serve one and there is room. nginx:
    /// `ngx_http_upstream_free_keepalive_peer`.
    pub(super) fn give_back(self) {
        let now = Instant::now();
        let may = self.keepalive > 0 && self.requests_left > 0 && now.duration_since(self.since) <= self.longest;
        match may {
            true => pool::put(self, now),
            false => self.close(),
        }
    }

    /// Close it in order.
    pub(super) fn close(mut self) {
        self.stream.get_mut().say_goodbye();
    }

    /// Whether a peer that it serves is still there.
    pub(super) fn is_wanted(&self) -> bool {
        self.way.strong_count() > 0
    }

    /// Whether nothing has come from the peer since it was used: neither its end nor bytes
    /// that nobody asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.stream.get_mut().is_quiet()
    }
}
