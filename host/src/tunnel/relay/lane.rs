//! One way through a relay: what comes from one side and goes to the other.

use bytes::Bytes;

use super::Inspection;
use super::chain::Came;
use super::deflate::Codec;
use super::inlet::Inlet;
use super::outlet::{Outlet, give_back, lend};
use crate::hook::{Content, Way};
use crate::tunnel::flow::State;

/// One way through the relay.
pub(super) struct Lane {
    pub(super) inlet: Inlet,
    pub(super) outlet: Outlet,
    pub(super) codec: Option<Codec>,
    /// Read and not looked at, from `looked` on: a plugin has to wait, or a side is slow.
    pub(super) left: Vec<u8>,
    pub(super) looked: usize,
    pub(super) passes_end: bool,
    pub(super) state: State,
    pub(super) noticed: bool,
}

impl Lane {
    pub(super) fn new(way: Way, early: &Bytes, inspection: &Inspection, passes_end: bool) -> Self {
        let terms = inspection.deflate.map(|deflate| match way {
            Way::Up => deflate.up,
            Way::Down => deflate.down,
        });
        Self {
            inlet: Inlet::new(way == Way::Up, terms.is_some(), inspection.max_size),
            outlet: Outlet::new(way == Way::Up),
            codec: terms.map(Codec::new),
            left: early.to_vec(),
            looked: 0,
            passes_end,
            state: State::Open,
            noticed: false,
        }
    }

    /// A message that is whole, of the proxy's making, goes on: compressed if `came` so.
    pub(super) fn send(&mut self, content: Content, plain: &[u8], came: Option<&Came>, changed: bool) {
        let must_wait = self.inlet.is_within_message();
        let packed = came.and_then(|came| came.packed.as_deref());
        let (Some(packed), Some(codec)) = (packed, &mut self.codec) else {
            return self.outlet.message(content, false, plain, must_wait);
        };
        if !changed && codec.passes() {
            return self.outlet.message(content, true, packed, must_wait);
        }
        codec.spoil();
        let mut out = lend();
        if codec.deflate(plain, &mut out) {
            self.outlet.message(content, true, &out, must_wait);
        } else {
            self.outlet.message(content, false, plain, must_wait);
        }
        give_back(out);
    }
}
