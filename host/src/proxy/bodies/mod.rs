//! Hooks `request-body` and `response-body`: what plugins do with bodies. A route without them
//! does not come by here.

mod filter;
mod whole;

use std::sync::Arc;

use http::{Method, StatusCode};
use parking_lot::Mutex;

use super::ask::{ask, judged};
use super::compress::weaken;
use super::exchange::Exchange;
use super::forward::Answer;
use super::handshake::Upgrade;
use super::{headers, outcome};
use crate::body::Body;
use crate::config::TooLarge;
use crate::error::{Error, Kind, Stop};
use crate::hook::{BodyChanges, BodySession, BodyWish, Call, HookFailure, LocalReply, ResponseView, View, WholeBody};
use crate::http1::{Length, has_no_body};
use crate::message::{Fields, ResponseHead};
use crate::snapshot::Route;

use filter::Filtered;
use whole::Gathered;

/// What a plugin answered while a body was on its way: for the client, if it has no head yet.
pub(super) type Replied = Arc<Mutex<Option<LocalReply>>>;

/// Show a request's body to the route's plugins before an upstream is asked. What it gives back
/// goes upstream.
///
/// # Errors
/// The reply of a plugin, [`Kind::Plugin`], and what the body itself breaks off with.
pub(super) async fn request(exchange: &mut Exchange, body: Body) -> Result<Body, Stop> {
    let Some(target) = &exchange.target else { return Ok(body) };
    let chains = &target.route.chains;
    if (chains.request_body.is_empty() && chains.response_body.is_empty()) || exchange.upgrade != Upgrade::None {
        return Ok(body);
    }
    let route = Arc::clone(&target.route);
    if !chains.response_body.is_empty() && route.bodies.plain {
        let headers = &mut exchange.view_mut().headers;
        ["Accept-Encoding", "Range", "If-Range"].iter().for_each(|name| headers.remove(name));
    }
    if route.chains.request_body.is_empty() || body.length() == Length::Known(0) {
        return Ok(body);
    }
    // Boxed, since it is rare and would make the future of every request larger.
    Box::pin(show_request(exchange, &route, body)).await
}

async fn show_request(exchange: &mut Exchange, route: &Route, mut body: Body) -> Result<Body, Stop> {
    for plugin in &route.chains.request_body {
        let opened = ask(plugin.as_ref(), plugin.open_body(&exchange.view, None)).await?;
        let Some(session) = opened.flatten() else { continue };
        body = match session.wish() {
            BodyWish::Chunks => {
                exchange.view_mut().headers.remove("Content-Length");
                let replied = exchange.replied.get_or_insert_default();
                Body::Stream(Box::new(Filtered::new(body, session, Some(Arc::clone(replied)))))
            }
            BodyWish::Whole(most) => {
                let most = most_of(most, route);
                let gathered = whole::gather(body, most).await.map_err(|error| replied(exchange, error))?;
                whole_request(exchange, route, session, gathered, most).await?
            }
        };
    }
    Ok(body)
}

/// How much of a body a plugin is shown whole.
fn most_of(wish: Option<u64>, route: &Route) -> usize {
    let wish = wish.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    wish.min(route.bodies.max_size)
}

async fn whole_request(
    exchange: &mut Exchange,
    route: &Route,
    mut session: Box<dyn BodySession>,
    gathered: Gathered,
    most: usize,
) -> Result<Body, Stop> {
    let (bytes, trailers) = match gathered {
        Gathered::Whole(bytes, trailers) => (bytes, trailers),
        Gathered::TooLarge(body) if route.bodies.too_large == TooLarge::Pass => return Ok(body),
        Gathered::TooLarge(_) => {
            let detail = format!("plugin `{}` is shown at most {most} bytes", session.plugin());
            return Err(Error::new(Kind::BodyTooLarge, detail).into());
        }
    };
    let whole = WholeBody {
        view: Arc::clone(&exchange.view),
        response: None,
        bytes: bytes.clone(),
        trailers: trailers.clone().unwrap_or_default(),
        room: route.bodies.max_size,
    };
    let call = session.on_body(whole);
    let changes = judged(session.on_failure(), call.answer().await)?.transpose()?.unwrap_or_default();
    let BodyChanges { edits, body, trailers: others } = changes;
    let headers = &mut exchange.view_mut().headers;
    headers::apply(headers, edits);
    let (bytes, trailers) = (body.unwrap_or(bytes), others.or(trailers));
    Ok(whole::framed(headers, bytes, trailers))
}

/// The plugin's answer, where it was one that ended the request's body.
pub(super) fn replied(exchange: &Exchange, error: Error) -> Stop {
    let reply = exchange.replied.as_ref().filter(|_| error.kind == Kind::BodyStopped);
    match reply.and_then(|reply| reply.lock().take()) {
        Some(reply) => reply.into(),
        None => error.into(),
    }
}

/// Show an answer's body to the route's plugins, the last of them first, while its head can
/// still be changed.
///
/// # Errors
/// The reply of a plugin, [`Kind::Plugin`], [`Kind::AnswerTooLarge`], and what the body itself
/// breaks off with.
pub(super) async fn response(exchange: &mut Exchange, answer: &mut Answer) -> Result<(), Stop> {
    let route = exchange.target.as_ref().map(|target| &target.route);
    let Some(route) = route.filter(|route| !route.chains.response_body.is_empty()).map(Arc::clone) else {
        return Ok(());
    };
    let Answer::Response { head, body } = answer else { return Ok(()) };
    if !may_have_body(exchange, head, body) {
        return Ok(());
    }
    Box::pin(show_response(exchange, &route, head, body)).await
}

fn may_have_body(exchange: &Exchange, head: &ResponseHead, body: &Body) -> bool {
    !has_no_body(&Method::GET, head.status)
        && (exchange.view.method == Method::HEAD || body.length() != Length::Known(0))
}

async fn show_response(
    exchange: &mut Exchange,
    route: &Route,
    head: &mut ResponseHead,
    body: &mut Body,
) -> Result<(), Stop> {
    for plugin in route.chains.response_body.iter().rev() {
        let opened = lent(exchange, head, |view, response| plugin.open_body(view, Some(response))).await;
        let Some(session) = judged(plugin.on_failure(), opened)?.flatten() else { continue };
        if exchange.view.method == Method::HEAD {
            // What GET would be told is not known without its body.
            changed(&mut head.fields);
            continue;
        }
        let before = std::mem::take(body);
        *body = match session.wish() {
            BodyWish::Chunks => {
                changed(&mut head.fields);
                Body::Stream(Box::new(Filtered::new(before, session, None)))
            }
            BodyWish::Whole(most) => whole_response(exchange, route, session, head, (before, most)).await?,
        };
    }
    Ok(())
}

async fn whole_response(
    exchange: &mut Exchange,
    route: &Route,
    mut session: Box<dyn BodySession>,
    head: &mut ResponseHead,
    (body, wish): (Body, Option<u64>),
) -> Result<Body, Stop> {
    let most = most_of(wish, route);
    let (bytes, trailers) = match whole::gather(body, most).await? {
        Gathered::Whole(bytes, trailers) => (bytes, trailers),
        Gathered::TooLarge(body) if route.bodies.too_large == TooLarge::Pass => return Ok(body),
        Gathered::TooLarge(_) => {
            let detail = format!("plugin `{}` is shown at most {most} bytes", session.plugin());
            return Err(Error::new(Kind::AnswerTooLarge, detail).into());
        }
    };
    let shown = (bytes.clone(), trailers.clone().unwrap_or_default());
    let asked = lent(exchange, head, |view, response| {
        let (bytes, trailers) = shown;
        let (view, response) = (Arc::clone(view), Some(Arc::clone(response)));
        session.on_body(WholeBody { view, response, bytes, trailers, room: route.bodies.max_size })
    });
    let asked = asked.await;
    let changes = judged(session.on_failure(), asked)?.transpose()?.unwrap_or_default();
    let BodyChanges { edits, body, trailers: others } = changes;
    headers::apply(&mut head.fields, edits);
    if body.is_some() {
        changed(&mut head.fields);
    }
    Ok(whole::framed(&mut head.fields, body.unwrap_or(bytes), others.or(trailers)))
}

/// Ask about an answer, whose head is lent to the plugin meanwhile.
async fn lent<T>(
    exchange: &mut Exchange,
    head: &mut ResponseHead,
    call: impl FnOnce(&Arc<View>, &Arc<ResponseView>) -> Call<T>,
) -> Result<T, HookFailure> {
    let status: StatusCode = head.status;
    let mut response = Arc::new(ResponseView { status, headers: std::mem::take(&mut head.fields) });
    outcome::lend(exchange, status);
    let answer = call(&exchange.view, &response).answer().await;
    outcome::take_back(exchange);
    head.fields = std::mem::take(&mut Arc::make_mut(&mut response).headers);
    answer
}

/// What is true no more of an answer whose body may be another one. nginx: `sub_filter` clears
/// the same.
fn changed(fields: &mut Fields) {
    ["Content-Length", "Accept-Ranges", "Last-Modified"].iter().for_each(|name| fields.remove(name));
    weaken(fields);
}
