//! Phases 6 and 7: a peer is chosen, asked, and its answer's head awaited.
//!
//! Where a connection cannot be made, the next peer is tried: nothing has reached the first.

mod ask;
mod balance;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;

use super::exchange::{Exchange, Target};
use super::handshake::Upgrade;
use super::{headers, outcome};
use crate::body::{Body, Meter, Metered};
use crate::error::{Error, Kind, Retry, Side};
use crate::http1;
use crate::message::ResponseHead;
use crate::proxy_protocol::Ends;
use crate::socket::Socket;
use crate::upstream::{Ask, Lease, Peer, Tick};

/// What the peer answered.
pub(super) enum Answer {
    /// A response with a body to stream.
    Response {
        /// Its head.
        head: ResponseHead,
        /// Its body.
        body: Body,
    },
    /// A valid 101.
    Switch {
        /// Its head.
        head: ResponseHead,
        /// The connection, no longer HTTP.
        upstream: Socket,
        /// What the peer sent right behind the head.
        early: Bytes,
        /// The peer is busy with it.
        lease: Lease,
    },
}

impl Answer {
    /// The answer's head.
    pub(super) fn head(&self) -> &ResponseHead {
        match self {
            Self::Response { head, .. } | Self::Switch { head, .. } => head,
        }
    }

    /// The answer's head, to be changed.
    pub(super) fn head_mut(&mut self) -> &mut ResponseHead {
        match self {
            Self::Response { head, .. } | Self::Switch { head, .. } => head,
        }
    }

    /// Whether the connection has left HTTP.
    pub(super) fn is_switch(&self) -> bool {
        matches!(self, Self::Switch { .. })
    }
}

/// A request as a peer will see it. The bytes of its head serve for several tries.
struct Outgoing {
    head: Vec<u8>,
    method: Method,
    body: Body,
}

/// Send the request to a peer and await the head of its answer.
///
/// # Errors
/// Upstream kinds, and [`Kind::ClientBody`] where the client's body breaks off.
pub(super) async fn send(exchange: &mut Exchange, body: Body) -> Result<Answer, Error> {
    let target = exchange.target.clone().ok_or(Kind::NoRoute)?;
    let meter = (!matches!(body, Body::Empty)).then(|| Arc::new(Meter::default()));
    let body = match &meter {
        Some(meter) => Body::Stream(Box::new(Metered::new(body, Arc::clone(meter)))),
        None => body,
    };
    if let Some(record) = &mut exchange.record {
        record.meter.clone_from(&meter);
    }
    let mut outgoing = outgoing(exchange, body);
    let (mut tried, mut last) = (Vec::new(), None);
    loop {
        let Some(lease) = pick(exchange, &target, &tried).await else {
            return Err(last.unwrap_or_else(|| no_peer(&target)));
        };
        let peer = Arc::clone(lease.peer());
        if let Some(record) = &mut exchange.record {
            record.asks(&peer.name, &peer.tally);
        }
        let connected = OnceLock::new();
        let attempt = Attempt {
            target: &target,
            peer: &peer,
            meter: meter.as_ref(),
            asked: &exchange.upgrade,
            connected: &connected,
            ends: Ends { source: exchange.view.client, destination: exchange.view.local },
        };
        let answer = ask::ask(&attempt, lease, outgoing).await;
        if let (Some(record), Some(at)) = (&mut exchange.record, connected.get()) {
            record.connected(*at);
        }
        match answer {
            Ok(answer) => {
                exchange.sticky = target.upstream.answered(&peer, &*exchange.view, &answer.head().fields);
                peer.succeeded();
                return Ok(answer);
            }
            // The request is still whole only where no connection was made.
            Err(Failed { error, unsent: Some(whole) }) if error.kind.retry() == Retry::NextPeer => {
                tracing::debug!(peer = %peer.name, %error, "trying the next peer");
                outcome::failed(exchange, &error);
                peer.failed(&error);
                tried.push(peer);
                last = Some(error);
                outgoing = *whole;
            }
            Err(failed) => {
                if failed.error.kind.side() == Side::Upstream {
                    peer.failed(&failed.error);
                }
                return Err(failed.error);
            }
        }
    }
}

/// One try with one peer.
struct Attempt<'a> {
    target: &'a Target,
    peer: &'a Arc<Peer>,
    /// Counts the client's body; none where there is none.
    meter: Option<&'a Arc<Meter>>,
    /// Whether and how the client wants to leave HTTP.
    asked: &'a Upgrade,
    /// When there was a connection.
    connected: &'a OnceLock<Instant>,
    /// Who asks, and where it has connected to.
    ends: Ends,
}

/// A try that failed.
struct Failed {
    error: Error,
    /// The request, where it can be sent again.
    unsent: Option<Box<Outgoing>>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, unsent: None }
    }
}

/// The peer for the next try: by the upstream's balancer, or else by its policy; none where none
/// is left.
async fn pick(exchange: &Exchange, target: &Target, tried: &[Arc<Peer>]) -> Option<Lease> {
    if let Some(lease) = balance::named(exchange, &target.upstream, tried).await {
        return Some(lease);
    }
    let view = &*exchange.view;
    target.upstream.pick(&Ask { client: Some(view.client.ip()), tried, now: Tick::now(), values: Some(view) })
}

/// nginx: "no live upstreams".
fn no_peer(target: &Target) -> Error {
    Error::new(Kind::NoPeer, format!("no live peer in `{}`", target.upstream.name))
}

/// The request as the peer will see it.
fn outgoing(exchange: &mut Exchange, body: Body) -> Outgoing {
    let read_later = exchange.target.as_ref().is_some_and(|target| {
        let chains = &target.route.chains;
        let balanced = exchange.snapshot.balancer(&target.upstream).is_some();
        balanced
            || target.upstream.reads_request()
            || !chains.response_headers.is_empty()
            || !chains.access_log.is_empty()
    });
    let upgrade = exchange.upgrade.clone();
    let target = std::mem::take(&mut exchange.target_path);
    let length = body.length();
    let view = exchange.view_mut();
    let mut fields = if read_later { view.headers.clone() } else { std::mem::take(&mut view.headers) };
    headers::for_upstream(&mut fields, &upgrade);
    let mut head = Vec::new();
    http1::request_head(&mut head, &view.method, &target, &fields, length);
    Outgoing { head, method: view.method.clone(), body }
}
