//! One check of a peer that speaks HTTP/2.

use std::future::poll_fn;
use std::time::Duration;

use http::{Method, StatusCode};

use super::probe::{self, Seen};
use crate::body::Piece;
use crate::config::{HttpProbe, Probe, Protocol, WebSocketProbe};
use crate::message::accept_for;
use crate::socket::Socket;
use crate::tls::Alpn;
use crate::upstream::http2::{Head, Once, switched};

/// What a check came to.
pub(super) enum Found {
    /// Nothing speaks against the peer. What is to be closed with care is left.
    Well(Option<Socket>),
    /// It takes no tunnels: HTTP/1.1 is to be tried, as for clients.
    NoTunnels,
}

/// What a peer with TLS is offered.
pub(super) fn offer(protocol: Protocol) -> Alpn {
    match protocol {
        Protocol::H1 => Alpn::Http1,
        Protocol::H2 => Alpn::Http2,
        Protocol::Auto => Alpn::Either,
    }
}

/// Whether HTTP/2 is spoken over a connection.
///
/// # Errors
/// Where it should be and the peer does not want it.
pub(super) fn is_spoken(socket: &Socket, protocol: Protocol) -> Result<bool, String> {
    let is_chosen = matches!(socket, Socket::Tls(_)).then(|| socket.alpn() == Some(b"h2"));
    match (protocol, is_chosen) {
        (Protocol::H1, _) | (Protocol::Auto, None) => Ok(false),
        (Protocol::H2, Some(false)) => Err("HTTP/2 is not chosen by ALPN".to_owned()),
        (Protocol::Auto, Some(chosen)) => Ok(chosen),
        // Without TLS the operator knows (RFC 9113 §3.3).
        (Protocol::H2, _) => Ok(true),
    }
}

/// Check the peer of this name over a connection of HTTP/2, which lives no longer than `life`.
///
/// # Errors
/// What speaks against it, for people.
pub(super) async fn check(socket: Socket, peer: &str, probe: &Probe, life: Duration) -> Result<Found, String> {
    let once = Once::begin(socket, peer, life).await.map_err(|e| e.to_string())?;
    match probe {
        // A connection is all that it wants.
        Probe::Tcp(_) => Ok(Found::Well(None)),
        Probe::Http(probe) => http(once, peer, probe).await.map(|()| Found::Well(None)),
        Probe::WebSocket(_) if !once.takes_tunnels() => Ok(Found::NoTunnels),
        Probe::WebSocket(probe) => websocket(once, peer, probe).await.map(|socket| Found::Well(Some(socket))),
    }
}

async fn http(once: Once, peer: &str, probe: &HttpProbe) -> Result<(), String> {
    let fields = probe::fields(&probe.request, &[]);
    let head = Head { method: &probe.method, target: &probe.request.target, fields: &fields };
    let reply = once.ask(&head, peer, false).await.map_err(|e| e.to_string())?;
    probe::judge_status(probe, reply.head.status)?;
    if probe.expect.is_anything() {
        return Ok(());
    }
    let (mut body, mut seen) = (reply.into_body(), Seen::default());
    while let Piece::Data(data) = poll_fn(|cx| body.poll_piece(cx)).await.map_err(|e| e.to_string())? {
        seen.put(&data, &probe.expect);
        if seen.is_full(&probe.expect) {
            break;
        }
    }
    seen.judge(&probe.expect, "the body")
}

async fn websocket(once: Once, peer: &str, probe: &WebSocketProbe) -> Result<Socket, String> {
    let (key, fields) = probe::handshake(probe);
    let head = Head { method: &Method::GET, target: &probe.request.target, fields: &fields };
    let mut reply = once.ask(&head, peer, true).await.map_err(|e| e.to_string())?;
    // RFC 8441 §5: any 2xx is what 101 is in HTTP/1.1.
    if !reply.head.status.is_success() {
        return Err(format!("the handshake is answered with {}", reply.head.status.as_u16()));
    }
    let answer =
        std::mem::replace(&mut reply.head, crate::message::ResponseHead::new(StatusCode::OK, Default::default()));
    let answer = switched(answer, &accept_for(key.as_bytes()));
    probe::answers(&answer, &key, probe.subprotocol.as_deref()).map_err(str::to_owned)?;
    Ok(reply.into_socket())
}
