//! Phase 5: what the upstream will see. Hook `request-headers`.

use super::ask::ask;
use super::exchange::{Exchange, Target};
use super::headers;
use crate::error::Stop;

/// Let the route's plugins edit the request's headers, each seeing the edits of those before.
///
/// # Errors
/// The reply of a plugin that answers itself.
pub(super) async fn map(exchange: &mut Exchange) -> Result<(), Stop> {
    let Some(Target { route, .. }) = exchange.target.clone() else { return Ok(()) };
    for plugin in &route.chains.request_headers {
        match ask(plugin.as_ref(), plugin.on_request(&exchange.view)).await? {
            Some(Ok(edits)) => headers::apply(&mut exchange.view_mut().headers, edits),
            Some(Err(reply)) => return Err(reply.into()),
            None => {}
        }
    }
    Ok(())
}
