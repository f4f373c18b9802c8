//! Asking one peer over HTTP/2: a stream of a shared connection, for a tunnel by extended
//! CONNECT (RFC 8441). `docs/bridge.md` has what becomes what.

use std::future::poll_fn;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::handshake::Upgrade;
use super::ask::within;
use super::{Answer, Attempt, Failed, retry};
use crate::body::Body;
use crate::error::{Error, Kind};
use crate::socket::Socket;
use crate::upstream::Lease;
use crate::upstream::http2::{self, Again, Asked, Failure, Found, Slot};

/// How often a request that the peer did not process is sent again to the same peer, which
/// most likely has a new connection for it.
const MOST_AGAIN: usize = 2;

/// What asking over HTTP/2 came to.
pub(super) enum Outcome {
    /// What is to be done was done.
    Done(Result<Answer, Failed>),
    /// HTTP/1.1 is to be spoken, over this connection if there is one.
    Http1(Lease, Option<Socket>),
}

/// Whether the peer may be asked over HTTP/2.
pub(super) fn is_worth_trying(attempt: &Attempt<'_>) -> bool {
    attempt.target.upstream.may_speak_http2(attempt.peer)
        && match attempt.asked {
            Upgrade::None => true,
            // No connection is opened to learn once more that it is of no use.
            Upgrade::WebSocket(_) => http2::offers_tunnels(attempt.peer) != Some(false),
            Upgrade::Other(_) => false,
        }
}

/// Ask a peer. An answer to a handshake that is no success passes like any response.
pub(super) async fn ask(attempt: &Attempt<'_>, mut lease: Lease) -> Outcome {
    let timeouts = &attempt.target.route.timeouts;
    let mut again = 0;
    loop {
        let found = http2::acquire(attempt.peer, &attempt.target.upstream, timeouts.connect).await;
        let slot = match found {
            Ok(Found::Http2(slot)) if *attempt.asked == Upgrade::None || slot.takes_tunnels() => slot,
            Ok(Found::Http2(_)) => return Outcome::Http1(lease, None),
            Ok(Found::Http1(socket)) => return Outcome::Http1(lease, socket),
            Err(error) => return Outcome::Done(Err(Failed { error, reached: false })),
        };
        attempt.connected.get_or_init(Instant::now);
        match exchange(attempt, lease, slot).await {
            Err(Ended { failure, left: Some(left) }) if again < MOST_AGAIN && may_repeat(attempt, failure.again) => {
                tracing::debug!(peer = %attempt.peer.name, error = %failure.error, "asking again");
                again += 1;
                lease = left;
            }
            answer => return Outcome::Done(answer.map_err(Failed::from)),
        }
    }
}

/// Whether the same peer is asked anew.
fn may_repeat(attempt: &Attempt<'_>, again: Again) -> bool {
    let is_safe = match again {
        Again::Untouched => true,
        Again::Idempotent => attempt.outgoing.method.is_idempotent(),
        Again::Never => false,
    };
    is_safe && attempt.outgoing.can_begin()
}

/// An exchange that ended before the head of an answer.
struct Ended {
    failure: Failure,
    /// The peer, where it may be asked again.
    left: Option<Lease>,
}

impl From<Ended> for Failed {
    fn from(ended: Ended) -> Self {
        let Failure { error, again } = ended.failure;
        let reached = again != Again::Untouched && retry::may_have_acted(error.kind);
        Self { error, reached }
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self { failure: error.into(), left: None }
    }
}

/// Send the request and await the head of the answer.
async fn exchange(attempt: &Attempt<'_>, lease: Lease, slot: Slot) -> Result<Answer, Ended> {
    let outgoing = attempt.outgoing;
    let timeouts = &attempt.target.route.timeouts;
    let tunnel = *attempt.asked != Upgrade::None;
    let body = if tunnel { Body::Empty } else { outgoing.body()? };
    let mut asked = Asked::new((lease, slot), &outgoing.http2_head(), body, tunnel, timeouts.send)
        .map_err(|(failure, lease)| Ended { failure, left: Some(lease) })?;
    let answering = poll_fn(|cx| asked.poll_head(cx));
    let head = match within(timeouts.read, outgoing.meter.as_deref(), answering).await {
        Some(Ok(head)) => head,
        Some(Err(failure)) => return Err(Ended { failure, left: Some(asked.give_up()) }),
        None => return Err(Error::new(Kind::ReadTimeout, attempt.peer.name.as_ref()).into()),
    };
    if let Upgrade::WebSocket(accept) = attempt.asked
        && head.status.is_success()
    {
        let head = http2::switched(head, accept);
        let (upstream, lease) = asked.into_stream()?;
        return Ok(Answer::Switch { head, upstream, early: Bytes::new(), lease });
    }
    let body = asked.into_body(&head, timeouts.read)?;
    Ok(Answer::Response { head, body: Body::Stream(body) })
}
