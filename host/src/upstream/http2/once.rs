//! A connection for one request of the proxy's own, which the pool does not know: checks of peers.

use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::uri::Scheme;
use tokio::time::timeout;

use super::{Head, connection, failure};
use crate::body::Incoming;
use crate::duplex::Duplex;
use crate::error::Error;
use crate::message::{Fields, ResponseHead};
use crate::socket::Socket;

/// A connection that nothing was asked over yet.
pub struct Once {
    requests: SendRequest<Bytes>,
    scheme: Scheme,
}

/// What came of its request. The connection ends with this, or with what is made of it.
pub struct Reply {
    /// The head of the answer.
    pub head: ResponseHead,
    recv: RecvStream,
    send: SendStream<Bytes>,
}

impl Once {
    /// Begin over a socket to a peer of this name. After `life` it ends, whatever goes on.
    ///
    /// # Errors
    /// [`crate::error::Kind::NotHttp2`] where the peer speaks something else.
    pub async fn begin(socket: Socket, peer: &str, life: Duration) -> Result<Self, Error> {
        let scheme = if matches!(socket, Socket::Tls(_)) { Scheme::HTTPS } else { Scheme::HTTP };
        let (requests, connection) = connection::hello(socket, peer).await?;
        // It ends by itself once its stream is over and nobody can begin another.
        tokio::spawn(timeout(life, connection));
        Ok(Self { requests, scheme })
    }

    /// Whether the peer takes extended CONNECT (RFC 8441 §3).
    pub fn takes_tunnels(&self) -> bool {
        self.requests.is_extended_connect_protocol_enabled()
    }

    /// Send a request without a body, or with `tunnel` a WebSocket handshake, and wait for the head
    /// of its answer. `peer` is the authority where there is no Host.
    ///
    /// # Errors
    /// Where HTTP/2 cannot say it, and where the stream or its connection ends before.
    pub async fn ask(mut self, head: &Head<'_>, peer: &str, tunnel: bool) -> Result<Reply, Error> {
        let request = if tunnel { head.handshake(self.scheme, peer)? } else { head.request(self.scheme, peer)? };
        let broken = |error: h2::Error| failure::broken(&error);
        let (answer, send) = self.requests.send_request(request, !tunnel).map_err(broken)?;
        let (parts, recv) = answer.await.map_err(broken)?.into_parts();
        Ok(Reply { head: ResponseHead::new(parts.status, Fields::from(&parts.headers)), recv, send })
    }
}

impl Reply {
    /// The body.
    pub fn into_body(self) -> Incoming {
        Incoming::new(self.recv)
    }

    /// The tunnel that it opened.
    pub fn into_socket(self) -> Socket {
        Socket::Http2(Box::new(Duplex::new(self.send, self.recv, Box::new(()))))
    }
}
