//! A field section of a request in the one form that the proxy knows.

use http::uri::{Authority, PathAndQuery};
use http::{Method, Version};

use crate::downstream::upgrade;
use crate::http1::may_trail;
use crate::http3::qpack::{self, Bad};
use crate::message::{Fields, RequestHead};

/// Lines of HTTP/1.1's connection: a message that has one is malformed (RFC 9114 §4.2).
const CONNECTION_LINES: [&[u8]; 5] =
    [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"];

/// Why there is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHead {
    /// It is no field section: the connection must end.
    Corrupt(&'static str),
    /// It breaks HTTP (RFC 9114 §4.1.2).
    Malformed(&'static str),
    /// It is larger than it may be.
    TooLarge,
}

/// What was asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// The head, in which a handshake is one of HTTP/1.1.
    pub(super) head: RequestHead,
    /// Whether the method is CONNECT: what follows is no body.
    pub(super) is_connect: bool,
}

/// The pseudo-header fields of a request (RFC 9114 §4.3.1).
#[derive(Debug, Default)]
struct Pseudo {
    method: Option<Vec<u8>>,
    scheme: Option<Vec<u8>>,
    authority: Option<Vec<u8>>,
    path: Option<Vec<u8>>,
    protocol: Option<Vec<u8>>,
}

impl Pseudo {
    fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let place = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            b":protocol" => &mut self.protocol,
            _ => return Err("a pseudo-header that requests do not have"),
        };
        if place.replace(value.to_vec()).is_some() {
            return Err("a pseudo-header twice");
        }
        Ok(())
    }
}

/// Lines as they are read.
#[derive(Debug, Default)]
struct Lines {
    pseudo: Pseudo,
    fields: Fields,
    host: Option<Vec<u8>>,
    cookies: Vec<Vec<u8>>,
    began: bool,
    fault: Option<&'static str>,
}

impl Lines {
    fn add(&mut self, name: &[u8], value: &[u8]) {
        if self.fault.is_none() {
            self.fault = self.line(name, value).err();
        }
    }

    fn line(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if name.first() == Some(&b':') {
            if self.began {
                return Err("a pseudo-header behind a header");
            }
            return self.pseudo.set(name, value);
        }
        self.began = true;
        let text = line(name, value)?;
        match text {
            "host" => {
                if self.host.replace(value.to_vec()).is_some() {
                    return Err("two Host headers");
                }
            }
            "cookie" => self.cookies.push(value.to_vec()),
            "te" if value != b"trailers" => return Err("TE is not \"trailers\""),
            text => self.fields.append(text, value),
        }
        Ok(())
    }
}

/// A line that can stand in a message of HTTP/3 (RFC 9114 §4.2, §10.3); its name.
fn line<'n>(name: &'n [u8], value: &[u8]) -> Result<&'n str, &'static str> {
    let is_token = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(byte);
    if name.is_empty() || name.len() > usize::from(u16::MAX) || !name.iter().all(is_token) {
        return Err("a header's name is none, or not in lower case");
    }
    if CONNECTION_LINES.contains(&name) {
        return Err("a header of HTTP/1.1's connection");
    }
    if !value.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f || *byte == b'\t') {
        return Err("a control character in a header's value");
    }
    std::str::from_utf8(name).map_err(|_| "a header's name is none")
}

/// The head of a request; a field section of `most` bytes at most. `key` is for a WebSocket.
///
/// # Errors
/// [`BadHead`].
pub(super) fn head(section: &[u8], most: usize, key: impl FnOnce() -> String) -> Result<Asked, BadHead> {
    let mut lines = Lines::default();
    read(section, most, |name, value| lines.add(name, value))?;
    if let Some(fault) = lines.fault {
        return Err(BadHead::Malformed(fault));
    }
    make(lines, key).map_err(BadHead::Malformed)
}

fn make(lines: Lines, key: impl FnOnce() -> String) -> Result<Asked, &'static str> {
    let Lines { pseudo: Pseudo { method, scheme, authority, path, protocol }, fields: rest, host, cookies, .. } = lines;
    let method = method.and_then(|method| Method::from_bytes(&method).ok()).ok_or("no method")?;
    let is_connect = method == Method::CONNECT;
    if protocol.is_some() && !is_connect {
        return Err(":protocol without CONNECT");
    }
    let authority = match authority {
        Some(authority) => {
            let authority = Authority::try_from(authority.as_slice()).map_err(|_| "no authority")?;
            // RFC 9114 §4.3.1
            if authority.as_str().contains('@') {
                return Err("a user in :authority");
            }
            Some(authority.as_str().as_bytes().to_vec())
        }
        None => None,
    };
    if let (Some(authority), Some(host)) = (&authority, &host)
        && !authority.eq_ignore_ascii_case(host)
    {
        return Err("Host is not :authority");
    }
    let host = authority.or(host).ok_or("neither :authority nor Host")?;
    let target = if is_connect && protocol.is_none() {
        // RFC 9114 §4.4; refused by the proxy.
        if scheme.is_some() || path.is_some() {
            return Err(":scheme or :path with CONNECT");
        }
        String::from_utf8_lossy(&host).into_owned()
    } else {
        let scheme = scheme.ok_or("no scheme")?;
        if !scheme.eq_ignore_ascii_case(b"https") && !scheme.eq_ignore_ascii_case(b"http") {
            return Err("a scheme that is not HTTP's");
        }
        let path = path.filter(|path| !path.is_empty()).ok_or("no path")?;
        PathAndQuery::try_from(path.as_slice()).map_err(|_| "no path")?.as_str().to_owned()
    };
    let mut fields = Fields::new();
    fields.append("Host", &host);
    for (name, value) in rest.iter() {
        fields.append(name, value);
    }
    let cookies: Vec<&[u8]> = cookies.iter().map(Vec::as_slice).collect();
    if let Some(cookie) = upgrade::cookie(&cookies) {
        fields.append("cookie", &cookie);
    }
    let mut method = method;
    if let Some(protocol) = protocol {
        line(b"x", &protocol)?;
        let protocol = String::from_utf8(protocol).map_err(|_| "no protocol")?;
        method = Method::GET;
        upgrade::ask(&mut fields, &protocol, &key());
    }
    Ok(Asked { head: RequestHead { method, target, version: Version::HTTP_3, fields }, is_connect })
}

/// Trailers: those that may be passed on.
///
/// # Errors
/// [`BadHead`].
pub(super) fn trailers(section: &[u8], most: usize) -> Result<Fields, BadHead> {
    let (mut fields, mut fault) = (Fields::new(), None);
    read(section, most, |name, value| match line(name, value) {
        Ok(text) if may_trail(name) => fields.append(text, value),
        Ok(_) => {}
        Err(why) => fault = fault.or(Some(why)),
    })?;
    match fault {
        Some(fault) => Err(BadHead::Malformed(fault)),
        None => Ok(fields),
    }
}

fn read(section: &[u8], most: usize, line: impl FnMut(&[u8], &[u8])) -> Result<(), BadHead> {
    qpack::decode(section, most, line).map_err(|bad| match bad {
        Bad::Corrupt(why) => BadHead::Corrupt(why),
        Bad::TooLarge => BadHead::TooLarge,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http3::qpack::Section;

    const GET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":authority", "a.example:8443"), (":path", "/p?q=1")];

    fn of(lines: &[(&str, &str)]) -> Result<Asked, BadHead> {
        let mut section = Section::new();
        for (name, value) in lines {
            section.raw(name.as_bytes(), value.as_bytes());
        }
        head(&section.into_bytes(), 4096, || "a key".to_owned())
    }

    fn shown(asked: &Asked) -> (String, Vec<String>) {
        let shown = |(name, value): (&str, &[u8])| format!("{name}: {}", String::from_utf8_lossy(value));
        (format!("{} {}", asked.head.method, asked.head.target), asked.head.fields.iter().map(shown).collect())
    }

    #[test]
    fn a_request() {
        let lines = [&GET[..], &[("cookie", "a=b"), ("x-a", "1"), ("te", "trailers"), ("cookie", "c=d")]].concat();
        let (line, lines) = shown(&of(&lines).unwrap());
        assert_eq!(line, "GET /p?q=1");
        assert_eq!(lines, ["Host: a.example:8443", "x-a: 1", "te: trailers", "cookie: a=b; c=d"]);
    }

    #[test]
    fn extended_connect_is_a_handshake() {
        let mut lines = GET.to_vec();
        lines[0] = (":method", "CONNECT");
        lines.extend([(":protocol", "websocket"), ("origin", "https://a")]);
        let asked = of(&lines).unwrap();
        assert!(asked.is_connect);
        let (line, lines) = shown(&asked);
        assert_eq!(line, "GET /p?q=1");
        let wanted = [
            "Host: a.example:8443",
            "origin: https://a",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Key: a key",
            "Sec-WebSocket-Version: 13",
        ];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn plain_connect_is_left_to_the_proxy() {
        let asked = of(&[(":method", "CONNECT"), (":authority", "a:443")]).unwrap();
        assert_eq!((asked.is_connect, asked.head.target.as_str()), (true, "a:443"));
    }

    #[test]
    fn what_breaks_http() {
        let with = |more: &[(&'static str, &'static str)]| [&GET[..], more].concat();
        let without = |name: &str| GET.into_iter().filter(|(other, _)| *other != name).collect::<Vec<_>>();
        let instead = |name: &str, value: &'static str| {
            GET.into_iter().map(|line| if line.0 == name { (line.0, value) } else { line }).collect::<Vec<_>>()
        };
        for lines in [
            without(":method"),
            without(":scheme"),
            without(":path"),
            without(":authority"),
            instead(":path", ""),
            instead(":path", "/a b"),
            instead(":path", "/a\r\nX: y"),
            instead(":authority", "user@a"),
            instead(":authority", "a/b"),
            instead(":method", "G T"),
            instead(":scheme", "ftp"),
            with(&[(":path", "/")]),
            with(&[(":status", "200")]),
            with(&[(":protocol", "websocket")]),
            with(&[("x-a", "1"), (":protocol", "websocket")]),
            with(&[("X-A", "1")]),
            with(&[("x a", "1")]),
            with(&[("", "1")]),
            with(&[("x-a", "1\r\nx-b: 2")]),
            with(&[("connection", "close")]),
            with(&[("transfer-encoding", "chunked")]),
            with(&[("upgrade", "websocket")]),
            with(&[("te", "gzip")]),
            with(&[("host", "b")]),
            with(&[("host", "a.example:8443"), ("host", "a.example:8443")]),
            vec![(":method", "CONNECT"), (":authority", "a"), (":path", "/")],
        ] {
            assert!(matches!(of(&lines), Err(BadHead::Malformed(_))), "{lines:?}");
        }
        assert!(of(&with(&[("host", "A.example:8443")])).is_ok());
        assert!(matches!(head(&[1, 0], 4096, String::new), Err(BadHead::Corrupt(_))));
        let long = "x".repeat(5000);
        assert!(matches!(of(&[(":path", &long)]), Err(BadHead::TooLarge)));
    }

    #[test]
    fn trailers_that_may_be_passed_on() {
        let mut section = Section::new();
        section.raw(b"x-sum", b"1");
        section.raw(b"content-length", b"5");
        let fields = trailers(&section.into_bytes(), 4096).unwrap();
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("x-sum", &b"1"[..])]);
        let mut section = Section::new();
        section.raw(b":path", b"/");
        assert!(matches!(trailers(&section.into_bytes(), 4096), Err(BadHead::Malformed(_))));
    }
}
