//! Asking one peer: over a kept connection if there is one, over one of its own to leave
//! HTTP, since that connection will not come back.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::super::handshake::{self, Upgrade};
use super::http2::{self, Outcome};
use super::{Answer, Attempt, Failed, retry};
use crate::body::{Body, Meter};
use crate::cohort::gather;
use crate::error::{Error, Kind};
use crate::socket::Socket;
use crate::upstream::{self, Asked, GivenUp, Lease, Link};

/// Ask a peer. An answer to a wish to leave HTTP that is not a 101 passes like any response.
pub(super) async fn ask(attempt: &Attempt<'_>, mut lease: Lease) -> Result<Answer, Failed> {
    let timeouts = &attempt.target.route.timeouts;
    // All that this worker has to send goes out together.
    gather().await;
    if http2::is_worth_trying(attempt) {
        match http2::ask(attempt, lease).await {
            Outcome::Done(answer) => return answer,
            Outcome::Http1(back, None) => lease = back,
            // The peer chose HTTP/1.1 just now.
            Outcome::Http1(lease, Some(socket)) => return fresh(attempt, lease, socket).await,
        }
    }
    // A kept connection may have been closed by the peer just now; a fresh one ends the loop.
    while *attempt.asked == Upgrade::None
        && let Some(kept) = upstream::checkout(attempt.peer, timeouts.send)
    {
        attempt.connected.get_or_init(Instant::now);
        match exchange(attempt, lease, kept).await {
            Err(Ended { error, left: Some(left) }) if was_stale(attempt, &error, &left) => lease = left.lease,
            answer => return answer.map_err(Failed::from),
        }
    }
    match upstream::connect(attempt.peer, Some(attempt.ends), timeouts.connect).await {
        Ok(stream) => fresh(attempt, lease, stream).await,
        Err(error) => Err(Failed { error, reached: false }),
    }
}

/// Ask over a connection that was just opened.
async fn fresh(attempt: &Attempt<'_>, lease: Lease, stream: Socket) -> Result<Answer, Failed> {
    let since = *attempt.connected.get_or_init(Instant::now);
    let link = Link::new(stream, since, attempt.peer, &attempt.target.upstream, attempt.target.route.timeouts.send);
    exchange(attempt, lease, link).await.map_err(Failed::from)
}

/// Whether a kept connection ended before a byte of an answer: most likely the peer had closed
/// it when the request came, so the same peer is asked anew, if that does nothing twice.
fn was_stale(attempt: &Attempt<'_>, error: &Error, left: &GivenUp) -> bool {
    let is_safe = !left.reached || attempt.outgoing.method.is_idempotent();
    error.kind == Kind::Closed && !left.answered && is_safe && attempt.outgoing.can_begin()
}

/// An exchange that ended before the head of an answer.
struct Ended {
    error: Error,
    /// What is left of it; none where the peer has had all of the request.
    left: Option<GivenUp>,
}

impl From<Ended> for Failed {
    fn from(ended: Ended) -> Self {
        let reached = ended.left.is_none_or(|left| left.reached) && retry::may_have_acted(ended.error.kind);
        Self { error: ended.error, reached }
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self { error, left: None }
    }
}

/// Send the request and await the head of the answer.
async fn exchange(attempt: &Attempt<'_>, lease: Lease, link: Link) -> Result<Answer, Ended> {
    let outgoing = attempt.outgoing;
    let read_timeout = attempt.target.route.timeouts.read;
    let mut asked = Asked::new(lease, link, outgoing.head(), outgoing.method.clone(), outgoing.body()?);
    let answering = poll_fn(|cx| asked.poll_head(cx));
    let answer = within(read_timeout, outgoing.meter.as_deref(), answering).await;
    let (head, version) = match answer {
        Some(Ok(answer)) => answer,
        Some(Err(error)) => return Err(Ended { error, left: Some(asked.give_up()) }),
        None => return Err(Error::new(Kind::ReadTimeout, attempt.peer.name.as_ref()).into()),
    };
    if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
        handshake::check_switch(attempt.asked, &head.fields)?;
        let (upstream, early, lease) = asked.into_stream();
        return Ok(Answer::Switch { head, upstream, early, lease });
    }
    let body = asked.into_body(&head, version, read_timeout)?;
    Ok(Answer::Response { head, body: Body::Stream(Box::new(body)) })
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
