//! One stream: a request and its answer, or a tunnel.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Method, Request as Head};

use super::respond::{self, Sending, Sent};
use super::{Counted, request};
use crate::body::Body;
use crate::downstream::upgrade;
use crate::duplex::Duplex;
use crate::http1::Length;
use crate::proxy::{self, Connection, Request, Response};
use crate::socket::Socket;
use crate::tunnel;

/// Serve one stream to its end.
pub(super) async fn serve(
    connection: Arc<Connection>,
    asked: Head<RecvStream>,
    mut respond: SendResponse<Bytes>,
    counted: Counted,
) {
    let settings = connection.proxy.snapshot.load().downstream;
    let (parts, recv) = asked.into_parts();
    let head = request::head(&parts, &upgrade::key());
    let method = head.method.clone();
    // A tunnel's bytes are no body: they wait for its opening.
    let is_connect = parts.method == Method::CONNECT;
    let (length, unframed) = match request::length(&head.fields, &recv) {
        Ok(length) => (length, None),
        Err(bad) => (Length::Known(0), Some(bad)),
    };
    let (body, recv) = match length {
        _ if is_connect => (Body::Empty, Some(recv)),
        Length::Known(0) => (Body::Empty, None),
        length => {
            let body = request::ClientBody::new(recv, length, settings.body_timeout);
            (Body::Stream(Box::new(body)), None)
        }
    };
    let request = Request { head, body, unframed };
    let Some(response) = answer(&connection, request, &mut respond).await else {
        // nginx, 444: closed without an answer. Of a client that left nobody hears it.
        return respond.send_reset(Reason::CANCEL);
    };
    deliver(&connection, response, respond, recv, (&method, settings.send_timeout), counted).await;
}

/// Await the answer; none where the client leaves before, or where there is to be none. Boxed,
/// since a tunnel's task keeps the memory that its future once needed.
async fn answer(connection: &Arc<Connection>, request: Request, respond: &mut SendResponse<Bytes>) -> Option<Response> {
    let mut answering = Box::pin(proxy::handle(Arc::clone(connection), request));
    poll_fn(|cx| {
        if let Poll::Ready(response) = answering.as_mut().poll(cx) {
            return Poll::Ready(response);
        }
        respond.poll_reset(cx).map(|_left| None)
    })
    .await
}

async fn deliver(
    connection: &Connection,
    response: Response,
    mut respond: SendResponse<Bytes>,
    recv: Option<RecvStream>,
    (asked, send_timeout): (&Method, std::time::Duration),
    counted: Counted,
) {
    let Response { head, body, record, opening, close: _ } = response;
    let (head, has_body) = respond::head(&head, body.length(), asked);
    let ends = !has_body && opening.is_none();
    // A stream that is gone is told of by the record, which is dropped unfinished then.
    let Ok(stream) = respond.send_response(head, ends) else { return };
    match (opening, recv) {
        (Some(opening), Some(recv)) => {
            let duplex = Duplex::new(stream, recv, Box::new(counted));
            tunnel::run(Socket::Http2(Box::new(duplex)), Bytes::new(), opening, &connection.proxy.tunnels).await;
        }
        _ if ends => {
            if let Some(record) = record {
                record.finish("done");
            }
        }
        _ => {
            let mut sending = Sending::new(stream, body, record, send_timeout);
            let sent = poll_fn(|cx| sending.poll(cx)).await;
            let cause = match sent {
                Sent::Whole => "done",
                Sent::Broken(code) => code,
                Sent::Cut => return,
            };
            if let Some(record) = sending.record.take() {
                record.finish(cause);
            }
        }
    }
}
