//! A request as a peer will see it, for as many tries as it takes.
//!
//! The head is written anew for each try. Of a body that streams a copy is kept of what has
//! been taken of it, up to a bound: while that is all that was taken, it can begin again. A body
//! that was read whole before can always.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Method;
use parking_lot::Mutex;

use super::super::exchange::Exchange;
use super::super::headers;
use crate::body::{Body, Meter, Piece, Source};
use crate::config::{Condition, NextUpstream, Protocol};
use crate::error::{Error, Kind};
use crate::hook::Chains;
use crate::http1::{self, Length};
use crate::message::Fields;
use crate::upstream::http2::Head;

/// What a kept body is given again by.
const PIECE: usize = 32 << 10;

/// A request as a peer will see it.
pub(super) struct Outgoing {
    /// Its method.
    pub(super) method: Method,
    /// Counts the client's body; none where there is none.
    pub(super) meter: Option<Arc<Meter>>,
    target: String,
    fields: Fields,
    length: Length,
    /// None where there is none.
    body: Option<Arc<Mutex<Kept>>>,
}

impl Outgoing {
    /// The exchange's request; `rule` says how much of the body is kept.
    pub(super) fn new(exchange: &mut Exchange, rule: &NextUpstream, body: Body) -> Self {
        let chains = exchange.target.as_ref().map(|target| &target.route.chains);
        let read_later = chains.is_some_and(Chains::read_request_later)
            || exchange.target.as_ref().is_some_and(|target| {
                target.upstream.reads_request() || exchange.snapshot.balancer(&target.upstream).is_some()
            });
        let target = std::mem::take(&mut exchange.target_path);
        let upgrade = exchange.upgrade.clone();
        let view = exchange.view_mut();
        let mut fields = if read_later { view.headers.clone() } else { std::mem::take(&mut view.headers) };
        headers::for_upstream(&mut fields, &upgrade);
        let method = view.method.clone();
        let length = body.length();
        let meter = (!matches!(body, Body::Empty)).then(|| Arc::new(Meter::default()));
        if let Some(record) = &mut exchange.record {
            record.meter.clone_from(&meter);
        }
        // A peer of HTTP/2 may say that it has not processed a request, which then may be repeated
        // whatever it is (RFC 9113 §8.7).
        let can_be_told = exchange.target.as_ref().is_some_and(|target| target.upstream.protocol != Protocol::H1);
        let may_repeat = can_be_told || method.is_idempotent() || rule.when.has(Condition::NonIdempotent);
        let most = if may_repeat { rule.body } else { 0 };
        let body = meter.as_ref().map(|meter| Arc::new(Mutex::new(Kept::new(body, Arc::clone(meter), most))));
        Self { method, meter, target, fields, length, body }
    }

    /// Its head as bytes of HTTP/1.1.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = Vec::new();
        http1::request_head(&mut head, &self.method, &self.target, &self.fields, self.length);
        head
    }

    /// Its head as HTTP/2 is told of it.
    pub(super) fn http2_head(&self) -> Head<'_> {
        Head { method: &self.method, target: &self.target, fields: &self.fields }
    }

    /// Whether its body can be had from the beginning.
    pub(super) fn can_begin(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.lock().is_whole)
    }

    /// Its body from the beginning. One that was given before ends with an error from now on.
    ///
    /// # Errors
    /// Where it is there no more: see [`Self::can_begin`].
    pub(super) fn body(&self) -> Result<Body, Error> {
        let Some(body) = &self.body else { return Ok(Body::Empty) };
        let turn = body.lock().begin().ok_or_else(|| Error::new(Kind::ClientBody, "it was sent before"))?;
        Ok(Body::Stream(Box::new(Reading { body: Arc::clone(body), turn, length: self.length })))
    }
}

/// A client's body, and what has been taken of it.
struct Kept {
    /// What has not been taken.
    body: Body,
    meter: Arc<Meter>,
    /// What has been taken of a stream, while it is whole.
    taken: Vec<u8>,
    /// The most that this may become.
    most: usize,
    /// A body that is there at once.
    full: Bytes,
    /// The end, once it has come.
    end: Option<Option<Fields>>,
    /// How much of what is kept has been given in this turn.
    given: usize,
    /// Whether all that was taken is here.
    is_whole: bool,
    /// Counts who has begun to read.
    turn: u32,
}

impl Kept {
    fn new(mut body: Body, meter: Arc<Meter>, most: usize) -> Self {
        let mut full = Bytes::new();
        if let Body::Full(bytes) = &mut body {
            full = std::mem::take(bytes);
            meter.add(full.len());
        }
        let most = match body.length() {
            // It will be too much, so nothing is copied in vain.
            Length::Known(length) if length > most as u64 => 0,
            _ => most,
        };
        Self { body, meter, taken: Vec::new(), most, full, end: None, given: 0, is_whole: true, turn: 0 }
    }

    fn begin(&mut self) -> Option<u32> {
        if !self.is_whole {
            return None;
        }
        self.given = 0;
        self.meter.again();
        self.turn += 1;
        Some(self.turn)
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        if let Some(piece) = self.again() {
            return Poll::Ready(Ok(Piece::Data(piece)));
        }
        if self.end.is_none() {
            match ready!(self.body.poll_piece(cx))? {
                Piece::Data(data) => {
                    self.meter.add(data.len());
                    self.keep(&data);
                    return Poll::Ready(Ok(Piece::Data(data)));
                }
                Piece::Trailers(trailers) => self.end = Some(Some(trailers)),
                Piece::End => self.end = Some(None),
            }
        }
        self.meter.done();
        let trailers = self.end.clone().flatten();
        Poll::Ready(Ok(trailers.map_or(Piece::End, Piece::Trailers)))
    }

    /// What is here and has not been given in this turn.
    fn again(&mut self) -> Option<Bytes> {
        let piece = if self.full.is_empty() {
            let left = self.taken.get(self.given..).filter(|left| !left.is_empty())?;
            Bytes::copy_from_slice(left.get(..PIECE).unwrap_or(left))
        } else {
            Some(self.full.slice(self.given..)).filter(|left| !left.is_empty())?
        };
        self.given += piece.len();
        Some(piece)
    }

    fn keep(&mut self, data: &[u8]) {
        if self.is_whole && self.taken.len() + data.len() <= self.most {
            self.taken.extend_from_slice(data);
            self.given = self.taken.len();
        } else {
            (self.is_whole, self.given) = (false, 0);
            self.taken = Vec::new();
        }
    }
}

/// One reading of a body, from its beginning.
struct Reading {
    body: Arc<Mutex<Kept>>,
    turn: u32,
    length: Length,
}

impl Source for Reading {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        let mut body = self.body.lock();
        if body.turn != self.turn {
            return Poll::Ready(Err(Error::new(Kind::Closed, "another peer has the request")));
        }
        body.poll_piece(cx)
    }

    fn length(&self) -> Length {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use super::*;

    /// A stream of these pieces, of which nobody knows the length.
    struct Pieces(VecDeque<&'static str>);

    impl Source for Pieces {
        fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
            let piece = self.0.pop_front();
            Poll::Ready(Ok(piece.map_or(Piece::End, |text| Piece::Data(Bytes::from_static(text.as_bytes())))))
        }

        fn length(&self) -> Length {
            Length::Chunked
        }
    }

    fn outgoing(body: Body, most: usize) -> Outgoing {
        let meter = Arc::new(Meter::default());
        let length = body.length();
        let body = Some(Arc::new(Mutex::new(Kept::new(body, Arc::clone(&meter), most))));
        Outgoing { method: Method::PUT, meter: Some(meter), target: String::new(), fields: Fields::new(), length, body }
    }

    fn stream(pieces: &[&'static str], most: usize) -> Outgoing {
        outgoing(Body::Stream(Box::new(Pieces(pieces.iter().copied().collect()))), most)
    }

    /// So many pieces of a body as text; `.` is its end.
    fn read(body: &mut Body, pieces: usize) -> String {
        let piece = |_| match body.poll_piece(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Piece::Data(data))) => String::from_utf8(data.to_vec()).unwrap(),
            Poll::Ready(Ok(_)) => ".".to_owned(),
            other => format!("{other:?}"),
        };
        (0..pieces).map(piece).collect()
    }

    #[test]
    fn a_stream_begins_again_wherever_it_was() {
        let whole = stream(&["ab", "cd", "ef"], 6);
        for pieces in 0..=3 {
            assert!(whole.can_begin());
            read(&mut whole.body().unwrap(), pieces);
        }
        // What is kept comes in one piece, and then the end.
        assert_eq!(read(&mut whole.body().unwrap(), 2), "abcdef.");
        assert_eq!(read(&mut whole.body().unwrap(), 2), "abcdef.");
        assert_eq!(whole.meter.unwrap().bytes(), 6, "each byte came from the client once");
    }

    #[test]
    fn a_stream_that_is_too_long_is_not_kept() {
        let long = stream(&["ab", "cd", "ef"], 5);
        assert_eq!(read(&mut long.body().unwrap(), 2), "abcd");
        let mut second = long.body().unwrap();
        assert_eq!(read(&mut second, 3), "abcdef.");
        assert!(!long.can_begin() && long.body().is_err());
        assert_eq!(long.body.as_ref().unwrap().lock().taken.capacity(), 0, "its memory is given back");
        let none = stream(&["ab"], 0);
        assert!(none.can_begin(), "nothing was taken");
        read(&mut none.body().unwrap(), 1);
        assert!(!none.can_begin());
    }

    #[test]
    fn what_is_there_at_once_begins_again_whatever_its_length() {
        let full = outgoing(Body::Full(Bytes::from_static(b"abc")), 0);
        for _ in 0..3 {
            assert_eq!(read(&mut full.body().unwrap(), 2), "abc.");
        }
    }

    #[test]
    fn whoever_read_before_gets_nothing_more() {
        let body = stream(&["ab", "cd"], 9);
        let mut first = body.body().unwrap();
        read(&mut first, 1);
        let mut second = body.body().unwrap();
        assert!(read(&mut first, 1).contains("another peer"));
        assert_eq!(read(&mut second, 3), "abcd.");
    }
}
