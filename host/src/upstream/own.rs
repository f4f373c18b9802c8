//! Requests of the proxy's own making: small, with a whole answer. They share the kept
//! connections of those that pass through.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tidegate_cidr::Cidr;
use tokio::time::Instant;

use super::http2::{self, Again, Found, Slot};
use super::public::is_public;
use super::{Ask, Asked, Lease, Link, Upstream, checkout, connect};
use crate::body::{Body, Piece, Source};
use crate::config::Address;
use crate::error::{Error, Kind, Retry};
use crate::http1::{self, Length};
use crate::message::{FieldName, FieldValue, Fields, ResponseHead};
use crate::socket::Socket;

/// A body that nobody wants is read on for the connection's sake up to this, bytes.
const WORTH_READING: u64 = 64 << 10;
/// And for so long.
const WORTH_WAITING: Duration = Duration::from_secs(1);

/// How often a request that an HTTP/2 peer did not process is sent to it again.
const MOST_AGAIN: usize = 2;

/// A request of the proxy's own.
#[derive(Debug)]
pub struct OwnRequest {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Header lines, without framing; where there is no Host, it is `host`.
    pub fields: Vec<(FieldName, FieldValue)>,
    /// What Host is otherwise.
    pub host: String,
    /// The body; empty for none.
    pub body: Bytes,
    /// Bytes of the answer's body that are wanted; 0 for none, whatever its length is.
    pub max_body: usize,
    /// How long each step may take: to connect, to send, between two reads.
    pub patience: Duration,
    /// Where peers must have public addresses, the ranges that may be asked all the same.
    pub only_public: Option<Arc<[Cidr]>>,
}

impl OwnRequest {
    /// Whether a peer at this address may be asked. It is the one that is connected to, so a
    /// name cannot mean another address in between.
    fn may_ask(&self, address: &Address) -> bool {
        let (Some(listed), Address::Tcp(address)) = (&self.only_public, address) else { return true };
        let ip = address.ip().to_canonical();
        is_public(ip) || listed.iter().any(|range| range.contains(ip))
    }
}

/// What came of it.
#[derive(Debug)]
pub struct OwnAnswer {
    /// The head.
    pub head: ResponseHead,
    /// The body, where it is not larger than wanted; empty where none was wanted.
    pub body: Option<Vec<u8>>,
}

impl Upstream {
    /// Send a request of the proxy's own to one of the peers; the next is tried where no
    /// connection can be made.
    ///
    /// # Errors
    /// Upstream kinds; [`Kind::Private`] where no other peer is left.
    pub async fn ask(&self, request: &OwnRequest) -> Result<OwnAnswer, Error> {
        let (mut tried, mut last) = (Vec::new(), None);
        loop {
            let Some(lease) = self.pick(&Ask { tried: &tried, ..Ask::default() }) else {
                let none = || Error::new(Kind::NoPeer, format!("no live peer in `{}`", self.name));
                return Err(last.unwrap_or_else(none));
            };
            let (peer, picked) = (Arc::clone(lease.peer()), lease.picked());
            if !request.may_ask(&peer.way.address) {
                last = Some(Error::new(Kind::Private, format!("{}: {} is not a public address", self.name, peer.name)));
                tried.push(peer);
                continue;
            }
            let answer = self.ask_peer(lease, request).await;
            peer.judge(answer.as_ref().is_ok_and(|answer| !answer.head.status.is_server_error()), picked);
            match &answer {
                Ok(_) => peer.succeeded(),
                Err(error) => peer.failed(error),
            }
            match answer {
                Err(error) if error.kind.retry() == Retry::NextPeer => {
                    tried.push(peer);
                    last = Some(error);
                }
                answer => return answer,
            }
        }
    }

    async fn ask_peer(&self, mut lease: Lease, request: &OwnRequest) -> Result<OwnAnswer, Error> {
        let mut again = 0;
        while self.may_speak_http2(lease.peer()) {
            let slot = match http2::acquire(lease.peer(), self, request.patience).await? {
                Found::Http2(slot) => slot,
                Found::Http1(Some(stream)) => return self.ask_afresh(lease, stream, request).await,
                Found::Http1(None) => break,
            };
            let may_repeat = |again| match again {
                Again::Untouched => true,
                Again::Idempotent => request.method.is_idempotent(),
                Again::Never => false,
            };
            match over_http2(lease, slot, request).await {
                Err((failure, Some(left))) if again < MOST_AGAIN && may_repeat(failure.again) => {
                    again += 1;
                    lease = left;
                }
                answer => return answer.map_err(|(failure, _)| failure.error),
            }
        }
        while let Some(kept) = checkout(lease.peer(), request.patience) {
            match exchange(lease, kept, request).await {
                // The peer had closed it when the request came. RFC 9110 §9.2.2: only what
                // does nothing by being repeated may be sent twice.
                Err((error, Some(again))) if error.kind == Kind::Closed && request.method.is_idempotent() => {
                    lease = again;
                }
                answer => return answer.map_err(|(error, _)| error),
            }
        }
        let stream = connect(lease.peer(), None, request.patience).await?;
        self.ask_afresh(lease, stream, request).await
    }

    /// Ask over a connection that was just opened.
    async fn ask_afresh(&self, lease: Lease, stream: Socket, request: &OwnRequest) -> Result<OwnAnswer, Error> {
        let link = Link::new(stream, Instant::now(), lease.peer(), self, request.patience);
        exchange(lease, link, request).await.map_err(|(error, _)| error)
    }
}

/// One try over one connection; with an error that came before a byte of an answer comes the lease.
async fn exchange(lease: Lease, link: Link, request: &OwnRequest) -> Result<OwnAnswer, (Error, Option<Lease>)> {
    let mut asked = Asked::new(lease, link, head(request), request.method.clone(), body_of(request));
    let answer = tokio::time::timeout(request.patience, poll_fn(|cx| asked.poll_head(cx))).await;
    let (head, version) = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            let left = asked.give_up();
            return Err((error, (!left.answered).then_some(left.lease)));
        }
        Err(_elapsed) => return Err((Kind::ReadTimeout.into(), None)),
    };
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err((Kind::UnaskedSwitch.into(), None));
    }
    let body = asked.into_body(&head, version, request.patience).map_err(|error| (error, None))?;
    whole(head, Box::new(body), request.max_body).await.map_err(|error| (error, None))
}

/// One try over one stream; with an error that came before the answer's head comes the lease.
async fn over_http2(
    lease: Lease,
    slot: Slot,
    request: &OwnRequest,
) -> Result<OwnAnswer, (http2::Failure, Option<Lease>)> {
    let (fields, method, target) = (fields(request), &request.method, request.target.as_str());
    let head = http2::Head { method, target, fields: &fields };
    let mut asked = http2::Asked::new((lease, slot), &head, body_of(request), false, request.patience)
        .map_err(|(failure, lease)| (failure, Some(lease)))?;
    let head = match tokio::time::timeout(request.patience, poll_fn(|cx| asked.poll_head(cx))).await {
        Ok(Ok(head)) => head,
        Ok(Err(failure)) => return Err((failure, Some(asked.give_up()))),
        Err(_elapsed) => return Err((Error::from(Kind::ReadTimeout).into(), None)),
    };
    let body = asked.into_body(&head, request.patience).map_err(|error| (error.into(), None))?;
    whole(head, body, request.max_body).await.map_err(|error| (error.into(), None))
}

/// The answer with its body, where that is wanted.
async fn whole(head: ResponseHead, body: Box<dyn Source>, most: usize) -> Result<OwnAnswer, Error> {
    if most == 0 {
        leave(body).await;
        return Ok(OwnAnswer { head, body: Some(Vec::new()) });
    }
    let body = collect(body, most).await?;
    Ok(OwnAnswer { head, body })
}

fn body_of(request: &OwnRequest) -> Body {
    if request.body.is_empty() { Body::Empty } else { Body::Full(request.body.clone()) }
}

fn head(request: &OwnRequest) -> Vec<u8> {
    let mut head = Vec::new();
    let length = Length::Known(request.body.len() as u64);
    http1::request_head(&mut head, &request.method, &request.target, &fields(request), length);
    head
}

fn fields(request: &OwnRequest) -> Fields {
    let mut fields = Fields::new();
    if !request.fields.iter().any(|(name, _)| name.as_str().eq_ignore_ascii_case("host")) {
        fields.append("Host", request.host.as_bytes());
    }
    for (name, value) in &request.fields {
        fields.append(name.as_str(), value.as_bytes());
    }
    // RFC 9110 §8.6: also where there is none but the method has a meaning for one.
    if !request.body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(&request.method) {
        fields.append("Content-Length", request.body.len().to_string().as_bytes());
    }
    fields
}

/// The whole body; none where it is larger than `most`.
async fn collect(mut body: Box<dyn Source>, most: usize) -> Result<Option<Vec<u8>>, Error> {
    let mut whole = Vec::new();
    loop {
        match poll_fn(|cx| body.poll_piece(cx)).await? {
            Piece::Data(data) if whole.len() + data.len() > most => return Ok(None),
            Piece::Data(data) => whole.extend_from_slice(&data),
            Piece::End | Piece::Trailers(_) => return Ok(Some(whole)),
        }
    }
}

/// Let a body that nobody wants come to its end, so that the connection can be kept; nobody
/// waits for it. What is too large or slow is closed instead.
async fn leave(mut body: Box<dyn Source>) {
    match body.length() {
        Length::Known(0) => {
            // It has its end already.
            let _end = poll_fn(|cx| body.poll_piece(cx)).await;
        }
        Length::Known(bytes) if bytes > WORTH_READING => {}
        Length::UntilClose => {}
        _ => {
            tokio::spawn(async move {
                let most = usize::try_from(WORTH_READING).unwrap_or(usize::MAX);
                let _read = tokio::time::timeout(WORTH_WAITING, collect(body, most)).await;
            });
        }
    }
}
