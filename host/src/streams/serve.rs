//! A stream's connection: who may have one, the peer that it goes to, and the tunnel.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::hello::Hello;
use super::room::Place;
use super::variables::{self, About};
use super::{Arrived, Stream};
use crate::error::{Error, Kind};
use crate::hook::View;
use crate::limit::{Class, Full, Slot};
use crate::observe::Record;
use crate::proxy::Proxy;
use crate::proxy_protocol::Ends;
use crate::socket::Socket;
use crate::tls::server::Facts;
use crate::tunnel::Opening;
use crate::upstream::{self, Ask, Lease, Peer, Tick, Upstream};

/// Why a connection gets no peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its address may not connect. nginx: `deny`.
    Denied,
    /// There are as many as there may be. nginx: `limit_conn`.
    Full,
    /// Its hello is longer than anyone's. nginx: "preread buffer full".
    HelloTooLong,
    /// Its hello did not come in time. nginx: `preread_timeout`.
    HelloTooSlow,
    /// It has left before its hello was whole.
    Left,
    /// No peer can be reached.
    Peer(Kind),
}

impl Refusal {
    /// nginx's `$status` of a stream, which knows 200, 400, 403, 500, 502 and 503.
    fn status(self) -> u16 {
        match self {
            // nginx: whoever says nothing has done nothing wrong.
            Self::HelloTooSlow | Self::Left => 200,
            Self::HelloTooLong => 400,
            Self::Denied => 403,
            Self::Peer(Kind::Admission(_)) | Self::Full => 503,
            Self::Peer(_) => 502,
        }
    }

    /// The stable code for logs.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Denied => "stream.denied",
            Self::Full => "stream.full",
            Self::HelloTooLong => "stream.hello_too_long",
            Self::HelloTooSlow => "stream.hello_timeout",
            Self::Left => "downstream.gone",
            Self::Peer(kind) => kind.code(),
        }
    }
}

/// What a connection has: its peer's side, and its place in the stream.
pub struct Opened {
    /// The peer's side.
    pub opening: Box<Opening>,
    /// To be kept to the tunnel's end.
    pub place: Place,
}

/// Note a connection that has come to nothing.
pub(super) fn refuse(stream: &Stream, arrived: &Arrived<'_>, refusal: Refusal, proxy: &Arc<Proxy>) {
    let view = view(stream, arrived, proxy);
    end(record(stream, arrived, &view, proxy), &view, refusal);
}

/// Find a peer for a connection; none where there is none for it, which is noted.
pub async fn open(
    stream: &Stream,
    arrived: Arrived<'_>,
    hello: Option<Hello>,
    tls: Option<Arc<Facts>>,
    proxy: &Arc<Proxy>,
) -> Option<Opened> {
    let mut view = view(stream, &arrived, proxy);
    variables::tell(&mut view, hello, tls);
    let mut record = record(stream, &arrived, &view, proxy);
    let reached = match admit(stream, &view) {
        Err(refusal) => Err(refusal),
        Ok((place, slots)) => {
            record.slots = slots;
            let reached = reach(stream, &view, &mut record).await;
            reached.map(|found| (found, place)).map_err(|error| {
                tracing::error!(client = %view.client, stream = %stream.name, %error, "no peer");
                Refusal::Peer(error.kind)
            })
        }
    };
    match reached {
        Ok(((upstream, lease), place)) => {
            record.status = 200;
            record.tunnel = true;
            let opening = Opening {
                upstream,
                early: Bytes::new(),
                terms: stream.terms,
                record: Some(record),
                lease,
                inspection: None,
                told: None,
                access: None,
                timer: None,
            };
            Some(Opened { opening: Box::new(opening), place })
        }
        Err(refusal) => {
            end(record, &view, refusal);
            None
        }
    }
}

fn end(mut record: Box<Record>, view: &View, refusal: Refusal) {
    tracing::info!(client = %view.client, stream = %view.site, reason = refusal.code(), "connection closed");
    record.status = refusal.status();
    record.finish(refusal.code());
}

/// The connection as its variables see it.
fn view(stream: &Stream, arrived: &Arrived<'_>, proxy: &Arc<Proxy>) -> View {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let about = About {
        client: canonical(arrived.proxied.map_or(arrived.client.address, |ends| ends.source)),
        peer: canonical(arrived.client.address),
        local: canonical(arrived.local),
        stream: &stream.name,
        upstream: &stream.upstream.name,
        maps: &proxy.snapshot.load().maps,
    };
    variables::view(&about, arrived)
}

fn record(stream: &Stream, arrived: &Arrived<'_>, view: &View, proxy: &Arc<Proxy>) -> Box<Record> {
    let mut record = Box::new(Record::of_stream(Arc::clone(&proxy.metrics), arrived.client.since));
    record.belongs(&stream.tally);
    record.log = stream.logs.as_ref().map(|logs| logs.begin(view));
    record
}

/// Whether there may be one more, and its places. nginx: the phases ACCESS and PREACCESS.
fn admit(stream: &Stream, view: &View) -> Result<(Place, Vec<Slot>), Refusal> {
    if !may_come(stream, view.client.ip()) {
        return Err(Refusal::Denied);
    }
    let place = stream.room.enter().ok_or(Refusal::Full)?;
    match stream.limits.enter(view, Class::Tunnel) {
        Ok(slots) => Ok((place, slots)),
        Err(Full(zone)) => {
            tracing::error!(client = %view.client, stream = %stream.name, "limiting connections by zone \"{}\"", zone.name);
            Err(Refusal::Full)
        }
    }
}

fn may_come(stream: &Stream, client: IpAddr) -> bool {
    let fits = |rule: &&crate::config::AccessRule| rule.range.is_none_or(|range| range.contains(client));
    stream.access.iter().find(fits).is_none_or(|rule| rule.allow)
}

/// The next peer by the upstream's policy.
fn pick(group: &Upstream, view: &View, tried: &[Arc<Peer>]) -> Option<Lease> {
    group.pick(&Ask { client: Some(view.client.ip()), tried, now: Tick::now(), values: Some(view) })
}

/// A connection to a peer: where one cannot be had, to the next. nginx: `ngx_stream_proxy_connect`
/// and `ngx_stream_proxy_next_upstream`.
async fn reach(stream: &Stream, view: &View, record: &mut Record) -> Result<(Socket, Lease), Error> {
    let group = &stream.upstream;
    // Held until there is a connection, over all tries.
    let _place = match &group.admission {
        Some(admission) => admission.enter(upstream::Class::Handshake).await?,
        None => None,
    };
    let ends =
        Ends { source: view.client, destination: view.arrival.proxied.map_or(view.local, |ends| ends.destination) };
    let (since, mut tried) = (Instant::now(), Vec::new());
    let mut failed = None;
    loop {
        let Some(mut lease) = pick(group, view, &tried) else {
            let none = || Error::new(Kind::NoPeer, format!("no live peer in `{}`", group.name));
            return Err(failed.unwrap_or_else(none));
        };
        let peer = Arc::clone(lease.peer());
        record.asks(&peer.name, &peer.tally);
        let connected = upstream::connect_raw(&peer, ends, stream.connect_timeout).await;
        peer.judge(connected.is_ok(), lease.picked());
        match connected {
            Ok(socket) => {
                record.connected(Instant::now());
                record.answered(200);
                lease.answered();
                lease.finished();
                peer.succeeded();
                return Ok((socket, lease));
            }
            Err(error) => {
                record.failed(Refusal::Peer(error.kind).status());
                peer.failed(&error);
                tried.push(peer);
                let most = stream.next.tries.map_or(usize::MAX, |most| most as usize).min(group.usable());
                let in_time = stream.next.timeout.is_none_or(|timeout| since.elapsed() < timeout);
                if !stream.next.on || tried.len() >= most || !in_time {
                    return Err(error);
                }
                tracing::debug!(stream = %stream.name, %error, "trying the next peer");
                failed = Some(error);
            }
        }
    }
}
