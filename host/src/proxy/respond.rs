//! Answers that the proxy gives itself: the one table from error to status.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_VERSION, SERVER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::exchange::Exchange;
use super::{Unanswered, response_headers};
use crate::body::Body;
use crate::error::{Error, Kind, Side, Stop};
use crate::hook::LocalReply;

/// The status of an error.
fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::BadRequest | Kind::Handshake | Kind::ClientBody => StatusCode::BAD_REQUEST,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::TransferCoding => StatusCode::NOT_IMPLEMENTED,
        Kind::HandshakeVersion => StatusCode::UPGRADE_REQUIRED,
        Kind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        // The route's limits say which.
        Kind::RateLimit(status) | Kind::OpenLimit(status) => status,
        Kind::NoRoute => StatusCode::NOT_FOUND,
        Kind::ConnectTimeout | Kind::ReadTimeout | Kind::SendTimeout => StatusCode::GATEWAY_TIMEOUT,
        Kind::NoPeer | Kind::Connect | Kind::Closed | Kind::BadResponse | Kind::BadSwitch | Kind::UnaskedSwitch => {
            StatusCode::BAD_GATEWAY
        }
        Kind::UnknownTarget | Kind::Plugin(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// nginx's status for a connection that is closed without an answer.
const CLOSE: u16 = 444;

/// An answer of the proxy's own.
struct Own {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// The answer to a request that a phase stopped. The route's rules for what the client sees
/// apply, if the route is known.
pub(super) async fn stopped(exchange: &mut Exchange, stop: Stop) -> Response<Body> {
    let mut own = Own::of(exchange, stop);
    if own.status.as_u16() == CLOSE {
        return unanswered(exchange, own.status);
    }
    match response_headers::map_own(exchange, own.status, std::mem::take(&mut own.headers)).await {
        Ok(headers) => own.headers = headers,
        // What the rules say instead is said without them.
        Err(stop) => own = Own::of(exchange, stop),
    }
    own.send(exchange)
}

/// No answer: the record is kept with the response, which the listener drops.
fn unanswered(exchange: &mut Exchange, status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty(exchange.take_record(status, &HeaderMap::new())));
    *response.status_mut() = status;
    response.extensions_mut().insert(Unanswered);
    response
}

impl Own {
    fn of(exchange: &mut Exchange, stop: Stop) -> Self {
        let mut own = match stop {
            Stop::Error(error) => Self::from_error(exchange, &error),
            Stop::Reply(reply) => Self::from_reply(reply),
        };
        if let Some(server) = &exchange.snapshot.server_header {
            own.headers.entry(SERVER).or_insert_with(|| server.clone());
        }
        own
    }

    fn from_error(exchange: &mut Exchange, error: &Error) -> Self {
        let status = status_of(error.kind);
        report(exchange, error, status);
        if let Some(record) = &mut exchange.record {
            record.cause = Some(error.kind.code());
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if error.kind == Kind::BodyTooLarge {
            // As nginx: what the client sends next would be the body that nobody reads.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if error.kind == Kind::HandshakeVersion {
            // RFC 6455 §4.4: say which version is spoken.
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        let text = format!("{} {}\n", status.as_str(), status.canonical_reason().unwrap_or_default());
        Self { status, headers, body: text.into() }
    }

    fn from_reply(reply: LocalReply) -> Self {
        let mut headers = HeaderMap::with_capacity(reply.fields.len() + 2);
        for (name, value) in reply.fields {
            headers.append(name, value);
        }
        Self { status: reply.status, headers, body: reply.body }
    }

    fn send(self, exchange: &mut Exchange) -> Response<Body> {
        let Self { status, mut headers, body } = self;
        let mut record = exchange.take_record(status, &headers);
        let is_sent = !body.is_empty() && exchange.view.method != Method::HEAD;
        if let Some(record) = record.as_mut().filter(|_| is_sent) {
            record.bytes_out = body.len() as u64;
        }
        if !is_sent && !body.is_empty() {
            // RFC 9110 §8.6: what a GET would have had.
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let body = if is_sent { Body::Full(Some(body), record) } else { Body::Empty(record) };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// A client's mistake is for the curious; anything else is for the operator.
fn report(exchange: &Exchange, error: &Error, status: StatusCode) {
    let view = &exchange.view;
    let (code, detail, status) = (error.kind.code(), error.detail.as_str(), status.as_u16());
    let (client, host, path, route) = (view.client, &view.host, &view.path_with_query, &view.route);
    match error.kind.side() {
        Side::Downstream => tracing::debug!(code, detail, status, %client, %host, %path, "refused"),
        Side::Upstream => tracing::warn!(code, detail, status, %client, %host, %path, %route, "upstream failed"),
        Side::Plugin | Side::Internal => {
            tracing::error!(code, detail, status, %client, %host, %path, %route, "request failed");
        }
    }
}
