//! Phase 6: the peer that hook `balancer` names.

use std::sync::Arc;

use super::super::exchange::Exchange;
use crate::upstream::{Ask, Lease, Peer, Upstream};

/// The peer for the next try that the upstream's balancer names; none where it has no balancer,
/// where that leaves the choice to the policy, or where another request has just taken the last
/// place at the peer. A failure has been logged and counted, and is none either: a request is
/// never lost for it, since there is a policy to go on by.
pub(super) async fn named(exchange: &Exchange, upstream: &Upstream, tried: &[Arc<Peer>]) -> Option<Lease> {
    let balancer = exchange.snapshot.balancer(upstream)?;
    let members = upstream.members();
    let id = balancer.pick(&exchange.view, members.choice(tried)).answer().await.ok().flatten()?;
    members.lease(id, &Ask { tried, ..Ask::default() })
}
