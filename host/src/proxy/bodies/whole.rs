//! Bodies that are held until they are whole.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::body::{Body, Piece, Source};
use crate::error::Error;
use crate::http1::Length;
use crate::message::Fields;

/// What gathering a body came to.
pub(super) enum Gathered {
    /// All of it, and what stood behind it.
    Whole(Bytes, Option<Fields>),
    /// It has more than it may have: all of it, as it would have come.
    TooLarge(Body),
}

/// Wait for all of a body, of at most so many bytes.
///
/// # Errors
/// Where it breaks off.
pub(super) async fn gather(mut body: Body, most: usize) -> Result<Gathered, Error> {
    let length = body.length();
    if let Length::Known(known) = length
        && known > most as u64
    {
        return Ok(Gathered::TooLarge(body));
    }
    if let Body::Full(bytes) = body {
        return Ok(Gathered::Whole(bytes, None));
    }
    // Copied, since small pieces may each hold on to a large buffer.
    let mut gathered = Vec::new();
    loop {
        match poll_fn(|cx| body.poll_piece(cx)).await? {
            Piece::Data(data) => gathered.extend_from_slice(&data),
            Piece::Trailers(trailers) => return Ok(Gathered::Whole(gathered.into(), Some(trailers))),
            Piece::End => return Ok(Gathered::Whole(gathered.into(), None)),
        }
        if gathered.len() > most {
            let held = Held { front: gathered.into(), rest: body, trailers: None, length };
            return Ok(Gathered::TooLarge(Body::Stream(Box::new(held))));
        }
    }
}

/// A body with its framing in the head: of known length where it has no trailers.
pub(super) fn framed(fields: &mut Fields, bytes: Bytes, trailers: Option<Fields>) -> Body {
    let trailers = trailers.filter(|trailers| !trailers.is_empty());
    if trailers.is_some() {
        fields.remove("Content-Length");
        return Body::Stream(Box::new(Held { front: bytes, rest: Body::Empty, trailers, length: Length::Chunked }));
    }
    fields.set("Content-Length", bytes.len().to_string().as_bytes());
    if bytes.is_empty() { Body::Empty } else { Body::Full(bytes) }
}

/// Bytes that are here, the rest, and trailers.
struct Held {
    front: Bytes,
    rest: Body,
    trailers: Option<Fields>,
    length: Length,
}

impl Source for Held {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        if !self.front.is_empty() {
            return Poll::Ready(Ok(Piece::Data(std::mem::take(&mut self.front))));
        }
        let polled = self.rest.poll_piece(cx);
        match polled {
            Poll::Ready(Ok(Piece::End)) => Poll::Ready(Ok(self.trailers.take().map_or(Piece::End, Piece::Trailers))),
            polled => polled,
        }
    }

    fn length(&self) -> Length {
        self.length
    }
}
