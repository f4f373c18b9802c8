//! Phase 6: a peer for the next try. Hook `balancer`, else the upstream's policy.

use super::super::exchange::Exchange;
use crate::upstream::{Ask, Lease, Upstream};

/// A peer: the one that the upstream's balancer names, where it has one, or else the one that
/// its policy chooses; none where no peer is left.
pub(super) async fn pick(exchange: &Exchange, upstream: &Upstream, ask: &Ask<'_>) -> Option<Lease> {
    match named(exchange, upstream, ask).await {
        // It may have been taken by another request just now.
        Some(lease) => Some(lease),
        None => upstream.pick(ask),
    }
}

/// The peer that the upstream's balancer names. A failure has been logged and counted; a request
/// is never lost for it, since there is a policy to go on by.
async fn named(exchange: &Exchange, upstream: &Upstream, ask: &Ask<'_>) -> Option<Lease> {
    let balancer = exchange.snapshot.balancer(upstream)?;
    let members = upstream.members();
    let id = balancer.pick(&exchange.view, members.choice(ask)).answer().await.ok().flatten()?;
    members.lease(id, ask)
}
