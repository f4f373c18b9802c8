//! The keys of streams: connections that are passed on as they are.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Duration as T, Flag as B, Other, Required};
use super::super::key::Key;
use super::super::key::Kind::{Count, Flag, Tables, TablesOrFalse, Text, Texts, TextsOrTables};
use super::super::key::Section::{AccessLog, Listener, OpenRule, Stream, Top};
use super::{WAIT, WAIT_OR_NOT};

keys! {
    STREAMS = "streams" in [Top]: Tables(Stream), Other("none"), "stream",
        "Connections that are passed on as they are: TLS by the name that clients ask for, and plain TCP.";

    PREREAD_TIMEOUT = "preread_timeout" in [Listener]: WAIT, T(d::PREREAD_TIMEOUT), "preread_timeout",
        "Where streams go by the name that TLS clients ask for, how long a client may take to say it; with `tls`, \
         `handshake_timeout` counts.";

    STREAM_NAME = "name" in [Stream]: Text, Other("the first of `names`, else the upstream's"), "",
        "The stream's name in logs and metrics; unique.";
    STREAM_LISTEN = "listen" in [Stream]: Texts, Other("all listeners"), "listen",
        "The listeners that the stream is at, by their addresses.";
    STREAM_NAMES = "names" in [Stream]: Texts, Other("`[]`"), "map $ssl_preread_server_name",
        "The names that TLS clients ask for, as those of sites: their connections are passed on without being \
         terminated. Names of streams and of sites with TLS at one listener are chosen among together.";
    STREAM_ALPN = "alpn" in [Stream]: Texts, Other("`[]`"), "map $ssl_preread_alpn_protocols",
        "Application protocols, one of which a TLS client must offer (ALPN), such as `\"acme-tls/1\"`; with `names`, \
         both must fit. Streams with it are looked at before names, in order.";
    STREAM_DEFAULT = "default" in [Stream]: Flag, B(false), "map … default",
        "Takes the TLS connections whose name no other stream and no site with TLS has, and those that say none.";
    STREAM_PREREAD = "preread" in [Stream]: Flag, B(false), "ssl_preread",
        "Waits for a TLS client's first message also where nothing is chosen by it, for the variables `$ssl_preread_…`. \
         Not for protocols where the server speaks first.";
    STREAM_UPSTREAM = "upstream" in [Stream]: Text, Required, "proxy_pass",
        "Where connections go: the name of an upstream, `HOST:PORT` or `unix:PATH`. What the upstream says of policy, \
         health, `tls`, `bind` and `proxy_protocol` holds; `sticky` and `balancer` need requests.";
    STREAM_CONNECT_TIMEOUT = "connect_timeout" in [Stream]: WAIT, T(d::CONNECT_TIMEOUT), "proxy_connect_timeout",
        "How long connecting to a peer may take.";
    STREAM_IDLE_TIMEOUT = "idle_timeout" in [Stream]: WAIT, T(d::STREAM_IDLE_TIMEOUT), "proxy_timeout",
        "How long neither side may send anything.";
    STREAM_HALF_CLOSE = "half_close" in [Stream]: Flag, B(false), "proxy_half_close",
        "When one side ends, keeps the other direction open.";
    STREAM_NEXT = "next_upstream" in [Stream]: Flag, B(true), "proxy_next_upstream",
        "Whether the next peer is tried where one cannot be connected to.";
    STREAM_NEXT_TRIES = "next_upstream_tries" in [Stream]: Count { least: 0, most: d::MOST_LIMIT }, N(0),
        "proxy_next_upstream_tries",
        "How many peers may be tried. 0: all of them.";
    STREAM_NEXT_TIMEOUT = "next_upstream_timeout" in [Stream]: WAIT_OR_NOT, T(std::time::Duration::ZERO),
        "proxy_next_upstream_timeout",
        "For how long after the first peer was tried another one may be. 0s: no limit.";
    STREAM_ACCESS = "access" in [Stream]: Texts, Other("not checked"), "allow, deny",
        "Who may connect by address: `allow` or `deny` and an address, a range, or `all`; the first that fits decides, \
         and where none does a client may. Others are closed (`$status` 403).";
    STREAM_CONCURRENT = "concurrent" in [Stream]: TextsOrTables(OpenRule), Other("none"), "limit_conn",
        "Zones of `[limits]` whose numbers of open connections hold, as `total` or `tunnels`; one more is closed \
         (`$status` 503).";
    STREAM_MAX_CONNECTIONS = "max_connections" in [Stream]: Count { least: 0, most: d::MOST_LIMIT }, N(0), "",
        "Connections that the stream has open at once, over all workers; one more is closed (`$status` 503). 0: no limit.";
    STREAM_LOG = "access_log" in [Stream]: TablesOrFalse(AccessLog), Other("off"), "access_log",
        "One line per connection, in the format `stream` unless it says another; that of the top level is for requests.";
}

/// Every key of this file.
pub(super) fn stream_keys() -> &'static [&'static Key] {
    PART
}
