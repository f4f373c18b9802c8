//! Phase 2: which route. Hook `router`, asked in the configuration's order.

use std::sync::Arc;

use super::ask::ask;
use super::exchange::{Exchange, Target};
use super::handshake::Upgrade;
use super::tls;
use crate::error::{Error, Kind, Stop};
use crate::hook::{self, LocalReply};
use crate::message::WEBSOCKET;

/// Find the exchange's route, and put on it what the router says.
///
/// # Errors
/// A router's reply (404, say), or [`Kind::NoRoute`] where none has an answer.
pub(super) async fn find(exchange: &mut Exchange) -> Result<(), Stop> {
    if let Some(route) = exchange.next_route.take() {
        drop_unlisted(&mut exchange.upgrade, &route.upgrade);
        enter(exchange, Target { upstream: Arc::clone(&route.upstream), route })?;
        return Ok(());
    }
    let snapshot = Arc::clone(&exchange.snapshot);
    for router in &snapshot.routers {
        match ask(router.as_ref(), router.route(&exchange.view)).await? {
            Some(Ok(Some(target))) => return Ok(take(exchange, target)?),
            Some(Ok(None)) | None => {}
            Some(Err(reply)) => return Err(answered(exchange, reply)?.into()),
        }
    }
    Err(Kind::NoRoute.into())
}

/// What is wrong with plain HTTP where TLS is spoken. Only the site's page for it is served (nginx:
/// 497): a route is looked for to know that page, and whatever else is said of it is not heard.
pub(super) async fn misplaced(exchange: &mut Exchange) -> Error {
    // Where nobody knows a route there is no page.
    let _unheard = find(exchange).await;
    exchange.spared = false;
    Kind::PlainOnTls.into()
}

/// A router's reply, with the route that it is for put on the exchange: the rules for
/// answers and the logs of that route are its own then.
fn answered(exchange: &mut Exchange, mut reply: LocalReply) -> Result<LocalReply, Error> {
    let Some(at) = reply.fields.iter().position(|(name, _)| name.as_str() == hook::ROUTE_OF_REPLY) else {
        return Ok(reply);
    };
    let (_, name) = reply.fields.remove(at);
    let name = String::from_utf8_lossy(name.as_bytes());
    let route = exchange.snapshot.routes.get(&*name).ok_or_else(|| unknown("route", &name))?;
    let target = Target { route: Arc::clone(route), upstream: Arc::clone(&route.upstream) };
    exchange.spared = target.route.content.error_pages.spares_reply;
    enter(exchange, target)?;
    Ok(reply)
}

/// Put a route on the exchange, if its connection may be used for it; or only the page for one
/// that has no TLS.
fn enter(exchange: &mut Exchange, target: Target) -> Result<(), Error> {
    if !exchange.misplaced || exchange.page.is_some() {
        tls::check(&exchange.view, &target.route)?;
    }
    let view = exchange.view_mut();
    view.route = Arc::clone(&target.route.name);
    view.site = Arc::clone(&target.route.site);
    view.upstream = Arc::clone(&target.upstream.name);
    exchange.target = Some(target);
    Ok(())
}

fn unknown(what: &str, name: &str) -> Error {
    Error::new(Kind::UnknownTarget, format!("the router named {what} `{name}`"))
}

fn take(exchange: &mut Exchange, mut found: hook::Target) -> Result<(), Error> {
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
    tracing::debug!(route = %target.route.name, upstream = %target.upstream.name, "routed");
    drop_unlisted(&mut exchange.upgrade, &target.route.upgrade);
    enter(exchange, target)?;
    // Rules have changed the path: from here on it is what `$uri` says, as in nginx.
    if let Some(at) = found.variables.iter().position(|(name, _)| name == "uri") {
        exchange.view_mut().path = found.variables.swap_remove(at).1;
    }
    exchange.set_variables(found.variables);
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
