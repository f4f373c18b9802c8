//! Answers that the proxy gives itself: the one table from error to status.

use bytes::Bytes;
use http::StatusCode;

use super::error_page::{self, Instead};
use super::exchange::Exchange;
use super::{Response, response_headers};
use crate::body::Body;
use crate::error::{Error, Kind, Side, Stop};
use crate::hook::LocalReply;
use crate::message::{Fields, ResponseHead};

/// The status of an error.
pub(super) fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::BadRequest | Kind::Handshake | Kind::ClientBody | Kind::PlainOnTls => StatusCode::BAD_REQUEST,
        Kind::ClientTimeout => StatusCode::REQUEST_TIMEOUT,
        Kind::TargetTooLong => StatusCode::URI_TOO_LONG,
        Kind::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Kind::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::TransferCoding => StatusCode::NOT_IMPLEMENTED,
        Kind::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        Kind::HandshakeVersion => StatusCode::UPGRADE_REQUIRED,
        Kind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        // The route's limits say which.
        Kind::RateLimit(status) | Kind::OpenLimit(status) => status,
        Kind::Admission(_) => StatusCode::SERVICE_UNAVAILABLE,
        Kind::NoRoute | Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Forbidden | Kind::Revoked => StatusCode::FORBIDDEN,
        Kind::Precondition => StatusCode::PRECONDITION_FAILED,
        Kind::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
        // The route's `try_files` says which.
        Kind::NoneOfThese(status) => status,
        Kind::ConnectTimeout | Kind::ReadTimeout | Kind::SendTimeout => StatusCode::GATEWAY_TIMEOUT,
        Kind::NoPeer
        | Kind::Private
        | Kind::Connect
        | Kind::Closed
        | Kind::Refused
        | Kind::NotHttp2
        | Kind::Tls
        | Kind::TlsBroken
        | Kind::BadResponse
        | Kind::BadSwitch
        | Kind::UnaskedSwitch
        | Kind::BodyStopped
        | Kind::AnswerTooLarge => StatusCode::BAD_GATEWAY,
        Kind::UnknownTarget | Kind::Plugin(_) | Kind::File | Kind::Circles => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Whether what comes next on the connection may be no request: what came was none that two
/// readers would read in the same way, or its body will not be read. nginx closes the
/// connection after these too.
fn is_malformed(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::BadRequest
            | Kind::PlainOnTls
            | Kind::TransferCoding
            | Kind::MethodNotAllowed
            | Kind::TargetTooLong
            | Kind::HeadTooLarge
            | Kind::Version
            | Kind::ClientBody
            | Kind::ClientTimeout
            | Kind::BodyTooLarge
    )
}

/// nginx's status for a connection that is closed without an answer.
const CLOSE: u16 = 444;

/// An answer of the proxy's own.
struct Own {
    status: StatusCode,
    headers: Fields,
    body: Bytes,
    /// Whether the connection ends after it.
    close: bool,
}

/// How a request that a phase stopped ends.
pub(super) enum Stopped {
    /// With this answer; none where the connection is to be closed without one.
    Answer(Option<Response>),
    /// With an error page, for which the phases from the route on are run.
    Page,
}

/// What becomes of a request that a phase stopped. The route's rules for what the client sees
/// apply, if the route is known.
pub(super) async fn stopped(exchange: &mut Exchange, stop: Stop) -> Stopped {
    let is_reply = matches!(stop, Stop::Reply(_));
    let mut own = Own::of(exchange, stop);
    if is_reply {
        error_page::dress(exchange, &mut own.status, &mut own.headers);
    }
    if own.status.as_u16() == CLOSE {
        if let Some(record) = exchange.take_record(own.status, &own.headers) {
            record.finish("done");
        }
        return Stopped::Answer(None);
    }
    match error_page::instead(exchange, own.status, &own.headers, own.close) {
        Some(Instead::Page) => return Stopped::Page,
        Some(Instead::Reply(status, headers, body)) => {
            own = Own { status, headers, body, close: own.close };
            own.sign(exchange);
        }
        None => {}
    }
    match response_headers::map_own(exchange, own.status, std::mem::take(&mut own.headers)).await {
        Ok(headers) => own.headers = headers,
        // What the rules say instead is said without them; a request that was malformed stays so.
        Err(stop) => own = Own { close: own.close, ..Own::of(exchange, stop) },
    }
    Stopped::Answer(Some(own.send(exchange)))
}

/// The answer to what could not be read as a request, and so has no route.
pub(super) fn refused(exchange: &mut Exchange, stop: Stop) -> Response {
    Own::of(exchange, stop).send(exchange)
}

impl Own {
    fn of(exchange: &mut Exchange, stop: Stop) -> Self {
        let mut own = match stop {
            Stop::Error(error) => Self::from_error(exchange, &error),
            Stop::Reply(reply) => Self::from_reply(reply),
        };
        own.sign(exchange);
        own
    }

    /// Say who answers.
    fn sign(&mut self, exchange: &Exchange) {
        if let Some(server) = &exchange.snapshot.server_header {
            self.headers.set_default("Server", server.as_bytes());
        }
    }

    fn from_error(exchange: &mut Exchange, error: &Error) -> Self {
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
        if let Kind::Admission(seconds) = error.kind {
            // RFC 9110 §10.2.3.
            headers.append("Retry-After", seconds.to_string().as_bytes());
        }
        if let Kind::Range(length) = error.kind {
            // RFC 9110 §14.4: say how much there is.
            headers.append("Content-Range", format!("bytes */{length}").as_bytes());
        }
        let text = format!("{} {}\n", status.as_str(), status.canonical_reason().unwrap_or_default());
        let close = is_malformed(error.kind);
        Self { status, headers, body: text.into(), close }
    }

    fn from_reply(reply: LocalReply) -> Self {
        let mut headers = Fields::new();
        for (name, value) in reply.fields {
            headers.append(name.as_str(), value.as_bytes());
        }
        Self { status: reply.status, headers, body: reply.body, close: false }
    }

    fn send(self, exchange: &mut Exchange) -> Response {
        let Self { status, headers, body, close } = self;
        let record = exchange.take_record(status, &headers);
        let body = if body.is_empty() { Body::Empty } else { Body::Full(body) };
        Response { head: ResponseHead::new(status, headers), body, record, opening: None, close }
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
