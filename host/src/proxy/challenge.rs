//! Within phase 1: what an authority looks for to find out whether names lead here (RFC 8555
//! §8.3). Before any route, and only on plain connections.

use bytes::Bytes;
use http::{Method, StatusCode};

use super::Connection;
use super::exchange::Exchange;
use crate::hook::LocalReply;
use crate::message::{FieldName, FieldValue};

/// Where tokens are looked for.
const FOLDER: &str = "/.well-known/acme-challenge/";

/// Answer a request for a token of an order that is under way.
///
/// # Errors
/// The answer; any other request goes on.
pub(super) fn answer(exchange: &Exchange, connection: &Connection) -> Result<(), LocalReply> {
    let view = &exchange.view;
    let Some(token) = view.path.strip_prefix(FOLDER) else { return Ok(()) };
    if connection.tls.is_some() || !matches!(view.method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let Some(answer) = connection.proxy.acme.challenges.answer(token) else { return Ok(()) };
    tracing::info!(client = %view.client, host = %view.host, "a challenge over HTTP was looked at");
    let kind = (FieldName::new("Content-Type"), FieldValue::new("application/octet-stream"));
    let fields = if let (Ok(name), Ok(value)) = kind { vec![(name, value)] } else { Vec::new() };
    Err(LocalReply { status: StatusCode::OK, fields, body: Bytes::from(answer) })
}
