//! The keys of what happens where a peer fails.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Duration as T, Size as Z, Texts as L};
use super::super::key::Key;
use super::super::key::Kind::{Count, Size, Texts};
use super::super::key::Section::{Route, Site};
use super::WAIT_OR_NOT;

keys! {
    NEXT_UPSTREAM = "next_upstream" in [Site, Route]: Texts, L(d::NEXT_UPSTREAM), "proxy_next_upstream",
        "After what a request goes to another peer, before a byte of an answer has gone to the client: `error`, \
         `timeout`, `invalid_header`, `http_500`, `http_502`, `http_503`, `http_504`, `http_403`, `http_404`, \
         `http_429`; `[]` or `off` for never. Where a peer may have seen a request that is not idempotent (all but GET, \
         HEAD, OPTIONS, TRACE, PUT, DELETE), only with `non_idempotent`. No peer is asked twice for one request.";
    NEXT_TRIES = "next_upstream_tries" in [Site, Route]: Count { least: 0, most: d::MOST_LIMIT }, N(0),
        "proxy_next_upstream_tries",
        "How many peers may be asked for one request. 0: all of them.";
    NEXT_TIMEOUT = "next_upstream_timeout" in [Site, Route]: WAIT_OR_NOT, T(std::time::Duration::ZERO),
        "proxy_next_upstream_timeout",
        "For how long after the first peer was asked another one may be; it does not end a try. 0s: no limit.";
    NEXT_BODY = "next_upstream_body" in [Site, Route]: Size { least: 0, most: d::MOST_BUFFER }, Z(d::NEXT_BODY), "",
        "How much of a body that streams is kept while it goes to a peer, so that another can be sent it too; once more \
         of it has gone out, the request stays with its peer. Nothing is kept of a body that is known to be longer, or \
         of a request that may not be sent twice; one that `buffer_requests` holds is all there.";
}

/// Every key of this file.
pub(super) fn retry_keys() -> &'static [&'static Key] {
    PART
}
