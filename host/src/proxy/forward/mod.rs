//! Phases 6 and 7: a peer is chosen, asked, and its answer's head awaited.
//!
//! Where a connection cannot be made, the next peer is tried: nothing has reached the first.

mod plain;
mod switch;

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode, response};
use hyper::body::Incoming;
use tokio::net::TcpStream;

use super::exchange::{Exchange, Target};
use super::handshake::Upgrade;
use super::headers;
use crate::body::{Body, Meter, RequestBody};
use crate::error::{Error, Kind, Retry};
use crate::upstream::{Peer, Pooled};

/// What the peer answered.
pub(super) enum Answer {
    /// A response with a body to stream.
    Response {
        /// Its head.
        head: Box<response::Parts>,
        /// Its body.
        body: Incoming,
        /// What to give back to the pool when the body has ended.
        connection: Option<Pooled>,
    },
    /// A valid 101.
    Switch {
        /// Its head.
        head: Box<response::Parts>,
        /// The connection, no longer HTTP.
        upstream: TcpStream,
        /// What the peer sent right behind the head.
        early: Bytes,
    },
}

impl Answer {
    /// The answer's head.
    pub(super) fn head(&self) -> &response::Parts {
        match self {
            Self::Response { head, .. } | Self::Switch { head, .. } => head,
        }
    }

    /// The answer's head, to be changed.
    pub(super) fn head_mut(&mut self) -> &mut response::Parts {
        match self {
            Self::Response { head, .. } | Self::Switch { head, .. } => head,
        }
    }

    /// Whether the connection has left HTTP.
    pub(super) fn is_switch(&self) -> bool {
        matches!(self, Self::Switch { .. })
    }
}

/// Send the request to a peer and await the head of its answer.
///
/// # Errors
/// Upstream kinds, and [`Kind::ClientBody`] where the client's body breaks off.
pub(super) async fn send(exchange: &mut Exchange, body: Incoming) -> Result<Answer, Error> {
    let target = exchange.target.clone().ok_or(Kind::NoRoute)?;
    let meter = (!hyper::body::Body::is_end_stream(&body)).then(|| Arc::new(Meter::default()));
    let body = match &meter {
        Some(meter) => Body::Request(RequestBody::new(body, Arc::clone(meter))),
        None => Body::empty(),
    };
    if let Some(record) = &mut exchange.record {
        record.meter.clone_from(&meter);
    }
    let mut request = upstream_request(exchange, body);
    let mut tried = Vec::new();
    loop {
        let peer = target.upstream.pick(&tried).ok_or_else(|| no_peer(&target, tried.len()))?;
        if let Some(record) = &mut exchange.record {
            record.upstream = Some(Arc::clone(&peer.name));
        }
        let attempt = Attempt { target: &target, peer, meter: meter.as_ref() };
        let answer = match &exchange.upgrade {
            Upgrade::None => plain::ask(&attempt, request).await,
            asked => switch::ask(&attempt, request, asked).await,
        };
        match answer {
            Ok(answer) => return Ok(answer),
            // The request is still whole only where no connection was made.
            Err(Failed { error, unsent: Some(whole) }) if error.kind.retry() == Retry::NextPeer => {
                tracing::debug!(peer = %peer.name, %error, "trying the next peer");
                tried.push(peer.address);
                if tried.len() >= target.upstream.peers.len() {
                    return Err(error);
                }
                request = *whole;
            }
            Err(failed) => return Err(failed.error),
        }
    }
}

/// One try with one peer.
struct Attempt<'a> {
    target: &'a Target,
    peer: &'a Arc<Peer>,
    /// Counts the client's body; none where there is none.
    meter: Option<&'a Arc<Meter>>,
}

/// A try that failed.
struct Failed {
    error: Error,
    /// The request, where nothing of it was sent.
    unsent: Option<Box<Request<Body>>>,
}

impl Failed {
    /// Before anything was sent.
    fn unsent(error: Error, request: Request<Body>) -> Self {
        Self { error, unsent: Some(Box::new(request)) }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, unsent: None }
    }
}

/// nginx: "no live upstreams".
fn no_peer(target: &Target, tried: usize) -> Error {
    Error::new(Kind::NoPeer, format!("no live peer in `{}` ({tried} tried)", target.upstream.name))
}

/// The request as the peer will see it.
fn upstream_request(exchange: &mut Exchange, body: Body) -> Request<Body> {
    let chains = exchange.target.as_ref().map(|target| &target.route.chains);
    let read_later = chains.is_some_and(|c| !c.response_headers.is_empty() || !c.access_log.is_empty());
    let upgrade = exchange.upgrade.clone();
    let uri = exchange.uri.clone();
    // Of hyper's own notes only the case of header names belongs to the next connection.
    let mut extensions = std::mem::take(&mut exchange.extensions);
    extensions.remove::<hyper::upgrade::OnUpgrade>();
    let view = exchange.view_mut();
    let mut headers = if read_later { view.headers.clone() } else { std::mem::take(&mut view.headers) };
    headers::for_upstream(&mut headers, &upgrade);
    let mut request = Request::new(body);
    *request.method_mut() = view.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    *request.extensions_mut() = extensions;
    request
}

/// Whether a response is a switch of protocols.
fn is_switch(status: StatusCode) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS
}
