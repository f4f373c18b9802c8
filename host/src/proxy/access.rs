//! Phase 4: may this request pass. Hooks `origin`, then `authorizer`.

use std::sync::Arc;

use http::StatusCode;

use super::Connection;
use super::ask::ask;
use super::exchange::{Exchange, Target};
use super::handshake::Upgrade;
use super::headers;
use crate::config::Satisfy;
use crate::error::{Error, Kind, Stop};
use crate::hook::{AccessTerms, Decision, Grant, LocalReply, Plugin, Verdict, View};
use crate::message::FieldName;
use crate::snapshot::Route;
use crate::tunnel::{self, Access, Renewal};

/// Ask the route's plugins, in order.
///
/// # Errors
/// The reply of the plugin that refuses; [`Kind::Revoked`] where what is granted is revoked meanwhile.
pub(super) async fn judge(exchange: &mut Exchange, connection: &Connection) -> Result<(), Stop> {
    // By the route that it had before a turn, if any.
    exchange.access = None;
    let Some(Target { route, .. }) = exchange.target.clone() else { return Ok(()) };
    for plugin in &route.chains.origin {
        match ask(plugin.as_ref(), plugin.check_origin(&exchange.view)).await? {
            Some(Decision::Next) | None => {}
            Some(Decision::Allow) => break,
            Some(Decision::Deny(reply)) => return Err(reply.into()),
        }
    }
    let mut refusal = None;
    // Before anybody is asked: what is revoked after this holds for what is granted.
    let revocations = connection.proxy.tunnels.revocations();
    for plugin in &route.chains.authorizer {
        match ask(plugin.as_ref(), plugin.authorize(&exchange.view)).await? {
            Some(Verdict::Next) | None => {}
            // nginx, `ngx_http_core_access_phase`: with `satisfy any` these wait for what the
            // others say, and any other answer stands at once.
            Some(Verdict::Deny(reply)) if route.satisfy == Satisfy::Any && asks_for_access(reply.status) => {
                refusal = Some(graver(refusal, reply));
            }
            Some(Verdict::Deny(reply)) => return Err(reply.into()),
            Some(Verdict::Grant(grant)) => {
                take(exchange, grant, |exchange, terms| bind(exchange, connection, &route, plugin, terms, revocations));
                check(exchange)?;
                if route.satisfy != Satisfy::All {
                    return Ok(());
                }
            }
        }
    }
    match refusal {
        Some(reply) => Err(reply.into()),
        None => Ok(()),
    }
}

/// Whether what was granted still is.
///
/// # Errors
/// [`Kind::Revoked`].
pub(super) fn check(exchange: &Exchange) -> Result<(), Error> {
    match &exchange.access {
        Some(access) if access.is_revoked() => Err(Kind::Revoked.into()),
        _ => Ok(()),
    }
}

/// Do what a grant says; `bind` is for the terms that it has.
fn take(exchange: &mut Exchange, grant: Grant, bind: impl FnOnce(&mut Exchange, AccessTerms)) {
    exchange.set_variables(grant.variables);
    if let Some(terms) = grant.terms {
        // With the request as it is before it is changed: it may be asked about again.
        bind(exchange, *terms);
    }
    if !grant.edits.is_empty() {
        headers::apply(&mut exchange.view_mut().headers, grant.edits);
    }
}

/// Bind the tunnel that the request asks for, and say in variables what was granted.
fn bind(
    exchange: &mut Exchange,
    connection: &Connection,
    route: &Route,
    plugin: &Arc<dyn Plugin>,
    terms: AccessTerms,
    revocations: u64,
) {
    if exchange.upgrade == Upgrade::None {
        return note(exchange, &terms);
    }
    let renews = route.access.reauthorize.is_some() && terms.expires.is_some();
    let renewal = renews.then(|| Renewal {
        plugin: Arc::clone(plugin),
        view: Arc::new(View { is_renewal: true, ..View::clone(&exchange.view) }),
    });
    let is_framed = matches!(exchange.upgrade, Upgrade::WebSocket(_));
    let access = exchange.access.get_or_insert_with(|| {
        let bound = connection.proxy.tunnels.bind();
        let tally = Arc::clone(&connection.proxy.metrics.access);
        let rules = route.access;
        Box::new(Access::new(bound, rules.reauthorize, rules.close_code, is_framed, tally))
    });
    access.grant(terms, renewal, revocations);
    let terms = access.terms().clone();
    note(exchange, &terms);
}

fn note(exchange: &mut Exchange, terms: &AccessTerms) {
    exchange.set_variables(tunnel::variables(terms).map(|(name, value)| (name.to_owned(), value)).into());
}

/// The statuses that say no more than that this one way in is closed.
fn asks_for_access(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED)
}

/// Of two refusals the one that the client is told: a 401 tells it how to come in, so it
/// stays, with the challenges of all others (RFC 9110 §11.6.1); otherwise the later one.
fn graver(before: Option<LocalReply>, reply: LocalReply) -> LocalReply {
    match before {
        Some(mut before) if before.status == StatusCode::UNAUTHORIZED => {
            let is_challenge = |name: &FieldName| name.as_str().eq_ignore_ascii_case("www-authenticate");
            before.fields.extend(reply.fields.into_iter().filter(|(name, _)| is_challenge(name)));
            before
        }
        _ => reply,
    }
}
