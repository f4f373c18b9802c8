//! Whether another peer is asked after one has failed.
//!
//! nginx: `ngx_http_upstream_next` and `ngx_http_upstream_test_next`.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::exchange::Target;
use super::replay::Outgoing;
use super::{Answer, Failed};
use crate::config::{Condition, NextUpstream};
use crate::error::{Error, Kind, Retry, Side};
use crate::upstream::{Peer, Tick, Upstream};

/// The tries of one request.
pub(super) struct Tries<'a> {
    rule: &'a NextUpstream,
    upstream: &'a Upstream,
    /// When the first began, where that counts.
    since: Option<Instant>,
    /// The peers that have failed.
    pub(super) tried: Vec<Arc<Peer>>,
}

impl<'a> Tries<'a> {
    /// The first begins.
    pub(super) fn new(target: &'a Target) -> Self {
        let rule = &target.route.next_upstream;
        Self { rule, upstream: &target.upstream, since: rule.timeout.map(|_| Instant::now()), tried: Vec::new() }
    }

    /// Whether a peer may be asked after this became of the last try. `reached` is whether that
    /// peer may have seen a part of the request.
    pub(super) fn may_go_on(&self, after: Condition, reached: bool, outgoing: &Outgoing) -> bool {
        let Self { rule, upstream, since, tried } = self;
        // RFC 9110 §9.2.2: only what does nothing by being repeated may be sent twice.
        let is_safe = !reached || outgoing.method.is_idempotent() || rule.when.has(Condition::NonIdempotent);
        let in_time = rule.timeout.zip(*since).is_none_or(|(timeout, since)| since.elapsed() < timeout);
        let are_left = || {
            let most = rule.tries.map_or(usize::MAX, |most| most as usize).min(upstream.usable());
            tried.len() + 1 < most
        };
        rule.when.has(after) && is_safe && in_time && are_left() && outgoing.can_begin()
    }
}

/// What an error is for `next_upstream`; none where it is not the peer's.
pub(super) fn condition(kind: Kind) -> Option<Condition> {
    match kind {
        Kind::ConnectTimeout | Kind::SendTimeout | Kind::ReadTimeout => Some(Condition::Timeout),
        Kind::BadResponse | Kind::BadSwitch | Kind::UnaskedSwitch => Some(Condition::InvalidHeader),
        Kind::NoPeer => None,
        kind => (kind.side() == Side::Upstream).then_some(Condition::Error),
    }
}

/// Whether a peer may have acted on a request that ended with this error after it had been sent.
pub(super) fn may_have_acted(kind: Kind) -> bool {
    kind.retry() == Retry::Never
}

/// Tell the peer's health and its breaker what became of a try; `on` is why the request goes on
/// to another peer, where it does.
///
/// nginx: whatever `proxy_next_upstream` says, a peer has failed where it gave no or no right
/// answer; a status is a failure where the request goes on because of it, but for 403 and 404.
pub(super) fn judge(peer: &Peer, picked: Tick, answer: &Result<Answer, Failed>, on: Option<Condition>) {
    match answer {
        Ok(answer) => {
            let status = answer.head().status;
            peer.judge(!status.is_server_error(), picked);
            if on.is_some_and(Condition::is_failure) {
                peer.failed(&Error::new(Kind::BadResponse, format!("answered with {}", status.as_u16())));
            } else {
                peer.succeeded();
            }
        }
        Err(Failed { error, .. }) if error.kind.side() == Side::Upstream => {
            peer.judge(false, picked);
            peer.failed(error);
        }
        // It was the client.
        Err(_) => {}
    }
}
