//! `tidegate:plugin/peers`: what hook `balancer` chooses from.

use super::wit::peers::Host;
use crate::plugin::balance::Asked;
use crate::plugin::instance::Ctx;

impl Ctx {
    fn asked(&mut self) -> wasmtime::Result<&mut Asked> {
        self.meter.allow_call()?;
        self.balance.as_mut().ok_or_else(|| {
            wasmtime::Error::msg("there is nothing to pick: `peers` can be read in `balancer.pick` only")
        })
    }
}

impl Host for Ctx {
    fn active(&mut self, id: u32) -> wasmtime::Result<Option<u32>> {
        Ok(self.asked()?.active(id))
    }

    fn total(&mut self) -> wasmtime::Result<u32> {
        Ok(self.asked()?.choice().peers.total())
    }

    fn tried(&mut self) -> wasmtime::Result<Vec<u32>> {
        Ok(self.asked()?.choice().tried.clone())
    }
}
