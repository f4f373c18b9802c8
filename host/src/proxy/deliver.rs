//! Phase 9: the answer goes to the client: a body that streams, or a tunnel that opens.

use super::Response;
use super::exchange::Exchange;
use super::forward::Answer;
use super::inspect;
use crate::body::Body;
use crate::tunnel::{Inspection, Opening, Terms};

/// Hand the peer's answer to the client's connection, with the record of the exchange.
pub(super) fn deliver(exchange: &mut Exchange, answer: Answer, inspection: Option<Inspection>) -> Response {
    let told = inspect::told(exchange, &answer);
    // Nobody is asked about the head any more.
    exchange.view.own.head_is_done();
    let head = answer.head();
    let mut record = exchange.take_record(head.status, &head.fields);
    match answer {
        Answer::Response { head, body } => {
            let close = exchange.page.as_ref().is_some_and(|page| page.close);
            Response { head, body, record, opening: None, close }
        }
        Answer::Switch { head, upstream, early, lease } => {
            if let Some(record) = &mut record {
                record.tunnel = true;
            }
            let route = exchange.target.as_ref().map(|target| &target.route);
            let terms = route.map(|route| Terms { idle: route.timeouts.read, half_close: route.half_close });
            let access = exchange.access.take();
            let opening = terms.map(|terms| {
                Box::new(Opening { upstream, early, terms, record, lease, inspection, told, access, timer: None })
            });
            Response { head, body: Body::Empty, record: None, close: false, opening }
        }
    }
}
