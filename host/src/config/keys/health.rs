//! The keys of an upstream's `health`.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Duration as T, Flag as B, Other, Size as Z, Text as S, Texts as L};
use super::super::key::Key;
use super::super::key::Kind::{AnyText, Choice, Count, Flag, Size, Text, TextMap, Texts};
use super::super::key::Section::Health;
use super::{PROTOCOLS, WAIT, WAIT_OR_NOT};

keys! {
    HEALTH_KIND = "kind" in [Health]: Choice { now: &["http", "websocket", "tcp"], later: &[] }, S(d::HEALTH_KIND),
        "health_check … type=",
        "How a peer is asked: `\"http\"` by a request, `\"websocket\"` by a handshake of its own that is then closed \
         with 1000, `\"tcp\"` by a connection and, where they are there, `send`, `contains` and `matches`.";
    HEALTH_PATH = "path" in [Health]: Text, S(d::HEALTH_PATH), "health_check … uri=",
        "The path, and query, that is asked for; not for `tcp`.";
    HEALTH_METHOD = "method" in [Health]: Text, S(d::HEALTH_METHOD), "", "The request's method; for `http`.";
    HEALTH_HOST = "host" in [Health]: Text, Other("the upstream's name"), "", "The request's `Host`; not for `tcp`.";
    HEALTH_HEADERS = "headers" in [Health]: TextMap, Other("`{}`"), "", "More headers of the request; not for `tcp`.";
    HEALTH_STATUSES = "statuses" in [Health]: Texts, L(d::HEALTH_STATUSES), "match … status",
        "The statuses of a healthy peer, one by one or in ranges such as `\"200-299\"`; for `http`.";
    HEALTH_CONTAINS = "contains" in [Health]: Text, Other("anything"), "",
        "A text that the body, or with `tcp` what the peer sends, must have.";
    HEALTH_MATCHES = "matches" in [Health]: Text, Other("anything"), "match … body ~",
        "A regular expression that must match there.";
    HEALTH_MAX_BODY = "max_body" in [Health]: Size { least: 1, most: d::MOST_HEALTH_BODY }, Z(d::HEALTH_BODY), "",
        "How much of the body is read for `contains` and `matches`.";
    HEALTH_SEND = "send" in [Health]: AnyText, Other("nothing"), "match … send", "What is sent; for `tcp`.";
    HEALTH_SUBPROTOCOL = "subprotocol" in [Health]: Text, Other("none"), "",
        "The `Sec-WebSocket-Protocol` that is offered, and that the peer must choose; for `websocket`.";
    HEALTH_ORIGIN = "origin" in [Health]: Text, Other("none"), "", "The `Origin` of the handshake; for `websocket`.";
    HEALTH_INTERVAL = "interval" in [Health]: WAIT, T(d::HEALTH_INTERVAL), "health_check … interval=",
        "The time from the end of a check to the next.";
    HEALTH_JITTER = "jitter" in [Health]: WAIT_OR_NOT, Other("a tenth of `interval`"), "health_check … jitter=",
        "Up to so much is added to each interval by chance, so that checks do not come all at once.";
    HEALTH_TIMEOUT = "timeout" in [Health]: WAIT, T(d::HEALTH_TIMEOUT), "",
        "How long a whole check may take, from connecting on.";
    HEALTH_FAILS = "fails" in [Health]: Count { least: 1, most: d::MOST_LIMIT }, N(d::HEALTH_FAILS as u64),
        "health_check … fails=",
        "Failed checks in a row that make a peer unhealthy.";
    HEALTH_PASSES = "passes" in [Health]: Count { least: 1, most: d::MOST_LIMIT }, N(d::HEALTH_PASSES as u64),
        "health_check … passes=",
        "Passed checks in a row that make it healthy again.";
    HEALTH_PORT = "port" in [Health]: Count { least: 1, most: 65_535 }, Other("the peer's"), "health_check … port=",
        "The port that is checked.";
    HEALTH_PROTOCOL = "protocol" in [Health]: PROTOCOLS, Other("the upstream's"), "",
        "The version of HTTP, as `protocol` of an upstream. A WebSocket check of a peer of HTTP/2 that takes no \
         tunnels (RFC 8441) goes over HTTP/1.1, as those of clients do; `tcp` only offers it in the TLS handshake.";
    HEALTH_MANDATORY = "mandatory" in [Health]: Flag, B(false), "health_check … mandatory",
        "Whether a peer is used only after its first passed check. What is known of a peer goes on over reloads.";
    ON_UNHEALTHY = "on_unhealthy" in [Health]: Choice { now: &["keep", "drain", "close"], later: &[] },
        S(d::ON_UNHEALTHY), "",
        "What becomes of the open tunnels of a peer that turns unhealthy: they go on, end after `drain` unless the \
         peer has become healthy by then, or end at once, without a close frame \
         in either case. Tunnels that were opened under `\"keep\"` are kept.";
    HEALTH_DRAIN = "drain" in [Health]: WAIT, T(d::HEALTH_DRAIN), "",
        "How long such tunnels may go on; with `on_unhealthy = \"drain\"`.";
}

/// Every key of this file.
pub(super) fn health_keys() -> &'static [&'static Key] {
    PART
}
