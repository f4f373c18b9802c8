//! The keys of what happens where a peer fails.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Duration as T, Other, Size as Z, Texts as L};
use super::super::key::Key;
use super::super::key::Kind::{Count, Duration, Size, Table, Texts};
use super::super::key::Section::{Admission, Breaker, Route, Site, Upstream};
use super::{CAP, REFUSALS, WAIT, WAIT_OR_NOT};

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

    BREAKER = "breaker" in [Upstream]: Table(Breaker), Other("none"), "",
        "A breaker for each peer; `{}` for one with the defaults.";
    BREAKER_FAILURES = "failures" in [Breaker]: Count { least: 1, most: 100 }, N(d::BREAKER_FAILURES), "",
        "The part of what a peer was asked that must fail, in percent.";
    BREAKER_REQUESTS = "requests" in [Breaker]: Count { least: 1, most: d::MOST_BREAKER_REQUESTS },
        N(d::BREAKER_REQUESTS), "",
        "The least number of requests within the window that says anything.";
    BREAKER_WINDOW = "window" in [Breaker]: WAIT, T(d::BREAKER_WINDOW), "", "How long what a peer was asked counts.";
    BREAKER_OPEN = "open" in [Breaker]: WAIT, T(d::BREAKER_OPEN), "", "How long requests are kept away.";

    ADMISSION = "admission" in [Upstream]: Table(Admission), Other("no limits"), "",
        "How many handshakes or requests the upstream is given at once.";
    ADMISSION_HANDSHAKES = "handshakes" in [Admission]: CAP, Other("no limit"), "",
        "Requests for a tunnel; once it is open it does not count.";
    ADMISSION_REQUESTS = "requests" in [Admission]: CAP, Other("no limit"), "", "All other requests.";
    ADMISSION_QUEUE = "queue" in [Admission]: REFUSALS, N(d::ADMISSION_QUEUE), "",
        "How many of each kind may wait for a place.";
    ADMISSION_WAIT = "wait" in [Admission]: WAIT, T(d::ADMISSION_WAIT), "", "How long one may wait.";
    RETRY_AFTER = "retry_after" in [Admission]: Duration { least: d::LEAST_RETRY_AFTER, most: d::MOST_TIME },
        T(d::RETRY_AFTER), "",
        "What `Retry-After` says at least, in whole seconds; each client is told a time by chance between this and twice \
         as long, so that those who came together do not come back together.";
}

/// Every key of this file.
pub(super) fn retry_keys() -> &'static [&'static Key] {
    PART
}
