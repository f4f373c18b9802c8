//! The keys that say how a peer is chosen.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Duration as T, Flag as B, Other, Required, Text as S};
use super::super::key::Key;
use super::super::key::Kind;
use super::super::key::Kind::{Choice, Count, Flag, Secret, Table, Text, Texts};
use super::super::key::Section::{Hash, Sticky, Upstream};
use super::WAIT;

const POLICIES: Kind =
    Choice { now: &["round-robin", "least-conn", "ip-hash", "hash", "random", "random-two", "least-time"], later: &[] };

keys! {
    POLICY = "policy" in [Upstream]: POLICIES, S(d::POLICY), "least_conn, ip_hash, random",
        "How a peer is chosen for a request or tunnel, always by weight: `round-robin` in turn; `least-conn` the one \
         that serves the fewest requests and tunnels; `ip-hash` by the client's network (the first three octets of \
         IPv4, all of IPv6) and `hash` by a key, always the same one; `random` by chance; `random-two` the less busy \
         of two by chance; `least-time` the one that is likely to answer first.";
    HASH = "hash" in [Upstream]: Table(Hash), Other("none"), "hash", "The key of the policy `hash`.";
    LEAST_TIME = "least_time" in [Upstream]: Choice { now: &["header", "last-byte"], later: &[] }, S(d::LEAST_TIME_UNTIL),
        "least_time",
        "What the policy `least-time` goes by: the moving average of the time until an answer's head, or until its \
         last byte; of a tunnel, until its 101.";

    STICKY = "sticky" in [Upstream]: Table(Sticky), Other("none"), "sticky",
        "How the requests of a session find their peer again.";
    STICKY_COOKIE = "cookie" in [Sticky]: Text, Other("none"), "sticky cookie",
        "The name of a cookie that every answer sets, also that which opens a tunnel; its value stands for the peer \
         and cannot be made without `secret`.";
    STICKY_SECRET = "secret" in [Sticky]: Secret, Other("required with `cookie`"), "",
        "What cookies are made with (HMAC-SHA-256): at least 16 characters that nobody knows, the same in all proxies \
         that share clients.";
    STICKY_EXPIRES = "expires" in [Sticky]: WAIT, Other("when the client ends"), "sticky cookie … expires=",
        "How long a client keeps the cookie.";
    STICKY_DOMAIN = "domain" in [Sticky]: Text, Other("the host that was asked"), "sticky cookie … domain=",
        "The domain of the cookie, with variables in it.";
    STICKY_PATH = "path" in [Sticky]: Text, Other("the folder that was asked for"), "sticky cookie … path=",
        "The path of the cookie.";
    STICKY_HTTP_ONLY = "http_only" in [Sticky]: Flag, B(false), "sticky cookie … httponly",
        "Whether scripts cannot read the cookie.";
    STICKY_SECURE = "secure" in [Sticky]: Flag, B(false), "sticky cookie … secure",
        "Whether the cookie is sent over TLS only.";
    STICKY_SAME_SITE = "same_site" in [Sticky]: Choice { now: &["strict", "lax", "none"], later: &[] },
        Other("the client's own"), "sticky cookie … samesite=",
        "Whether other sites' requests have the cookie.";
    STICKY_ROUTE = "route" in [Sticky]: Texts, Other("none"), "sticky route",
        "Texts with variables, the first of which that has a value is the `route` of a peer.";
    STICKY_CREATE = "create" in [Sticky]: Texts, Other("none"), "sticky learn … create=",
        "Texts with variables, `$upstream_cookie_NAME` and `$upstream_http_NAME` of the answer among them: the first \
         that has a value names a session that begins.";
    STICKY_LOOKUP = "lookup" in [Sticky]: Texts, Other("none"), "sticky learn … lookup=",
        "The same of a request: the session that it belongs to.";
    STICKY_SESSIONS = "sessions" in [Sticky]: Count { least: 1, most: d::MOST_SESSIONS }, N(d::SESSIONS),
        "sticky learn … zone=",
        "The most sessions that are kept, about 100 bytes each; beyond that the one that was asked for longest ago is \
         forgotten.";
    STICKY_TIMEOUT = "timeout" in [Sticky]: WAIT, T(d::SESSION_TIMEOUT), "sticky learn … timeout=",
        "A session that no request came for in this time is forgotten.";

    HASH_KEY = "key" in [Hash]: Text, Required, "hash",
        "What is hashed, with variables in it, such as `$uri`.";
    CONSISTENT = "consistent" in [Hash]: Flag, B(false), "hash … consistent",
        "Whether a peer that comes or goes moves only its own share of the keys (ketama), or most of them.";
}

/// Every key of this file.
pub(super) fn balance_keys() -> &'static [&'static Key] {
    PART
}
