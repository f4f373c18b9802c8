//! A client's connection between and during requests: what it wants, whether it is still
//! there, and for how long it is waited for.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Version;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use super::After;
use super::reader::{Back, ClientBody, NoHead, Reader, Returned};
use super::respond::{self, Sent};
use crate::body::Body;
use crate::http1::{Length, Persistence, request_length};
use crate::message::RequestHead;
use crate::proxy::{self, Connection, Refusal, Request, Response};
use crate::snapshot::Downstream;
use crate::socket::{Socket, WriteHalf};
use crate::stream::Stream;

/// How much of a body that nobody wanted is read, so that the connection can be kept.
const SKIPPED: usize = 1 << 20;

/// A client's connection.
pub(super) struct Client {
    connection: Arc<Connection>,
    settings: Downstream,
    /// None while a request's body has it.
    reader: Option<Reader>,
    writer: Stream<WriteHalf>,
    timer: Pin<Box<Sleep>>,
    drain: Drain,
    served: u64,
}

/// What a client wants.
pub(super) enum Wanted {
    /// An answer to this.
    Request(RequestHead),
    /// To be told what is wrong.
    Refusal(Refusal),
    /// Nothing more: it left, was too slow, or the server drains.
    Nothing,
}

impl Client {
    pub(super) fn new(
        socket: Socket,
        connection: Arc<Connection>,
        settings: Downstream,
        draining: watch::Receiver<bool>,
    ) -> Self {
        let (read, write) = socket.into_split();
        let deadline = connection.client.since + settings.header_timeout;
        Self {
            connection,
            settings,
            reader: Some(Reader::new(read)),
            writer: Stream::new(write, settings.send_timeout),
            timer: Box::pin(sleep_until(deadline)),
            drain: Drain::new(draining),
            served: 0,
        }
    }

    /// The stream in one, what was read and not used, and the connection's timer.
    pub(super) fn into_parts(self) -> Option<(Socket, Bytes, Pin<Box<Sleep>>)> {
        let (read, early) = self.reader?.into_parts();
        let socket = read.reunite(self.writer.into_inner())?;
        Some((socket, early.into(), self.timer))
    }

    /// Wait for what the client wants next.
    pub(super) async fn next(&mut self) -> Wanted {
        let Self { connection, reader: Some(reader), settings, timer, drain, served, .. } = self else {
            return Wanted::Nothing;
        };
        let limits = settings.head_limits();
        // What `stub_status` calls reading, until this returns.
        let mut reading = None;
        // Looked at where there is time: a request that is there already does not wait for a clock.
        let (mut idle_since, mut head_since) = (None, None);
        poll_fn(|cx| {
            match reader.poll_head(cx, limits) {
                Poll::Ready(Ok(head)) => return Poll::Ready(Wanted::Request(head)),
                Poll::Ready(Err(NoHead::Malformed(malformed))) => {
                    return Poll::Ready(Wanted::Refusal(Refusal::Malformed(malformed)));
                }
                Poll::Ready(Err(NoHead::Gone)) => return Poll::Ready(Wanted::Nothing),
                Poll::Pending => {}
            }
            if reader.has_begun() {
                head_since.get_or_insert_with(Instant::now);
                reading.get_or_insert_with(|| connection.proxy.metrics.reads());
            } else if drain.poll(cx) {
                return Poll::Ready(Wanted::Nothing);
            }
            let idle_since = *idle_since.get_or_insert_with(Instant::now);
            let deadline = match head_since {
                Some(since) => since + settings.header_timeout,
                // A connection that never asked anything is not idle but slow.
                None if *served == 0 => idle_since + settings.header_timeout,
                None => idle_since + settings.keepalive_timeout,
            };
            // Requests do not move the timer; it looks at the deadline when it fires.
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            while timer.as_mut().poll(cx).is_ready() {
                if deadline <= Instant::now() {
                    let slow = head_since.map(|_| Wanted::Refusal(Refusal::Slow));
                    return Poll::Ready(slow.unwrap_or(Wanted::Nothing));
                }
                timer.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await
    }

    /// Have a request answered, and send the answer.
    pub(super) async fn exchange(&mut self, head: RequestHead) -> After {
        self.served += 1;
        let asked = (head.method.clone(), head.version);
        let close = wants_close(&head);
        let (framing, unframed) = match request_length(&head.fields, head.version) {
            Ok(length) => (length, None),
            Err(bad) => (Length::Known(0), Some(bad)),
        };
        let (body, back) = self.lend_reader(&head, framing);
        let close = close || unframed.is_some();
        let Some(response) = self.answer(Request { head, body, unframed }, back.as_ref()).await else {
            return After::Close;
        };
        self.reclaim(back.as_ref());
        // A client that was never told to send its body may send it, or its next request.
        let waits =
            |back: &Back| back.lock().as_ref().and_then(|left| left.rest.as_ref()).is_some_and(|rest| rest.waits);
        let close = close || response.close || self.is_last() || back.as_ref().is_some_and(waits);
        let persistence = match &response.opening {
            Some(_) => Persistence::Switched,
            None if close => Persistence::Close,
            None => Persistence::Keep,
        };
        let sent = self.send(response, (&asked.0, asked.1), persistence, back.as_ref()).await;
        match sent {
            Sent::Tunnel(opening) => After::Tunnel(opening),
            Sent::Kept if self.reader.is_some() || self.skip(back.as_ref()).await => After::Next,
            _ => {
                self.take_back(back.as_ref());
                After::Close
            }
        }
    }

    /// Answer what is no request. Who is too slow is told nothing, as in nginx; the log has it.
    pub(super) async fn refuse(&mut self, refusal: Refusal) -> After {
        let mut response = proxy::refuse(&self.connection, refusal);
        if let Refusal::Slow = refusal {
            if let Some(record) = response.record.take() {
                record.finish("done");
            }
            return After::Close;
        }
        let asked = (http::Method::GET, Version::HTTP_11);
        self.send(response, (&asked.0, asked.1), Persistence::Close, None).await;
        After::Close
    }

    /// Whether this request is the connection's last, whatever the client wants.
    fn is_last(&self) -> bool {
        let Downstream { keepalive_requests, keepalive_time, .. } = self.settings;
        self.served >= keepalive_requests
            || self.connection.client.since.elapsed() >= keepalive_time
            || self.drain.is_draining()
    }

    fn lend_reader(&mut self, head: &RequestHead, framing: Length) -> (Body, Option<Back>) {
        if framing == Length::Known(0) {
            return (Body::Empty, None);
        }
        let Some(reader) = self.reader.take() else { return (Body::Empty, None) };
        let expects = head.version == Version::HTTP_11
            && head.fields.get("expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
        let (body, back) = ClientBody::new(reader, framing, expects, self.settings.body_timeout);
        (Body::Stream(Box::new(body)), Some(back))
    }

    /// Await the answer; none where the client leaves before, or where there is to be none.
    async fn answer(&mut self, request: Request, back: Option<&Back>) -> Option<Response> {
        let mut answering = pin!(proxy::handle(Arc::clone(&self.connection), request));
        poll_fn(|cx| {
            if let Poll::Ready(response) = answering.as_mut().poll(cx) {
                return Poll::Ready(response);
            }
            self.poll_gone(cx, back).map(|()| None)
        })
        .await
    }

    async fn send(
        &mut self,
        response: Response,
        asked: (&http::Method, Version),
        persistence: Persistence,
        back: Option<&Back>,
    ) -> Sent {
        let mut sending = respond::Sending::new(response, asked, persistence);
        poll_fn(|cx| {
            let sent = sending.poll(cx, &mut self.writer);
            // While the peer is silent nothing else would notice.
            if sent.is_pending() && sending.is_waiting() && self.poll_gone(cx, back).is_ready() {
                return Poll::Ready(Sent::Cut);
            }
            sent
        })
        .await
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>, back: Option<&Back>) -> Poll<()> {
        self.reclaim(back);
        match &mut self.reader {
            Some(reader) => reader.poll_gone(cx),
            // The body has it, and finds out itself.
            None => Poll::Pending,
        }
    }

    /// Take the reader back from a body that was read to its end.
    fn reclaim(&mut self, back: Option<&Back>) {
        let Some(back) = back.filter(|_| self.reader.is_none()) else { return };
        let mut left = back.lock();
        if left.as_ref().is_some_and(|returned| returned.rest.is_none()) {
            self.reader = left.take().map(|returned| returned.reader);
        }
    }

    /// Take the reader back from whatever body has it.
    fn take_back(&mut self, back: Option<&Back>) {
        if let Some(returned) = back.and_then(|back| back.lock().take()) {
            self.reader = Some(returned.reader);
        }
    }

    /// Skip the rest of a body that nobody wanted; whether its end was found in time. nginx:
    /// `ngx_http_discard_request_body`.
    async fn skip(&mut self, back: Option<&Back>) -> bool {
        let Some(Returned { mut reader, rest }) = back.and_then(|back| back.lock().take()) else { return false };
        let mut most = SKIPPED;
        let deadline = Instant::now() + self.settings.header_timeout;
        let done = match rest {
            None => true,
            Some(mut rest) if !rest.waits => {
                let skipping = poll_fn(|cx| rest.poll_skip(cx, &mut reader, &mut most));
                tokio::time::timeout_at(deadline, skipping).await.unwrap_or(false)
            }
            Some(_) => false,
        };
        self.reader = Some(reader);
        done
    }
}

/// Whether a client wants its connection closed after the answer (RFC 9112 §9.3).
fn wants_close(head: &RequestHead) -> bool {
    let says = |wanted| head.fields.has_token("connection", wanted);
    if head.version == Version::HTTP_10 { !says("keep-alive") } else { says("close") }
}

/// Whether the server drains.
struct Drain {
    signal: watch::Receiver<bool>,
    /// Wakes the connection's task once it does. The task's waker is the same all its life, so
    /// this is polled once.
    wake: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    listens: bool,
}

impl Drain {
    fn new(signal: watch::Receiver<bool>) -> Self {
        Self { signal, wake: None, listens: false }
    }

    /// Whether it drains; wakes the task when it begins to.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.listens {
            self.listens = true;
            let mut signal = self.signal.clone();
            let wake = self.wake.insert(Box::pin(async move {
                // The sender lives as long as the worker.
                let _gone = signal.wait_for(|draining| *draining).await.map(drop);
            }));
            if wake.as_mut().poll(cx).is_ready() {
                return true;
            }
        }
        self.is_draining()
    }

    fn is_draining(&self) -> bool {
        *self.signal.borrow()
    }
}
