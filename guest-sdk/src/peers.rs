//! The peers that [`Balancer::pick`](crate::Balancer::pick) chooses from, as they are now; in
//! other hooks these calls trap. Each costs about 0.2 µs, however many peers there are.

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::tidegate::plugin::peers as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::peers as host;

/// How many requests and tunnels a peer serves, over all workers; none where it cannot be
/// picked: it is down, draining, full or unhealthy, was tried for this request already, or
/// there is no such peer.
pub fn active(id: u32) -> Option<u32> {
    host::active(id)
}

/// The sum over the group, with what peers that have left it still serve.
pub fn total() -> u32 {
    host::total()
}

/// The ids of the peers that were tried for this request already, in order.
pub fn tried() -> Vec<u32> {
    host::tried()
}
