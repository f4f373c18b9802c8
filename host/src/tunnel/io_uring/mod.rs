//! Tunnels whose messages are small and many ride on a ring of the kernel (`io_uring(7)`): a system call then
//! receives and sends for several of them, where else each message takes two.
//!
//! The ring does only that. Whatever is else, an end, a failure, a large message, a slow side, something that the
//! tunnel is told, has it get off, and happens to it as to any other. Where the kernel has no rings, or allows
//! none, nobody rides.

mod kernel;
mod ride;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::Once;
use std::task::Waker;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

pub(super) use kernel::SIZE;
pub(super) use ride::{Landed, LandedWay};

use super::run::coarse;
use kernel::{Event, Uring};
use ride::Ride;

/// Tunnels that a worker's ring has seats for at most.
const MOST: u32 = 4096;
/// Turns in a row before other tasks have theirs.
const TURNS: usize = 8;

thread_local! {
    static LANE: RefCell<State> = const { RefCell::new(State::Untried) };
}

/// What a worker knows of rings.
enum State {
    /// Nobody has wanted to ride.
    Untried,
    /// There is none, or none is wanted.
    Refused,
    Open(Box<Lane>),
}

/// A worker's ring, and who rides on it.
struct Lane {
    uring: Uring,
    /// How many have room.
    most: u32,
    places: Vec<Place>,
    /// Places that are free.
    free: Vec<u32>,
}

enum Place {
    Free,
    Rides(Ride),
    /// Until its owner comes for it.
    Landed(Box<Landed>),
}

/// How a tunnel's owner holds on to it while it rides. Dropping it ends the tunnel.
#[derive(Debug)]
pub(super) struct Rider {
    /// None once it is off.
    place: Option<u32>,
}

/// What came of wanting to ride.
pub(super) enum Boarded {
    /// It rides.
    Rides(Rider),
    /// There is no ring, or no room: its streams are as they were.
    Stays([TcpStream; 2]),
    /// Its streams could not be taken from where they were.
    Lost,
}

/// How far a tunnel is that is to get off.
pub(super) enum Leaving {
    /// Its task is woken when it is off.
    Soon,
    /// It is off.
    Landed(Box<Landed>),
    /// The ring is gone, and with it both streams.
    Lost,
}

/// Whether this thread's tunnels may ride from now on.
pub fn allow(rings: bool) {
    LANE.with_borrow_mut(|state| *state = if rings { State::Untried } else { State::Refused });
}

/// A tunnel gets on, with the client's stream and the peer's. Its task is woken when it is off again.
pub(super) fn board(sides: [TcpStream; 2], owner: &Waker) -> Boarded {
    with_lane(|state, off| {
        if let State::Untried = state {
            *state = open();
        }
        let State::Open(lane) = state else { return Boarded::Stays(sides) };
        let boarded = lane.board(sides, owner);
        state.submit(off);
        boarded
    })
}

impl Rider {
    /// Have it get off, or see how far it is.
    pub(super) fn leave(&mut self) -> Leaving {
        with_lane(|state, off| {
            let (State::Open(lane), Some(place)) = (&mut *state, self.place) else { return Leaving::Lost };
            if let Some(landed) = lane.collect(place) {
                self.place = None;
                return Leaving::Landed(landed);
            }
            lane.leave(place);
            state.submit(off);
            Leaving::Soon
        })
    }
}

impl Drop for Rider {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        // At the thread's end there may be no lane any more, which has closed the streams then.
        let _gone = LANE.try_with(|state| {
            let Ok(mut state) = state.try_borrow_mut() else { return };
            let State::Open(lane) = &mut *state else { return };
            if lane.collect(place).is_none() {
                lane.abandon(place);
                state.submit(&mut Vec::new());
            }
        });
    }
}

/// Do something with the lane, and wake the owners of those who got off by it when it is borrowed no longer.
fn with_lane<T>(what: impl FnOnce(&mut State, &mut Vec<Waker>) -> T) -> T {
    let mut off = Vec::new();
    let result = LANE.with_borrow_mut(|state| what(state, &mut off));
    off.into_iter().for_each(Waker::wake);
    result
}

/// Open the worker's ring, and leave a task that drives it.
fn open() -> State {
    // The kernel allows no more seats than files.
    let files = getrlimit(Resource::Nofile).current.and_then(|files| u32::try_from(files).ok()).unwrap_or(u32::MAX);
    let most = MOST.min(files / 2);
    let opened = Uring::new(2 * most).and_then(|uring| {
        let worker = Handle::try_current().map_err(io::Error::other)?;
        worker.spawn(drive(uring.teller()?, Closes));
        Ok(uring)
    });
    match opened {
        Ok(uring) => State::Open(Box::new(Lane { uring, most, places: Vec::new(), free: Vec::new() })),
        Err(error) => {
            // Said by the first worker that comes upon it.
            static SAID: Once = Once::new();
            SAID.call_once(|| tracing::info!(%error, "no io_uring: each small message takes system calls of its own"));
            State::Refused
        }
    }
}

/// Closes the lane when the task that drives it is dropped: with its runtime.
struct Closes;

impl Drop for Closes {
    fn drop(&mut self) {
        let closed = LANE.try_with(|state| {
            let mut state = state.try_borrow_mut().ok()?;
            matches!(*state, State::Open(_)).then(|| mem::replace(&mut *state, State::Untried))
        });
        drop(closed);
    }
}

/// Drive the ring as long as the worker runs.
async fn drive(teller: AsyncFd<OwnedFd>, _closes: Closes) {
    while let Ok(mut told) = teller.readable().await {
        told.clear_ready();
        while with_lane(State::turns) {
            tokio::task::yield_now().await;
        }
    }
}

impl State {
    /// Let what has happened happen to the tunnels. Whether there is more.
    fn turns(&mut self, off: &mut Vec<Waker>) -> bool {
        for _ in 0..TURNS {
            let Self::Open(lane) = self else { return false };
            match lane.turn(off) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    self.fail(&error, off);
                    return false;
                }
            }
        }
        true
    }

    /// Ask the kernel for what the lane wants of it.
    fn submit(&mut self, off: &mut Vec<Waker>) {
        if let Self::Open(lane) = self
            && let Err(error) = lane.uring.enter()
        {
            self.fail(&error, off);
        }
    }

    /// The ring cannot be used any more. Nobody knows what it has done with the tunnels on it.
    fn fail(&mut self, error: &io::Error, off: &mut Vec<Waker>) {
        tracing::error!(%error, "io_uring has failed: the tunnels on it end");
        if let Self::Open(lane) = mem::replace(self, Self::Refused) {
            let riding = lane.places.into_iter().filter_map(|place| match place {
                Place::Rides(mut ride) => ride.take_owner(),
                Place::Free | Place::Landed(_) => None,
            });
            off.extend(riding);
        }
    }
}

impl Lane {
    fn board(&mut self, sides: [TcpStream; 2], owner: &Waker) -> Boarded {
        let Some(place) = self.room() else { return Boarded::Stays(sides) };
        let [client, upstream] = sides;
        let (Ok(client), Ok(upstream)) = (client.into_std(), upstream.into_std()) else { return Boarded::Lost };
        let seat = 2 * place;
        if let Err(error) = self.uring.seat(seat, [&client, &upstream]) {
            tracing::debug!(%error, "a tunnel stays off the ring");
            return match (TcpStream::from_std(client), TcpStream::from_std(upstream)) {
                (Ok(client), Ok(upstream)) => Boarded::Stays([client, upstream]),
                _ => Boarded::Lost,
            };
        }
        let mut ride = Ride::new([client, upstream], owner.clone(), coarse());
        ride.begin(seat, &mut self.uring);
        let Some(at) = self.places.get_mut(place as usize) else { return Boarded::Lost };
        *at = Place::Rides(ride);
        self.free.pop();
        Boarded::Rides(Rider { place: Some(place) })
    }

    /// A free place, which stays free until it is taken.
    fn room(&mut self) -> Option<u32> {
        if let Some(place) = self.free.last() {
            return Some(*place);
        }
        let place = u32::try_from(self.places.len()).ok().filter(|place| *place < self.most)?;
        self.places.push(Place::Free);
        self.free.push(place);
        Some(place)
    }

    /// What the kernel has done, and all that follows from it. Whether there is more.
    fn turn(&mut self, off: &mut Vec<Waker>) -> io::Result<bool> {
        self.uring.tells(false);
        self.uring.enter()?;
        let now = coarse();
        while let Some((seat, event)) = self.uring.next() {
            self.happens(seat, event, now, off);
        }
        Ok(self.uring.has_more() || !self.rests())
    }

    /// From now on the kernel tells that there is something to do. False where there is already.
    fn rests(&mut self) -> bool {
        self.uring.tells(true);
        !self.uring.has_more()
    }

    fn happens(&mut self, seat: u32, event: Event, now: Duration, off: &mut Vec<Waker>) {
        let place = seat / 2;
        // Who has landed is let go of by the kernel, and nothing happens to it.
        let Some(Place::Rides(ride)) = self.places.get_mut(place as usize) else { return };
        match event {
            Event::Received { buffer, goes_on } => ride.received(seat, buffer, goes_on, now, &mut self.uring),
            Event::Ended(why) => ride.ended(seat, why, &mut self.uring),
            Event::Sent { buffer, bytes } => ride.sent(seat, buffer, bytes, &mut self.uring),
        }
        if ride.is_off() {
            self.land(place, off);
        }
    }

    /// The kernel has let go of a tunnel.
    fn land(&mut self, place: u32, off: &mut Vec<Waker>) {
        let Some(at) = self.places.get_mut(place as usize) else { return };
        let Place::Rides(mut ride) = mem::replace(at, Place::Free) else { return };
        if let Err(error) = self.uring.free(2 * place) {
            // The next who sits there takes the seats over.
            tracing::debug!(%error, "a tunnel's seats on the ring are not free");
        }
        let owner = ride.take_owner();
        let landed = ride.land(&mut self.uring);
        match owner {
            Some(owner) => {
                *at = Place::Landed(Box::new(landed));
                off.push(owner);
            }
            None => self.free.push(place),
        }
    }

    /// A tunnel that is off.
    fn collect(&mut self, place: u32) -> Option<Box<Landed>> {
        let at = self.places.get_mut(place as usize)?;
        match mem::replace(at, Place::Free) {
            Place::Landed(landed) => {
                self.free.push(place);
                Some(landed)
            }
            other => {
                *at = other;
                None
            }
        }
    }

    /// A tunnel is to get off.
    fn leave(&mut self, place: u32) {
        if let Some(Place::Rides(ride)) = self.places.get_mut(place as usize) {
            ride.leave(2 * place, &mut self.uring);
        }
    }

    /// A tunnel ends, and nobody waits for it.
    fn abandon(&mut self, place: u32) {
        if let Some(Place::Rides(ride)) = self.places.get_mut(place as usize) {
            ride.abandon();
            ride.leave(2 * place, &mut self.uring);
        }
    }
}
