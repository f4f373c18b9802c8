//! A tunnel whose messages plugins want to see: a WebSocket endpoint towards each side (RFC 6455,
//! RFC 7692).
//!
//! Bytes are read into the worker's buffer and looked at there. What nobody wants to see goes on
//! from it as it came; so does a message that all plugins let pass, which is unmasked for them in
//! its place and masked again. Memory is taken only for what came in parts or was changed, and is
//! bounded: nothing is read while more than [`MOST_WAITING`] waits to be written either way.

mod chain;
mod close;
mod closing;
mod deflate;
pub mod extension;
mod frame;
mod inlet;
mod lane;
mod looking;
mod outlet;
mod task;
#[cfg(test)]
mod tests;
mod text;

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) use close::frame as close_frame;

use super::End;
use super::ends::{Ends, HalfClose};
use super::flow::{State, Step};
use crate::hook::{Counts, Sessions, Way};
use crate::observe::MessageCounts;
use crate::socket::Socket;

use chain::Chain;
use closing::{Dismissed, Leaving, Parting};
use deflate::Caps;
use extension::Deflate;
use lane::Lane;
use looking::Pause;

/// Bytes that may wait to be written to one side before the other is read no more.
const MOST_WAITING: usize = 256 << 10;
/// One buffer per worker, used within one step only.
const SCRATCH: usize = 64 << 10;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// What plugins are to see of a tunnel, and how.
pub struct Inspection {
    /// The plugins' parts, in the order of the route.
    pub sessions: Sessions,
    /// What permessage-deflate was agreed on; none where it was not.
    pub deflate: Option<Deflate>,
    /// The longest message that is collected, bytes.
    pub max_size: usize,
    /// How many times its compressed size a message may have, from 256 KiB on.
    pub max_ratio: usize,
    /// Where messages are counted.
    pub counts: MessageCounts,
}

/// How one side breaks the protocol, or a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Violation {
    /// 1002: for what reason.
    Protocol(&'static str),
    /// 1007: a text or a reason is not UTF-8.
    Text,
    /// 1007: a compressed message cannot be inflated.
    Packed,
    /// 1009
    TooLarge,
}

/// Two sides, and what goes between them.
pub(super) struct Relay {
    client: Socket,
    upstream: Socket,
    up: Lane,
    down: Lane,
    chain: Chain,
    caps: Caps,
    ends: Ends,
    parting: Option<Parting>,
    /// It is to end, as soon as what has begun is through.
    dismissed: Option<Dismissed>,
    leaving: Option<Leaving>,
    /// Bytes that were read.
    heard: u64,
    /// The code of the first close frame.
    pub(super) close_code: Option<u16>,
    listens: bool,
}

impl Relay {
    pub(super) fn new(
        (client, early): (Socket, &Bytes),
        (upstream, early_upstream): (Socket, &Bytes),
        inspection: Inspection,
        half_close: HalfClose,
        max_message: Option<u64>,
    ) -> Self {
        let mut relay = Self {
            client,
            upstream,
            up: Lane::new(Way::Up, early, &inspection, half_close.client),
            down: Lane::new(Way::Down, early_upstream, &inspection, half_close.upstream),
            caps: Caps { size: inspection.max_size, ratio: inspection.max_ratio.max(1) },
            chain: Chain::new(inspection.sessions, inspection.counts),
            ends: Ends::new(half_close),
            parting: None,
            dismissed: None,
            leaving: None,
            heard: 0,
            close_code: None,
            listens: false,
        };
        relay.up.bound(max_message);
        relay
    }

    /// Bytes that were delivered, from the client and to it.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.up.outlet.moved, self.down.outlet.moved)
    }

    /// Rises with everything that is read or written.
    pub(super) fn activity(&self) -> u64 {
        self.heard + self.up.outlet.moved + self.down.outlet.moved
    }

    /// Messages that were delivered.
    pub(super) fn messages(&self) -> Counts {
        Counts { up: self.up.outlet.messages, down: self.down.outlet.messages }
    }

    /// Do what can be done now; some where the tunnel has ended.
    pub(super) fn step(&mut self, cx: &mut Context<'_>) -> Option<End> {
        if !std::mem::replace(&mut self.listens, true) {
            self.chain.listen(cx.waker());
        }
        if self.leaving.is_none() {
            let ended = self.relay(cx);
            self.chain.report();
            if self.leaving.is_none() {
                return ended;
            }
        }
        self.leave(cx)
    }

    fn relay(&mut self, cx: &mut Context<'_>) -> Option<End> {
        if self.chain.is_lost() {
            self.fail(End::PluginFailed);
            return None;
        }
        loop {
            let up = if self.parting.is_none() { self.flow(cx, Way::Up) } else { Step::Blocked };
            if self.parting.is_some() {
                self.part(cx);
                return None;
            }
            let down = self.flow(cx, Way::Down);
            if self.leaving.is_some() || self.is_dismissed(cx) {
                return None;
            }
            // What one way has for the other side, or waited for: a task that is done now, room.
            let again = self.up.outlet.has_waiting() && self.write(cx, Way::Up).is_ready()
                || up == Step::Blocked && self.may_go_on(Way::Up)
                || down == Step::Blocked && self.may_go_on(Way::Down);
            if again {
                continue;
            }
            for (way, step) in [(End::Client, up), (End::Upstream, down)] {
                let lane = if way == End::Client { &mut self.up } else { &mut self.down };
                if step == Step::Over && !std::mem::replace(&mut lane.noticed, true) {
                    self.ends.over(way, lane.state);
                }
            }
            return self.ends.judge(up, down);
        }
    }

    /// Whether a way that was blocked has nothing to wait for any more.
    fn may_go_on(&self, way: Way) -> bool {
        let (lane, other) = match way {
            Way::Up => (&self.up, &self.down),
            Way::Down => (&self.down, &self.up),
        };
        lane.state == State::Open
            && !self.chain.is_busy()
            && !lane.outlet.has_waiting()
            && other.outlet.size() <= MOST_WAITING
    }

    /// Move what can be moved one way.
    fn flow(&mut self, cx: &mut Context<'_>, way: Way) -> Step {
        loop {
            match self.write(cx, way) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => self.lane(way).state = State::SinkFailed,
                Poll::Pending => return Step::Blocked,
            }
            if self.leaving.is_some() || way == Way::Up && self.parting.is_some() {
                return Step::Blocked;
            }
            if self.lane(way).state != State::Open {
                break;
            }
            if self.chain.is_busy() && self.work(cx) == Pause::Waits {
                return Step::Blocked;
            }
            let other = match way {
                Way::Up => &self.down.outlet,
                Way::Down => &self.up.outlet,
            };
            if self.leaving.is_some() || other.size() > MOST_WAITING {
                return Step::Blocked;
            }
            if self.lane(way).outlet.has_waiting() {
                continue;
            }
            if self.has_stopped(way) {
                return Step::Dry;
            }
            if self.lane(way).looked < self.lane(way).left.len() {
                self.look_at_left(cx, way);
            } else if self.lane(way).too_long {
                self.violated(way, Violation::TooLarge);
            } else if self.read(cx, way).is_pending() {
                return Step::Dry;
            }
        }
        let (lane, to) = match way {
            Way::Up => (&mut self.up, &mut self.upstream),
            Way::Down => (&mut self.down, &mut self.client),
        };
        if lane.state == State::Ended && lane.passes_end && self.parting.is_none() {
            // A side that is gone needs no goodbye.
            let Poll::Ready(_told) = Pin::new(to).poll_shutdown(cx) else { return Step::Blocked };
            lane.passes_end = false;
        }
        Step::Over
    }

    fn lane(&mut self, way: Way) -> &mut Lane {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    /// Write what waits; false where the side takes nothing any more.
    fn write(&mut self, cx: &mut Context<'_>, way: Way) -> Poll<bool> {
        let (lane, to) = match way {
            Way::Up => (&mut self.up, &mut self.upstream),
            Way::Down => (&mut self.down, &mut self.client),
        };
        lane.outlet.poll_write(cx, to).map(|written| written.is_ok())
    }

    /// Read once and look at what came.
    fn read(&mut self, cx: &mut Context<'_>, way: Way) -> Poll<()> {
        BUFFER.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            let from = match way {
                Way::Up => &mut self.client,
                Way::Down => &mut self.upstream,
            };
            match Pin::new(&mut *from).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => {
                    let state = State::of_failed_source(from, &error);
                    self.lane(way).state = state;
                    return Poll::Ready(());
                }
                Poll::Ready(Ok(())) => {}
            }
            let came = buffer.filled_mut();
            if came.is_empty() {
                self.lane(way).state = State::Ended;
                return Poll::Ready(());
            }
            self.heard += came.len() as u64;
            let goes_on = self.lane(way).measure(came);
            let came = came.get_mut(..goes_on).unwrap_or_default();
            let used = self.look(cx, way, came);
            if let Some(rest) = came.get(used..).filter(|rest| !rest.is_empty()) {
                let lane = self.lane(way);
                lane.left = rest.to_vec();
                lane.looked = 0;
            }
            Poll::Ready(())
        })
    }

    /// Before it is dropped: what is known ends in order, and each side is told that all it was
    /// sent is whole, unless it is not.
    pub(super) fn say_goodbye(&mut self, cx: &mut Context<'_>, end: End) {
        self.chain.let_go();
        if end.is_in_order() {
            self.tell_end(cx, end);
        }
        self.ends.say_goodbye(end, &mut self.client, &mut self.upstream);
    }
}
