//! Phase 8: what the client will see. Hook `response-headers`.

use std::sync::Arc;

use http::StatusCode;

use super::ask::ask;
use super::exchange::{Exchange, Target};
use super::forward::Answer;
use super::{headers, outcome};
use crate::error::Stop;
use crate::hook::ResponseView;
use crate::snapshot::Route;

/// Make the response's headers the client's, and let the route's plugins edit them.
///
/// # Errors
/// The reply of a plugin that answers instead; the peer's answer is dropped then.
pub(super) async fn map(exchange: &mut Exchange, answer: &mut Answer) -> Result<(), Stop> {
    let switching = answer.is_switch();
    let head = answer.head_mut();
    // RFC 9110 §15.5.22: a 426 must say what to upgrade to, and that goes for this hop too.
    let keeps_upgrade = switching || head.status == StatusCode::UPGRADE_REQUIRED;
    headers::for_downstream(&mut head.fields, keeps_upgrade);
    let Some(Target { route, .. }) = exchange.target.clone() else { return Ok(()) };
    if route.chains.response_headers.is_empty() {
        return Ok(());
    }
    let mut view = Arc::new(ResponseView { status: head.status, headers: std::mem::take(&mut head.fields) });
    outcome::lend(exchange, head.status);
    let asked = ask_all(exchange, &route, &mut view).await;
    outcome::take_back(exchange);
    asked?;
    head.fields = std::mem::take(&mut Arc::make_mut(&mut view).headers);
    Ok(())
}

async fn ask_all(exchange: &Exchange, route: &Route, view: &mut Arc<ResponseView>) -> Result<(), Stop> {
    for plugin in &route.chains.response_headers {
        match ask(plugin.as_ref(), plugin.on_response(&exchange.view, view)).await? {
            Some(Ok(edits)) => headers::apply(&mut Arc::make_mut(view).headers, edits),
            Some(Err(reply)) => return Err(reply.into()),
            None => {}
        }
    }
    Ok(())
}
