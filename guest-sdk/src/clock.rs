//! Time. `std::time` does not work in a component without WASI; this does.

use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::tidegate::plugin::clock as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::clock as host;

/// Since an arbitrary start; never goes back.
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::monotonic())
}

/// Since 1970-01-01T00:00:00Z, to the millisecond.
pub fn unix() -> Duration {
    Duration::from_millis(host::unix_ms())
}
