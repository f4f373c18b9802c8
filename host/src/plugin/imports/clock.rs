//! `tidegate:plugin/clock`: time.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::wit::clock::Host;
use crate::plugin::instance::Ctx;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Ctx {
    /// The time at which a tool has stopped the clocks.
    fn standing(&self) -> Option<Duration> {
        self.shared.stage.as_ref()?.clock()
    }
}

impl Host for Ctx {
    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        let time = self.standing().unwrap_or_else(|| START.elapsed());
        Ok(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }

    fn unix_ms(&mut self) -> wasmtime::Result<u64> {
        let running = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = self.standing().unwrap_or_else(running);
        Ok(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }
}
