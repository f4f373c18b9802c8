//! Hook `messages` in an instance that tunnels live in.

use super::abi::v0_1::messages as convert;
use super::failure::Fault;
use super::instance::{Exchange, Live, absent};
use super::lane;
use crate::hook::{Content, Judgement, Message, Subscription};

/// A message of one's own, for a call that may have to wait.
pub(super) struct Kept {
    way: crate::hook::Way,
    content: Content,
    length: Option<u64>,
    data: Vec<u8>,
}

impl Kept {
    pub(super) fn new(message: &Message<'_>) -> Self {
        let Message { way, content, length, data } = *message;
        Self { way, content, length, data: data.to_vec() }
    }

    fn message(&self) -> Message<'_> {
        Message { way: self.way, content: self.content, length: self.length, data: &self.data }
    }
}

impl Live {
    /// A tunnel opens, in the sync lane.
    pub(super) fn open(&mut self, exchange: Exchange, tunnel: u64) -> Result<Option<Subscription>, Fault> {
        self.begin(exchange);
        let guest = self.functions.messages().ok_or_else(absent)?;
        let raw = guest.call_open(&mut self.store, tunnel);
        self.let_go();
        Ok(raw?.map(convert::subscription))
    }

    /// A message, in the sync lane: its bytes go from the caller's buffer into the guest's memory.
    pub(super) fn message(&mut self, tunnel: u64, message: &Message<'_>) -> Result<Judgement, Fault> {
        self.begin_bare(tunnel);
        let guest = self.functions.messages().ok_or_else(absent)?;
        let raw = guest.call_on_message(&mut self.store, tunnel, convert::message(message), message.data)?;
        convert::verdict(raw, message.content).map_err(Fault::Answer)
    }

    /// A tunnel has ended, in the sync lane.
    pub(super) fn close(&mut self, tunnel: u64) -> Result<(), Fault> {
        self.begin_bare(tunnel);
        let guest = self.functions.messages().ok_or_else(absent)?;
        Ok(guest.call_close(&mut self.store, tunnel)?)
    }

    /// A tunnel opens, in the fiber lane.
    pub(super) async fn open_async(&mut self, exchange: Exchange, tunnel: u64) -> Result<Option<Subscription>, Fault> {
        self.begin(exchange);
        let ctx = self.store.data();
        let (limit, pauses) = (ctx.shared.limits.deadline, ctx.turn.pauses());
        let function = self.functions.messages().ok_or_else(absent)?.func_open();
        let raw = lane::within(limit, &pauses, function.call_async(&mut self.store, (tunnel,))).await;
        self.let_go();
        let (raw,) = raw.ok_or(Fault::Deadline)??;
        Ok(raw.map(convert::subscription))
    }

    /// A message, in the fiber lane.
    pub(super) async fn message_async(&mut self, tunnel: u64, kept: &Kept) -> Result<Judgement, Fault> {
        self.begin_bare(tunnel);
        let ctx = self.store.data();
        let (limit, pauses) = (ctx.shared.limits.deadline, ctx.turn.pauses());
        let message = kept.message();
        let params = (tunnel, convert::message(&message), message.data);
        let function = self.functions.messages().ok_or_else(absent)?.func_on_message();
        let raw = lane::within(limit, &pauses, function.call_async(&mut self.store, params)).await;
        let (raw,) = raw.ok_or(Fault::Deadline)??;
        convert::verdict(raw, message.content).map_err(Fault::Answer)
    }

    /// A tunnel has ended, in the fiber lane.
    pub(super) async fn close_async(&mut self, tunnel: u64) -> Result<(), Fault> {
        self.begin_bare(tunnel);
        let ctx = self.store.data();
        let (limit, pauses) = (ctx.shared.limits.deadline, ctx.turn.pauses());
        let function = self.functions.messages().ok_or_else(absent)?.func_close();
        let closed = lane::within(limit, &pauses, function.call_async(&mut self.store, (tunnel,))).await;
        Ok(closed.ok_or(Fault::Deadline)??)
    }

    /// Begin a call that has no exchange: a tunnel or body has the number of its request.
    pub(super) fn begin_bare(&mut self, tunnel: u64) {
        let ctx = self.store.data_mut();
        if let Some((serial, _)) = &mut ctx.about {
            *serial = tunnel;
        }
        let limit = ctx.shared.limits.deadline;
        lane::begin(&mut self.store, limit);
        self.calls += 1;
    }
}
