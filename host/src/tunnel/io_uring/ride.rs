//! One tunnel on the ring: what its two ways are at, and how it gets off.

use std::collections::VecDeque;
use std::mem;
use std::net::TcpStream;
use std::task::Waker;
use std::time::Duration;

use super::kernel::{Buffer, SIZE, Uring, Why};

/// Buffers of one way that wait to be sent: more is a large flow.
const WAITING: usize = 8;

/// A tunnel on the ring.
pub(super) struct Ride {
    /// The client's, the peer's.
    streams: [TcpStream; 2],
    ways: [Way; 2],
    /// Whose tunnel it is; none once nobody waits for it.
    owner: Option<Waker>,
    /// When something came last.
    active: Duration,
    /// It gets off as soon as the kernel has let go of it.
    leaves: bool,
}

/// What comes from a side.
#[derive(Default)]
struct Way {
    receives: bool,
    sends: bool,
    /// The source has failed, which its socket says only once.
    failed: bool,
    /// Behind what is being sent, in order.
    waiting: VecDeque<Buffer>,
    /// What of the first that waits was sent already.
    gone: usize,
    moved: u64,
}

/// A tunnel that has got off.
#[derive(Debug)]
pub(in crate::tunnel) struct Landed {
    /// The client's stream, the peer's.
    pub(in crate::tunnel) streams: [TcpStream; 2],
    /// What has come from each.
    pub(in crate::tunnel) ways: [LandedWay; 2],
    /// When something came last.
    pub(in crate::tunnel) active: Duration,
}

/// What has come from a side.
#[derive(Debug)]
pub(in crate::tunnel) struct LandedWay {
    /// Bytes delivered.
    pub(in crate::tunnel) moved: u64,
    /// What is still to be delivered.
    pub(in crate::tunnel) rest: Vec<u8>,
    /// Whether the source has failed behind that.
    pub(in crate::tunnel) failed: bool,
}

impl Ride {
    /// It has taken its seats.
    pub(super) fn new(streams: [TcpStream; 2], owner: Waker, active: Duration) -> Self {
        Self { streams, ways: Default::default(), owner: Some(owner), active, leaves: false }
    }

    /// Both sides receive from now on.
    pub(super) fn begin(&mut self, seat: u32, uring: &mut Uring) {
        for (way, seat) in self.ways.iter_mut().zip(seat..) {
            way.receive(seat, uring);
        }
    }

    /// It is to get off.
    pub(super) fn leave(&mut self, seat: u32, uring: &mut Uring) {
        if mem::replace(&mut self.leaves, true) {
            return;
        }
        for (way, seat) in self.ways.iter().zip(seat..) {
            if way.receives {
                uring.cancel(seat);
            }
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn abandon(&mut self) {
        self.owner = None;
    }

    /// Whether the kernel has let go of it.
    pub(super) fn is_off(&self) -> bool {
        self.leaves && !self.ways.iter().any(|way| way.receives || way.sends)
    }

    /// Who is to be told that it is off.
    pub(super) fn take_owner(&mut self) -> Option<Waker> {
        self.owner.take()
    }

    /// One side has received something.
    pub(super) fn received(&mut self, seat: u32, buffer: Buffer, goes_on: bool, now: Duration, uring: &mut Uring) {
        self.active = now;
        let leaves = self.leaves;
        let way = self.way_from(seat);
        let large = buffer.len() == SIZE || way.waiting.len() >= WAITING;
        way.waiting.push_back(buffer);
        way.receives = goes_on;
        if !leaves {
            if !goes_on {
                way.receive(seat, uring);
            }
            way.go_on(seat ^ 1, uring);
        }
        if large {
            self.leave(seat & !1, uring);
        }
    }

    /// One side receives no more.
    pub(super) fn ended(&mut self, seat: u32, why: Why, uring: &mut Uring) {
        let leaves = self.leaves;
        let way = self.way_from(seat);
        way.receives = false;
        match why {
            Why::NoBuffer if !leaves => return way.receive(seat, uring),
            Why::Failed => way.failed = true,
            // The end is there to be read again.
            Why::End | Why::Cancelled | Why::NoBuffer => {}
        }
        self.leave(seat & !1, uring);
    }

    /// So many bytes of a buffer were sent to a side.
    pub(super) fn sent(&mut self, seat: u32, buffer: Buffer, bytes: usize, uring: &mut Uring) {
        let leaves = self.leaves;
        let way = self.way_from(seat ^ 1);
        way.sends = false;
        way.moved += bytes as u64;
        if bytes >= buffer.len() {
            uring.give_back(buffer);
            if !leaves {
                way.go_on(seat, uring);
            }
            return;
        }
        // It takes no more now, or never: the usual way waits for it, or comes upon the same.
        way.gone = bytes;
        way.waiting.push_front(buffer);
        self.leave(seat & !1, uring);
    }

    /// What comes from the side in a seat.
    fn way_from(&mut self, seat: u32) -> &mut Way {
        let [client, upstream] = &mut self.ways;
        if seat.is_multiple_of(2) { client } else { upstream }
    }

    /// Off, with what waited.
    pub(super) fn land(self, uring: &mut Uring) -> Landed {
        let ways = self.ways.map(|mut way| {
            let mut rest = Vec::new();
            for buffer in mem::take(&mut way.waiting) {
                let gone = mem::take(&mut way.gone);
                rest.extend_from_slice(uring.bytes(&buffer).get(gone..).unwrap_or_default());
                uring.give_back(buffer);
            }
            LandedWay { moved: way.moved, rest, failed: way.failed }
        });
        Landed { streams: self.streams, ways, active: self.active }
    }
}

impl Way {
    /// The side in a seat, from which it comes, receives from now on.
    fn receive(&mut self, seat: u32, uring: &mut Uring) {
        uring.receive(seat);
        self.receives = true;
    }

    /// Send what waits first, unless something is being sent.
    fn go_on(&mut self, to: u32, uring: &mut Uring) {
        if !self.sends
            && let Some(buffer) = self.waiting.pop_front()
        {
            self.sends = true;
            uring.send(to, buffer);
        }
    }
}
