//! One check of a peer: a connection, what is sent, and what must come back.

use bytes::BytesMut;
use http::{Method, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::chance;
use super::checks::FAREWELL;
use super::http2::{self, Found};
use crate::config::{self, Expect, HttpProbe, Probe, ProbeRequest, Protocol, TcpProbe, WebSocketProbe};
use crate::http1::{self, Decoder, HeadReader, Length, Step, response_length};
use crate::message::{Fields, ResponseHead, WEBSOCKET, accept_for, key_of};
use crate::socket::Socket;
use crate::upstream::Peer;
use crate::upstream::connect::connect_for;

/// The largest head of an answer.
const LARGEST_HEAD: usize = 64 << 10;
/// What is read at once.
const ROOM: usize = 4 << 10;
/// A close frame with 1000, masked as a client must (RFC 6455 §5.3, §5.5.1); by zeros, since there
/// is nothing to hide.
const GOODBYE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

/// Check a peer. What is left of a connection that is to be closed with care comes back.
///
/// # Errors
/// What speaks against it, for people.
pub(super) async fn check(peer: &Peer, settings: &config::Health) -> Result<Option<Socket>, String> {
    let at_port = settings.port.map(|port| peer.at_port(port));
    let peer = at_port.as_ref().unwrap_or(peer);
    let mut protocol = settings.protocol;
    loop {
        let connected = connect_for(peer, http2::offer(protocol), None, settings.timeout).await;
        let mut socket = connected.map_err(|e| e.to_string())?;
        match &settings.probe {
            Probe::Tcp(probe) => return tcp(&mut socket, probe).await.map(|()| None),
            probe if http2::is_spoken(&socket, protocol)? => {
                match http2::check(socket, &peer.name, probe, settings.timeout + FAREWELL).await? {
                    Found::Well(left) => return Ok(left),
                    Found::NoTunnels => protocol = Protocol::H1,
                }
            }
            Probe::Http(probe) => return http(&mut socket, probe).await.map(|()| None),
            Probe::WebSocket(probe) => return websocket(&mut socket, probe).await.map(|()| Some(socket)),
        }
    }
}

/// Close a WebSocket as RFC 6455 §7.1.1 wants: say so, and wait for the peer to close.
pub(super) async fn goodbye(mut socket: Socket) {
    if say(&mut socket, &GOODBYE).await.is_err() {
        return;
    }
    let mut rest = [0; 1024];
    // What comes before the peer's own close frame is nothing to us.
    while socket.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}

/// Send all of it; TLS may hold some back until it is told.
async fn say(socket: &mut Socket, bytes: &[u8]) -> std::io::Result<()> {
    socket.write_all(bytes).await?;
    socket.flush().await
}

async fn http(socket: &mut Socket, probe: &HttpProbe) -> Result<(), String> {
    let more = [("Connection", "close")];
    let fields = fields(&probe.request, &more);
    let (head, version, rest) = ask(socket, &probe.method, &probe.request, &fields).await?;
    judge_status(probe, head.status)?;
    if probe.expect.is_anything() {
        return Ok(());
    }
    let length = response_length(&probe.method, head.status, &head.fields, version).map_err(|e| e.to_string())?;
    let (mut decoder, mut bytes) = (Decoder::new(length), BytesMut::from(rest.as_slice()));
    let mut seen = Seen::default();
    loop {
        match decoder.step(&mut bytes).map_err(|e| e.to_string())? {
            Step::Data(data) => {
                seen.put(&data, &probe.expect);
                if seen.is_full(&probe.expect) {
                    return seen.judge(&probe.expect, "the body");
                }
            }
            Step::Trailers(_) | Step::End => return seen.judge(&probe.expect, "the body"),
            Step::More => match read(socket, &mut bytes).await? {
                0 if decoder.ends_with_connection() => return seen.judge(&probe.expect, "the body"),
                0 => return Err("closed within the body".to_owned()),
                _ => {}
            },
        }
    }
}

async fn tcp(socket: &mut Socket, probe: &TcpProbe) -> Result<(), String> {
    say(socket, probe.send.as_bytes()).await.map_err(|e| e.to_string())?;
    if probe.expect.is_anything() {
        return Ok(());
    }
    let (mut bytes, mut seen) = (BytesMut::new(), Seen::default());
    loop {
        let read = read(socket, &mut bytes).await?;
        seen.put(&bytes.split(), &probe.expect);
        if read == 0 || seen.is_full(&probe.expect) || seen.has(&probe.expect) {
            return seen.judge(&probe.expect, "what it sent");
        }
    }
}

async fn websocket(socket: &mut Socket, probe: &WebSocketProbe) -> Result<(), String> {
    let (key, fields) = handshake(probe);
    let (head, ..) = ask(socket, &Method::GET, &probe.request, &fields).await?;
    answers(&head, &key, probe.subprotocol.as_deref()).map_err(str::to_owned)
}

/// Whether a status is one of a healthy peer.
pub(super) fn judge_status(probe: &HttpProbe, status: StatusCode) -> Result<(), String> {
    let status = status.as_u16();
    let is_good = probe.statuses.iter().any(|range| range.contains(&status));
    if is_good { Ok(()) } else { Err(format!("status {status}")) }
}

/// The header lines of a handshake, and its key.
pub(super) fn handshake(probe: &WebSocketProbe) -> (String, Fields) {
    let (high, low) = (chance().to_be_bytes(), chance().to_be_bytes());
    let mut nonce = [0; 16];
    nonce.iter_mut().zip(high.into_iter().chain(low)).for_each(|(to, from)| *to = from);
    let key = key_of(nonce);
    let mut more = vec![
        ("Connection", "Upgrade"),
        ("Upgrade", WEBSOCKET),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key.as_str()),
    ];
    more.extend(probe.subprotocol.as_deref().map(|wanted| ("Sec-WebSocket-Protocol", wanted)));
    let fields = fields(&probe.request, &more);
    (key, fields)
}

/// The header lines of a request.
pub(super) fn fields(request: &ProbeRequest, more: &[(&str, &str)]) -> Fields {
    let own = request.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    own.chain(more.iter().copied()).collect()
}

/// Whether a handshake is answered as RFC 6455 §4.1 wants.
pub(super) fn answers(head: &ResponseHead, key: &str, subprotocol: Option<&str>) -> Result<(), &'static str> {
    let fields = &head.fields;
    let mut accepts = fields.get_all("sec-websocket-accept");
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        Err("the handshake is not answered with 101")
    } else if !fields.has_token("upgrade", WEBSOCKET) || !fields.has_token("connection", "upgrade") {
        Err("the 101 does not upgrade to websocket")
    } else if accepts.next() != Some(accept_for(key.as_bytes()).as_bytes()) || accepts.next().is_some() {
        Err("Sec-WebSocket-Accept does not answer the key")
    } else if fields.get_str("sec-websocket-protocol") != subprotocol {
        Err("the subprotocol is not the one that was offered")
    } else if fields.contains("sec-websocket-extensions") {
        Err("an extension that was not offered")
    } else {
        Ok(())
    }
}

/// Send a request without a body and read the head of its answer; with it comes what was read
/// behind it. Interim answers are skipped.
async fn ask(
    socket: &mut Socket,
    method: &Method,
    request: &ProbeRequest,
    fields: &Fields,
) -> Result<(ResponseHead, Version, Vec<u8>), String> {
    let mut head = Vec::new();
    http1::request_head(&mut head, method, &request.target, fields, Length::Known(0));
    say(socket, &head).await.map_err(|e| e.to_string())?;
    let mut reader = HeadReader::default();
    loop {
        if !reader.buffer.is_empty() {
            match reader.response(LARGEST_HEAD).map_err(|e| format!("the answer is not HTTP: {e}"))? {
                Some((head, _)) if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS => {
                    continue;
                }
                Some((head, version)) => return Ok((head, version, reader.buffer)),
                None => {}
            }
        }
        match socket.read_buf(&mut reader.buffer).await {
            Ok(0) => return Err("closed before an answer".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

async fn read(socket: &mut Socket, bytes: &mut BytesMut) -> Result<usize, String> {
    bytes.reserve(ROOM);
    socket.read_buf(bytes).await.map_err(|e| e.to_string())
}

/// What has come so far, of which something is expected.
#[derive(Debug, Default)]
pub(super) struct Seen {
    bytes: Vec<u8>,
    /// Whether the text that is wanted is in it.
    has_text: bool,
}

impl Seen {
    /// More has come; what is beyond the bound is not looked at.
    pub(super) fn put(&mut self, data: &[u8], expect: &Expect) {
        let room = expect.most.saturating_sub(self.bytes.len());
        let before = self.bytes.len();
        self.bytes.extend_from_slice(data.get(..room).unwrap_or(data));
        let Some(wanted) = expect.contains.as_deref().filter(|_| !self.has_text) else { return };
        // It may begin in what was there before.
        let from = self.bytes.get((before + 1).saturating_sub(wanted.len())..).unwrap_or_default();
        self.has_text = from.windows(wanted.len()).any(|part| part == wanted.as_bytes());
    }

    /// Whether no more is looked at.
    pub(super) fn is_full(&self, expect: &Expect) -> bool {
        self.bytes.len() >= expect.most
    }

    /// Whether all that is expected is there.
    fn has(&self, expect: &Expect) -> bool {
        let text = || String::from_utf8_lossy(&self.bytes);
        (expect.contains.is_none() || self.has_text)
            && expect.matches.as_ref().is_none_or(|pattern| pattern.0.is_match(&text()))
    }

    /// No more will come.
    pub(super) fn judge(&self, expect: &Expect, place: &str) -> Result<(), String> {
        if self.has(expect) {
            return Ok(());
        }
        let text = expect.contains.as_deref().filter(|_| !self.has_text);
        let wanted = text.or(expect.matches.as_ref().map(|pattern| pattern.0.as_str())).unwrap_or_default();
        Err(format!("{place} has no \"{}\"", wanted.escape_debug()))
    }
}

impl Expect {
    pub(super) fn is_anything(&self) -> bool {
        self.contains.is_none() && self.matches.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(contains: Option<&str>, matches: Option<&str>, most: usize) -> Expect {
        let matches = matches.map(|text| config::Pattern(regex_lite::Regex::new(text).unwrap()));
        Expect { contains: contains.map(str::to_owned), matches, most }
    }

    fn judge(pieces: &[&str], expect: &Expect) -> Result<(), String> {
        let mut seen = Seen::default();
        pieces.iter().for_each(|piece| seen.put(piece.as_bytes(), expect));
        seen.judge(expect, "it")
    }

    #[test]
    fn what_is_expected_may_come_in_pieces() {
        let both = expect(Some("status: ok"), Some("^v[0-9]+"), 100);
        assert_eq!(judge(&["v1\nstat", "us", ": ok"], &both), Ok(()));
        assert_eq!(judge(&["v1\nstat", "us", ":ok"], &both), Err("it has no \"status: ok\"".to_owned()));
        assert_eq!(judge(&["x1\nstatus: ok"], &both), Err("it has no \"^v[0-9]+\"".to_owned()));
        assert_eq!(judge(&["a", "b"], &expect(Some("b"), None, 9)), Ok(()));
    }

    #[test]
    fn no_more_is_looked_at_than_was_said() {
        assert!(judge(&["the end"], &expect(Some("end"), None, 6)).is_err());
        assert!(judge(&["the end"], &expect(Some("end"), None, 7)).is_ok());
    }

    #[test]
    fn answers_to_a_handshake() {
        let good = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let head = |status, lines: &[(&str, &str)]| ResponseHead::new(status, lines.iter().copied().collect());
        let switch =
            |lines: &[(&str, &str)], wanted| answers(&head(StatusCode::SWITCHING_PROTOCOLS, lines), key, wanted);
        assert_eq!(switch(&good, None), Ok(()));
        assert!(answers(&head(StatusCode::OK, &good), key, None).is_err());
        for left_out in 0..good.len() {
            let mut lines = good.to_vec();
            lines.remove(left_out);
            assert!(switch(&lines, None).is_err(), "{lines:?}");
        }
        let with = |name, value| [good.as_slice(), &[(name, value)]].concat();
        assert!(switch(&with("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), None).is_err(), "twice");
        assert!(switch(&with("Sec-WebSocket-Extensions", "permessage-deflate"), None).is_err());
        assert!(switch(&with("Sec-WebSocket-Protocol", "chat"), None).is_err());
        assert!(switch(&good, Some("chat")).is_err());
        assert_eq!(switch(&with("Sec-WebSocket-Protocol", "chat"), Some("chat")), Ok(()));
    }
}
