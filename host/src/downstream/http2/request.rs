//! A stream's request in the one form that the proxy knows.

use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use h2::RecvStream;
use h2::ext::Protocol;
use http::request::Parts;
use http::{HeaderMap, Method, Version};

use crate::body::{Incoming, Piece, Source};
use crate::error::{Error, Kind};
use crate::http1::{BadLength, Length, request_length};
use crate::message::{Fields, RequestHead};
use crate::stream::Patience;

/// The head of a request.
///
/// Extended CONNECT (RFC 8441 §4) becomes what it stands for: a GET that asks to leave HTTP,
/// with a key of the proxy's own, so that all phases and every upstream know one kind of
/// handshake. HTTP/2 itself has no `Upgrade`, so that nothing else can look like one.
pub(super) fn head(parts: &Parts, key: &str) -> RequestHead {
    let mut fields = Fields::new();
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    // RFC 9113 §8.3.1: `:authority` takes the place of Host.
    if let Some(host) = authority.or_else(|| parts.headers.get("host").map(|host| host.as_bytes())) {
        fields.append("Host", host);
    }
    for (name, value) in &parts.headers {
        if name != "host" && name != "cookie" {
            fields.append(name.as_str(), value.as_bytes());
        }
    }
    if let Some(cookie) = cookie(&parts.headers) {
        fields.append("cookie", &cookie);
    }
    let mut method = parts.method.clone();
    if let Some(protocol) = parts.extensions.get::<Protocol>() {
        method = Method::GET;
        fields.append("Connection", b"Upgrade");
        fields.append("Upgrade", protocol.as_str().as_bytes());
        if protocol.as_str() == "websocket" {
            fields.set("Sec-WebSocket-Key", key.as_bytes());
            // RFC 8441 §5 keeps it; a client that leaves it out means the only one there is.
            fields.set_default("Sec-WebSocket-Version", b"13");
        }
    }
    let target = match parts.uri.path_and_query() {
        Some(target) => target.as_str().to_owned(),
        // CONNECT has none, and is refused.
        None => parts.uri.to_string(),
    };
    RequestHead { method, target, version: Version::HTTP_2, fields }
}

/// RFC 9113 §8.2.3: what a client has cut into several lines is one for everybody else.
fn cookie(lines: &HeaderMap) -> Option<Vec<u8>> {
    let parts: Vec<&[u8]> = lines.get_all("cookie").iter().map(|value| value.as_bytes()).collect();
    (!parts.is_empty()).then(|| parts.join(&b"; "[..]))
}

/// A Sec-WebSocket-Key (RFC 6455 §4.1).
pub(super) fn key() -> String {
    use std::hash::{BuildHasher as _, RandomState};

    // Its only use is to tell an answer to this handshake from one to another.
    let half = || RandomState::new().hash_one(std::time::Instant::now()).to_be_bytes();
    STANDARD.encode([half(), half()].concat())
}

/// How long the body is.
///
/// # Errors
/// A Content-Length that is none.
pub(super) fn length(fields: &Fields, recv: &RecvStream) -> Result<Length, BadLength> {
    if recv.is_end_stream() {
        return Ok(Length::Known(0));
    }
    // The stream has its own end, so that no length means that it is not known yet.
    match request_length(fields, Version::HTTP_11)? {
        Length::Known(0) if !fields.contains("content-length") => Ok(Length::Chunked),
        length => Ok(length),
    }
}

/// A client's body, watched for silence.
pub(super) struct ClientBody {
    incoming: Incoming,
    length: Length,
    patience: Patience,
}

impl ClientBody {
    /// The body of a request. The client may be silent for `timeout`.
    pub(super) fn new(recv: RecvStream, length: Length, timeout: Duration) -> Self {
        Self { incoming: Incoming::new(recv), length, patience: Patience::new(timeout) }
    }
}

impl Source for ClientBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        match self.incoming.poll_piece(cx) {
            Poll::Pending => self.patience.poll(cx).map(|()| Err(Kind::ClientTimeout.into())),
            Poll::Ready(piece) => {
                self.patience.heard();
                Poll::Ready(piece.map_err(|error| Error::new(Kind::ClientBody, error.to_string())))
            }
        }
    }

    fn length(&self) -> Length {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn lines(request: Request<()>) -> (String, Vec<String>) {
        let head = head(&request.into_parts().0, "a key");
        let shown = |(name, value): (&str, &[u8])| format!("{name}: {}", String::from_utf8_lossy(value));
        (format!("{} {}", head.method, head.target), head.fields.iter().map(shown).collect())
    }

    #[test]
    fn a_request() {
        let request = Request::get("https://a.example:8443/p?q=1")
            .header("host", "other")
            .header("cookie", "a=b")
            .header("x-a", "1")
            .header("cookie", "c=d")
            .body(())
            .unwrap();
        let (line, lines) = lines(request);
        assert_eq!(line, "GET /p?q=1");
        assert_eq!(lines, ["Host: a.example:8443", "x-a: 1", "cookie: a=b; c=d"]);
    }

    #[test]
    fn extended_connect_is_a_handshake() {
        let mut request = Request::builder().method("CONNECT").uri("https://a/ws").header("origin", "https://a");
        request.extensions_mut().unwrap().insert(Protocol::from_static("websocket"));
        let (line, lines) = lines(request.body(()).unwrap());
        assert_eq!(line, "GET /ws");
        let wanted = [
            "Host: a",
            "origin: https://a",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Key: a key",
            "Sec-WebSocket-Version: 13",
        ];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn keys_have_16_bytes_and_differ() {
        let (first, second) = (key(), key());
        assert_eq!(STANDARD.decode(&first).unwrap().len(), 16);
        assert_ne!(first, second);
    }
}
