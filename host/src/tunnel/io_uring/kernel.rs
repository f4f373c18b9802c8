//! `io_uring(7)`, as much of it as a lane needs, behind functions that are safe to call: receive, send, cancel.
//!
//! Sockets have seats in the ring's own table of files. What they receive comes in buffers of the ring, which the
//! kernel picks when something comes; a socket that waits holds none.

#![allow(unsafe_code, reason = "the kernel reads and writes memory that it is lent: nothing safe lends it")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::VecDeque;
use std::io;
use std::mem::offset_of;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fixed};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes of a buffer. What fills one is large, and goes another way.
pub(in crate::tunnel) const SIZE: usize = 2 << 10;
/// Buffers of a ring: 1 MiB in all, touched as they are used.
const BUFFERS: u16 = 512;
/// Requests that a system call takes at most; more wait here.
const REQUESTS: u32 = 256;
/// Results that the kernel can leave without being asked.
const RESULTS: u32 = 4096;
/// The only group of buffers.
const GROUP: u16 = 0;
/// `MSG_NOSIGNAL | MSG_DONTWAIT`: a full socket is told of at once, so that what is sent to one goes in order.
const SEND_FLAGS: i32 = (rustix::net::SendFlags::NOSIGNAL.bits() | rustix::net::SendFlags::DONTWAIT.bits()) as i32;

/// What a request was, in the top of its mark; its seat is in the low half, its buffer between.
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const CANCEL: u64 = 3;

/// A ring, of the thread that made it.
pub(super) struct Uring {
    ring: IoUring,
    /// Written by the kernel when something has become ready. The ring's own descriptor does not tell of that.
    bell: OwnedFd,
    /// Requests for which the queue had no room.
    later: VecDeque<squeue::Entry>,
    /// Let go of after the ring, which knows where it is.
    buffers: Buffers,
}

/// A buffer that is ours until it is given back or sent: the kernel writes no such one.
#[derive(Debug)]
pub(super) struct Buffer {
    id: u16,
    filled: u16,
}

/// What has happened to the socket in a seat.
#[derive(Debug)]
pub(super) enum Event {
    /// It has received something; `goes_on`: it receives more.
    Received { buffer: Buffer, goes_on: bool },
    /// It receives no more, since this happened.
    Ended(Why),
    /// So many bytes of a buffer were sent to it; 0 where that failed.
    Sent { buffer: Buffer, bytes: usize },
}

/// Why a socket receives no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The other side has ended.
    End,
    /// The connection failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// All buffers were full.
    NoBuffer,
}

impl Uring {
    /// A ring with room for so many sockets.
    ///
    /// # Errors
    /// Where the kernel has none that can do this (before Linux 6.1), or does not allow it.
    pub(super) fn new(seats: u32) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(RESULTS)
            .dontfork()
            .build(REQUESTS)?;
        ring.submitter().register_files_sparse(seats)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        ring.submitter().register_eventfd(bell.as_raw_fd())?;
        let mut buffers = Buffers::new();
        // SAFETY: the memory begins with room for so many entries, is at a page's beginning, and outlives the ring.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(buffers.memory.as_ptr() as u64, BUFFERS, GROUP, 0)?;
        }
        for id in 0..BUFFERS {
            buffers.give_back(Buffer { id, filled: 0 });
        }
        Ok(Self { ring, bell, later: VecDeque::new(), buffers })
    }

    /// What tells, by becoming readable again, that something has happened.
    ///
    /// # Errors
    /// Where the process has no more descriptors.
    pub(super) fn teller(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let bell = self.bell.try_clone()?;
        // SAFETY: it owns its descriptor, which stays the same until it is dropped.
        unsafe { AsyncFd::register_with_interest(bell, Interest::READABLE) }.map_err(Into::into)
    }

    /// Whether it tells from now on. Not while it is looked after anyway; then [`Uring::has_more`] says what came
    /// before it told.
    pub(super) fn tells(&mut self, tells: bool) {
        let results = self.ring.completion();
        if tells { results.enable_eventfd() } else { results.disable_eventfd() }
    }

    /// Two sockets take a seat, and the one behind it.
    pub(super) fn seat(&self, seat: u32, sockets: [&TcpStream; 2]) -> io::Result<()> {
        self.ring.submitter().register_files_update(seat, &sockets.map(AsRawFd::as_raw_fd)).map(drop)
    }

    /// Both seats are free again.
    pub(super) fn free(&self, seat: u32) -> io::Result<()> {
        self.ring.submitter().register_files_update(seat, &[-1, -1]).map(drop)
    }

    /// A socket receives from now on, until it is told that it does not.
    pub(super) fn receive(&mut self, seat: u32) {
        self.push(opcode::RecvMulti::new(Fixed(seat), GROUP).build().user_data(mark(RECEIVE, 0, seat)));
    }

    /// Send what is in a buffer from its beginning. One at a time to a seat, or what one leaves comes behind the next.
    #[expect(clippy::needless_pass_by_value, reason = "it is the kernel's from here on")]
    pub(super) fn send(&mut self, seat: u32, buffer: Buffer) {
        let Buffer { id, filled } = buffer;
        let send = opcode::Send::new(Fixed(seat), self.buffers.at(id).as_ptr(), u32::from(filled)).flags(SEND_FLAGS);
        self.push(send.build().user_data(mark(SEND, u64::from(id) << 16 | u64::from(filled), seat)));
    }

    /// A socket is to receive no more, and says when it does not.
    pub(super) fn cancel(&mut self, seat: u32) {
        self.push(opcode::AsyncCancel::new(mark(RECEIVE, 0, seat)).build().user_data(mark(CANCEL, 0, seat)));
    }

    /// What is in a buffer.
    pub(super) fn bytes(&self, buffer: &Buffer) -> &[u8] {
        self.buffers.bytes(buffer)
    }

    /// The kernel may fill a buffer again.
    pub(super) fn give_back(&mut self, buffer: Buffer) {
        self.buffers.give_back(buffer);
    }

    fn push(&mut self, request: squeue::Entry) {
        // SAFETY: what is received goes into the ring's buffers, and what is sent is in one that nobody else has
        // until the kernel is done with it; all of them outlive the ring.
        if !self.later.is_empty() || unsafe { self.ring.submission().push(&request) }.is_err() {
            self.later.push_back(request);
        }
    }

    /// Ask for all that was pushed, and run what sockets have become ready for. One system call.
    ///
    /// # Errors
    /// Where the kernel does not do it.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        while let Some(request) = self.later.front() {
            // SAFETY: as in `push`.
            if unsafe { self.ring.submission().push(request) }.is_err() {
                break;
            }
            self.later.pop_front();
        }
        let asked = u32::try_from(self.ring.submission().len()).unwrap_or(REQUESTS);
        // SAFETY: no argument is passed, so there is none to be valid.
        match unsafe { self.ring.submitter().enter::<()>(asked, 0, EnterFlags::GETEVENTS.bits(), None) } {
            Ok(_submitted) => Ok(()),
            // Results wait to be taken first, or a signal has come.
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::BUSY | Errno::AGAIN | Errno::INTR)) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the next [`Uring::enter`] has something to do.
    pub(super) fn has_more(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow() || !self.later.is_empty()
    }

    /// What has happened next, and to which seat; none where that is all.
    pub(super) fn next(&mut self) -> Option<(u32, Event)> {
        loop {
            let result = self.ring.completion().next()?;
            let (kind, between, seat) = unmark(result.user_data());
            match kind {
                RECEIVE => return Some((seat, received(&result))),
                SEND => {
                    let buffer = Buffer { id: (between >> 16) as u16, filled: between as u16 };
                    return Some((seat, Event::Sent { buffer, bytes: outcome(result.result()).unwrap_or(0) }));
                }
                // What was cancelled says so itself.
                _ => {}
            }
        }
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // No buffer is picked from here on.
        let _unknown = self.ring.submitter().unregister_buf_ring(GROUP);
    }
}

impl Buffer {
    /// How many bytes are in it.
    pub(super) fn len(&self) -> usize {
        usize::from(self.filled)
    }
}

fn mark(kind: u64, between: u64, seat: u32) -> u64 {
    // A buffer's number and up to 2 KiB are 25 bits, from the 32nd.
    kind << 62 | between << 32 | u64::from(seat)
}

fn unmark(mark: u64) -> (u64, u64, u32) {
    (mark >> 62, mark << 2 >> 34, mark as u32)
}

fn outcome(result: i32) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_negative| Errno::from_raw_os_error(result.saturating_neg()))
}

fn received(result: &cqueue::Entry) -> Event {
    let flags = result.flags();
    match (outcome(result.result()), cqueue::buffer_select(flags)) {
        (Ok(filled @ 1..), Some(id)) => {
            let filled = u16::try_from(filled.min(SIZE)).unwrap_or(0);
            Event::Received { buffer: Buffer { id, filled }, goes_on: cqueue::more(flags) }
        }
        (Ok(_nothing), _) => Event::Ended(Why::End),
        (Err(Errno::NOBUFS), _) => Event::Ended(Why::NoBuffer),
        (Err(Errno::CANCELED), _) => Event::Ended(Why::Cancelled),
        (Err(_failed), _) => Event::Ended(Why::Failed),
    }
}

/// The memory that the kernel is lent: a ring of entries, each of which names a buffer that may be filled, and the
/// buffers behind it.
struct Buffers {
    memory: NonNull<u8>,
    /// Entries so far.
    tail: u16,
}

/// Where a ring of entries has to begin.
#[repr(align(4096))]
struct Page;

/// The memory's parts, in their order.
#[repr(C)]
struct Parts {
    begins: Page,
    entries: [[u8; size_of::<BufRingEntry>()]; BUFFERS as usize],
    buffers: [[u8; SIZE]; BUFFERS as usize],
}

impl Buffers {
    const LAYOUT: Layout = Layout::new::<Parts>();

    fn new() -> Self {
        // SAFETY: it is larger than nothing.
        let memory = unsafe { alloc_zeroed(Self::LAYOUT) };
        let Some(memory) = NonNull::new(memory) else { handle_alloc_error(Self::LAYOUT) };
        Self { memory, tail: 0 }
    }

    /// Where a buffer begins.
    fn at(&self, id: u16) -> NonNull<u8> {
        // SAFETY: from the first to the last, it is within the memory.
        unsafe { self.memory.add(offset_of!(Parts, buffers) + usize::from(id % BUFFERS) * SIZE) }
    }

    fn bytes(&self, buffer: &Buffer) -> &[u8] {
        // SAFETY: the kernel has filled so much of it, at most all, and leaves it alone until it is given back,
        // which takes the buffer.
        unsafe { std::slice::from_raw_parts(self.at(buffer.id).as_ptr(), buffer.len().min(SIZE)) }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is the kernel's from here on")]
    fn give_back(&mut self, buffer: Buffer) {
        let at = self.at(buffer.id).as_ptr() as u64;
        let entries = self.memory.cast::<BufRingEntry>();
        // SAFETY: below the number of entries, it is within the memory, which is theirs; the kernel reads those
        // below the tail, and this one is not yet. The tail lies where no entry writes.
        unsafe {
            let entry = entries.add(usize::from(self.tail % BUFFERS)).as_mut();
            entry.set_addr(at);
            entry.set_len(SIZE as u32);
            entry.set_bid(buffer.id);
            self.tail = self.tail.wrapping_add(1);
            AtomicU16::from_ptr(BufRingEntry::tail(entries.as_ptr()).cast_mut()).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: it was allocated so, and the ring is gone.
        unsafe { dealloc(self.memory.as_ptr(), Self::LAYOUT) }
    }
}
