//! A request that stays HTTP: over a kept connection if there is one.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};

use super::super::handshake::{self, Upgrade};
use super::{Answer, Attempt, Failed, is_switch};
use crate::body::{Body, Meter};
use crate::error::{Error, Kind};
use crate::upstream::{self, Pooled};

/// Ask a peer.
pub(super) async fn ask(attempt: &Attempt<'_>, mut request: Request<Body>) -> Result<Answer, Failed> {
    // A kept connection may have been closed by the peer just now. hyper then gives the
    // request back unsent, and the next one is taken; a fresh one ends the loop.
    while let Some(kept) = upstream::checkout(attempt.peer, &attempt.target.upstream) {
        let spare = spare(&request);
        match (exchange(attempt, kept, request).await, spare) {
            (Err(Failed { unsent: Some(whole), .. }), _) => request = *whole,
            // It ended before a byte of an answer: the peer had closed it when the request came.
            (Err(Failed { error, .. }), Some(spare)) if error.kind == Kind::Closed => request = spare,
            (answer, _) => return answer,
        }
    }
    let fresh = match open(attempt).await {
        Ok(fresh) => fresh,
        Err(error) => return Err(Failed::unsent(error, request)),
    };
    exchange(attempt, fresh, request).await
}

/// A copy of a request that may be sent twice: one without a body whose method does nothing
/// by being repeated (RFC 9110 §9.2.2).
fn spare(request: &Request<Body>) -> Option<Request<Body>> {
    let may_repeat = request.method().is_idempotent() && matches!(request.body(), Body::Empty(_));
    may_repeat.then(|| {
        let mut spare = Request::new(Body::empty());
        *spare.method_mut() = request.method().clone();
        *spare.uri_mut() = request.uri().clone();
        *spare.headers_mut() = request.headers().clone();
        // Without hyper's note of the case of names, which costs as much again: names then go
        // out in their usual case.
        spare
    })
}

/// A new connection, driven by a task of its own.
async fn open(attempt: &Attempt<'_>) -> Result<Pooled, Error> {
    let timeouts = &attempt.target.route.timeouts;
    let stream = upstream::connect(attempt.peer, timeouts.connect).await?;
    let (sender, connection) = upstream::speak(stream, timeouts.send).await?;
    tokio::spawn(async move {
        // Its errors reach the exchange through the sender; while idle they concern nobody.
        let _reported = connection.await;
    });
    Ok(Pooled::new(sender, Arc::clone(attempt.peer), &attempt.target.upstream))
}

async fn exchange(attempt: &Attempt<'_>, mut connection: Pooled, request: Request<Body>) -> Result<Answer, Failed> {
    let answering = connection.sender().try_send_request(request);
    let read_timeout = attempt.target.route.timeouts.read;
    let Some(answer) = within(read_timeout, attempt.meter.map(AsRef::as_ref), answering).await else {
        return Err(Error::new(Kind::ReadTimeout, attempt.peer.name.as_ref()).into());
    };
    let response: Response<Incoming> = answer.map_err(|mut failed| Failed {
        unsent: failed.take_message().map(Box::new),
        error: Error::from_upstream(failed.error()),
    })?;
    let (head, body) = response.into_parts();
    if is_switch(head.status) {
        handshake::check_switch(&Upgrade::None, &head.headers)?;
    }
    let connection = connection.after(attempt.meter.cloned());
    Ok(Answer::Response { head: Box::new(head), body, connection: Some(connection) })
}

/// Await the head: none where the peer stays silent for `timeout` after the request has
/// gone out whole. nginx: `proxy_read_timeout` before the response.
pub(super) async fn within<F: Future>(timeout: Duration, sending: Option<&Meter>, answer: F) -> Option<F::Output> {
    let mut answer = pin!(answer);
    let mut timer = pin!(sleep_until(Instant::now() + timeout));
    loop {
        tokio::select! {
            biased;
            answer = answer.as_mut() => return Some(answer),
            () = timer.as_mut() => {
                let sent_at = match sending {
                    None => return None,
                    // Still going out: the send timeout watches over that.
                    Some(meter) => meter.done_at().unwrap_or_else(Instant::now),
                };
                if sent_at + timeout <= Instant::now() {
                    return None;
                }
                timer.as_mut().reset(sent_at + timeout);
            }
        }
    }
}
