//! The spine: what happens to a request, in order. Each phase's work is in the file named
//! after it.
//!
//! nginx's words for the phases: POST_READ (receive), SERVER_REWRITE and FIND_CONFIG
//! (route), ACCESS (access), `proxy_set_header` (request_headers), upstream peer and
//! upstream request (forward), header filters (response_headers), body filters (deliver),
//! LOG (the record that `deliver` hands on).

mod access;
mod ask;
mod deliver;
mod exchange;
mod forward;
mod handshake;
mod headers;
mod outcome;
mod path;
mod receive;
mod request_headers;
mod respond;
mod response_headers;
mod route;
mod variables;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::body::Body;
use crate::error::Stop;
use crate::observe::{Client, LogFiles, Metrics};
use crate::pace::Pace;
use crate::snapshot::Snapshot;
use crate::tunnel::{Opening, Registry};

use exchange::Exchange;

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
    /// Whether it is between requests.
    pub pace: Arc<Pace>,
    /// Where `deliver` leaves the peer's side of a tunnel: the listener joins it with the
    /// client's side once the 101 is out.
    pub opening: Mutex<Option<Opening>>,
}

/// Answer one request.
pub async fn handle(connection: Arc<Connection>, request: Request<Incoming>) -> Response<Body> {
    let (mut exchange, body) = receive::begin(connection, request);
    match run(&mut exchange, body).await {
        Ok(response) => response,
        Err(stop) => respond::stopped(&mut exchange, stop),
    }
}

/// The phases, in order. An error or a plugin's reply leaves by `?`.
async fn run(exchange: &mut Exchange, body: Incoming) -> Result<Response<Body>, Stop> {
    // Before anything is decided: a malformed head must not be routed.
    receive::check(exchange)?;
    // Everything below depends on the route.
    route::find(exchange).await?;
    // With the route it is known what lines will say, and the head is still as it was sent.
    exchange.begin_log();
    // Before headers are mapped: what an authorizer sets can be used there.
    access::judge(exchange).await?;
    request_headers::map(exchange).await?;
    // Peers are chosen inside, one for each try.
    let asked_at = Instant::now();
    let answer = forward::send(exchange, body).await;
    outcome::answered(exchange, asked_at, &answer);
    let mut answer = answer?;
    response_headers::map(exchange, &mut answer).await?;
    Ok(deliver::deliver(exchange, answer))
}
