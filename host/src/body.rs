//! The one body type, for both directions.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::error::{Error, Kind};
use crate::observe::Record;
use crate::upstream::Pooled;

/// A body on its way through.
pub enum Body {
    /// Nothing.
    Empty(Option<Box<Record>>),
    /// One piece that the proxy made itself.
    Full(Option<Bytes>, Option<Box<Record>>),
    /// The client's body, on its way to the peer.
    Request(RequestBody),
    /// The peer's body, on its way to the client.
    Response(Box<ResponseBody>),
}

impl Body {
    /// Nothing, and nobody to tell of its end.
    pub fn empty() -> Self {
        Self::Empty(None)
    }
}

/// What is known of a client's body while it goes upstream: shared between the body, which
/// hyper owns, and the exchange.
#[derive(Debug, Default)]
pub struct Meter {
    bytes: AtomicU64,
    done_at: OnceLock<Instant>,
}

impl Meter {
    /// Bytes that passed.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether all of it passed.
    pub fn is_done(&self) -> bool {
        self.done_at.get().is_some()
    }

    /// When all of it had passed; none while it goes on.
    pub fn done_at(&self) -> Option<Instant> {
        self.done_at.get().copied()
    }

    fn end(&self) {
        self.done_at.get_or_init(Instant::now);
    }
}

/// A client's body with a meter.
pub struct RequestBody {
    incoming: Incoming,
    meter: Arc<Meter>,
}

impl RequestBody {
    /// Put a meter on a body.
    pub fn new(incoming: Incoming, meter: Arc<Meter>) -> Self {
        Self { incoming, meter }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.meter.bytes.fetch_add(length as u64, Ordering::Relaxed);
                if self.incoming.is_end_stream() {
                    self.meter.end();
                }
            }
            Poll::Ready(None) => self.meter.end(),
            _ => {}
        }
        polled.map_err(|e| Error::new(Kind::ClientBody, e.to_string()))
    }
}

/// A peer's body: watched for silence, counted, and at its end the connection goes back to
/// the pool and the record is written.
pub struct ResponseBody {
    incoming: Incoming,
    read_timeout: Duration,
    silence: Option<Pin<Box<Sleep>>>,
    connection: Option<Pooled>,
    record: Option<Box<Record>>,
}

impl ResponseBody {
    /// Watch a peer's body. `connection` is what to give back at its end.
    pub fn new(
        incoming: Incoming,
        read_timeout: Duration,
        connection: Option<Pooled>,
        record: Option<Box<Record>>,
    ) -> Self {
        Self { incoming, read_timeout, silence: None, connection, record }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.silence = None;
                if let (Some(record), Some(data)) = (&mut self.record, frame.data_ref()) {
                    record.bytes_out += data.len() as u64;
                }
                if self.incoming.is_end_stream() {
                    self.end("done");
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(e))) => {
                let error = Error::from_upstream(&e);
                self.connection = None;
                self.end(error.kind.code());
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                self.end("done");
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_silence(cx),
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let timeout = self.read_timeout;
        let timer = self.silence.get_or_insert_with(|| Box::pin(sleep(timeout)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.connection = None;
        self.end(Kind::ReadTimeout.code());
        Poll::Ready(Some(Err(Kind::ReadTimeout.into())))
    }

    fn end(&mut self, cause: &'static str) {
        if let Some(connection) = self.connection.take() {
            connection.give_back();
        }
        if let Some(record) = self.record.take() {
            record.finish(cause);
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            Self::Empty(_) => Poll::Ready(None),
            Self::Full(data, _) => Poll::Ready(data.take().map(|d| Ok(Frame::data(d)))),
            Self::Request(body) => body.poll(cx),
            Self::Response(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty(_) => true,
            Self::Full(data, _) => data.is_none(),
            Self::Request(body) => body.incoming.is_end_stream(),
            Self::Response(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty(_) => SizeHint::with_exact(0),
            Self::Full(data, _) => SizeHint::with_exact(data.as_ref().map_or(0, |d| d.len() as u64)),
            Self::Request(body) => body.incoming.size_hint(),
            Self::Response(body) => body.incoming.size_hint(),
        }
    }
}

impl Drop for Body {
    /// hyper drops a body unread where there is nothing to read (HEAD, 304), and a body that
    /// was not read to its end where the client left.
    fn drop(&mut self) {
        match self {
            Self::Empty(record) | Self::Full(None, record) => {
                if let Some(record) = record.take() {
                    record.finish("done");
                }
            }
            Self::Response(body) if body.incoming.is_end_stream() => body.end("done"),
            _ => {}
        }
    }
}
