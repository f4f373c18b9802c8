//! Phase 4: may this request pass. Hooks `origin`, then `authorizer`.

use http::StatusCode;

use super::ask::ask;
use super::exchange::{Exchange, Target};
use super::headers;
use crate::config::Satisfy;
use crate::error::Stop;
use crate::hook::{Decision, Grant, LocalReply, Verdict};
use crate::message::FieldName;

/// Ask the route's plugins, in order.
///
/// # Errors
/// The reply of the plugin that refuses.
pub(super) async fn judge(exchange: &mut Exchange) -> Result<(), Stop> {
    let Some(Target { route, .. }) = exchange.target.clone() else { return Ok(()) };
    for plugin in &route.chains.origin {
        match ask(plugin.as_ref(), plugin.check_origin(&exchange.view)).await? {
            Some(Decision::Next) | None => {}
            Some(Decision::Allow) => break,
            Some(Decision::Deny(reply)) => return Err(reply.into()),
        }
    }
    let mut refusal = None;
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
                take(exchange, grant);
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

fn take(exchange: &mut Exchange, grant: Grant) {
    exchange.set_variables(grant.variables);
    if !grant.edits.is_empty() {
        headers::apply(&mut exchange.view_mut().headers, grant.edits);
    }
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
