//! The keys of `cors`, `auth_basic` and `auth_request`.

use super::super::defaults as d;
use super::super::key::Default::{Duration as T, Flag as B, Other, Required, Texts as L};
use super::super::key::Key;
use super::super::key::Kind::{Duration, Flag, Secret, Text, TextMap, Texts};
use super::super::key::Section::{AuthBasic, AuthRequest, Cors};
use super::WAIT_OR_NOT;

keys! {
    CORS_ORIGINS = "origins" in [Cors]: Texts, Required, "",
        "The origins whose pages may read: as in `origins` of a route.";
    CORS_METHODS = "methods" in [Cors]: Texts, L(d::CORS_METHODS), "",
        "The methods that they may use; `\"*\"` for all.";
    CORS_HEADERS = "headers" in [Cors]: Texts, Other("`[]`"), "",
        "The request headers that they may set; `\"*\"` for all.";
    CORS_EXPOSE = "expose" in [Cors]: Texts, Other("`[]`"), "",
        "The response headers that they may read; `\"*\"` for all, not with `credentials`.";
    CORS_MAX_AGE = "max_age" in [Cors]: WAIT_OR_NOT, Other("the browser's own, 5s"), "",
        "How long a browser may keep the answer to a preflight.";
    CORS_CREDENTIALS = "credentials" in [Cors]: Flag, B(false), "",
        "Whether they may use cookies and passwords; not with `*` or `null` among `origins`.";

    REALM = "realm" in [AuthBasic]: Text, Required, "auth_basic", "The name that browsers show when they ask.";
    USERS = "users" in [AuthBasic]: Secret, Required, "auth_basic_user_file",
        "The users, as an htpasswd file has them: bcrypt, `{SHA}`, `$apr1$` or `{PLAIN}`.";

    AUTH_UPSTREAM = "upstream" in [AuthRequest]: Text, Required, "",
        "Who is asked: an upstream's name or an address, as in `upstream` of a route.";
    AUTH_PATH = "path" in [AuthRequest]: Text, Required, "auth_request", "The path, and query, that is asked for.";
    AUTH_TIMEOUT = "timeout" in [AuthRequest]: Duration { least: d::LEAST_TIME, most: d::MOST_AUTH_REQUEST_TIMEOUT },
        T(d::AUTH_REQUEST_TIMEOUT), "",
        "How long the answer may take; after that the request is answered with 500.";
    AUTH_SET_HEADERS = "set_headers" in [AuthRequest]: TextMap,
        Other("the recommended four, `X-Original-URI` and `X-Original-Method`"), "",
        "Headers of the question, with variables, on top of these and of the client's; an empty value removes.";
    AUTH_VARIABLES = "variables" in [AuthRequest]: TextMap, Other("`{}`"), "auth_request_set",
        "Variables that get the value of a header of the answer that lets the request pass: `{ user = \"X-User\" }`.";
    AUTH_COPY_HEADERS = "copy_headers" in [AuthRequest]: Texts, Other("`[]`"), "",
        "Headers of that answer that the upstream of the route sees; the client's own of that name never pass.";
    AUTH_DENY_HEADERS = "deny_headers" in [AuthRequest]: Texts, Other("`[]`"), "",
        "Headers of an answer that refuses that the client sees, such as `Set-Cookie`; `WWW-Authenticate` of a 401 \
         always is.";
}

/// Every key of this file.
pub(super) fn auth_keys() -> &'static [&'static Key] {
    PART
}
