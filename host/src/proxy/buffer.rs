//! Bodies that are held: a request's before an upstream is asked, an answer's ahead of a slow
//! client. nginx: `proxy_request_buffering`, `proxy_buffering`.

use std::future::poll_fn;

use super::exchange::Exchange;
use super::forward::Answer;
use crate::body::{Body, Piece};
use crate::content::ReadAhead;
use crate::error::{Error, Kind};
use crate::http1::Length;

/// Read the whole body, where the route says so; then its length is known.
///
/// # Errors
/// [`Kind::BodyTooLarge`], or [`Kind::ClientBody`] where it breaks off.
pub(super) async fn request(exchange: &mut Exchange, mut body: Body) -> Result<Body, Error> {
    let most = exchange.target.as_ref().map_or(0, |target| target.route.content.buffer_requests);
    if most == 0 || !matches!(body, Body::Stream(_)) {
        return Ok(body);
    }
    let large = |length: u64| Error::new(Kind::BodyTooLarge, format!("{length} bytes, and {most} are held"));
    let mut bytes = Vec::new();
    if let Length::Known(length) = body.length() {
        if length > most {
            return Err(large(length));
        }
        bytes.reserve_exact(usize::try_from(length).unwrap_or_default());
    }
    // Trailers end here: a body of known length has none.
    while let Piece::Data(data) = poll_fn(|cx| body.poll_piece(cx)).await? {
        bytes.extend_from_slice(&data);
        if bytes.len() as u64 > most {
            return Err(large(bytes.len() as u64));
        }
    }
    exchange.view_mut().headers.set("Content-Length", bytes.len().to_string().as_bytes());
    Ok(if bytes.is_empty() { Body::Empty } else { Body::Full(bytes.into()) })
}

/// Read an answer ahead, where the route says so and the upstream does not forbid it.
pub(super) fn response(exchange: &Exchange, answer: &mut Answer) {
    let most = exchange.target.as_ref().map_or(0, |target| target.route.content.buffer_responses);
    let Answer::Response { head, body } = answer else { return };
    if most == 0 || !matches!(body, Body::Stream(_)) || body.length() == Length::Known(0) {
        return;
    }
    // nginx: the answer's word for itself.
    if head.fields.get("x-accel-buffering").is_some_and(|value| value.eq_ignore_ascii_case(b"no")) {
        return;
    }
    *body = Body::Stream(Box::new(ReadAhead::new(std::mem::take(body), most)));
}
