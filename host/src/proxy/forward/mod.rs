//! Phases 6 and 7: a peer is chosen, asked, and its answer's head awaited.
//!
//! Where one fails, `retry` says whether another is; `replay` has the body for it.

mod ask;
mod balance;
mod http2;
mod replay;
mod retry;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::time::Instant;

use super::exchange::{Exchange, Target};
use super::handshake::Upgrade;
use super::outcome;
use crate::body::Body;
use crate::config::Condition;
use crate::error::{Error, Kind};
use crate::message::ResponseHead;
use crate::proxy_protocol::Ends;
use crate::socket::Socket;
use crate::upstream::{Ask, Class, Lease, Peer, Place, Tick};

use replay::Outgoing;
use retry::Tries;

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

/// Send the request to a peer and await the head of its answer; where one fails, ask the next,
/// as far as the route's `next_upstream` and the request itself allow.
///
/// # Errors
/// Upstream kinds, and [`Kind::ClientBody`] where the client's body breaks off.
pub(super) async fn send(exchange: &mut Exchange, body: Body) -> Result<Answer, Error> {
    let target = exchange.target.clone().ok_or(Kind::NoRoute)?;
    let outgoing = Outgoing::new(exchange, &target.route.next_upstream, body);
    // Held until the head of the answer is there, over all tries.
    let _place = admit(exchange, &target).await?;
    let mut tries = Tries::new(&target);
    let mut lease = pick(exchange, &target, &tries.tried).await.ok_or_else(|| no_peer(&target))?;
    loop {
        let (peer, picked) = (Arc::clone(lease.peer()), lease.picked());
        let answer = one(exchange, &target, &outgoing, lease).await;
        let (condition, reached) = match &answer {
            Ok(answer) => (Condition::of_status(answer.head().status.as_u16()), true),
            Err(failed) => (retry::condition(failed.error.kind), failed.reached),
        };
        let condition = condition.filter(|condition| tries.may_go_on(*condition, reached, &outgoing));
        retry::judge(&peer, picked, &answer, condition);
        let next = match condition {
            Some(_) => {
                tries.tried.push(Arc::clone(&peer));
                pick(exchange, &target, &tries.tried).await
            }
            None => None,
        };
        match (answer, next) {
            // Where every other peer is out of use nginx answers 502; this says more.
            (Ok(answer), None) => {
                exchange.sticky = target.upstream.answered(&peer, &*exchange.view, &answer.head().fields);
                return Ok(answer);
            }
            (Err(failed), None) => return Err(failed.error),
            (Ok(answer), Some(next)) => {
                let status = answer.head().status.as_u16();
                tracing::debug!(peer = %peer.name, status, "trying the next peer");
                outcome::passed_over(exchange, &answer, condition.is_some_and(Condition::is_failure));
                lease = next;
            }
            (Err(Failed { error, .. }), Some(next)) => {
                tracing::debug!(peer = %peer.name, %error, "trying the next peer");
                outcome::failed(exchange, &error);
                lease = next;
            }
        }
    }
}

/// A place among what the upstream is given at once, where that is limited.
async fn admit(exchange: &Exchange, target: &Target) -> Result<Option<Place>, Error> {
    let Some(admission) = &target.upstream.admission else { return Ok(None) };
    let class = if exchange.upgrade == Upgrade::None { Class::Request } else { Class::Handshake };
    admission.enter(class).await
}

/// One try, and its place in the record.
async fn one(exchange: &mut Exchange, target: &Target, outgoing: &Outgoing, lease: Lease) -> Result<Answer, Failed> {
    let peer = Arc::clone(lease.peer());
    if let Some(record) = &mut exchange.record {
        record.asks(&peer.name, &peer.tally);
    }
    let connected = OnceLock::new();
    let ends = Ends { source: exchange.view.client, destination: exchange.view.local };
    let attempt = Attempt { target, peer: &peer, outgoing, asked: &exchange.upgrade, connected: &connected, ends };
    let answer = ask::ask(&attempt, lease).await;
    if let (Some(record), Some(at)) = (&mut exchange.record, connected.get()) {
        record.connected(*at);
    }
    answer
}

/// One try with one peer.
struct Attempt<'a> {
    target: &'a Target,
    peer: &'a Arc<Peer>,
    outgoing: &'a Outgoing,
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
    /// Whether the peer may have seen a part of the request.
    reached: bool,
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
