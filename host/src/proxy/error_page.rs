//! Error pages: what the client sees in place of an error. nginx: `error_page`.
//!
//! A page that is a path or a route runs the phases from the route on once more, with GET and
//! without the body. There is one page for a request: what goes wrong with it is said plainly.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::exchange::Exchange;
use super::forward::Answer;
use super::handshake::Upgrade;
use super::turn;
use crate::config::{ErrorPages, Goal, Page, PageStatus};
use crate::error::Stop;
use crate::hook::LocalReply;
use crate::message::{FieldName, FieldValue, Fields};

/// The page that is being made.
pub(super) struct Shown {
    /// The status that the client sees; none for the page's own.
    status: Option<StatusCode>,
    /// Headers of the error, such as WWW-Authenticate.
    fields: Fields,
    /// Whether the connection ends after it.
    pub(super) close: bool,
}

/// What takes the place of an answer of the proxy's own.
pub(super) enum Instead {
    /// The phases from the route on are to be run.
    Page,
    /// Another one.
    Reply(StatusCode, Fields, Bytes),
}

fn pages(exchange: &Exchange) -> Option<&Arc<ErrorPages>> {
    let target = exchange.target.as_ref().filter(|_| exchange.page.is_none())?;
    Some(&target.route.content.error_pages)
}

/// Those for requests that are in their place, if there are any.
fn usual_pages(exchange: &Exchange) -> Option<Arc<ErrorPages>> {
    pages(exchange).filter(|pages| !pages.pages.is_empty()).map(Arc::clone)
}

/// Keep what a page will need, before phases change it.
pub(super) fn prepare(exchange: &mut Exchange) {
    if usual_pages(exchange).is_some() && exchange.sent.is_none() {
        exchange.sent = Some(Box::new(exchange.view.headers.clone()));
    }
}

/// What the client sees instead of an error of the proxy's own, or of a plugin.
pub(super) fn instead(exchange: &mut Exchange, status: StatusCode, fields: &Fields, close: bool) -> Option<Instead> {
    let pages = Arc::clone(pages(exchange).filter(|_| !exchange.spared)?);
    let entry = if exchange.misplaced { pages.misplaced.as_ref()? } else { pages.of(status)? };
    let mut kept = fields.clone();
    kept.retain(|name| !replaced(name));
    let shown = match entry.status {
        PageStatus::Same => Some(status),
        PageStatus::Is(other) => Some(other),
        PageStatus::Pages => None,
    };
    match &entry.page {
        Page::Goal(goal) => {
            exchange.page = Some(Box::new(Shown { status: shown, fields: kept, close }));
            go(exchange, goal).then_some(Instead::Page)
        }
        Page::Redirect(url) => {
            let status = shown.filter(|status| status.is_redirection()).unwrap_or(StatusCode::FOUND);
            kept.append("Location", url_of(&turn::text(exchange, url)).as_bytes());
            Some(Instead::Reply(status, kept, Bytes::new()))
        }
        Page::Text(text, kind) => {
            kept.append("Content-Type", kind.as_bytes());
            Some(Instead::Reply(shown.unwrap_or(status), kept, turn::text(exchange, text).into()))
        }
    }
}

/// Headers of an error that are about its own body, or that every answer gets.
fn replaced(name: &[u8]) -> bool {
    ["content-type", "content-length", "content-range", "location", "server"]
        .iter()
        .any(|other| other.as_bytes().eq_ignore_ascii_case(name))
}

/// What variables hold may not end the line.
fn url_of(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Make the request one for the page; whether that can be.
fn go(exchange: &mut Exchange, goal: &Goal) -> bool {
    // Where no phase has come so far as to keep them, none has changed them.
    let mut fields = exchange.sent.take().map_or_else(|| exchange.view.headers.clone(), |fields| *fields);
    let had_body = fields.contains("content-length") || fields.contains("transfer-encoding");
    fields.retain(|name| {
        !["content-length", "transfer-encoding", "expect"].iter().any(|own| own.as_bytes().eq_ignore_ascii_case(name))
    });
    exchange.upgrade = Upgrade::None;
    exchange.local = false;
    let view = exchange.view_mut();
    view.headers = fields;
    view.is_websocket = false;
    // As nginx, whose named locations keep the method; but a body is not sent twice.
    let keeps = matches!(goal, Goal::Route(_)) && !had_body;
    if view.method != Method::HEAD && !keeps {
        view.method = Method::GET;
    }
    turn::take(exchange, goal).is_ok()
}

/// Whether the answer that is being made is one with this status: not the page of an error,
/// which has another.
pub(super) fn is_shown_as(exchange: &Exchange, status: StatusCode) -> bool {
    exchange.page.as_ref().and_then(|page| page.status).is_none_or(|shown| shown == status)
}

/// Give a fixed answer that is an error page the error's status. nginx: `err_status`, which a
/// redirect and a further error come before.
pub(super) fn dress(exchange: &Exchange, status: &mut StatusCode, fields: &mut Fields) {
    let Some(page) = exchange.page.as_ref().filter(|_| status.is_success() || exchange.spared) else { return };
    *status = page.status.unwrap_or(*status);
    for (name, value) in page.fields.iter() {
        fields.append(name, value);
    }
}

/// Give an error page the error's status; or stop an upstream's answer that has a page.
///
/// # Errors
/// A reply with that answer's status.
pub(super) fn apply(exchange: &mut Exchange, answer: &mut Answer) -> Result<(), Stop> {
    if let Some(page) = &exchange.page {
        let head = answer.head_mut();
        if let Some(status) = page.status.filter(|status| *status != head.status) {
            head.status = status;
            head.reason = None;
        }
        for (name, value) in page.fields.iter() {
            head.fields.append(name, value);
        }
        return Ok(());
    }
    let Some(pages) = usual_pages(exchange).filter(|pages| pages.intercept && !exchange.local) else { return Ok(()) };
    let head = answer.head();
    if pages.of(head.status).is_none() {
        return Ok(());
    }
    // nginx keeps this one header, without which a browser would not ask its user.
    let challenges = head.fields.get_all("www-authenticate").filter(|_| head.status == StatusCode::UNAUTHORIZED);
    let fields = challenges
        .filter_map(|value| Some((FieldName::new("WWW-Authenticate").ok()?, FieldValue::new(value.to_vec()).ok()?)));
    Err(LocalReply { status: head.status, fields: fields.collect(), body: Bytes::new() }.into())
}
