//! An answer on its way to the client over one stream.

use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response as Head, StatusCode, Version};

use crate::body::{Body, Piece};
use crate::http1::{Length, date, has_no_body};
use crate::message::{Fields, ResponseHead};
use crate::observe::Record;
use crate::stream::Patience;

/// Lines of HTTP/1.1's connection, which HTTP/2 does not have (RFC 9113 §8.2.2).
const CONNECTION_LINES: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// The head as HTTP/2 has it, and whether a body follows. A 101 is a 200 (RFC 8441 §5).
pub(super) fn head(head: &ResponseHead, length: Length, asked: &Method) -> (Head<()>, bool) {
    let switched = head.status == StatusCode::SWITCHING_PROTOCOLS;
    let mut lines = lines(&head.fields, switched);
    let empty = has_no_body(asked, head.status) || length == Length::Known(0);
    if !switched {
        lines.entry(DATE).or_insert_with(|| {
            let mut text = Vec::new();
            date::write(&mut text);
            HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""))
        });
        // RFC 9110 §8.6: for HEAD it is what a GET would have had, where that is known.
        if let Length::Known(bytes) = length
            && (!has_no_body(asked, head.status) || *asked == Method::HEAD && bytes > 0)
        {
            lines.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(bytes));
        }
    }
    let mut made = Head::new(());
    *made.status_mut() = if switched { StatusCode::OK } else { head.status };
    *made.version_mut() = Version::HTTP_2;
    *made.headers_mut() = lines;
    (made, !empty && !switched)
}

fn lines(fields: &Fields, switched: bool) -> HeaderMap {
    let mut lines = HeaderMap::with_capacity(fields.len() + 2);
    for (name, value) in fields.iter() {
        let is = |other: &&str| other.eq_ignore_ascii_case(name);
        if CONNECTION_LINES.iter().any(is) || switched && is(&"sec-websocket-accept") {
            continue;
        }
        // What was read as a header line is one here too; what is not cannot be said.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
            let _full = lines.try_append(name, value);
        }
    }
    lines
}

/// How a body went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Whole.
    Whole,
    /// It broke off on the other side, for this reason; the client is told by a reset.
    Broken(&'static str),
    /// The client left, or took nothing for too long.
    Cut,
}

/// A body that is being sent.
pub(super) struct Sending {
    stream: SendStream<Bytes>,
    body: Body,
    /// The rest of a piece.
    left: Bytes,
    /// Runs while the client takes nothing.
    patience: Patience,
    pub(super) record: Option<Box<Record>>,
}

impl Sending {
    pub(super) fn new(
        stream: SendStream<Bytes>,
        body: Body,
        record: Option<Box<Record>>,
        timeout: std::time::Duration,
    ) -> Self {
        Self { stream, body, left: Bytes::new(), patience: Patience::new(timeout), record }
    }

    /// Send what can be sent now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Sent> {
        loop {
            // The client may leave while the peer is silent.
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Sent::Cut);
            }
            if self.left.is_empty() {
                let Poll::Ready(piece) = self.body.poll_piece(cx) else {
                    // It is the peer that is waited for.
                    self.patience.heard();
                    return Poll::Pending;
                };
                match piece {
                    Ok(Piece::Data(data)) => self.left = data,
                    Ok(Piece::End) => return Poll::Ready(whole(&self.stream.send_data(Bytes::new(), true))),
                    Ok(Piece::Trailers(fields)) => {
                        return Poll::Ready(whole(&self.stream.send_trailers(lines(&fields, false))));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a body broke off");
                        self.stream.send_reset(Reason::INTERNAL_ERROR);
                        return Poll::Ready(Sent::Broken(error.kind.code()));
                    }
                }
                continue;
            }
            self.stream.reserve_capacity(self.left.len());
            let room = match self.stream.capacity() {
                0 => match self.stream.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(room))) => room,
                    Poll::Ready(_over) => return Poll::Ready(Sent::Cut),
                    Poll::Pending => return self.patience.poll(cx).map(|()| Sent::Cut),
                },
                room => room,
            };
            self.patience.heard();
            let part = self.left.split_to(room.min(self.left.len()));
            if let Some(record) = &mut self.record {
                record.bytes_out += part.len() as u64;
            }
            if self.stream.send_data(part, false).is_err() {
                return Poll::Ready(Sent::Cut);
            }
        }
    }
}

fn whole(sent: &Result<(), h2::Error>) -> Sent {
    if sent.is_ok() { Sent::Whole } else { Sent::Cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(status: u16, lines: &[(&str, &str)], length: Length, asked: &Method) -> (u16, Vec<String>, bool) {
        let fields = lines.iter().copied().collect();
        let (head, body) = head(&ResponseHead::new(StatusCode::from_u16(status).unwrap(), fields), length, asked);
        let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        (head.status().as_u16(), head.headers().iter().map(line).collect(), body)
    }

    #[test]
    fn heads() {
        let date = ("Date", "x");
        let known = made(200, &[date, ("Connection", "close"), ("X-A", "1")], Length::Known(2), &Method::GET);
        assert_eq!(known, (200, vec!["date: x".into(), "x-a: 1".into(), "content-length: 2".into()], true));
        assert_eq!(made(200, &[date], Length::Chunked, &Method::GET), (200, vec!["date: x".into()], true));
        let head = made(200, &[date], Length::Known(7), &Method::HEAD);
        assert_eq!(head, (200, vec!["date: x".into(), "content-length: 7".into()], false));
        assert_eq!(made(304, &[date], Length::Known(0), &Method::GET), (304, vec!["date: x".into()], false));
        let lines = [("Upgrade", "websocket"), ("Connection", "upgrade"), ("Sec-WebSocket-Accept", "a"), ("X-A", "1")];
        assert_eq!(made(101, &lines, Length::Known(0), &Method::GET), (200, vec!["x-a: 1".into()], false));
    }
}
