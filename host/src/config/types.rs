//! The resolved configuration: what the rest of the program reads. Nothing here can be
//! wrong: names refer to things that exist, durations and sizes are numbers, defaults
//! are filled in. Made by `resolve` only.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidegate_cidr::Cidr;
use tracing::level_filters::LevelFilter;

mod access;
mod bodies;
mod content;
mod dial;
mod health;
mod http3;
mod kv;
mod limits;
mod messages;
mod resolver;
mod retry;
mod stream;
mod tls;
mod upstream;

pub use access::LastingAccess;
pub use bodies::{Bodies, TooLarge};
pub use content::{
    Coding, Compress, Content, ErrorPage, ErrorPages, Files, Goal, Mapping, Page, PageStatus, Redirects, Symlinks,
    Tries, Try,
};
pub use dial::{Dial, PeerTls};
pub use health::{Expect, Health, HttpProbe, OnUnhealthy, Pattern, Probe, ProbeRequest, TcpProbe, WebSocketProbe};
pub use http3::{AltSvc, HostKey, Http3, QuicRetry};
pub use kv::{Kv, KvAddress, KvGranted, KvMemory, KvPlace, KvRedis, Services};
pub use limits::{Level, Limits, OpenLimit, RateLimit, RealIp, Refusal, Satisfy, Zone};
pub use messages::{DeflatePolicy, Messages};
pub use resolver::{Lookup, Question, Resolve, Resolver};
pub use retry::{Admission, Breaker, Condition, Conditions, NextUpstream};
pub use stream::{AccessRule, NextPeer, Stream, StreamsHere};
pub use tls::{ListenerTls, Protocols};
pub use upstream::{Address, Peer, Policy, Protocol, Source, Sticky, StickyCookie, StickyLearn, Until, Upstream};

use super::secret::Secret;
use crate::ca::acme::Wanted;
use crate::hook::{Caps, HookSet, Isolation, Maps, OnFailure, Quarantine, Template};
use crate::observe::Format;
use crate::tls::server::ClientAuth;

/// A whole configuration file.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: ServerSettings,
    /// `[log] debug_clients`: whose every request is told of in the process's log. nginx: `debug_connection`.
    pub debug_clients: Vec<Cidr>,
    /// `access_log` at the top level: of requests that no route takes.
    pub access_logs: Arc<[AccessLog]>,
    /// `[admin]`; none where the table is absent.
    pub admin: Option<Admin>,
    /// `[resolver]`
    pub resolver: Arc<Resolver>,
    /// `[real_ip]`; none where the table is absent.
    pub real_ip: Option<RealIp>,
    /// `[kv.*]`
    pub kv: Vec<Kv>,
    /// `[limits.*]`, in order; routes refer to them by name.
    pub zones: Vec<Zone>,
    /// `[acme]` and what is wanted of it; none where nothing is.
    pub acme: Option<Wanted>,
    /// `[[listeners]]`, in order, at least one.
    pub listeners: Vec<Listener>,
    /// `[upstreams.*]`, in order; routes refer to them by index.
    pub upstreams: Vec<Upstream>,
    /// Every plugin that some chain uses, in order and without doubles (same component,
    /// limits and configuration are one); chains refer to them by index.
    pub plugins: Vec<Plugin>,
    /// The plugins asked for a route, in order: indexes into `plugins`.
    pub routers: Vec<usize>,
    /// `[[streams]]`, in order; listeners refer to them by index.
    pub streams: Vec<Stream>,
    /// `[[sites]]`, in order; the first that says `default` is, or else the first.
    pub sites: Vec<Site>,
    /// Every route of every site; sites refer to them by index.
    pub routes: Vec<Route>,
    /// `[maps.*]`
    pub maps: Arc<Maps>,
}

/// `[server]`: what concerns the process.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Worker threads; not changed by a reload. nginx: `worker_processes`.
    pub workers: usize,
    /// Whether busy tunnels may ride on a ring of the kernel; not changed by a reload.
    pub io_uring: bool,
    /// How long a drain waits before it closes what is left. nginx: `worker_shutdown_timeout`.
    pub drain_timeout: Duration,
    /// Where to write the process id; not changed by a reload. nginx: `pid`.
    pub pid_file: Option<PathBuf>,
    /// Where compiled components are kept; none keeps none.
    pub cache_dir: Option<PathBuf>,
    /// The stack of each call of a plugin, bytes.
    pub plugin_stack: usize,
    /// `[log] level`: a `tracing` filter such as `info` or `tidegate=debug`; not changed by a reload.
    pub log_level: String,
    /// How long a client may take to send a request's head. nginx: `client_header_timeout`.
    pub header_timeout: Duration,
    /// How long an idle client connection is kept. nginx: `keepalive_timeout`.
    pub keepalive_timeout: Duration,
    /// Largest request head, bytes. nginx: `large_client_header_buffers`.
    pub max_head: usize,
    /// Client connections that one worker keeps open; none for no limit. nginx: `worker_connections`.
    pub max_connections: Option<u32>,
    /// Connections that one client address keeps open; none for no limit.
    pub max_client_connections: Option<u32>,
    /// Streams of one HTTP/2 connection at once. nginx: `http2_max_concurrent_streams`.
    pub max_streams: u32,
    /// The `Server` header of every answer; none sends none. nginx: `server_tokens`.
    pub server_header: Option<http::HeaderValue>,
    /// Longest line of a head, bytes. nginx: `large_client_header_buffers`.
    pub max_line: usize,
    /// How long a client may send nothing within a body. nginx: `client_body_timeout`.
    pub body_timeout: Duration,
    /// How long a client may take no bytes of an answer. nginx: `send_timeout`.
    pub send_timeout: Duration,
    /// Requests on one connection. nginx: `keepalive_requests`.
    pub keepalive_requests: u64,
    /// How long one connection serves requests. nginx: `keepalive_time`.
    pub keepalive_time: Duration,
}

/// `[admin]`: the operator's own address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where its pages are.
    pub address: SocketAddr,
    /// Who may ask for them; empty for all who reach it.
    pub allow: Vec<Cidr>,
    /// Whether tunnels can be closed there.
    pub revoke: bool,
}

/// One `access_log`: one line per request or tunnel. nginx: `access_log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Where to.
    pub target: LogTarget,
    /// In which form.
    pub format: Arc<Format>,
    /// Where this is empty or `0`, the line is not written. nginx: `if=`.
    pub condition: Option<Template>,
    /// Bytes that a worker gathers before it writes; 0 writes each line at once.
    pub buffer: usize,
    /// How long a line may wait in the buffer.
    pub flush: Option<Duration>,
    /// Whether a tunnel has a line when it opens.
    pub tunnel_opening: bool,
    /// How often an open tunnel has a line.
    pub tunnel_interval: Option<Duration>,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// One `[[listeners]]`. nginx: `listen`.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Length of the accept queue. nginx: `listen … backlog=`.
    pub backlog: u32,
    /// TCP's congestion control; none for the system's (see [`crate::socket::congestion`]).
    pub congestion_control: Option<Arc<str>>,
    /// TLS; none for plain connections. nginx: `listen … ssl`.
    pub tls: Option<ListenerTls>,
    /// The versions of HTTP that are spoken.
    pub protocols: Protocols,
    /// What holds for HTTP/3, where that is spoken.
    pub http3: Option<Http3>,
    /// Whose PROXY protocol header is expected; none where none is. nginx: `listen … proxy_protocol`.
    pub proxy_protocol: Option<Arc<ProxyProtocol>>,
    /// The streams that are at it; none where there are none.
    pub streams: Option<StreamsHere>,
    /// Whether they take all of it, so that no site is at it.
    pub is_streams: bool,
}

/// The PROXY protocol towards clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// Who is believed; none for everybody. nginx: `set_real_ip_from`.
    pub from: Option<Vec<Cidr>>,
}

impl ProxyProtocol {
    /// Whether a sender is believed.
    pub fn believes(&self, sender: IpAddr) -> bool {
        let sender = sender.to_canonical();
        self.from.as_ref().is_none_or(|from| from.iter().any(|range| range.contains(sender)))
    }
}

/// One plugin with one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// Its name in `[plugins.*]`, or the stock plugin's.
    pub name: Arc<str>,
    /// Where the component comes from.
    pub source: PluginSource,
    /// Its configuration: a JSON object. It may hold secrets, so `Debug` does not show it.
    pub config: Secret,
    /// What a failure of a call means.
    pub on_failure: OnFailure,
    /// The longest that one call may take.
    pub deadline: Duration,
    /// The most linear memory of one instance, bytes.
    pub memory: u64,
    /// What else it may use.
    pub caps: Caps,
    /// When it is left alone for a while; none for never.
    pub quarantine: Option<Quarantine>,
    /// Only these of its hooks; none means all that it exports.
    pub hooks: Option<HookSet>,
    /// Who shares an instance.
    pub isolation: Isolation,
    /// Whether open tunnels move to a newer version of it.
    pub restart_tunnels: bool,
    /// Hook `response-headers` is called only for an answer with one of these; empty for any.
    pub response_with: Vec<http::HeaderName>,
    /// Where it may send requests of its own.
    pub grants: Vec<Grant>,
    /// What else it is granted.
    pub services: Services,
    /// Where it stands in the configuration, for problems that `configure` reports.
    pub place: Place,
}

/// A destination of a plugin's own requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// As the plugin names it: `upstream:NAME`, or `http://HOST:PORT` in lower case.
    pub destination: String,
    /// What paths begin with, at least `/`.
    pub path: String,
    /// Whether it is a name, whose addresses are not known before it is looked up.
    pub by_name: bool,
    /// Index into `Config::upstreams`.
    pub upstream: usize,
}

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PluginSource {
    /// A file.
    File(PathBuf),
    /// One that is embedded in the binary: `stock:NAME`.
    Stock(String),
}

/// A place in the configuration text, and where the parts of a plugin's config stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file's label, as in every problem.
    pub file: Arc<str>,
    /// 1-based; 0 where there is none (a stock plugin of a file without the keys for it).
    pub line: usize,
    /// 1-based.
    pub column: usize,
    /// The key path: `plugins.jwt.config`.
    pub path: String,
    /// Where each value of the plugin's config stands.
    pub pointers: Vec<Spot>,
}

/// Where one value of a plugin's config stands in the configuration text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The value's JSON pointer (RFC 6901) within the plugin's config: `/users`.
    pub pointer: String,
    /// The key path of the text that it comes from: `sites[0].routes[1].auth_basic.users`.
    pub path: String,
    /// 1-based.
    pub line: usize,
    /// 1-based.
    pub column: usize,
}

/// One `[[sites]]`. nginx: `server`.
#[derive(Debug, Clone)]
pub struct Site {
    /// nginx: `server_name`.
    pub names: Vec<String>,
    /// Takes requests that no name matches. nginx: `listen … default_server`.
    pub default: bool,
    /// Its routes, in order: indexes into `Config::routes`.
    pub routes: Vec<usize>,
}

/// One `[[sites.routes]]`. nginx: `location`.
#[derive(Debug, Clone)]
pub struct Route {
    /// Unique; `SITE MATCH` where the file gives none.
    pub name: Arc<str>,
    /// The first name of its site, or empty.
    pub site: Arc<str>,
    /// nginx's location syntax: `/x`, `= /x`, `^~ /x`, `~ re`, `~* re`.
    pub pattern: String,
    /// Index into `Config::upstreams`; none where the route only answers itself.
    pub upstream: Option<usize>,
    /// The plugins of its chains, in order: indexes into `Config::plugins`. Stock ones
    /// come first, then the site's, then the route's.
    pub plugins: Vec<usize>,
    /// Headers of the upstream that are hidden by default and pass here, lower case. nginx:
    /// `proxy_pass_header`.
    pub pass_headers: Vec<http::HeaderName>,
    /// The level of the process's log for its requests; none is the process's. nginx: `error_log`.
    pub log_level: Option<LevelFilter>,
    /// Its access logs, inherited or its own.
    pub access_logs: Arc<[AccessLog]>,
    /// nginx: `proxy_{connect,read,send}_timeout`.
    pub timeouts: Timeouts,
    /// What another peer is tried after. nginx: `proxy_next_upstream`.
    pub next_upstream: NextUpstream,
    /// Upgrade tokens that may pass, lower case.
    pub upgrade: Vec<String>,
    /// When one side of a tunnel ends, keep the other direction open.
    pub half_close: bool,
    /// `messages`, with what it inherits.
    pub messages: Messages,
    /// `handler`: the index of the plugin that answers in an upstream's place.
    pub handler: Option<usize>,
    /// `bodies`, with what it inherits.
    pub bodies: Bodies,
    /// What becomes of tunnels whose grant ends.
    pub access: LastingAccess,
    /// `limits`, with what it inherits.
    pub limits: Limits,
    /// `client_auth` of its site.
    pub client_auth: Option<Arc<ClientAuth>>,
    /// `satisfy`
    pub satisfy: Satisfy,
    /// Files, error pages, compression, buffers.
    pub content: Content,
}

/// `timeouts = { … }` of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect to a peer. nginx: `proxy_connect_timeout`.
    pub connect: Duration,
    /// Between two reads from a peer, and in a tunnel between two reads from either
    /// side. nginx: `proxy_read_timeout`.
    pub read: Duration,
    /// Between two writes to a peer. nginx: `proxy_send_timeout`.
    pub send: Duration,
}
