//! `limit_req` and `limit_conn`.

use super::super::convert::limits;
use super::{H, HSL, Module, To, exact, lacking, near};

pub(super) const MODULES: &[Module] = &[
    Module {
        name: "http_limit_req",
        entries: &[
            exact("limit_req", HSL, "`limits.rate`", To::Route(limits::limit_req)),
            exact("limit_req_dry_run", HSL, "`limits.rate_dry_run`", To::Flag("limits.rate_dry_run")),
            near(
                "limit_req_log_level",
                HSL,
                "`limits.rate_log_level`",
                To::Route(limits::rate_level),
                "`notice` is `info`",
            ),
            exact("limit_req_status", HSL, "`limits.rate_status`", To::Count("limits.rate_status")),
            near(
                "limit_req_zone",
                H,
                "`limits`",
                To::Structure,
                "a full zone forgets the key whose bucket is empty soonest; without `sync`",
            ),
        ],
    },
    Module {
        name: "http_limit_conn",
        entries: &[
            exact("limit_conn", HSL, "`limits.concurrent`", To::Route(limits::limit_conn)),
            exact("limit_conn_dry_run", HSL, "`limits.concurrent_dry_run`", To::Flag("limits.concurrent_dry_run")),
            near(
                "limit_conn_log_level",
                HSL,
                "`limits.concurrent_log_level`",
                To::Route(limits::open_level),
                "`notice` is `info`",
            ),
            exact("limit_conn_status", HSL, "`limits.concurrent_status`", To::Count("limits.concurrent_status")),
            exact("limit_conn_zone", H, "`limits`", To::Structure),
            lacking("limit_zone", H, "nginx has taken it out", "write `limit_conn_zone`"),
        ],
    },
];
