//! One way through a relay: what comes from one side and goes to the other.

use bytes::Bytes;

use super::Inspection;
use super::chain::Came;
use super::deflate::Codec;
use super::inlet::Inlet;
use super::outlet::{Outlet, give_back, lend};
use crate::hook::{Content, Way};
use crate::tunnel::flow::State;
use crate::tunnel::frames::Frames;

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
    /// Measures messages that may have so many bytes; none where they are of any length.
    frames: Option<Box<Frames>>,
    /// One was longer: what came before it is still looked at.
    pub(super) too_long: bool,
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
            frames: None,
            too_long: false,
        }
    }

    /// Messages have at most so many bytes on the wire.
    pub(super) fn bound(&mut self, most: Option<u64>) {
        self.frames = most.map(|most| Box::new(Frames::new(Some(most))));
        let left = std::mem::take(&mut self.left);
        let goes_on = self.measure(&left);
        self.left = left;
        self.left.truncate(goes_on);
    }

    /// How many of these bytes come before a message that is too long.
    pub(super) fn measure(&mut self, bytes: &[u8]) -> usize {
        let Some(frames) = &mut self.frames else { return bytes.len() };
        let Err(too_long) = frames.follow(bytes) else { return bytes.len() };
        self.frames = None;
        self.too_long = true;
        too_long.before.unwrap_or(0)
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
