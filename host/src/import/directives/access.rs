//! Who may come, and who somebody is.

use super::super::convert::{access, top};
use super::{Contexts, HSL, LI, Module, To, exact, near};

const ACCESS: Contexts = HSL.and(Contexts::LIMIT_EXCEPT);

pub(super) const MODULES: &[Module] = &[
    Module {
        name: "http_access",
        entries: &[
            exact("allow", ACCESS, "`access`", To::Route(access::access)),
            near("deny", ACCESS, "`access`", To::Route(access::access), "no `unix:`"),
        ],
    },
    Module {
        name: "http_auth_basic",
        entries: &[
            near("auth_basic", ACCESS, "`auth_basic.realm`", To::Route(access::auth_basic), "without variables"),
            near(
                "auth_basic_user_file",
                ACCESS,
                "`auth_basic.users`",
                To::Structure,
                "bcrypt, `{SHA}`, `$apr1$` and `{PLAIN}`: hashes of the system's crypt() are refused",
            ),
        ],
    },
    Module {
        name: "http_auth_request",
        entries: &[
            near(
                "auth_request",
                HSL,
                "`auth_request`",
                To::Route(access::auth_request),
                "the location must pass to an upstream: what it says besides `proxy_pass` and `proxy_set_header` is left out",
            ),
            near(
                "auth_request_set",
                HSL.and(LI),
                "`auth_request.variables`",
                To::Structure,
                "from headers of the answer only (`$upstream_http_NAME`)",
            ),
        ],
    },
    Module {
        name: "http_realip",
        entries: &[
            near(
                "real_ip_header",
                HSL,
                "`real_ip.header`, `listeners.proxy_protocol`",
                To::Top(top::real_ip),
                "one for the process",
            ),
            near("real_ip_recursive", HSL, "`real_ip.recursive`", To::Structure, "one for the process"),
            near(
                "set_real_ip_from",
                HSL,
                "`real_ip.trusted`, `proxy_protocol.from`",
                To::Top(top::real_ip),
                "one list for the process; no `unix:`, no names",
            ),
        ],
    },
];
