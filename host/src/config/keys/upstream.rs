//! The keys of upstreams and of their peers, and of TCP on both sides.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Duration as T, Flag as B, Other, Required, Text as S, Texts as L};
use super::super::key::Kind::{Choice, Count, Flag, Table, TableOrFlag, Text, TextMap, Texts, TextsOrTables};
use super::super::key::Section::{Health, Listener, Peer, Resolver, Top, Upstream, UpstreamTls};
use super::super::key::{Key, Kind};
use super::{WAIT, WAIT_OR_NOT};

pub(super) const PROTOCOLS: Kind = Choice { now: &["h1", "h2", "auto"], later: &[] };

keys! {
    RESOLVER = "resolver" in [Top]: Table(Resolver), Other("all defaults"), "", "How names of peers are looked up.";

    RESOLVER_ADDRESSES = "addresses" in [Resolver]: Texts, Other("those of `/etc/resolv.conf`, with its options"),
        "resolver",
        "Name servers, `IP` or `IP:PORT`; names are then full ones, without the search list of `/etc/resolv.conf`.";
    RESOLVER_VALID = "valid" in [Resolver]: WAIT, Other("what the answer says, within `min_ttl` and `max_ttl`"),
        "resolver … valid=",
        "How long every answer is used.";
    RESOLVER_TIMEOUT = "timeout" in [Resolver]: WAIT, T(d::RESOLVER_TIMEOUT), "resolver_timeout",
        "How long an answer may take, with all that is asked for it.";
    RESOLVER_IPV6 = "ipv6" in [Resolver]: Flag, Other("where the machine has a route to it, or a name has nothing else"),
        "resolver … ipv6=",
        "Whether IPv6 addresses are used.";
    MIN_TTL = "min_ttl" in [Resolver]: WAIT, T(d::MIN_TTL), "",
        "The least time between two questions for a name. After a failure it doubles, to at most half a minute.";
    MAX_TTL = "max_ttl" in [Resolver]: WAIT, T(d::MAX_TTL), "", "The longest that an answer is used.";

    KEEPALIVE = "keepalive" in [Upstream]: Count { least: 0, most: d::MOST_KEEPALIVE },
        N(d::UPSTREAM_KEEPALIVE), "keepalive",
        "Idle connections that each worker keeps for each peer.";
    UPSTREAM_KEEPALIVE_TIMEOUT = "keepalive_timeout" in [Upstream]: WAIT, T(d::UPSTREAM_KEEPALIVE_TIMEOUT),
        "keepalive_timeout",
        "How long an idle connection is kept.";
    PROTOCOL = "protocol" in [Upstream]: PROTOCOLS, S(d::PROTOCOL), "proxy_http_version",
        "Which version of HTTP peers are asked in: `h1` for HTTP/1.1; `h2` for HTTP/2, with prior knowledge where there \
         is no TLS; `auto` for what a peer chooses in the TLS handshake, and HTTP/1.1 without TLS or with \
         `proxy_protocol`. WebSockets go over HTTP/2 where the peer offers that (RFC 8441), else over an HTTP/1.1 \
         connection of their own.";
    PING = "ping" in [Upstream]: WAIT, T(d::PING), "",
        "With HTTP/2: how long a peer may be silent about what it was sent before a PING asks it for a sign of life; \
         after as long again its connection is given up.";
    PEERS = "peers" in [Upstream]: TextsOrTables(Peer), Required, "server",
        "The backends; a string is a peer's address alone.";
    UPSTREAM_KEEPALIVE_REQUESTS = "keepalive_requests" in [Upstream]: Count { least: 1, most: d::MOST_REQUESTS },
        N(d::UPSTREAM_KEEPALIVE_REQUESTS), "keepalive_requests",
        "How many requests a connection serves.";
    UPSTREAM_KEEPALIVE_TIME = "keepalive_time" in [Upstream]: WAIT, T(d::UPSTREAM_KEEPALIVE_TIME), "keepalive_time",
        "How long a connection serves requests; it is closed after the request that it is at then.";
    UPSTREAM_TLS = "tls" in [Upstream]: TableOrFlag(UpstreamTls), Other("`false`"), "proxy_pass https://",
        "TLS towards peers; `true` for all defaults.";
    BIND = "bind" in [Upstream]: Text, Other("the system's choice"), "proxy_bind",
        "The IP address to connect from.";
    TCP_KEEPALIVE = "tcp_keepalive" in [Upstream]: Flag, B(false), "proxy_socket_keepalive",
        "Whether the system probes connections that are silent, as it is set up to.";
    CONGESTION_CONTROL = "congestion_control" in [Listener, Upstream]: Text,
        Other("the system's; on loopback addresses `\"reno\"` where the system's is BBR"), "",
        "How fast TCP sends: an algorithm that the system has (`sysctl net.ipv4.tcp_available_congestion_control`). \
         BBR paces by timers, which within one machine cost more than they are worth. Not for QUIC.";
    HEALTH = "health" in [Upstream]: Table(Health), Other("none"), "health_check",
        "Checks of every peer that is not `down`, whether or not requests come.";
    BALANCER = "balancer" in [Upstream]: Text, Other("none"), "",
        "The plugin of `[plugins]` that is asked for a peer (hook `balancer`), for each request and each further try. \
         Where it leaves the choice, or fails, whatever its `on_failure` says, `policy` chooses.";

    TLS_VERIFY = "verify" in [UpstreamTls]: Flag, B(true), "proxy_ssl_verify",
        "Whether a peer's certificate must be in date, for its name, and lead to an authority that is trusted.";
    TLS_CA = "ca" in [UpstreamTls]: Text, Other("the system's"), "proxy_ssl_trusted_certificate",
        "A PEM file with the certificates of the authorities that are trusted.";
    TLS_NAME = "name" in [UpstreamTls]: Text, Other("the host of the peer's address; `localhost` for `unix:`"),
        "proxy_ssl_name, proxy_ssl_server_name",
        "What peers are called: sent to them (SNI), where it is no IP address, and verified.";
    TLS_CERTIFICATE = "certificate" in [UpstreamTls]: Text, Other("none"), "proxy_ssl_certificate",
        "A PEM file with the proxy's own certificate, for peers that ask, and then those that lead to its authority.";
    TLS_KEY = "key" in [UpstreamTls]: Text, Other("none; required with `certificate`"), "proxy_ssl_certificate_key",
        "A PEM file with the key of `certificate`, not encrypted.";
    TLS_VERSIONS = "versions" in [UpstreamTls]: Texts, L(d::TLS_VERSIONS), "proxy_ssl_protocols",
        "The versions of TLS that may be spoken.";

    UPSTREAM_PROXY_PROTOCOL = "proxy_protocol" in [Upstream]: Choice { now: &["v1", "v2"], later: &[] }, Other("none"),
        "proxy_protocol",
        "Begins each connection to a peer with a PROXY protocol header of this version, before TLS, that says who the \
         client is; such connections serve one client each and are not kept. The proxy's own requests speak for \
         themselves (`UNKNOWN`, `LOCAL`).";
    PEER_ADDRESS = "address" in [Peer]: Text, Required, "server",
        "`HOST:PORT` or `unix:PATH`; with `service`, `HOST` alone. A name is as many peers as it has addresses.";
    RESOLVE = "resolve" in [Peer]: Choice { now: &["ttl", "lazy", "once"], later: &[] }, S(d::RESOLVE),
        "server … resolve",
        "When a name is looked up: `ttl` at the start, which fails without an answer, and again when an answer's time \
         is over; `lazy` likewise, but nothing waits for the first answer; `once` only when the configuration is \
         taken into use.";
    SERVICE = "service" in [Peer]: Text, Other("none"), "server … service=",
        "Looks for SRV records: `\"http\"` for `_http._tcp.HOST`, or a name with a dot such as `\"_ws._tcp\"` as it is, \
         put before `HOST`. They say the port, the weight where the peer has none, and which ones are backups.";
    WEIGHT = "weight" in [Peer]: Count { least: 1, most: d::MOST_WEIGHT }, N(d::WEIGHT), "server … weight=",
        "Its share of the requests.";
    TAGS = "tags" in [Peer]: TextMap, Other("`{}`"), "",
        "What plugins that balance are told of it, such as `{ zone = \"eu\" }`.";
    DOWN = "down" in [Peer]: Flag, B(false), "server … down", "Takes it out of use.";
    BACKUP = "backup" in [Peer]: Flag, B(false), "server … backup",
        "Serves only where no other peer can.";
    DRAIN = "drain" in [Peer]: Flag, B(false), "server … drain",
        "Serves only those that are stuck to it; its tunnels go on.";
    MAX_FAILS = "max_fails" in [Peer]: Count { least: 0, most: d::MOST_LIMIT }, N(d::MAX_FAILS as u64),
        "server … max_fails=",
        "Failures that take it out of use for `fail_timeout`: no connection, no answer in time, or none that is \
         valid. One request then tries it, and its answer brings it back. 0: failures never do; nor do they where an \
         upstream has one peer.";
    FAIL_TIMEOUT = "fail_timeout" in [Peer]: WAIT_OR_NOT, T(d::FAIL_TIMEOUT), "server … fail_timeout=",
        "For how long `max_fails` failures take it out, and after how long without one an answer lets them be \
         forgotten.";
    MAX_CONNS = "max_conns" in [Peer]: Count { least: 0, most: d::MOST_LIMIT }, N(0), "server … max_conns=",
        "Requests and tunnels that it serves at once, over all workers. 0: no limit.";
    PEER_ROUTE = "route" in [Peer]: Text, Other("none"), "server … route=",
        "What stands for it in sticky sessions, in place of its address.";
    SLOW_START = "slow_start" in [Peer]: WAIT_OR_NOT, T(d::SLOW_START), "server … slow_start=",
        "How long its share of new requests and tunnels grows from nothing to what its weight promises, when it is \
         added to peers that serve already or serves again. 0: at once.";
}

/// Every key of this file.
pub(super) fn upstream_keys() -> &'static [&'static Key] {
    PART
}
