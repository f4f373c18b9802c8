//! What goes to one side: what could not be written yet, and what has to wait for the end of a
//! message.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use super::frame::{self, Opcode};
use crate::hook::Content;
use crate::socket::Socket;

/// Bytes of a buffer that a worker keeps for the next message; larger ones are let go of.
const KEPT: usize = 256 << 10;
/// Buffers that a worker keeps.
const MOST_KEPT: usize = 8;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer of the worker's, which has room already if one was used before.
pub(super) fn lend() -> Vec<u8> {
    SPARE.with_borrow_mut(|spare| spare.pop().unwrap_or_default())
}

/// Give a buffer to the worker.
pub(super) fn give_back(mut buffer: Vec<u8>) {
    if (1..=KEPT).contains(&buffer.capacity()) {
        buffer.clear();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MOST_KEPT {
                spare.push(buffer);
            }
        });
    }
}

/// One side's end of a relay.
#[derive(Debug)]
pub(super) struct Outlet {
    /// Whether what goes there is masked: it is the upstream.
    pub(super) masks: bool,
    /// To be written, from `written` on.
    waiting: Vec<u8>,
    written: usize,
    /// Whole frames that wait for the end of a message whose parts go on as they come.
    held: Vec<u8>,
    /// Whether the socket took bytes that it has not sent yet, as TLS does.
    unflushed: bool,
    /// A close frame went there: nothing may follow.
    pub(super) is_closed: bool,
    /// Bytes written.
    pub(super) moved: u64,
    /// Messages that went there.
    pub(super) messages: u64,
}

impl Outlet {
    pub(super) fn new(masks: bool) -> Self {
        Self {
            masks,
            waiting: Vec::new(),
            written: 0,
            held: Vec::new(),
            unflushed: false,
            is_closed: false,
            moved: 0,
            messages: 0,
        }
    }

    /// Bytes that wait.
    pub(super) fn size(&self) -> usize {
        self.waiting.len() - self.written + self.held.len()
    }

    /// Whether something is to be written or flushed.
    pub(super) fn has_waiting(&self) -> bool {
        self.unflushed || !self.waiting.is_empty()
    }

    /// The buffer behind what waits.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.waiting.capacity() == 0 {
            self.waiting = lend();
        }
        &mut self.waiting
    }

    /// A message of the proxy's making, whole. With `must_wait` it stays until [`Outlet::message_ended`].
    pub(super) fn message(&mut self, content: Content, compressed: bool, payload: &[u8], must_wait: bool) {
        if self.is_closed {
            return;
        }
        self.messages += 1;
        let masks = self.masks;
        let out = if must_wait { &mut self.held } else { self.buffer() };
        frame::write(out, Opcode::Data(content), true, compressed, masks, payload);
    }

    /// The message that went on in parts is through.
    pub(super) fn message_ended(&mut self) {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.buffer().extend_from_slice(&held);
        }
    }

    /// A close frame of the proxy's own.
    pub(super) fn close(&mut self, payload: &[u8]) {
        if !self.is_closed {
            self.is_closed = true;
            self.held = Vec::new();
            let masks = self.masks;
            frame::write(self.buffer(), Opcode::Close, true, false, masks, payload);
        }
    }

    /// These go on as they are: written at once where nothing waits before them.
    pub(super) fn pass(&mut self, cx: &mut Context<'_>, to: &mut Socket, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut written = 0;
        if self.waiting.is_empty() {
            self.unflushed |= to.holds_back();
            if let Poll::Ready(n) = Pin::new(to).poll_write(cx, bytes) {
                written = n?;
                self.moved += written as u64;
            }
        }
        if let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            self.buffer().extend_from_slice(rest);
        }
        Ok(())
    }

    /// Write and flush what waits; pending until all of it is through.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, to: &mut Socket) -> Poll<io::Result<()>> {
        while let Some(rest) = self.waiting.get(self.written..).filter(|rest| !rest.is_empty()) {
            self.unflushed |= to.holds_back();
            let Poll::Ready(n) = Pin::new(&mut *to).poll_write(cx, rest) else { return Poll::Pending };
            let n = n?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += n;
            self.moved += n as u64;
        }
        if !self.waiting.is_empty() {
            // At rest there is no buffer.
            give_back(std::mem::take(&mut self.waiting));
            self.written = 0;
        }
        if self.unflushed {
            let Poll::Ready(flushed) = Pin::new(to).poll_flush(cx) else { return Poll::Pending };
            flushed?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}
