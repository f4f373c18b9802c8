//! Kernel pipes for `splice(2)`, lent to a flow while it is large.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;

use crate::socket::Plain;

/// What a pipe is asked to hold. Linux allows an unprivileged process 1 MiB a pipe.
const CAPACITY: usize = 1 << 20;
/// Empty pipes that a worker keeps.
const KEPT: usize = 32;

/// A pipe, and how much is in it.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    held: usize,
    capacity: usize,
}

thread_local! {
    static EMPTY: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

impl Pipe {
    /// An empty pipe: a kept one, or a new one.
    pub(super) fn take() -> io::Result<Self> {
        if let Some(pipe) = EMPTY.with_borrow_mut(Vec::pop) {
            return Ok(pipe);
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Past the user's soft limit the kernel refuses, and the default of 64 KiB serves.
        let capacity = fcntl_setpipe_size(&write, CAPACITY).unwrap_or(1 << 16);
        Ok(Self { read, write, held: 0, capacity })
    }

    /// Give an empty pipe back to the worker.
    pub(super) fn give_back(self) {
        if self.held == 0 {
            EMPTY.with_borrow_mut(|kept| {
                if kept.len() < KEPT {
                    kept.push(self);
                }
            });
        }
    }

    /// Bytes in it.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Move at most `most` bytes from a stream into the pipe: 0 at the stream's end, `WouldBlock`
    /// where it has none.
    pub(super) fn fill(&mut self, from: &Plain, most: usize) -> io::Result<usize> {
        let room = self.capacity.saturating_sub(self.held).min(most);
        let n = from.try_io(Interest::READABLE, || {
            Ok(splice(from, None, &self.write, None, room, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
        })?;
        self.held += n;
        Ok(n)
    }

    /// Move bytes from the pipe into a stream.
    pub(super) fn empty(&mut self, to: &Plain) -> io::Result<usize> {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let n = to.try_io(Interest::WRITABLE, || Ok(splice(&self.read, None, to, None, self.held, flags)?))?;
        self.held = self.held.saturating_sub(n);
        Ok(n)
    }
}
