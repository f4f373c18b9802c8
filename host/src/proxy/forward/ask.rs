//! Asking one peer: over a kept connection if there is one, over one of its own to leave
//! HTTP, since that connection will not come back.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::super::handshake::{self, Upgrade};
use super::{Answer, Attempt, Failed, Outgoing};
use crate::body::{Body, Meter};
use crate::error::{Error, Kind};
use crate::upstream::{self, Asked, Lease, Link};

/// Ask a peer. An answer to a wish to leave HTTP that is not a 101 passes like any response.
pub(super) async fn ask(attempt: &Attempt<'_>, mut lease: Lease, mut outgoing: Outgoing) -> Result<Answer, Failed> {
    let timeouts = &attempt.target.route.timeouts;
    // A kept connection may have been closed by the peer just now; a fresh one ends the loop.
    while *attempt.asked == Upgrade::None
        && let Some(kept) = upstream::checkout(attempt.peer, timeouts.send)
    {
        // RFC 9110 §9.2.2: only what does nothing by being repeated may be sent twice.
        let spare = outgoing.method.is_idempotent().then(|| outgoing.head.clone());
        let method = outgoing.method.clone();
        attempt.connected.get_or_init(Instant::now);
        match exchange(attempt, lease, kept, outgoing).await {
            // It ended before a byte of an answer: the peer had closed it when the request came.
            Err((error, Some((body, again)))) if error.kind == Kind::Closed && spare.is_some() => {
                lease = again;
                outgoing = Outgoing { head: spare.unwrap_or_default(), method, body };
            }
            Err((error, _)) => return Err(error.into()),
            Ok(answer) => return Ok(answer),
        }
    }
    match upstream::connect(attempt.peer, Some(attempt.ends), timeouts.connect).await {
        Ok(stream) => {
            attempt.connected.get_or_init(Instant::now);
            let link = Link::new(stream, attempt.peer, &attempt.target.upstream, timeouts.send);
            exchange(attempt, lease, link, outgoing).await.map_err(|(error, _)| error.into())
        }
        Err(error) => Err(Failed { error, unsent: Some(Box::new(outgoing)) }),
    }
}

/// Send the request and await the head of the answer. With an error come the body and the
/// lease, where nothing of it was read and nothing was answered.
async fn exchange(
    attempt: &Attempt<'_>,
    lease: Lease,
    link: Link,
    outgoing: Outgoing,
) -> Result<Answer, (Error, Option<(Body, Lease)>)> {
    let Outgoing { head, method, body } = outgoing;
    let read_timeout = attempt.target.route.timeouts.read;
    let mut asked = Asked::new(lease, link, head, method, body);
    let answering = poll_fn(|cx| asked.poll_head(cx));
    let answer = within(read_timeout, attempt.meter.map(AsRef::as_ref), answering).await;
    let (head, version) = match answer {
        Some(Ok(answer)) => answer,
        Some(Err(error)) => return Err((error, asked.untouched_body())),
        None => return Err((Error::new(Kind::ReadTimeout, attempt.peer.name.as_ref()), None)),
    };
    if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
        handshake::check_switch(attempt.asked, &head.fields).map_err(|error| (error, None))?;
        let (upstream, early, lease) = asked.into_stream();
        return Ok(Answer::Switch { head, upstream, early, lease });
    }
    let body = asked.into_body(&head, version, read_timeout).map_err(|error| (error, None))?;
    Ok(Answer::Response { head, body: Body::Stream(Box::new(body)) })
}

/// Await the head: none where the peer stays silent for `timeout` after the request has
/// gone out whole. nginx: `proxy_read_timeout` before the response.
async fn within<F: Future>(timeout: Duration, sending: Option<&Meter>, answer: F) -> Option<F::Output> {
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
