//! The keys of upstreams and of their peers.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Duration as T, Flag as B, Other, Required, Text as S};
use super::super::key::Key;
use super::super::key::Kind;
use super::super::key::Kind::{Choice, Count, Flag, Later, Text, TextsOrTables};
use super::super::key::Section::{Peer, Upstream};
use super::WAIT;

const POLICIES: Kind =
    Choice { now: &["round-robin"], later: &["least-conn", "ip-hash", "hash", "random", "least-time"] };

const PROTOCOLS: Kind = Choice { now: &["h1", "h2", "auto"], later: &[] };

keys! {
    POLICY = "policy" in [Upstream]: POLICIES, S(d::POLICY), "least_conn, ip_hash, hash, random",
        "How a peer is chosen for a request.";
    KEEPALIVE = "keepalive" in [Upstream]: Count { least: 0, most: d::MOST_KEEPALIVE },
        N(d::UPSTREAM_KEEPALIVE), "keepalive",
        "Idle connections that each worker keeps for each peer.";
    UPSTREAM_KEEPALIVE_TIMEOUT = "keepalive_timeout" in [Upstream]: WAIT, T(d::UPSTREAM_KEEPALIVE_TIMEOUT),
        "keepalive_timeout",
        "How long an idle connection is kept.";
    PROTOCOL = "protocol" in [Upstream]: PROTOCOLS, S(d::PROTOCOL), "proxy_http_version",
        "Which version of HTTP peers are asked in: `h1` for HTTP/1.1; `h2` for HTTP/2, with prior knowledge where there \
         is no TLS; `auto` for what a peer chooses in the TLS handshake, and HTTP/1.1 without TLS. WebSockets go over \
         HTTP/2 where the peer offers that (RFC 8441), else over an HTTP/1.1 connection of their own.";
    PING = "ping" in [Upstream]: WAIT, T(d::PING), "",
        "With HTTP/2: how long a peer may be silent about what it was sent before a PING asks it for a sign of life; \
         after as long again its connection is given up.";
    PEERS = "peers" in [Upstream]: TextsOrTables(Peer), Required, "server",
        "The backends; a string is a peer's address alone.";
    UPSTREAM_TLS = "tls" in [Upstream]: Later, Other("off"), "proxy_ssl_verify, proxy_ssl_name", "TLS towards peers.";
    HEALTH = "health" in [Upstream]: Later, Other("off"), "health_check", "Active health checks.";
    HASH = "hash" in [Upstream]: Later, Other("none"), "", "The key of the policy `hash`.";

    PEER_ADDRESS = "address" in [Peer]: Text, Required, "server",
        "`HOST:PORT`; a name is resolved when the file is read, and its first address is used, an IPv4 one before \
         others.";
    WEIGHT = "weight" in [Peer]: Count { least: 1, most: d::MOST_WEIGHT }, N(d::WEIGHT), "server … weight=",
        "Its share of the requests.";
    DOWN = "down" in [Peer]: Flag, B(false), "server … down", "Takes it out of use.";
    BACKUP = "backup" in [Peer]: Later, Other("`false`"), "backup", "A peer that is used only where the others fail.";
    MAX_FAILS = "max_fails" in [Peer]: Later, Other("none"), "max_fails", "Passive health checks.";
    FAIL_TIMEOUT = "fail_timeout" in [Peer]: Later, Other("none"), "fail_timeout", "Passive health checks.";
    MAX_CONNS = "max_conns" in [Peer]: Later, Other("none"), "max_conns", "A limit of connections.";
}

/// Every key of this file.
pub(super) fn upstream_keys() -> &'static [&'static Key] {
    PART
}
