//! One configuration made ready to serve: what a request reads, and never changes.
//!
//! A request takes one `Arc` of it at its start and uses it to its end, so no request sees
//! two configurations; a tunnel keeps only the parts that it needs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tidegate_cidr::Cidr;
use tracing::level_filters::LevelFilter;

use crate::config::{Bodies, Content, LastingAccess, Messages, NextUpstream, RealIp, Satisfy, Timeouts};
use crate::hook::{Chain, Chains, Maps, Plugin};
use crate::http1::HeadLimits;
use crate::kv::Stores;
use crate::limit::{Limits, Zones};
use crate::observe::{Logs, Tally};
use crate::tls::server::ClientAuth;
use crate::upstream::Upstream;

/// Everything that requests need of one configuration.
pub struct Snapshot {
    /// Asked for a route, in order.
    pub routers: Chain,
    /// Routes by name.
    pub routes: HashMap<Arc<str>, Arc<Route>>,
    /// Upstreams by name.
    pub upstreams: HashMap<Arc<str>, Arc<Upstream>>,
    /// The plugins that choose peers, by the names of their upstreams.
    pub balancers: HashMap<Arc<str>, Arc<dyn Plugin>>,
    /// Whether a plugin keeps an instance for each request.
    pub isolates: bool,
    /// Variables made of others.
    pub maps: Arc<Maps>,
    /// The `Server` header of every answer; none sends none.
    pub server_header: Option<HeaderValue>,
    /// The access logs of requests that no route took.
    pub logs: Option<Arc<Logs>>,
    /// Clients whose every request is told of in the process's log.
    pub debug_clients: Vec<Cidr>,
    /// What is counted by, by name: what a reload takes over.
    pub zones: Zones,
    /// What plugins keep.
    pub stores: Stores,
    /// Who is believed about the client's address; none where nobody is.
    pub real_ip: Option<RealIp>,
    /// What listeners need to read requests.
    pub downstream: Downstream,
}

impl Snapshot {
    /// It is in use from now on: tunnels may move to its plugins.
    pub fn take_over(&self) {
        let chains = self.routes.values().map(|route| &route.chains);
        chains.flat_map(|chains| &chains.messages).for_each(|plugin| plugin.take_over());
    }

    /// The plugin that chooses among the peers of an upstream; none where its policy does.
    pub fn balancer(&self, upstream: &Upstream) -> Option<&Arc<dyn Plugin>> {
        // Most configurations have none: they are spared the look.
        if self.balancers.is_empty() { None } else { self.balancers.get(&upstream.name) }
    }
}

/// How connections of clients are read.
#[derive(Debug, Clone, Copy)]
pub struct Downstream {
    /// How long a client may take to send a head.
    pub header_timeout: Duration,
    /// How long a connection may be idle between requests.
    pub keepalive_timeout: Duration,
    /// Largest head, bytes.
    pub max_head: usize,
    /// Longest line of a head, bytes.
    pub max_line: usize,
    /// How long a client may send nothing within a body.
    pub body_timeout: Duration,
    /// Requests on one connection.
    pub keepalive_requests: u64,
    /// How long one connection serves requests.
    pub keepalive_time: Duration,
    /// How long a client may take no bytes of an answer.
    pub send_timeout: Duration,
    /// Connections that one worker keeps open; none for no limit.
    pub max_connections: Option<u32>,
    /// Connections that one client address keeps open; none for no limit.
    pub max_client_connections: Option<u32>,
    /// Streams of one HTTP/2 connection at once.
    pub max_streams: u32,
}

impl Downstream {
    /// How large the head of a request may be, in every version of HTTP.
    pub fn head_limits(&self) -> HeadLimits {
        HeadLimits { head: self.max_head, line: self.max_line }
    }
}

/// One route made ready.
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// The first name of its site.
    pub site: Arc<str>,
    /// The numbers of its site.
    pub tally: Arc<Tally>,
    /// Where it leads; one without peers where it only answers itself.
    pub upstream: Arc<Upstream>,
    /// The component that answers in the upstream's place; none where there is none.
    pub handler: Option<Arc<dyn Plugin>>,
    /// Its plugins.
    pub chains: Chains,
    /// Its access logs.
    pub logs: Option<Arc<Logs>>,
    /// The level of the process's log for its requests; none is the process's.
    pub log_level: Option<LevelFilter>,
    /// Headers of the upstream that are hidden by default and pass here.
    pub pass_headers: Box<[HeaderName]>,
    /// Its timeouts.
    pub timeouts: Timeouts,
    /// What another peer is tried after.
    pub next_upstream: NextUpstream,
    /// Upgrade tokens that may pass, lower case.
    pub upgrade: Vec<String>,
    /// Whether one direction of a tunnel may outlive the other.
    pub half_close: bool,
    /// How plugins see the messages of its tunnels.
    pub messages: Messages,
    /// How plugins see bodies.
    pub bodies: Bodies,
    /// What becomes of tunnels whose grant ends.
    pub access: LastingAccess,
    /// Its limits.
    pub limits: Limits,
    /// What its site asks of TLS clients; none asks nothing.
    pub client_auth: Option<Arc<ClientAuth>>,
    /// How the answers of several authorizers become one.
    pub satisfy: Satisfy,
    /// Files, error pages, compression, buffers.
    pub content: Content,
}
