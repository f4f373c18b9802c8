//! Hooks `messages` and `tunnel`: what plugins are to see of a tunnel that opens.
//!
//! The host speaks WebSocket for them, so it must understand all that client and upstream agree on:
//! in the handshake it lets only permessage-deflate through (RFC 7692), or nothing.

use std::sync::Arc;

use super::Connection;
use super::ask::ask;
use super::exchange::Exchange;
use super::forward::Answer;
use super::handshake::Upgrade;
use crate::config::DeflatePolicy;
use crate::error::{Error, Kind, Stop};
use crate::hook::ResponseView;
use crate::message::Fields;
use crate::observe::MessageCounts;
use crate::snapshot::Route;
use crate::tunnel::{Inspection, Told, extension};

/// The extensions that a client offers, and those that a server accepts.
const EXTENSIONS: &str = "Sec-WebSocket-Extensions";

/// The route, where plugins look at the messages of what this request opens.
fn looks(exchange: &Exchange) -> Option<Arc<Route>> {
    let route = &exchange.target.as_ref()?.route;
    let looks = !route.chains.messages.is_empty() && matches!(exchange.upgrade, Upgrade::WebSocket(_));
    looks.then(|| Arc::clone(route))
}

/// The value of the header, its lines joined.
fn extensions(fields: &Fields) -> Option<String> {
    let lines: Vec<_> = fields.get_all(EXTENSIONS).map(String::from_utf8_lossy).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// Before the handshake goes to a peer: take out the offers that plugins could not see through.
pub(super) fn offer(exchange: &mut Exchange) {
    let Some(route) = looks(exchange) else { return };
    let Some(offered) = extensions(&exchange.view.headers) else { return };
    let kept = match route.messages.deflate {
        DeflatePolicy::Inspect => extension::understood(&offered),
        DeflatePolicy::Refuse => None,
    };
    let headers = &mut exchange.view_mut().headers;
    match kept {
        Some(kept) => headers.set(EXTENSIONS, kept.as_bytes()),
        None => headers.remove(EXTENSIONS),
    }
}

/// The peer has answered, and nobody has changed its answer yet: what was agreed on.
///
/// # Errors
/// [`Kind::BadSwitch`] where it accepts what was not offered.
pub(super) fn agree(exchange: &mut Exchange, answer: &Answer) -> Result<(), Error> {
    if !answer.is_switch() || looks(exchange).is_none() {
        return Ok(());
    }
    let offered = extensions(&exchange.view.headers);
    let answered = extensions(&answer.head().fields);
    let agreed = extension::agreed(offered.as_deref(), answered.as_deref());
    exchange.deflate = agreed.map_err(|why| Error::new(Kind::BadSwitch, why))?;
    Ok(())
}

/// A tunnel is about to open: ask each plugin what it wants to see of it. None where nobody wants
/// to see anything: its bytes go through as those of any tunnel.
///
/// # Errors
/// [`Kind::Plugin`] where one failed that fails closed.
pub(super) async fn open(
    exchange: &Exchange,
    connection: &Connection,
    switch: Option<Arc<ResponseView>>,
) -> Result<Option<Inspection>, Stop> {
    let (Some(response), Some(route)) = (switch, looks(exchange)) else { return Ok(None) };
    let mut sessions = Vec::new();
    for plugin in &route.chains.messages {
        let session = ask(plugin.as_ref(), plugin.open(&exchange.view, &response)).await?;
        sessions.extend(session.flatten());
    }
    if sessions.iter().all(|session| session.subscription().interest.is_empty()) {
        return Ok(None);
    }
    Ok(Some(Inspection {
        sessions,
        deflate: exchange.deflate,
        max_size: route.messages.max_size,
        max_ratio: route.messages.max_ratio,
        counts: MessageCounts::new(Arc::clone(&connection.proxy.metrics.messages)),
    }))
}

/// Who is to be told when the tunnel opens and ends.
pub(super) fn told(exchange: &Exchange, answer: &Answer) -> Option<Told> {
    let plugins = &exchange.target.as_ref()?.route.chains.tunnel;
    if plugins.is_empty() || !answer.is_switch() {
        return None;
    }
    Some(Told {
        plugins: plugins.iter().map(Arc::clone).collect(),
        view: Arc::clone(&exchange.view),
        response: response(answer),
    })
}

/// The head of a 101 that plugins are to be told of; none where there is none, or nobody to tell.
pub(super) fn switch(exchange: &Exchange, answer: &Answer) -> Option<Arc<ResponseView>> {
    (answer.is_switch() && looks(exchange).is_some()).then(|| response(answer))
}

fn response(answer: &Answer) -> Arc<ResponseView> {
    let head = answer.head();
    Arc::new(ResponseView { status: head.status, headers: head.fields.clone() })
}
