//! Phase 8, its end: the body of an answer becomes smaller, if the client takes it so. nginx:
//! `gzip`.

use http::{Method, StatusCode, Version};

use super::exchange::Exchange;
use super::forward::Answer;
use crate::body::Body;
use crate::config::{Coding, Compress};
use crate::content::{Compressed, choose};
use crate::error::Error;
use crate::http1::Length;
use crate::message::{Fields, ResponseHead};

/// Note which coding the client is to be sent, before phases change its headers.
pub(super) fn prepare(exchange: &mut Exchange) {
    let Some(settings) = settings(exchange) else { return };
    let view = &exchange.view;
    // nginx: `gzip_http_version 1.1`. Without a length the connection would end after it.
    let speaks = view.version != Version::HTTP_10 && view.version != Version::HTTP_09;
    let coding = if speaks { choose(settings, &view.headers) } else { None };
    exchange.coding = coding;
}

fn settings(exchange: &Exchange) -> Option<&Compress> {
    exchange.target.as_ref()?.route.content.compress.as_deref()
}

/// Compress an answer, and say that it could have been another one.
///
/// # Errors
/// Where the encoder cannot be made.
pub(super) fn wrap(exchange: &Exchange, answer: &mut Answer) -> Result<(), Error> {
    let (Some(settings), Answer::Response { head, body }) = (settings(exchange), answer) else { return Ok(()) };
    if !fits(exchange, settings, head, body.length()) {
        return Ok(());
    }
    let varies = |line: &[u8]| line.to_ascii_lowercase().windows(15).any(|part| part == b"accept-encoding");
    if !head.fields.get_all("vary").any(varies) {
        head.fields.append("Vary", b"Accept-Encoding");
    }
    let Some(coding) = exchange.coding else { return Ok(()) };
    head.fields.retain(|name| {
        !["content-length", "accept-ranges"].iter().any(|gone| gone.as_bytes().eq_ignore_ascii_case(name))
    });
    head.fields.append("Content-Encoding", coding.name().as_bytes());
    weaken(&mut head.fields);
    if exchange.view.method == Method::HEAD {
        // The length would be another one. What has none is left alone: it may be a peer's
        // answer that wants to be read to its end.
        if body.length() != Length::Known(0) {
            *body = Body::Empty;
        }
        return Ok(());
    }
    *body = Body::Stream(Box::new(Compressed::new(std::mem::take(body), coding, settings)?));
    Ok(())
}

/// The coding that an answer with this head and length will get.
pub(super) fn coding(exchange: &Exchange, head: &ResponseHead, length: Length) -> Option<Coding> {
    let settings = settings(exchange)?;
    exchange.coding.filter(|_| fits(exchange, settings, head, length))
}

/// Whether an answer is one of those that are compressed.
fn fits(exchange: &Exchange, settings: &Compress, head: &ResponseHead, length: Length) -> bool {
    let fields = &head.fields;
    let status = matches!(head.status, StatusCode::OK | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
    let length = match length {
        // Of a HEAD only the header knows it.
        Length::Known(0) if exchange.view.method == Method::HEAD => {
            fields.get_str("content-length").and_then(|length| length.parse().ok())
        }
        Length::Known(length) => Some(length),
        Length::Chunked | Length::UntilClose => None,
    };
    let long = length.is_none_or(|length| length > 0 && length >= settings.min_length);
    let transforms = !fields
        .get_all("cache-control")
        .any(|line| line.to_ascii_lowercase().windows(12).any(|part| part == b"no-transform"));
    status
        && long
        && transforms
        && !fields.contains("content-encoding")
        && !fields.contains("content-range")
        && is_listed(settings, fields)
}

/// Whether the answer's type is on the list; one without a type is not.
fn is_listed(settings: &Compress, fields: &Fields) -> bool {
    let Some(kind) = fields.get_str("content-type") else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    !kind.is_empty() && settings.types.iter().any(|listed| listed == "*" || listed.eq_ignore_ascii_case(kind))
}

/// The bytes are no longer those that a strong tag promises (RFC 9110 §8.8.1).
pub(super) fn weaken(fields: &mut Fields) {
    let Some(tag) = fields.get("etag").map(<[u8]>::to_vec) else { return };
    match tag.first() {
        Some(b'"') => fields.set("ETag", &[b"W/", tag.as_slice()].concat()),
        Some(b'W') => {}
        _ => fields.remove("etag"),
    }
}
