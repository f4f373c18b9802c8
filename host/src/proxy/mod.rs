//! The spine: what happens to a request, in order. Each phase's work is in the file named
//! after it.
//!
//! nginx's words for the phases: POST_READ (receive), SERVER_REWRITE and FIND_CONFIG
//! (route), PREACCESS (limit), ACCESS (access), PRECONTENT and CONTENT (content),
//! `proxy_set_header` (request_headers), upstream peer and upstream request (forward), header
//! filters (response_headers), body filters (buffer, bodies, compress), LOG (the record that `deliver`
//! hands on).

mod access;
mod ask;
mod bodies;
mod buffer;
mod challenge;
mod compress;
mod content;
mod deliver;
mod error_page;
mod exchange;
mod forward;
mod handler;
mod handshake;
mod headers;
mod inspect;
mod levels;
mod limit;
mod lone;
mod outcome;
mod path;
mod real_ip;
mod receive;
mod request_headers;
mod respond;
mod response_headers;
mod route;
mod tls;
mod turn;
mod variables;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderValue, StatusCode};

use crate::body::Body;
use crate::ca::acme::Keeper;
use crate::ca::ocsp::Stapler;
use crate::cohort::gather;
use crate::error::Stop;
use crate::hook::Builtins;
use crate::http1::{BadLength, Malformed};
use crate::limit::Clients;
use crate::message::{RequestHead, ResponseHead};
use crate::observe::{Client, LogFiles, Metrics, Record, level};
use crate::proxy_protocol::Ends;
use crate::snapshot::Snapshot;
use crate::tls::server::{Facts, Served};
use crate::tunnel::{Opening, Registry};

use content::Step;
use exchange::Exchange;
use respond::Stopped;

pub use lone::{Lone, lone};

/// nginx's variables, for views that are no request's too.
pub fn builtins() -> &'static dyn Builtins {
    &variables::Nginx
}

/// What all requests of a server share.
pub struct Proxy {
    /// The configuration in use. A request takes it once, at its start.
    pub snapshot: ArcSwap<Snapshot>,
    /// The server's numbers.
    pub metrics: Arc<Metrics>,
    /// The files that access logs are written to.
    pub log_files: Arc<LogFiles>,
    /// The tunnels that are open.
    pub tunnels: Arc<Registry>,
    /// The open connections of each client, where they are limited.
    pub clients: Arc<Clients>,
    /// Certificates that are ordered and renewed: what challenges are answered with.
    pub acme: Arc<Keeper>,
    /// What responders say of certificates.
    pub stapler: Arc<Stapler>,
    /// The TLS of every listener, as it is served now.
    pub served: ArcSwap<Vec<Arc<Served>>>,
}

/// One client connection, as its requests see it.
pub struct Connection {
    /// The server's.
    pub proxy: Arc<Proxy>,
    /// The client's end.
    pub client: Client,
    /// The proxy's end.
    pub local: SocketAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// What its TLS handshake brought to light; none on plain connections.
    pub tls: Option<Arc<Facts>>,
    /// Whether it is plain where TLS is spoken. nginx: 497.
    pub misplaced: bool,
    /// What a proxy in front says of it by the PROXY protocol; none where none does.
    pub proxied: Option<Ends>,
    /// The Alt-Svc of its answers (RFC 7838 §3); none where there is nothing to tell of.
    pub alt_svc: Option<HeaderValue>,
}

impl Connection {
    /// The client's end: what a proxy in front says by the PROXY protocol, else the socket's. A
    /// dual-stack listener shows IPv4 clients as `::ffff:a.b.c.d`; here they are `a.b.c.d`.
    fn address(&self) -> SocketAddr {
        let address = self.proxied.map_or(self.client.address, |ends| ends.source);
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    /// Tell of HTTP/3, unless the answer says itself where else the site is, or that this is no
    /// place for it (RFC 7838 §6).
    fn advertise(&self, head: &mut ResponseHead) {
        let Some(alt_svc) = &self.alt_svc else { return };
        if !head.status.is_informational() && head.status != StatusCode::MISDIRECTED_REQUEST {
            head.fields.set_default("Alt-Svc", alt_svc.as_bytes());
        }
    }
}

/// A request as its connection read it.
pub struct Request {
    /// Its head.
    pub head: RequestHead,
    /// Its body.
    pub body: Body,
    /// Why it cannot be told where the body ends; it is empty then.
    pub unframed: Option<BadLength>,
}

/// Why there is no request to answer.
#[derive(Debug, Clone, Copy)]
pub enum Refusal {
    /// What came is none.
    Malformed(Malformed),
    /// It did not come whole in time.
    Slow,
}

/// What the connection is to send.
pub struct Response {
    /// Its head. Framing is the connection's to add.
    pub head: ResponseHead,
    /// Its body.
    pub body: Body,
    /// To be finished when the body is sent.
    pub record: Option<Box<Record>>,
    /// Whether the connection must end after it: what follows cannot be trusted to be a request.
    pub close: bool,
    /// The peer's side of a tunnel, to be joined with the client's once the head is out.
    pub opening: Option<Box<Opening>>,
}

/// Answer one request; none where it is not to be answered and the connection is to be
/// closed (nginx: 444).
pub async fn handle(connection: Arc<Connection>, request: Request) -> Option<Response> {
    level::scope(pin!(async {
        let (mut exchange, body) = receive::begin(&connection, request);
        levels::of_client(&connection, &exchange.snapshot);
        receive::tell(&exchange);
        let mut ran = run(&mut exchange, &connection, body).await;
        let mut response = loop {
            let stop = match ran {
                Ok(response) => break Some(response),
                Err(stop) => stop,
            };
            match respond::stopped(&mut exchange, stop).await {
                Stopped::Answer(answer) => break answer,
                // Once: a page has none itself.
                Stopped::Page => ran = from_route(&mut exchange, &connection, Body::Empty).await,
            }
        };
        if let Some(response) = &mut response {
            connection.advertise(&mut response.head);
        }
        let status = response.as_ref().map(|response| response.head.status.as_u16());
        // A route's debug log begins after the line that says what has come.
        let view = &exchange.view;
        tracing::debug!(client = %view.client, method = %view.method, target = %view.path_with_query, status, "answer");
        // Answers go out together, as requests do.
        gather().await;
        response
    }))
    .await
}

/// Answer what could not be read as a request.
pub fn refuse(connection: &Connection, refusal: Refusal) -> Response {
    let mut exchange = receive::unreadable(connection);
    respond::refused(&mut exchange, receive::complaint(refusal).into())
}

/// The phases, in order. An error or a plugin's reply leaves by `?`.
async fn run(exchange: &mut Exchange, connection: &Connection, body: Body) -> Result<Response, Stop> {
    // Before anything is decided: a malformed head must not be routed.
    receive::check(exchange)?;
    if exchange.misplaced {
        return Err(route::misplaced(exchange).await.into());
    }
    challenge::answer(exchange, connection)?;
    from_route(exchange, connection, body).await
}

/// The phases from the route on: again for each path that `try_files` or an index leads to,
/// and once for the page of an error.
async fn from_route(exchange: &mut Exchange, connection: &Connection, mut body: Body) -> Result<Response, Stop> {
    let mut answer = loop {
        // Everything below depends on the route.
        let found = route::find(exchange).await;
        // Before what a route answers by itself: what is too large is that, as in nginx.
        limit::declared(exchange, &body)?;
        found?;
        levels::of_route(connection, exchange);
        // With the route it is known what lines will say, and the head is still as it was sent.
        exchange.begin_log();
        error_page::prepare(exchange);
        compress::prepare(exchange);
        // Before plugins are asked for access: what is too much costs no more than this.
        body = limit::check(exchange, body).await?;
        // Before headers are mapped: what an authorizer sets can be used there.
        access::judge(exchange, connection).await?;
        match content::find(exchange).await? {
            Step::Again => {}
            Step::Answer(answer) => break answer,
            Step::Upstream => {
                let body = buffer::request(exchange, body).await?;
                request_headers::map(exchange).await?;
                let body = bodies::request(exchange, body).await?;
                if let Some(handler) = handler::of(exchange) {
                    break handler::ask(exchange, handler.as_ref(), body).await?;
                }
                inspect::offer(exchange);
                // Peers are chosen inside, one for each try.
                let answer = forward::send(exchange, body).await;
                outcome::answered(exchange, &answer);
                let mut answer = answer.map_err(|error| bodies::replied(exchange, error))?;
                inspect::agree(exchange, &answer)?;
                buffer::response(exchange, &mut answer);
                break answer;
            }
        }
    };
    // Before headers are mapped: rules go by the status.
    error_page::apply(exchange, &mut answer)?;
    response_headers::map(exchange, &mut answer).await?;
    bodies::response(exchange, &mut answer).await?;
    compress::wrap(exchange, &mut answer)?;
    // With the head as it will be sent: a plugin that fails closed still refuses the handshake.
    let inspection = inspect::open(exchange, connection, inspect::switch(exchange, &answer)).await?;
    // As late as can be; what is revoked from here on ends the tunnel.
    access::check(exchange)?;
    Ok(deliver::deliver(exchange, answer, inspection))
}
