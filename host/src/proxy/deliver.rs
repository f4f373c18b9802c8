//! Phase 9: the answer goes to the client: a body that streams, or a tunnel that opens.

use http::Response;

use super::exchange::Exchange;
use super::forward::Answer;
use crate::body::{Body, ResponseBody};
use crate::tunnel::{Opening, Terms};

/// Hand the peer's answer to the client's connection, with the record of the exchange on it.
pub(super) fn deliver(exchange: &mut Exchange, answer: Answer) -> Response<Body> {
    let timeouts = exchange.target.as_ref().map(|target| (target.route.timeouts, target.route.half_close));
    let (idle, half_close) = timeouts.map(|(t, half_close)| (t.read, half_close)).unwrap_or_default();
    let head = answer.head();
    let mut record = exchange.take_record(head.status, &head.headers);
    match answer {
        Answer::Response { head, body, connection } => {
            let body = ResponseBody::new(body, idle, connection, record);
            Response::from_parts(*head, Body::Response(Box::new(body)))
        }
        Answer::Switch { head, upstream, early } => {
            if let Some(record) = &mut record {
                record.tunnel = true;
                record.busy = None;
            }
            let terms = Terms { idle, half_close };
            *exchange.connection.opening.lock() = Some(Opening { upstream, early, terms, record });
            Response::from_parts(*head, Body::empty())
        }
    }
}
