//! A thin readiness loop over `epoll`: one per thread, level-triggered.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::time::Timespec;

use crate::error::{Context as _, Result};

/// What a socket is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Something to read, or the end.
    Read,
    /// Room to write.
    Write,
    /// Either.
    Both,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::Write => EventFlags::OUT,
            Self::Both => EventFlags::IN | EventFlags::OUT,
        }
    }
}

/// A socket that is ready.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    /// The number that it was added with.
    pub(crate) token: usize,
    /// There is room to write.
    pub(crate) writable: bool,
    /// Something to read, an end or an error.
    pub(crate) readable: bool,
}

/// An `epoll` instance and room for its events.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poller {
    /// A new instance.
    pub(crate) fn new() -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).during("epoll_create")?;
        Ok(Self { epoll, events: Vec::with_capacity(256) })
    }

    /// Watch a socket. Closing it ends that.
    pub(crate) fn add(&self, fd: impl AsFd, token: usize, interest: Interest) -> Result<()> {
        epoll::add(&self.epoll, fd, EventData::new_u64(token as u64), interest.flags()).during("epoll_ctl add")
    }

    /// Watch it for something else.
    pub(crate) fn change(&self, fd: impl AsFd, token: usize, interest: Interest) -> Result<()> {
        epoll::modify(&self.epoll, fd, EventData::new_u64(token as u64), interest.flags()).during("epoll_ctl modify")
    }

    /// Wait for readiness, at most for a while; puts into `ready` what is.
    pub(crate) fn wait(&mut self, ready: &mut Vec<Ready>, at_most: Option<Duration>) -> Result<()> {
        ready.clear();
        self.events.clear();
        let timeout = at_most.map(|d| Timespec { tv_sec: d.as_secs() as i64, tv_nsec: i64::from(d.subsec_nanos()) });
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(()),
            Err(e) => return Err(e).during("epoll_wait"),
        }
        for event in &self.events {
            let flags = event.flags;
            let failed = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            ready.push(Ready {
                token: event.data.u64() as usize,
                writable: flags.contains(EventFlags::OUT),
                readable: failed || flags.contains(EventFlags::IN),
            });
        }
        Ok(())
    }
}

/// Pause this thread: a benchmark does have to let time pass.
pub(crate) fn pause(time: Duration) {
    let until = std::time::Instant::now() + time;
    while let Some(left) = until.checked_duration_since(std::time::Instant::now()).filter(|d| !d.is_zero()) {
        std::thread::park_timeout(left);
    }
}
