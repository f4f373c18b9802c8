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
