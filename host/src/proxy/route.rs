//! Phase 2: which route. Hook `router`, asked in the configuration's order.

use std::sync::Arc;

use super::ask::ask;
use super::exchange::{Exchange, Target};
use super::handshake::{Upgrade, WEBSOCKET};
use crate::error::{Error, Kind, Stop};
use crate::hook;

/// Find the exchange's route, and put on it what the router says.
///
/// # Errors
/// A router's reply (404, say), or [`Kind::NoRoute`] where none has an answer.
pub(super) async fn find(exchange: &mut Exchange) -> Result<(), Stop> {
    let snapshot = Arc::clone(&exchange.snapshot);
    for router in &snapshot.routers {
        match ask(router.as_ref(), router.route(&exchange.view)).await? {
            Some(Ok(Some(target))) => return Ok(take(exchange, target)?),
            Some(Ok(None)) | None => {}
            Some(Err(reply)) => return Err(reply.into()),
        }
    }
    Err(Kind::NoRoute.into())
}

fn take(exchange: &mut Exchange, found: hook::Target) -> Result<(), Error> {
    let unknown = |what: &str, name: &str| Error::new(Kind::UnknownTarget, format!("the router named {what} `{name}`"));
    let snapshot = &exchange.snapshot;
    let route = snapshot.routes.get(found.route.as_str()).ok_or_else(|| unknown("route", &found.route))?;
    let upstream = match &found.upstream {
        Some(name) => snapshot.upstreams.get(name.as_str()).ok_or_else(|| unknown("upstream", name))?,
        None => &route.upstream,
    };
    let target = Target { route: Arc::clone(route), upstream: Arc::clone(upstream) };
    if let Some(path) = found.path_with_query {
        exchange.target_path = path;
    }
    let view = exchange.view_mut();
    view.route = Arc::clone(&target.route.name);
    view.site = Arc::clone(&target.route.site);
    view.upstream = Arc::clone(&target.upstream.name);
    drop_unlisted(&mut exchange.upgrade, &target.route.upgrade);
    exchange.set_variables(found.variables);
    tracing::debug!(route = %target.route.name, upstream = %target.upstream.name, "routed");
    exchange.target = Some(target);
    Ok(())
}

/// Tokens that the route does not list do not pass: the request goes on without Upgrade, as
/// RFC 9110 §7.8 lets any server do. A `curl --http2` then still gets its page, and nothing
/// can be smuggled past the proxy as another protocol.
fn drop_unlisted(upgrade: &mut Upgrade, listed: &[String]) {
    let is_listed = |token: &str| listed.iter().any(|l| l.eq_ignore_ascii_case(token));
    match upgrade {
        Upgrade::WebSocket(_) if !is_listed(WEBSOCKET) => *upgrade = Upgrade::None,
        Upgrade::Other(tokens) => {
            tokens.retain(|token| is_listed(token));
            if tokens.is_empty() {
                *upgrade = Upgrade::None;
            }
        }
        _ => {}
    }
}
