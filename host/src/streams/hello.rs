//! What a TLS client says first: the name, the protocols and the versions that it asks for.
//!
//! Pure: bytes in, facts out. Only what a choice goes by is read (RFC 8446 §4.1.2, RFC 6066 §3,
//! RFC 7301 §3.1), of any version from SSL 3.0 on: what rustls would refuse to speak, such as a
//! client of TLS 1.0 without signature algorithms, may be passed on all the same. nginx:
//! `ngx_stream_ssl_preread_module`.

use std::borrow::Cow;
use std::fmt;

/// The most bytes of a hello, with the heads of its records. nginx: `preread_buffer_size`.
pub const MOST: usize = 16 << 10;
/// The most records that a hello may come in: each costs a look at those before it.
const MOST_RECORDS: usize = 64;

/// The head of a record (RFC 8446 §5.1).
const RECORD_HEAD: usize = 5;
/// The head of a handshake message (RFC 8446 §4).
const MESSAGE_HEAD: usize = 4;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// Extensions.
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The name, in lower case; none where it says none. nginx: `$ssl_preread_server_name`.
    pub server_name: Option<Box<str>>,
    /// The highest version that it speaks. nginx: `$ssl_preread_protocol`.
    pub protocol: &'static str,
    /// The protocols that it offers, as they stand on the wire, each behind its length.
    alpn: Box<[u8]>,
}

/// What bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// The beginning of a hello: there must be so many bytes before more can be said.
    Needs(usize),
    /// A whole one.
    Hello(Hello),
    /// No TLS, or no hello that can be read.
    Other,
    /// More than [`MOST`], or more records than anyone needs.
    TooLong,
}

/// Look at the first bytes of a connection.
pub fn look(bytes: &[u8]) -> Looked {
    match message(bytes) {
        Ok((message, end)) => message.get(MESSAGE_HEAD..end).and_then(read).map_or(Looked::Other, Looked::Hello),
        Err(looked) => looked,
    }
}

/// The hello out of its records, and where in them it ends; what bytes are instead where it is
/// not whole.
fn message(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, usize), Looked> {
    let mut message: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    let mut at = 0;
    for _ in 0..MOST_RECORDS {
        let (fragment, end) = record(bytes, at)?;
        at = end;
        if message.is_empty() {
            message = Cow::Borrowed(fragment);
        } else {
            message.to_mut().extend_from_slice(fragment);
        }
        match whole_length(&message)? {
            // What follows in the record is for whoever speaks TLS.
            Some(length) if length <= message.len() => return Ok((message, length)),
            _ => {}
        }
    }
    Err(Looked::TooLong)
}

/// The fragment of the record that begins here, and where the record ends.
fn record(bytes: &[u8], at: usize) -> Result<(&[u8], usize), Looked> {
    let head = bytes.get(at..).unwrap_or_default();
    // As early as it can be told: a client that speaks something else may wait for an answer.
    if head.first().is_some_and(|kind| *kind != HANDSHAKE) || head.get(1).is_some_and(|major| *major != 3) {
        return Err(Looked::Other);
    }
    let &[_, _, _, high, low, ..] = head else { return Err(needs(at + RECORD_HEAD)) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length == 0 {
        // RFC 8446 §5.1: a handshake's record is not empty.
        return Err(Looked::Other);
    }
    let end = at + RECORD_HEAD + length;
    match bytes.get(at + RECORD_HEAD..end) {
        Some(fragment) => Ok((fragment, end)),
        None => Err(needs(end)),
    }
}

fn needs(bytes: usize) -> Looked {
    if bytes > MOST { Looked::TooLong } else { Looked::Needs(bytes) }
}

/// How long the message is, with its head; none where that is not there.
fn whole_length(message: &[u8]) -> Result<Option<usize>, Looked> {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(Looked::Other);
    }
    let &[_, high, middle, low, ..] = message else { return Ok(None) };
    let length = MESSAGE_HEAD + u32::from_be_bytes([0, high, middle, low]) as usize;
    if length > MOST { Err(Looked::TooLong) } else { Ok(Some(length)) }
}

/// Bytes that are taken from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u16> {
        let &[high, low] = self.take(2)? else { return None };
        Some(u16::from_be_bytes([high, low]))
    }

    /// What stands behind a length of one byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(length.into())
    }

    /// What stands behind a length of two bytes.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }
}

/// Read a hello; none where it is none.
fn read(body: &[u8]) -> Option<Hello> {
    let mut body = Bytes(body);
    let legacy = body.number()?;
    let _random = body.take(32)?;
    let (_session, _ciphers, _compression) = (body.short()?, body.long()?, body.short()?);
    let (mut name, mut alpn, mut versions) = (None, None, None);
    // Clients of old have no extensions at all.
    let mut extensions = Bytes(if body.0.is_empty() { &[] } else { body.long()? });
    while !extensions.0.is_empty() {
        let (kind, value) = (extensions.number()?, extensions.long()?);
        let place = match kind {
            SERVER_NAME => &mut name,
            ALPN => &mut alpn,
            SUPPORTED_VERSIONS => &mut versions,
            _ => continue,
        };
        // RFC 8446 §4.2: none stands twice, so that no two readers take different ones.
        if place.replace(value).is_some() {
            return None;
        }
    }
    let versions = versions.map_or(Some(None), |list| highest(list).map(Some))?;
    Some(Hello {
        server_name: name.map_or(Some(None), server_name)?,
        protocol: versions.or_else(|| version(legacy)).unwrap_or_default(),
        alpn: alpn.map_or(Some(&[][..]), protocols)?.into(),
    })
}

/// The host name of a list of names; none where what should be one is not.
#[allow(clippy::option_option, reason = "no list of names, and a list without a host name, are two things")]
fn server_name(list: &[u8]) -> Option<Option<Box<str>>> {
    let mut names = Bytes(Bytes(list).long()?);
    while !names.0.is_empty() {
        let (kind, name) = (names.byte()?, names.long()?);
        if kind == 0 {
            // RFC 6066 §3: ASCII without a dot at the end. What else stands there goes into logs
            // and hashes, so it must be harmless.
            let harmless = !name.is_empty() && name.len() <= 255 && name.iter().all(u8::is_ascii_graphic);
            let name = std::str::from_utf8(name).ok().filter(|_| harmless)?;
            return Some(Some(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase().into()));
        }
    }
    Some(None)
}

/// The list of protocols, checked.
fn protocols(list: &[u8]) -> Option<&[u8]> {
    let list = Bytes(list).long()?;
    let mut rest = Bytes(list);
    while !rest.0.is_empty() {
        rest.short().filter(|protocol| !protocol.is_empty())?;
    }
    Some(list)
}

/// The highest version of a list that has a name: clients offer others to see who stumbles
/// (RFC 8701).
fn highest(list: &[u8]) -> Option<&'static str> {
    let mut list = Bytes(Bytes(list).short()?);
    let mut highest = 0;
    while !list.0.is_empty() {
        let number = list.number()?;
        if version(number).is_some() {
            highest = highest.max(number);
        }
    }
    Some(version(highest).unwrap_or_default())
}

/// nginx's name of a version.
fn version(number: u16) -> Option<&'static str> {
    Some(match number {
        0x0300 => "SSLv3",
        0x0301 => "TLSv1",
        0x0302 => "TLSv1.1",
        0x0303 => "TLSv1.2",
        0x0304 => "TLSv1.3",
        _ => return None,
    })
}

impl Hello {
    /// The protocols that it offers, most wanted first.
    pub fn alpn(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Bytes(&self.alpn);
        std::iter::from_fn(move || rest.short())
    }
}

/// The protocols, with commas between them. nginx: `$ssl_preread_alpn_protocols`.
impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, protocol) in self.alpn().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{}", protocol.escape_ascii())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    /// What rustls says first, to a name and with these protocols.
    fn hello(name: &str, alpn: &[&str]) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut bytes = Vec::new();
        ClientConnection::new(Arc::new(config), name).unwrap().write_tls(&mut bytes).unwrap();
        bytes
    }

    /// The same message in records of so many bytes.
    fn cut(hello: &[u8], size: usize) -> Vec<u8> {
        hello[RECORD_HEAD..]
            .chunks(size)
            .flat_map(|piece| {
                let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
                [&[HANDSHAKE, 3, 1][..], &length, piece].concat()
            })
            .collect()
    }

    /// One made by hand: a version, and extensions as they stand on the wire.
    fn made(version: [u8; 2], extensions: Option<&[u8]>) -> Vec<u8> {
        let mut body = [&version[..], &[7; 32], &[0], &[0, 2, 0, 10], &[1, 0]].concat();
        if let Some(extensions) = extensions {
            body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
            body.extend(extensions);
        }
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[CLIENT_HELLO], &length[1..], &body].concat();
        let record = u16::try_from(message.len()).unwrap().to_be_bytes();
        [&[HANDSHAKE, 3, 1], &record[..], &message].concat()
    }

    fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
    }

    fn sni(name: &[u8]) -> Vec<u8> {
        let length = u16::try_from(name.len()).unwrap();
        extension(SERVER_NAME, &[&(length + 3).to_be_bytes()[..], &[0], &length.to_be_bytes(), name].concat())
    }

    #[track_caller]
    fn read(bytes: &[u8]) -> Hello {
        match look(bytes) {
            Looked::Hello(hello) => hello,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_hello_of_today() {
        let bytes = hello("A.Example.com", &["h2", "http/1.1"]);
        assert!(bytes.len() > 1400, "with a post-quantum share: {}", bytes.len());
        let hello = read(&bytes);
        assert_eq!(
            (hello.server_name.as_deref(), hello.protocol, hello.to_string().as_str()),
            (Some("a.example.com"), "TLSv1.3", "h2,http/1.1")
        );
        let other = read(&self::hello("192.0.2.1", &[]));
        assert_eq!((other.server_name, other.protocol, other.alpn.len()), (None, "TLSv1.3", 0));
    }

    #[test]
    fn it_may_come_in_any_records_and_what_follows_does_not_matter() {
        let bytes = hello("a.test", &["h2"]);
        let whole = read(&bytes);
        for size in [64, 100, 1000, bytes.len() - RECORD_HEAD - 1] {
            let mut cut = cut(&bytes, size);
            assert_eq!(read(&cut), whole, "{size}");
            cut.extend([20, 3, 3, 0, 1, 1]);
            assert_eq!(read(&cut), whole, "{size}");
        }
        assert_eq!(look(&cut(&bytes, 1)), Looked::TooLong, "records of one byte each");
    }

    #[test]
    fn before_it_is_whole_it_says_how_much_is_needed() {
        for bytes in [hello("a.test", &[]), cut(&hello("a.test", &[]), 200)] {
            let mut wanted = 1;
            for end in 0..bytes.len() {
                let Looked::Needs(needed) = look(&bytes[..end]) else { panic!("{end} of {}", bytes.len()) };
                assert!(needed > end && needed >= wanted && needed <= bytes.len(), "{end}: {needed} after {wanted}");
                wanted = needed;
            }
        }
    }

    #[test]
    fn versions_of_old() {
        assert_eq!(read(&made([3, 1], None)), Hello { server_name: None, protocol: "TLSv1", alpn: [].into() });
        let hello = read(&made([3, 3], Some(&sni(b"old.test."))));
        assert_eq!((hello.server_name.as_deref(), hello.protocol), (Some("old.test"), "TLSv1.2"));
        // Versions that nobody has, as browsers offer them.
        let versions = extension(SUPPORTED_VERSIONS, &[6, 0x7a, 0x7a, 3, 3, 3, 2]);
        assert_eq!(read(&made([3, 3], Some(&versions))).protocol, "TLSv1.2");
        assert_eq!(read(&made([3, 9], None)).protocol, "");
    }

    #[test]
    fn what_is_none() {
        let double = [sni(b"a"), sni(b"b")].concat();
        let evil = [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"\x16\x02\x00\x00\x10".to_vec(),
            b"\x16\x03\x01\x00\x00".to_vec(),
            b"\x16\x03\x01\x00\x04\x02\x00\x00\x00".to_vec(),
            made([3, 3], Some(&double)),
            made([3, 3], Some(&sni(b""))),
            made([3, 3], Some(&sni(b"a\0b"))),
            made([3, 3], Some(&sni(&[b'a'; 256]))),
            made([3, 3], Some(&extension(SERVER_NAME, &[0, 9, 0, 0, 1, b'a']))),
            made([3, 3], Some(&extension(ALPN, &[0, 3, 0, 1, b'a']))),
            made([3, 3], Some(&extension(SUPPORTED_VERSIONS, &[3, 3, 3, 3]))),
            made([3, 3], Some(&[0, 0, 0])),
        ];
        for bytes in evil {
            assert_eq!(look(&bytes), Looked::Other, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_too_long() {
        assert_eq!(look(b"\x16\x03\x01\x40\x00"), Looked::TooLong);
        assert_eq!(look(b"\x16\x03\x01\x00\x04\x01\xff\xff\xff"), Looked::TooLong);
        assert_eq!(look(b"\x16\x03\x01\x00\x04\x01\x00\x20\x00"), Looked::Needs(14));
    }

    /// Whatever comes, an answer does; what is asked for is never less than what is there.
    #[test]
    fn hostile_bytes() {
        let seed = hello("a.test", &["h2"]);
        let mut state = 7u64;
        let mut next = |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % most
        };
        for _ in 0..20_000 {
            let mut bytes = seed.clone();
            for _ in 0..=next(4) {
                let at = next(bytes.len().min(200));
                bytes[at] = u8::try_from(next(256)).unwrap();
            }
            bytes.truncate(next(bytes.len()) + 1);
            if let Looked::Needs(needed) = look(&bytes) {
                assert!(needed > bytes.len() && needed <= MOST);
            }
        }
    }
}
