//! The keys that move clients to https and tell browsers what to refuse.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Other};
use super::super::key::Key;
use super::super::key::Kind::{Count, TableOrFlag, TextMapOrFlag};
use super::super::key::Section::{RedirectHttps, Route, Site};

keys! {
    SECURITY_HEADERS = "security_headers" in [Site, Route]: TextMapOrFlag, Other("`false`"), "",
        "Headers that protect browsers, on every answer that does not have them: `Strict-Transport-Security: \
         max-age=31536000; includeSubDomains` (over TLS only), `X-Frame-Options: SAMEORIGIN`, `X-Content-Type-Options: \
         nosniff` and `X-XSS-Protection: 1; mode=block`. A table changes single values (an empty one leaves the header \
         out) and adds others, such as `Content-Security-Policy`; a route's goes on top of the site's. What an upstream \
         says itself stays; a rule of the other keys for a name takes its place here (stock plugin security-headers).";
    REDIRECT_HTTPS = "redirect_https" in [Site, Route]: TableOrFlag(RedirectHttps), Other("`false`"), "",
        "Sends clients that came without TLS to https: the same host, path and query; plain HTTP on a port with TLS, too \
         (nginx's 497). `false` on a route lets its paths be asked for without TLS.";
    HTTPS_STATUS = "status" in [RedirectHttps]: Count { least: 301, most: 308 }, N(d::REDIRECT_HTTPS_STATUS), "return",
        "301, 302, 307 or 308; with the last two clients keep method and body.";
    HTTPS_PORT = "port" in [RedirectHttps]: Count { least: 1, most: d::MOST_PORT },
        Other("443 if a listener of the site's has TLS there, else the port of the first that has TLS"), "",
        "The port that clients are sent to.";
}

/// Every key of this file.
pub(super) fn secure_keys() -> &'static [&'static Key] {
    PART
}
