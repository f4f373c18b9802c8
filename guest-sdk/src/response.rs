//! The response's head: the upstream's, and 101 for an accepted handshake. Only in the
//! hooks `response-headers` and `access-log`; elsewhere these calls trap.

use crate::Field;
#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::tidegate::plugin::response as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::response as host;

/// The status code.
pub fn status() -> u16 {
    host::status()
}

/// The first value of a header, its raw bytes; the name in any case.
pub fn header(name: &str) -> Option<Vec<u8>> {
    host::get(name)
}

/// All values of a header, in order.
pub fn header_all(name: &str) -> Vec<Vec<u8>> {
    host::get_all(name)
}

/// Every header line, in order.
pub fn headers() -> Vec<Field> {
    host::entries()
}
