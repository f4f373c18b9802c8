//! An answer on its way to the client over one stream.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use quinn::SendStream;

use crate::body::{Body, Piece};
use crate::http1::{Length, date, has_no_body};
use crate::http3::qpack::Section;
use crate::http3::{Code, frame};
use crate::message::{Fields, ResponseHead};
use crate::observe::Record;
use crate::stream::Patience;

/// Lines of HTTP/1.1's connection, which HTTP/3 does not have (RFC 9114 §4.2).
const CONNECTION_LINES: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// The frame of the head, and whether a body follows. A 101 is a 200 (RFC 9220 §3).
pub(super) fn head(head: &ResponseHead, length: Length, asked: &Method) -> (Bytes, bool) {
    let switched = head.status == StatusCode::SWITCHING_PROTOCOLS;
    let bodiless = has_no_body(asked, head.status);
    let mut section = Section::new();
    section.status(if switched { StatusCode::OK } else { head.status }.as_u16());
    for (name, value) in head.fields.iter() {
        if !(switched && name.eq_ignore_ascii_case("sec-websocket-accept")) {
            add(&mut section, name, value);
        }
    }
    if !switched {
        if !head.fields.contains("date") {
            let mut text = Vec::new();
            date::write(&mut text);
            section.line("date", &text);
        }
        // RFC 9110 §8.6: for HEAD it is what a GET would have had, where that is known.
        if let Length::Known(bytes) = length
            && (!bodiless || *asked == Method::HEAD && bytes > 0)
            && !head.fields.contains("content-length")
        {
            section.line("content-length", bytes.to_string().as_bytes());
        }
    }
    let empty = bodiless || length == Length::Known(0);
    (headers(section), !empty && !switched)
}

/// A line, where HTTP/3 has it.
fn add(section: &mut Section, name: &str, value: &[u8]) {
    if !CONNECTION_LINES.iter().any(|line| line.eq_ignore_ascii_case(name)) {
        section.line(name, value);
    }
}

fn headers(section: Section) -> Bytes {
    let section = section.into_bytes();
    let mut bytes = Vec::with_capacity(section.len() + size_of::<u64>());
    frame::head(&mut bytes, frame::HEADERS, section.len() as u64);
    bytes.extend_from_slice(&section);
    bytes.into()
}

fn trailers(fields: &Fields) -> Bytes {
    let mut section = Section::new();
    for (name, value) in fields.iter() {
        add(&mut section, name, value);
    }
    headers(section)
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

/// An answer that is being sent.
pub(super) struct Sending<'a> {
    send: &'a mut SendStream,
    body: Body,
    /// What QUIC has no room for yet: what a frame begins with, and its content.
    left: [Bytes; 2],
    /// Whether all of the body is sent or in `left`.
    ended: bool,
    /// Runs while the client takes nothing.
    patience: Patience,
    pub(super) record: Option<Box<Record>>,
}

impl<'a> Sending<'a> {
    /// The head's frame and then the body; `body` is empty where none follows.
    pub(super) fn new(
        send: &'a mut SendStream,
        head: Bytes,
        body: Body,
        record: Option<Box<Record>>,
        timeout: Duration,
    ) -> Self {
        Self { send, body, left: [head, Bytes::new()], ended: false, patience: Patience::new(timeout), record }
    }

    /// Send what can be sent now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Sent> {
        loop {
            if self.left.iter().any(|part| !part.is_empty()) {
                let mut left = std::mem::take(&mut self.left);
                let sent = pin!(self.send.write_chunks(&mut left)).poll(cx);
                self.left = left;
                match sent {
                    Poll::Ready(Ok(written)) => {
                        let [head, content] = &mut self.left;
                        // Chunks that are through are left as they were.
                        if written.chunks >= 1 {
                            head.clear();
                        }
                        if written.chunks >= 2 {
                            content.clear();
                        }
                        self.patience.heard();
                    }
                    Poll::Ready(Err(_over)) => return Poll::Ready(Sent::Cut),
                    Poll::Pending => return self.patience.poll(cx).map(|()| Sent::Cut),
                }
                continue;
            }
            if self.ended {
                // A stream that is over needs no end.
                return Poll::Ready(self.send.finish().map_or(Sent::Cut, |()| Sent::Whole));
            }
            let Poll::Ready(piece) = self.body.poll_piece(cx) else {
                // It is the peer that is waited for.
                self.patience.heard();
                return Poll::Pending;
            };
            match piece {
                Ok(Piece::Data(data)) => {
                    let mut head = Vec::with_capacity(2 * size_of::<u64>());
                    frame::head(&mut head, frame::DATA, data.len() as u64);
                    if let Some(record) = &mut self.record {
                        record.bytes_out += data.len() as u64;
                    }
                    self.left = [head.into(), data];
                }
                Ok(Piece::End) => self.ended = true,
                Ok(Piece::Trailers(fields)) => {
                    self.ended = true;
                    self.left = [trailers(&fields), Bytes::new()];
                }
                Err(error) => {
                    tracing::debug!(%error, "a body broke off");
                    let _over = self.send.reset(Code::INTERNAL.into());
                    return Poll::Ready(Sent::Broken(error.kind.code()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http3::{qpack, varint};

    fn made(status: u16, lines: &[(&str, &str)], length: Length, asked: &Method) -> (Vec<String>, bool) {
        let fields = lines.iter().copied().collect();
        let (frame, body) = head(&ResponseHead::new(StatusCode::from_u16(status).unwrap(), fields), length, asked);
        assert_eq!(frame[0], 1);
        let (length, used) = varint::read(&frame[1..]).unwrap();
        let section = &frame[1 + used..];
        assert_eq!(section.len() as u64, length);
        let mut lines = Vec::new();
        let keep = |name: &[u8], value: &[u8]| {
            lines.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        };
        qpack::decode(section, 4096, keep).unwrap();
        (lines, body)
    }

    #[test]
    fn heads() {
        let date = ("Date", "x");
        let known = made(200, &[date, ("Connection", "close"), ("X-A", "1")], Length::Known(2), &Method::GET);
        assert_eq!(known.0, [":status: 200", "date: x", "x-a: 1", "content-length: 2"]);
        assert!(known.1);
        assert_eq!(
            made(200, &[date], Length::Chunked, &Method::GET),
            (vec![":status: 200".into(), "date: x".into()], true)
        );
        let head = made(200, &[date], Length::Known(7), &Method::HEAD);
        assert_eq!(head, (vec![":status: 200".into(), "date: x".into(), "content-length: 7".into()], false));
        assert_eq!(
            made(304, &[date], Length::Known(0), &Method::GET),
            (vec![":status: 304".into(), "date: x".into()], false)
        );
        let lines = [("Upgrade", "websocket"), ("Connection", "upgrade"), ("Sec-WebSocket-Accept", "a"), ("X-A", "1")];
        assert_eq!(
            made(101, &lines, Length::Known(0), &Method::GET),
            (vec![":status: 200".into(), "x-a: 1".into()], false)
        );
    }
}
