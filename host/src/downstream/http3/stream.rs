//! One stream: a request and its answer, or a tunnel.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Version};
use quinn::{RecvStream, SendStream, StoppedError, VarInt};
use tokio::time::timeout;

use super::body::ClientBody;
use super::request::{self, Asked, BadHead};
use super::respond::{self, Sending, Sent};
use super::{Counted, Shared};
use crate::body::Body;
use crate::downstream::upgrade;
use crate::duplex::Http3;
use crate::http1::{BadLength, Length, Malformed, request_length};
use crate::http3::{Broken, Code, Frames, Part};
use crate::message::Fields;
use crate::proxy::{self, Refusal, Request, Response};
use crate::snapshot::Downstream;
use crate::socket::Socket;
use crate::tunnel;

/// Ready when the client wants no more of the answer, or has all of it.
type Stopped = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send + Sync>>;

/// Nothing is done with a stream: the client may ask again elsewhere.
pub(super) fn reject(mut send: SendStream, mut recv: RecvStream) {
    let code = Code::REQUEST_REJECTED.into();
    // A stream that is over needs no word.
    let _over = (send.reset(code), recv.stop(code));
}

/// What a stream begins with.
enum Begin {
    /// A request; what came behind the head, where that was waited for.
    Request(Asked, Option<Part>),
    /// None, and it is answered.
    Refused(Refusal),
    /// None, and the stream ends by this code.
    Reset(Code),
}

/// Serve one stream to its end.
pub(super) async fn serve(counted: Counted, mut send: SendStream, recv: RecvStream) {
    let shared = Arc::clone(&counted.0);
    let settings = shared.connection.proxy.snapshot.load().downstream;
    let mut stopped: Stopped = Box::pin(send.stopped());
    let mut frames = Frames::new(recv, settings.max_head);
    // Boxed, since a tunnel's task keeps the memory that its future once needed.
    let mut beginning = Box::pin(begin(&shared, &mut frames, &settings));
    let began = poll_fn(|cx| {
        if let Poll::Ready(began) = beginning.as_mut().poll(cx) {
            return Poll::Ready(began);
        }
        // Who wants no answer need not ask.
        stopped.as_mut().poll(cx).map(|_left| {
            shared.abandoned();
            Begin::Reset(Code::REQUEST_CANCELLED)
        })
    })
    .await;
    drop(beginning);
    let (method, response, tunnel) = match began {
        Begin::Reset(code) => {
            frames.stop_with(code);
            let _over = send.reset(code.into());
            return;
        }
        Begin::Refused(refusal) => (Method::GET, Some(proxy::refuse(&shared.connection, refusal)), None),
        Begin::Request(asked, first) => {
            let method = asked.head.method.clone();
            let (request, tunnel) = make(&shared, asked, (frames, first), &settings);
            (method, answer(&shared, request, &mut stopped).await, tunnel)
        }
    };
    let Some(response) = response else {
        // nginx, 444: closed without an answer. Of a client that left nobody hears it.
        let _over = send.reset(Code::REQUEST_CANCELLED.into());
        return;
    };
    shared.answered();
    deliver(counted, response, (send, stopped), tunnel, &method, settings.send_timeout).await;
}

/// Read the head, in time.
async fn begin(shared: &Shared, frames: &mut Frames, settings: &Downstream) -> Begin {
    let head = async {
        let section = match poll_fn(|cx| frames.poll_part(cx)).await {
            Ok(Part::Headers(section)) => section,
            Ok(Part::Data(_) | Part::End) => return Begin::Reset(Code::REQUEST_INCOMPLETE),
            Err(broken) => return end(shared, broken),
        };
        let asked = match request::head(&section, settings.max_head, upgrade::key) {
            Ok(asked) => asked,
            Err(BadHead::TooLarge) => return Begin::Refused(Refusal::Malformed(Malformed::TooLarge)),
            Err(BadHead::Malformed(why)) => {
                tracing::debug!(client = %shared.connection.client.address, why, "a malformed request");
                return Begin::Reset(Code::MESSAGE);
            }
            Err(BadHead::Corrupt(why)) => {
                shared.fail(Code::QPACK_DECOMPRESSION, why);
                return Begin::Reset(Code::QPACK_DECOMPRESSION);
            }
        };
        if !is_bare(&asked) {
            return Begin::Request(asked, None);
        }
        // The end may come in a packet of its own. Who asks so has no body: a peer is not to be
        // told of one that may still come.
        match poll_fn(|cx| frames.poll_part(cx)).await {
            Ok(part) => Begin::Request(asked, Some(part)),
            Err(broken) => end(shared, broken),
        }
    };
    timeout(settings.header_timeout, head).await.unwrap_or(Begin::Refused(Refusal::Slow))
}

fn end(shared: &Shared, broken: Broken) -> Begin {
    shared.broken(broken);
    match broken {
        Broken::TooLarge => Begin::Refused(Refusal::Malformed(Malformed::TooLarge)),
        Broken::Gone => {
            shared.abandoned();
            Begin::Reset(Code::REQUEST_CANCELLED)
        }
        Broken::Connection(code, _) => Begin::Reset(code),
    }
}

/// Whether it is a request that has no body as a rule, and says nothing of one.
fn is_bare(asked: &Asked) -> bool {
    let fields = &asked.head.fields;
    !asked.is_connect && matches!(asked.head.method, Method::GET | Method::HEAD) && !fields.contains("content-length")
}

/// How long the body is. The stream has its own end, so that no length means that it is not
/// known yet.
fn length(fields: &Fields) -> Result<Length, BadLength> {
    match request_length(fields, Version::HTTP_11)? {
        Length::Known(0) if !fields.contains("content-length") => Ok(Length::Chunked),
        length => Ok(length),
    }
}

/// The request, and what is left of the stream for a tunnel: its bytes are no body, they wait for
/// its opening.
fn make(
    shared: &Arc<Shared>,
    asked: Asked,
    (frames, first): (Frames, Option<Part>),
    settings: &Downstream,
) -> (Request, Option<Frames>) {
    let Asked { head, is_connect } = asked;
    if is_connect {
        return (Request { head, body: Body::Empty, unframed: None }, Some(frames));
    }
    let (length, unframed) = match length(&head.fields) {
        _ if matches!(first, Some(Part::End)) => (Length::Known(0), None),
        Ok(length) => (length, None),
        Err(bad) => (Length::Known(0), Some(bad)),
    };
    let body = match length {
        Length::Known(0) if unframed.is_some() || matches!(first, Some(Part::End)) => Body::Empty,
        length => {
            let (most, timeout) = (settings.max_head, settings.body_timeout);
            Body::Stream(Box::new(ClientBody::new(shared, (frames, first), length, most, timeout)))
        }
    };
    (Request { head, body, unframed }, None)
}

/// Await the answer; none where the client leaves before, or where there is to be none. Boxed,
/// since a tunnel's task keeps the memory that its future once needed.
async fn answer(shared: &Shared, request: Request, stopped: &mut Stopped) -> Option<Response> {
    let mut answering = Box::pin(proxy::handle(Arc::clone(&shared.connection), request));
    poll_fn(|cx| {
        if let Poll::Ready(response) = answering.as_mut().poll(cx) {
            return Poll::Ready(response);
        }
        stopped.as_mut().poll(cx).map(|_left| {
            shared.abandoned();
            None
        })
    })
    .await
}

async fn deliver(
    counted: Counted,
    response: Response,
    (mut send, mut stopped): (SendStream, Stopped),
    tunnel: Option<Frames>,
    asked: &Method,
    send_timeout: Duration,
) {
    let Response { head, body, record, opening, close: _ } = response;
    let (head, has_body) = respond::head(&head, body.length(), asked);
    if let (Some(opening), Some(frames)) = (opening, tunnel) {
        let shared = Arc::clone(&counted.0);
        // A stream that is gone is told of by the record, which is dropped unfinished then.
        let Ok(Ok(())) = timeout(send_timeout, send.write_chunk(head)).await else { return };
        drop(stopped);
        let duplex = Http3::new(shared.quic.clone(), send, frames, Box::new(counted));
        let socket = Socket::Http3(Box::new(duplex));
        return tunnel::run(socket, Bytes::new(), opening, &shared.connection.proxy.tunnels).await;
    }
    let body = if has_body { body } else { Body::Empty };
    let mut sending = Sending::new(&mut send, head, body, record, send_timeout);
    let sent = poll_fn(|cx| {
        if let Poll::Ready(sent) = sending.poll(cx) {
            return Poll::Ready(sent);
        }
        // The client may leave while the peer is silent.
        stopped.as_mut().poll(cx).map(|_left| Sent::Cut)
    })
    .await;
    let record = sending.record.take();
    let cause = match sent {
        Sent::Whole => "done",
        Sent::Broken(code) => code,
        Sent::Cut => {
            // QUIC itself would end it as if all were sent.
            let _over = send.reset(Code::REQUEST_CANCELLED.into());
            return;
        }
    };
    if let Some(record) = record {
        record.finish(cause);
    }
    if sent == Sent::Whole {
        // The connection is not closed before the client has all of it.
        let _late = timeout(send_timeout, stopped).await;
    }
    drop(counted);
}
