//! The request that the running hook is about. Each call crosses into the host and
//! costs about 0.2 µs, so read what you need and no more.

use std::net::SocketAddr;

use crate::Field;
#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::tidegate::plugin::request as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::request as host;

/// The method, as sent: `GET`.
pub fn method() -> String {
    host::method()
}

/// The request target as the client sent it: `/a%20b?x=1`. nginx: `$request_uri`.
pub fn path_with_query() -> String {
    host::path_with_query()
}

/// The path by which routes are matched: percent-decoded, with `.`, `..` and repeated
/// slashes resolved, without the query. A decoded byte that is not UTF-8 stays as
/// `%XX`. nginx: `$uri`.
pub fn path() -> String {
    host::path()
}

/// What follows the `?`; none where there is no `?`. nginx: `$args`.
pub fn query() -> Option<String> {
    host::query()
}

/// The Host header as sent, with the port if there is one; empty where there is none.
pub fn authority() -> String {
    host::authority()
}

/// The host name alone, in lower case. nginx: `$host`.
pub fn host() -> String {
    host::host()
}

/// `http` or `https`. nginx: `$scheme`.
pub fn scheme() -> String {
    host::scheme()
}

/// Whether this is a checked WebSocket handshake.
pub fn is_websocket() -> bool {
    host::is_websocket()
}

/// The first value of a header, its raw bytes; the name in any case.
pub fn header(name: &str) -> Option<Vec<u8>> {
    host::get(name)
}

/// The first value of a header as text; none where it is not UTF-8 too.
pub fn header_text(name: &str) -> Option<String> {
    String::from_utf8(host::get(name)?).ok()
}

/// All values of a header, in order.
pub fn header_all(name: &str) -> Vec<Vec<u8>> {
    host::get_all(name)
}

/// Whether a header is there.
pub fn has_header(name: &str) -> bool {
    host::has(name)
}

/// Every header line, in order: the expensive way.
pub fn headers() -> Vec<Field> {
    host::entries()
}

/// The client's end of the connection.
pub fn client() -> SocketAddr {
    host::client().into()
}

/// The proxy's end of the connection.
pub fn local() -> SocketAddr {
    host::local().into()
}

/// A variable by nginx's name without the `$` (`remote_addr`, `http_NAME`, `arg_NAME`,
/// `cookie_NAME`, `request_id` …), or one that an earlier hook set. None for an unknown
/// name or a value that is not there.
pub fn variable(name: &str) -> Option<String> {
    host::variable(name)
}

/// Scheme, host and port as the client reached them: what stands before a path in an
/// absolute URL. `host` takes the place of the request's; `with_port` adds the listener's
/// port where it is not the scheme's. nginx: `server_name_in_redirect`, `port_in_redirect`.
pub fn base_url(host: Option<&str>, with_port: bool) -> String {
    let scheme = scheme();
    let mut host = host.map_or_else(self::host, str::to_owned);
    if host.is_empty() {
        host = match local() {
            SocketAddr::V4(local) => local.ip().to_string(),
            SocketAddr::V6(local) => format!("[{}]", local.ip()),
        };
    }
    let port = if with_port { local().port() } else { 0 };
    match (scheme.as_str(), port) {
        (_, 0) | ("http", 80) | ("https", 443) => format!("{scheme}://{host}"),
        _ => format!("{scheme}://{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{self, Request};

    #[test]
    fn base_urls() {
        let base = |request: &Request, host, port| testing::with(request, || super::base_url(host, port));
        let local = |address: &str| Request::get("/").local(address.parse().unwrap());
        assert_eq!(base(&local("192.0.2.1:80").header("Host", "A.test:9"), None, true), "http://a.test");
        assert_eq!(base(&local("192.0.2.1:8080").header("Host", "a.test"), None, true), "http://a.test:8080");
        assert_eq!(base(&local("192.0.2.1:8080").header("Host", "a.test"), Some("b.test"), false), "http://b.test");
        assert_eq!(base(&local("[2001:db8::1]:8443").https(), None, true), "https://[2001:db8::1]:8443");
        assert_eq!(base(&local("192.0.2.1:443").https(), Some(""), true), "https://192.0.2.1");
    }
}
