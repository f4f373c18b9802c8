//! `upstream` and the policies in it.

use super::{H, L, Module, To, U, exact, ignored, lacking, near};

pub(super) const MODULES: &[Module] = &[Module {
    name: "http_upstream",
    entries: &[
        near("hash", U, "`policy`, `hash`", To::Structure, "the same peer as nginx"),
        near(
            "health_check",
            L,
            "`upstreams.health`",
            To::Structure,
            "of the upstream, not of the location; without `match` and `persistent`",
        ),
        exact("ip_hash", U, "`policy`", To::Structure),
        near("keepalive", U, "`upstreams.keepalive`", To::Structure, "counted for each peer and worker"),
        exact("keepalive_requests", U, "`upstreams.keepalive_requests`", To::Structure),
        exact("keepalive_time", U, "`upstreams.keepalive_time`", To::Structure),
        exact("keepalive_timeout", U, "`upstreams.keepalive_timeout`", To::Structure),
        exact("least_conn", U, "`policy`", To::Structure),
        near("least_time", U, "`policy`, `least_time`", To::Structure, "without `inflight`"),
        lacking(
            "match",
            H,
            "conditions of health checks are keys of the upstream's `health`",
            "write `statuses`, `contains` and `matches` there",
        ),
        lacking("ntlm", U, "connections are not bound to a user", "leave it out"),
        lacking(
            "queue",
            U,
            "requests do not wait for a peer by upstream",
            "write `admission` with `queue` for the upstream",
        ),
        exact("random", U, "`policy`", To::Structure),
        near(
            "server",
            U,
            "`peers`",
            To::Structure,
            "a name is followed as its answers change, in nginx only with `resolve`",
        ),
        lacking("state", U, "peers are those that the configuration names", "leave it out"),
        near(
            "sticky",
            U,
            "`sticky`",
            To::Structure,
            "`route` and `learn` only: the cookie of `cookie` needs a secret of your own",
        ),
        lacking("sticky_cookie_insert", U, "obsolete in nginx", "write `sticky` for the upstream"),
        exact("upstream", H, "`upstreams`", To::Structure),
        ignored("zone", U, "workers are threads of one process and share what they must"),
    ],
}];
