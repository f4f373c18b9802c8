//! How much is too much: rates of requests, and how many are open at once, by key.
//!
//! A zone is a key and what is counted by it; routes have rules that name zones. What is
//! counted is shared by all workers, in tables of atomics without a lock, and outlives a reload.
//! nginx: `limit_req`, `limit_conn`.

mod bucket;
mod clients;
mod open;
mod rate;
mod rules;
mod table;
mod zone;

use std::sync::LazyLock;
use std::time::Instant;

pub use clients::Clients;
pub use open::{Caps, Class, Slot};
pub use rules::{Full, Limits, OpenRule, RateRule, Rated, Refusal};
pub use zone::{Zone, Zones};

/// Milliseconds since an arbitrary start.
pub fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}
