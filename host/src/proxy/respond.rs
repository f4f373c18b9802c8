//! Answers that the proxy gives itself: the one table from error to status.

use bytes::Bytes;
use http::StatusCode;

use super::Response;
use super::exchange::Exchange;
use crate::body::Body;
use crate::error::{Error, Kind, Side, Stop};
use crate::hook::LocalReply;
use crate::message::{Fields, ResponseHead};

/// The status of an error.
fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::BadRequest | Kind::Handshake | Kind::ClientBody => StatusCode::BAD_REQUEST,
        Kind::ClientTimeout => StatusCode::REQUEST_TIMEOUT,
        Kind::TargetTooLong => StatusCode::URI_TOO_LONG,
        Kind::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Kind::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::TransferCoding => StatusCode::NOT_IMPLEMENTED,
        Kind::HandshakeVersion => StatusCode::UPGRADE_REQUIRED,
        Kind::NoRoute => StatusCode::NOT_FOUND,
        Kind::ConnectTimeout | Kind::ReadTimeout | Kind::SendTimeout => StatusCode::GATEWAY_TIMEOUT,
        Kind::NoPeer | Kind::Connect | Kind::Closed | Kind::BadResponse | Kind::BadSwitch | Kind::UnaskedSwitch => {
            StatusCode::BAD_GATEWAY
        }
        Kind::UnknownTarget | Kind::Plugin(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Whether what came was not a request that two readers would read in the same way. nginx
/// closes the connection after these too.
fn is_malformed(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::BadRequest
            | Kind::TransferCoding
            | Kind::MethodNotAllowed
            | Kind::TargetTooLong
            | Kind::HeadTooLarge
            | Kind::Version
            | Kind::ClientBody
            | Kind::ClientTimeout
    )
}

/// The answer to a request that a phase stopped.
pub(super) fn stopped(exchange: &mut Exchange, stop: Stop) -> Response {
    match stop {
        Stop::Error(error) => from_error(exchange, &error),
        Stop::Reply(reply) => from_reply(exchange, reply),
    }
}

fn from_error(exchange: &mut Exchange, error: &Error) -> Response {
    let status = status_of(error.kind);
    report(exchange, error, status);
    if let Some(record) = &mut exchange.record {
        record.cause = Some(error.kind.code());
    }
    let mut headers = Fields::new();
    headers.append("Content-Type", b"text/plain");
    if error.kind == Kind::HandshakeVersion {
        // RFC 6455 §4.4: say which version is spoken.
        headers.append("Sec-WebSocket-Version", b"13");
    }
    let text = format!("{} {}\n", status.as_str(), status.canonical_reason().unwrap_or_default());
    Response { close: is_malformed(error.kind), ..own(exchange, status, headers, text.into()) }
}

fn from_reply(exchange: &mut Exchange, reply: LocalReply) -> Response {
    let mut headers = Fields::new();
    for (name, value) in reply.fields {
        headers.append(name.as_str(), value.as_bytes());
    }
    own(exchange, reply.status, headers, reply.body)
}

fn own(exchange: &mut Exchange, status: StatusCode, headers: Fields, body: Bytes) -> Response {
    let record = exchange.take_record(status, &headers);
    let body = if body.is_empty() { Body::Empty } else { Body::Full(body) };
    Response { head: ResponseHead::new(status, headers), body, record, close: false, opening: None }
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
