//! Heads between HTTP/1.1 and HTTP/2. `docs/bridge.md` has the whole of it as a table.

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};

use crate::error::{Error, Kind};
use crate::message::{Fields, ResponseHead};

/// Lines of HTTP/1.1's connection (RFC 9113 §8.2.2), and Host, whose place `:authority` takes.
const CONNECTION_LINES: [&str; 7] =
    ["connection", "host", "http2-settings", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// Lines that a handshake has in HTTP/1.1 only (RFC 8441 §5), and the length that it has not.
const HANDSHAKE_LINES: [&str; 3] = ["content-length", "sec-websocket-accept", "sec-websocket-key"];

/// A request's head, as it would be sent in HTTP/1.1.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query, or `*`.
    pub target: &'a str,
    /// The header lines, without framing.
    pub fields: &'a Fields,
}

impl Head<'_> {
    /// A plain request. `peer` is the authority where there is no Host.
    ///
    /// # Errors
    /// [`Kind::BadRequest`] where it has what HTTP/2 cannot say.
    pub(super) fn request(&self, scheme: Scheme, peer: &str) -> Result<Request<()>, Error> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri(scheme, peer)?;
        *request.headers_mut() = self.lines(&[])?;
        Ok(request)
    }

    /// A WebSocket handshake as extended CONNECT (RFC 8441 §4, §5).
    ///
    /// # Errors
    /// As [`Head::request`].
    pub(super) fn handshake(&self, scheme: Scheme, peer: &str) -> Result<Request<()>, Error> {
        let mut request = Request::new(());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = self.uri(scheme, peer)?;
        *request.headers_mut() = self.lines(&HANDSHAKE_LINES)?;
        request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
        Ok(request)
    }

    fn uri(&self, scheme: Scheme, peer: &str) -> Result<Uri, Error> {
        let bad = |what: &str| Error::new(Kind::BadRequest, format!("{what} cannot be sent in HTTP/2"));
        let host = self.fields.get("host").unwrap_or(peer.as_bytes());
        let authority = Authority::try_from(host).map_err(|_| bad("Host"))?;
        let path = PathAndQuery::try_from(escaped(self.target)).map_err(|_| bad("the target"))?;
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path);
        uri.build().map_err(|_| bad("the target"))
    }

    /// The lines as HTTP/2 has them: names in lower case, none of the connection's.
    fn lines(&self, without: &[&str]) -> Result<HeaderMap, Error> {
        let bad = |name: &str| Error::new(Kind::BadRequest, format!("{name} cannot be sent in HTTP/2"));
        let mut lines = HeaderMap::with_capacity(self.fields.len());
        for (name, value) in self.fields.iter() {
            let is_one_of = |names: &[&str]| names.iter().any(|other| other.eq_ignore_ascii_case(name));
            // RFC 9113 §8.2.2: TE may say `trailers` and nothing else, which is what is left of it.
            if is_one_of(&CONNECTION_LINES) || is_one_of(without) {
                continue;
            }
            let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(name))?;
            let mut value = HeaderValue::from_bytes(value).map_err(|_| bad(name))?;
            // RFC 7541 §7.1.3: clients share the connection and its table, and must not be able
            // to guess each other's secrets by the size of what is sent.
            value.set_sensitive([AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(&field));
            lines.try_append(field, value).map_err(|_| bad("so many headers"))?;
        }
        Ok(lines)
    }
}

/// A target with what a URI must not have as it is, escaped: HTTP/1.1 peers are sent the bytes
/// that the client sent, but `:path` has a grammar (RFC 9113 §8.3.1).
fn escaped(target: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`');
    if target.bytes().all(plain) {
        return target.to_owned();
    }
    target.bytes().fold(String::with_capacity(target.len() + 8), |mut text, byte| {
        if plain(byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

/// Trailers of HTTP/1.1 as lines of HTTP/2. What HTTP/2 cannot say is left out, as an end that
/// is whole is worth more.
pub(super) fn trailers(fields: &Fields) -> HeaderMap {
    let mut lines = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields.iter() {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
            // So many trailers are no trailers.
            let _full = lines.try_append(name, value);
        }
    }
    lines
}

/// The 101 that a client of HTTP/1.1 is owed for a peer's 2xx to extended CONNECT (RFC 8441 §5,
/// RFC 6455 §4.2.2). `accept` is the Sec-WebSocket-Accept that answers the client's key.
pub fn switched(head: ResponseHead, accept: &str) -> ResponseHead {
    let mut fields = head.fields;
    fields.remove("content-length");
    fields.set("Connection", b"upgrade");
    fields.set("Upgrade", b"websocket");
    fields.set("Sec-WebSocket-Accept", accept.as_bytes());
    ResponseHead::new(StatusCode::SWITCHING_PROTOCOLS, fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(target: &str, lines: &[(&str, &str)], scheme: Scheme) -> Result<Request<()>, Error> {
        let fields = lines.iter().copied().collect();
        Head { method: &Method::GET, target, fields: &fields }.request(scheme, "10.0.0.1:80")
    }

    fn text(lines: &HeaderMap) -> Vec<String> {
        lines.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn a_request() {
        let lines = [("Host", "a.example:8080"), ("Connection", "TE"), ("TE", "trailers"), ("X-A", "1"), ("x-a", "2")];
        let request = plain("/p?q=1", &lines, Scheme::HTTP).unwrap();
        assert_eq!(request.uri(), "http://a.example:8080/p?q=1");
        assert_eq!(text(request.headers()), ["te: trailers", "x-a: 1", "x-a: 2"]);
    }

    #[test]
    fn without_a_host_the_peer_is_the_authority() {
        let request = plain("*", &[], Scheme::HTTPS).unwrap();
        assert_eq!(request.uri().authority().unwrap(), "10.0.0.1:80");
        assert_eq!(request.uri().path(), "*");
    }

    #[test]
    fn secrets_are_kept_out_of_the_table() {
        let lines = [("Cookie", "a=b"), ("Authorization", "Basic x"), ("X-A", "1")];
        let request = plain("/", &lines, Scheme::HTTP).unwrap();
        let sensitive = |name: &str| request.headers().get(name).unwrap().is_sensitive();
        assert!(sensitive("cookie") && sensitive("authorization") && !sensitive("x-a"));
    }

    #[test]
    fn a_handshake() {
        let lines = [
            ("Host", "h"),
            ("Connection", "upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", "k"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", "chat"),
            ("Origin", "https://h"),
        ];
        let fields = lines.into_iter().collect();
        let head = Head { method: &Method::GET, target: "/ws", fields: &fields };
        let request = head.handshake(Scheme::HTTP, "p:80").unwrap();
        assert_eq!(request.method(), Method::CONNECT);
        assert_eq!(request.extensions().get::<h2::ext::Protocol>().unwrap().as_str(), "websocket");
        let wanted = ["sec-websocket-version: 13", "sec-websocket-protocol: chat", "origin: https://h"];
        assert_eq!(text(request.headers()), wanted);
    }

    #[test]
    fn targets_that_are_no_uris_are_escaped() {
        assert_eq!(escaped("/a%20b?c=[d]{e}|"), "/a%20b?c=[d]{e}|");
        assert_eq!(escaped("/<ä>#\"\\"), "/%3C%C3%A4%3E%23%22%5C");
        plain("/<ä>#x", &[], Scheme::HTTP).unwrap();
    }

    #[test]
    fn what_is_no_authority_is_an_error() {
        let error = plain("/", &[("Host", "a b")], Scheme::HTTP).unwrap_err();
        assert_eq!(error.kind, Kind::BadRequest);
    }

    #[test]
    fn an_answer_to_connect_becomes_a_101() {
        let lines = [("content-length", "0"), ("sec-websocket-protocol", "chat"), ("sec-websocket-accept", "forged")];
        let answer = switched(ResponseHead::new(StatusCode::OK, lines.into_iter().collect()), "right");
        assert_eq!(answer.status, StatusCode::SWITCHING_PROTOCOLS);
        let wanted: Fields = [
            ("sec-websocket-protocol", "chat"),
            ("Sec-WebSocket-Accept", "right"),
            ("Connection", "upgrade"),
            ("Upgrade", "websocket"),
        ]
        .into_iter()
        .collect();
        assert_eq!(answer.fields, wanted);
    }
}
