//! The two sides of a tunnel, and how they are joined.

use std::mem;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::ends::{Ends, HalfClose};
use super::farewell::{Farewell, Followed};
use super::flow::{Flow, Step};
use super::io_uring::{self, Boarded, Leaving, Rider};
use super::relay::Relay;
use super::{End, Inspection};
use crate::hook::{Closing, Counts};
use crate::socket::{Plain, Socket};

/// How many small reads of both sides in a row have a tunnel ride on the ring, so that it is worth the system calls
/// to get on and off again.
const BUSY: u8 = 64;

/// Two streams and the two flows between them.
pub(super) struct Tunnel {
    place: Place,
    up: Flow,
    down: Flow,
    ends: Ends,
    /// How it ends, where the proxy ends it and frames are followed.
    farewell: Option<Box<Farewell>>,
    /// Why it ends at once.
    dismissed: Option<End>,
    /// The code of the proxy's close frame.
    close_code: Option<u16>,
    /// Whether it rides once it is busy.
    may_ride: bool,
}

/// Where a tunnel's streams are.
enum Place {
    Here {
        client: Socket,
        upstream: Socket,
    },
    /// On the worker's ring, which moves what there is without waking the tunnel's task.
    Rides(Rider),
    /// Lost on the way to the ring or with it, which ends the tunnel.
    Gone,
}

/// Where a tunnel is that is looked at.
pub(super) enum Look {
    /// Where it can be.
    Here,
    /// Back from the ring: when something came last there, by [`coarse`](super::run::coarse).
    Back(Duration),
    /// On its way from the ring: its task is woken when it is back.
    Away,
    /// It has no streams any more.
    Gone,
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
        let Place::Here { client, upstream } = &mut self.place else { return None };
        self.farewell.as_mut()?.step(cx, (client, upstream), (&mut self.up, &mut self.down))
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
        let Place::Here { client, upstream } = &mut self.place else { return None };
        let up = self.up.step(cx, client, upstream);
        if up == Step::Over && !mem::replace(&mut self.up.noticed, true) {
            self.ends.over(End::Client, self.up.state);
        }
        let down = self.down.step(cx, upstream, client);
        if down == Step::Over && !mem::replace(&mut self.down.noticed, true) {
            self.ends.over(End::Upstream, self.down.state);
        }
        let is_busy = self.up.small.saturating_add(self.down.small) >= BUSY;
        if is_busy && self.may_ride && (up, down) == (Step::Dry, Step::Dry) {
            self.ride(cx);
            if let Place::Gone = self.place {
                return Some(End::UpstreamReset);
            }
        }
        self.ends.judge(up, down)
    }

    /// From now on the ring moves what comes, if it can.
    fn ride(&mut self, cx: &mut Context<'_>) {
        self.place = match mem::replace(&mut self.place, Place::Gone) {
            Place::Here {
                client: Socket::Plain(Plain::Tcp(client)),
                upstream: Socket::Plain(Plain::Tcp(upstream)),
            } => match io_uring::board([client, upstream], cx.waker()) {
                Boarded::Rides(rider) => Place::Rides(rider),
                Boarded::Stays([client, upstream]) => {
                    self.may_ride = false;
                    Place::Here { client: client.into(), upstream: upstream.into() }
                }
                Boarded::Lost => Place::Gone,
            },
            other => {
                self.may_ride = false;
                other
            }
        };
    }

    /// Have its streams here.
    fn look(&mut self) -> Look {
        let landed = match &mut self.place {
            Place::Here { .. } => return Look::Here,
            Place::Gone => return Look::Gone,
            Place::Rides(rider) => match rider.leave() {
                Leaving::Soon => return Look::Away,
                Leaving::Landed(landed) => landed,
                Leaving::Lost => {
                    self.place = Place::Gone;
                    return Look::Gone;
                }
            },
        };
        let [up, down] = landed.ways;
        self.up.land(up);
        self.down.land(down);
        let [client, upstream] = landed.streams.map(TcpStream::from_std);
        let (Ok(client), Ok(upstream)) = (client, upstream) else {
            self.place = Place::Gone;
            return Look::Gone;
        };
        self.place = Place::Here { client: client.into(), upstream: upstream.into() };
        Look::Back(landed.active)
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
        if let Place::Here { client, upstream } = &mut self.place {
            self.ends.say_goodbye(end, client, upstream);
        }
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
        Self::Plain(Tunnel {
            place: Place::Here { client, upstream },
            up,
            down,
            ends: Ends::new(half_close),
            farewell: None,
            dismissed: None,
            close_code: None,
            // Who rides is not followed.
            may_ride: follows.is_none(),
        })
    }

    /// Have its streams here, if they are not.
    pub(super) fn look(&mut self) -> Look {
        match self {
            Self::Plain(tunnel) => tunnel.look(),
            Self::Inspected(_) => Look::Here,
        }
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
