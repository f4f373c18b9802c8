//! Phase 8: what the client will see. Hook `response-headers`.

use std::sync::Arc;

use http::StatusCode;

use super::ask::ask;
use super::exchange::{Exchange, Target};
use super::forward::Answer;
use super::{headers, outcome};
use crate::error::Stop;
use crate::hook::{Chain, ResponseView};
use crate::message::Fields;

/// The variable that tells plugins of an answer of the proxy's own.
const LOCAL: &str = "local_answer";

/// Make the response's headers the client's, and let the route's plugins edit them.
///
/// # Errors
/// The reply of a plugin that answers instead; the peer's answer is dropped then.
pub(super) async fn map(exchange: &mut Exchange, answer: &mut Answer) -> Result<(), Stop> {
    edit(exchange, answer).await?;
    // Behind the plugins, whose rules are for the upstream's cookies; what is not the peer's answer
    // brings nobody back to it.
    if let Some(cookie) = exchange.sticky.take().filter(|_| !exchange.local) {
        answer.head_mut().fields.append("Set-Cookie", &cookie);
    }
    Ok(())
}

async fn edit(exchange: &mut Exchange, answer: &mut Answer) -> Result<(), Stop> {
    let switching = answer.is_switch();
    let head = answer.head_mut();
    // RFC 9110 §15.5.22: a 426 must say what to upgrade to, and that goes for this hop too.
    let keeps_upgrade = switching || head.status == StatusCode::UPGRADE_REQUIRED;
    let Some(Target { route, .. }) = exchange.target.clone() else { return Ok(()) };
    let server = exchange.snapshot.server_header.as_ref();
    if exchange.local {
        if let Some(server) = server {
            head.fields.set_default("Server", server.as_bytes());
        }
    } else {
        headers::for_downstream(&mut head.fields, keeps_upgrade, &route.pass_headers, server);
    }
    exchange.answered = true;
    if route.chains.response_headers.is_empty() {
        return Ok(());
    }
    if exchange.local {
        exchange.set_variables(vec![(LOCAL.to_owned(), "1".to_owned())]);
    }
    head.fields =
        edited(exchange, &route.chains.response_headers, head.status, std::mem::take(&mut head.fields)).await?;
    Ok(())
}

/// Let the route's plugins edit the headers of an answer that the proxy gives itself, if the
/// route is known and they have not been asked yet. nginx: `add_header … always`.
///
/// # Errors
/// The reply of a plugin that answers instead, or the failure of one that fails closed.
pub(super) async fn map_own(exchange: &mut Exchange, status: StatusCode, headers: Fields) -> Result<Fields, Stop> {
    let Some(Target { route, .. }) = exchange.target.clone().filter(|_| !exchange.answered) else { return Ok(headers) };
    exchange.answered = true;
    if route.chains.response_headers.is_empty() {
        return Ok(headers);
    }
    exchange.set_variables(vec![(LOCAL.to_owned(), "1".to_owned())]);
    edited(exchange, &route.chains.response_headers, status, headers).await
}

/// The headers after each plugin's edits.
async fn edited(exchange: &mut Exchange, chain: &Chain, status: StatusCode, headers: Fields) -> Result<Fields, Stop> {
    let mut view = Arc::new(ResponseView { status, headers });
    outcome::lend(exchange, status);
    let asked = ask_all(exchange, chain, &mut view).await;
    outcome::take_back(exchange);
    asked?;
    Ok(std::mem::take(&mut Arc::make_mut(&mut view).headers))
}

async fn ask_all(exchange: &Exchange, chain: &Chain, view: &mut Arc<ResponseView>) -> Result<(), Stop> {
    for plugin in chain {
        match ask(plugin.as_ref(), plugin.on_response(&exchange.view, view)).await? {
            Some(Ok(edits)) => headers::apply(&mut Arc::make_mut(view).headers, edits),
            Some(Err(reply)) => return Err(reply.into()),
            None => {}
        }
    }
    Ok(())
}
