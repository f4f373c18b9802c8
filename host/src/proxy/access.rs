//! Phase 4: may this request pass. Hooks `origin`, then `authorizer`.

use super::ask::ask;
use super::exchange::{Exchange, Target};
use super::headers;
use crate::error::Stop;
use crate::hook::{Decision, Verdict};

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
    for plugin in &route.chains.authorizer {
        match ask(plugin.as_ref(), plugin.authorize(&exchange.view)).await? {
            Some(Verdict::Next) | None => {}
            Some(Verdict::Deny(reply)) => return Err(reply.into()),
            Some(Verdict::Grant(grant)) => {
                exchange.set_variables(grant.variables);
                if !grant.edits.is_empty() {
                    headers::apply(&mut exchange.view_mut().headers, grant.edits);
                }
                break;
            }
        }
    }
    Ok(())
}
