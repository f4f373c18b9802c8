//! Heads into bytes. Framing is written here and nowhere else.

use http::{Method, Version};

use super::length::has_no_body;
use super::{Length, date};
use crate::message::{Fields, ResponseHead};

/// What is said of the connection in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Another request may follow.
    Keep,
    /// It ends after this response.
    Close,
    /// It has left HTTP: the head says so itself.
    Switched,
}

/// Write a request's head. `fields` has Content-Length where the length is known and not 0,
/// and no other framing.
pub fn request_head(out: &mut Vec<u8>, method: &Method, target: &str, fields: &Fields, length: Length) {
    out.reserve(fields.size() + target.len() + 64);
    for part in [method.as_str(), " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    fields.write_to(out);
    if length == Length::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Write a response's head for a client that asked with `asked` in `version`, and say how its
/// body is to be framed and what becomes of the connection. `length` is what is known of the
/// body.
pub fn response_head(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    length: Length,
    (asked, version): (&Method, Version),
    persistence: Persistence,
) -> (Length, Persistence) {
    out.reserve(head.fields.size() + 160);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    let reason = head.reason.as_deref().or_else(|| head.status.canonical_reason());
    out.extend_from_slice(reason.unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    head.fields.write_to(out);
    let framing = match length {
        _ if has_no_body(asked, head.status) => Length::Known(0),
        Length::Known(_) => length,
        // RFC 9112 §6.1: no chunks for a client of HTTP/1.0.
        _ if version == Version::HTTP_10 => Length::UntilClose,
        _ => Length::Chunked,
    };
    let persistence = if framing == Length::UntilClose { Persistence::Close } else { persistence };
    // RFC 9110 §8.6: for HEAD it is what a GET would have had, where that is known.
    let counted = if *asked == Method::HEAD && length != Length::Known(0) { length } else { framing };
    let says = !has_no_body(asked, head.status) || counted != framing;
    match counted {
        Length::Known(bytes) if says && !head.fields.contains("content-length") => {
            out.extend_from_slice(format!("Content-Length: {bytes}\r\n").as_bytes());
        }
        Length::Chunked if counted == framing => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        _ => {}
    }
    if persistence != Persistence::Switched {
        own_lines(out, &head.fields, version, persistence);
    }
    out.extend_from_slice(b"\r\n");
    (framing, persistence)
}

fn own_lines(out: &mut Vec<u8>, fields: &Fields, version: Version, persistence: Persistence) {
    if !fields.contains("date") {
        // RFC 9110 §6.6.1: a server with a clock sends it.
        out.extend_from_slice(b"Date: ");
        date::write(out);
        out.extend_from_slice(b"\r\n");
    }
    match (persistence, version) {
        (Persistence::Close, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (_, Version::HTTP_10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn response(status: u16, asked: &Method, version: Version, length: Length) -> (String, Length, Persistence) {
        let fields = [("Date", "x")].into_iter().collect();
        let head = ResponseHead::new(StatusCode::from_u16(status).unwrap(), fields);
        let mut out = Vec::new();
        let (length, kept) = response_head(&mut out, &head, length, (asked, version), Persistence::Keep);
        (String::from_utf8(out).unwrap().replace("\r\n", "|"), length, kept)
    }

    #[test]
    fn responses() {
        let (keep, close) = (Persistence::Keep, Persistence::Close);
        for (status, asked, version, length, wanted) in [
            (200, Method::GET, Version::HTTP_11, Length::Known(2), ("Content-Length: 2|", Length::Known(2), keep)),
            (
                200,
                Method::GET,
                Version::HTTP_11,
                Length::Chunked,
                ("Transfer-Encoding: chunked|", Length::Chunked, keep),
            ),
            (200, Method::GET, Version::HTTP_10, Length::Chunked, ("Connection: close|", Length::UntilClose, close)),
            (
                200,
                Method::GET,
                Version::HTTP_10,
                Length::Known(0),
                ("Content-Length: 0|Connection: keep-alive|", Length::Known(0), keep),
            ),
            (200, Method::HEAD, Version::HTTP_11, Length::Chunked, ("", Length::Known(0), keep)),
            (304, Method::GET, Version::HTTP_11, Length::Known(0), ("", Length::Known(0), keep)),
        ] {
            let (text, length, kept) = response(status, &asked, version, length);
            let (_, lines) = text.split_once("Date: x|").unwrap();
            assert_eq!((lines, length, kept), (format!("{}|", wanted.0).as_str(), wanted.1, wanted.2), "{text}");
        }
    }

    #[test]
    fn a_request() {
        let mut out = Vec::new();
        let fields = [("Host", "x")].into_iter().collect();
        request_head(&mut out, &Method::POST, "/a?b", &fields, Length::Chunked);
        assert_eq!(out, b"POST /a?b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    }
}
