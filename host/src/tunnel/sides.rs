//! The two sides of a tunnel, and how they are joined.

use std::task::Context;

use bytes::Bytes;

use super::ends::{Ends, HalfClose};
use super::farewell::{Farewell, Followed};
use super::flow::{Flow, Step};
use super::relay::Relay;
use super::{End, Inspection};
use crate::hook::{Closing, Counts};
use crate::socket::Socket;

/// Two streams and the two flows between them.
pub(super) struct Tunnel {
    client: Socket,
    upstream: Socket,
    up: Flow,
    down: Flow,
    ends: Ends,
    /// How it ends, where the proxy ends it and frames are followed.
    farewell: Option<Box<Farewell>>,
    /// Why it ends at once.
    dismissed: Option<End>,
    /// The code of the proxy's close frame.
    close_code: Option<u16>,
}

/// Two sides that are joined, however.
pub(super) trait Joined {
    /// Move what can be moved now; some where the tunnel has ended.
    fn step(&mut self, cx: &mut Context<'_>) -> Option<End>;
    /// Bytes that were delivered, from the client and to it.
    fn bytes(&self) -> (u64, u64);
    /// Rises when a side does something.
    fn activity(&self) -> u64;
    /// It is to end, and both sides are to be told so; steps go on until it has.
    fn dismiss(&mut self, end: End, closing: &Closing);
}

/// Both sides, and how they are joined.
#[expect(clippy::large_enum_variant, reason = "nearly every tunnel is plain: what is boxed is what is rare")]
pub(super) enum Sides {
    /// Bytes go through.
    Plain(Tunnel),
    /// Plugins look at messages. Boxed, since a tunnel that nobody looks into has no room for it.
    Inspected(Box<Relay>),
}

impl Joined for Tunnel {
    fn step(&mut self, cx: &mut Context<'_>) -> Option<End> {
        if self.dismissed.is_some() {
            return self.dismissed;
        }
        if self.farewell.is_none() {
            let ended = self.pass(cx);
            if ended.is_some() || !self.up.followed().is_some_and(|up| up.is_too_long()) {
                return ended;
            }
            let reason = "the message is too large".to_owned();
            self.leave(End::TooLarge, &Closing { code: 1009, reason }, &Closing { code: 1001, reason: String::new() });
        }
        let sides = (&mut self.client, &mut self.upstream);
        self.farewell.as_mut()?.step(cx, sides, (&mut self.up, &mut self.down))
    }

    fn bytes(&self) -> (u64, u64) {
        (self.up.moved, self.down.moved)
    }

    fn activity(&self) -> u64 {
        self.up.moved + self.down.moved
    }

    fn dismiss(&mut self, end: End, closing: &Closing) {
        if self.farewell.is_none() {
            self.leave(end, closing, closing);
        }
    }
}

impl Tunnel {
    /// Move what can be moved now.
    fn pass(&mut self, cx: &mut Context<'_>) -> Option<End> {
        let up = self.up.step(cx, &mut self.client, &mut self.upstream);
        if up == Step::Over && !std::mem::replace(&mut self.up.noticed, true) {
            self.ends.over(End::Client, self.up.state);
        }
        let down = self.down.step(cx, &mut self.upstream, &mut self.client);
        if down == Step::Over && !std::mem::replace(&mut self.down.noticed, true) {
            self.ends.over(End::Upstream, self.down.state);
        }
        self.ends.judge(up, down)
    }

    /// It ends, at once where its frames are not followed.
    fn leave(&mut self, end: End, client: &Closing, upstream: &Closing) {
        self.farewell = Farewell::begin(end, (client, upstream), &mut self.up, &mut self.down).map(Box::new);
        match self.farewell {
            Some(_) => self.close_code = Some(client.code),
            None => self.dismissed = Some(end),
        }
    }

    /// Tell each side that what it was sent is whole, unless it is not.
    fn say_goodbye(&mut self, end: End) {
        self.ends.say_goodbye(end, &mut self.client, &mut self.upstream);
    }
}

impl Joined for Relay {
    fn step(&mut self, cx: &mut Context<'_>) -> Option<End> {
        self.step(cx)
    }

    fn bytes(&self) -> (u64, u64) {
        self.bytes()
    }

    fn activity(&self) -> u64 {
        self.activity()
    }

    fn dismiss(&mut self, end: End, closing: &Closing) {
        self.dismiss(end, closing);
    }
}

impl Joined for Sides {
    fn step(&mut self, cx: &mut Context<'_>) -> Option<End> {
        match self {
            Self::Plain(tunnel) => Joined::step(tunnel, cx),
            Self::Inspected(relay) => Joined::step(&mut **relay, cx),
        }
    }

    fn bytes(&self) -> (u64, u64) {
        match self {
            Self::Plain(tunnel) => Joined::bytes(tunnel),
            Self::Inspected(relay) => Joined::bytes(&**relay),
        }
    }

    fn activity(&self) -> u64 {
        match self {
            Self::Plain(tunnel) => Joined::activity(tunnel),
            Self::Inspected(relay) => Joined::activity(&**relay),
        }
    }

    fn dismiss(&mut self, end: End, closing: &Closing) {
        match self {
            Self::Plain(tunnel) => Joined::dismiss(tunnel, end, closing),
            Self::Inspected(relay) => Joined::dismiss(&mut **relay, end, closing),
        }
    }
}

impl Sides {
    /// Join two sides, of each of which some bytes came early. `follows`: their frames are followed, and
    /// what the largest message is that the client may send, where there is one.
    pub(super) fn join(
        (client, early): (Socket, Bytes),
        (upstream, early_upstream): (Socket, Bytes),
        inspection: Option<Inspection>,
        half_close: HalfClose,
        follows: Option<Option<u64>>,
    ) -> Self {
        if let Some(inspection) = inspection {
            let (client, upstream) = ((client, &early), (upstream, &early_upstream));
            return Self::Inspected(Box::new(Relay::new(client, upstream, inspection, half_close, follows.flatten())));
        }
        let (mut up, mut down) = (Flow::new(early, half_close.client), Flow::new(early_upstream, half_close.upstream));
        if let Some(most) = follows {
            (up, down) = (up.following(Followed::new(most)), down.following(Followed::new(None)));
        }
        let ends = Ends::new(half_close);
        Self::Plain(Tunnel { client, upstream, up, down, ends, farewell: None, dismissed: None, close_code: None })
    }

    /// Tell each side that what it was sent is whole, unless it is not.
    pub(super) fn say_goodbye(&mut self, cx: &mut Context<'_>, end: End) {
        match self {
            Self::Plain(tunnel) => tunnel.say_goodbye(end),
            Self::Inspected(relay) => relay.say_goodbye(cx, end),
        }
    }

    /// Messages that were delivered; none where nobody looked.
    pub(super) fn messages(&self) -> Option<Counts> {
        match self {
            Self::Plain(_) => None,
            Self::Inspected(relay) => Some(relay.messages()),
        }
    }

    /// The code of the close frame that ended it.
    pub(super) fn close_code(&self) -> Option<u16> {
        match self {
            Self::Plain(tunnel) => tunnel.close_code,
            Self::Inspected(relay) => relay.close_code,
        }
    }
}
