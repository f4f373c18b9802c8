//! How a tunnel that nobody looks into ends with a close frame: its frames are followed by their
//! heads (`frames.rs`), so that one of the proxy's own can stand between two of them.
//!
//! As where messages are looked at (`relay/closing.rs`): what has begun is let through to its end,
//! each side is sent a close frame, and is waited for until it has answered or ended, but not for
//! long.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::End;
use super::flow::{Flow, Step};
use super::frames::Frames;
use super::relay::close_frame;
use crate::hook::Closing;
use crate::socket::Socket;

/// How long both sides together may take to end what they have begun and to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is read after the end and thrown away, at a time.
const SINK: usize = 16 << 10;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SINK].into());
}

/// The frames of one way, and where they stop.
#[derive(Debug)]
pub(super) struct Followed {
    frames: Frames,
    /// Nothing more goes on after the frame that is going on.
    stops: bool,
    /// And that is through.
    stopped: bool,
    /// No frame of one's own can follow: a close frame has gone before, or half a head has, or what
    /// went were no frames.
    ends: bool,
    /// A message was too long.
    too_long: bool,
}

impl Followed {
    /// With `most`, messages have at most so many bytes.
    pub(super) fn new(most: Option<u64>) -> Box<Self> {
        let frames = Frames::new(most);
        Box::new(Self { frames, stops: false, stopped: false, ends: false, too_long: false })
    }

    /// These bytes have come: how many of them go on.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> usize {
        if self.stopped {
            self.ignore(bytes);
            return 0;
        }
        if !self.stops {
            let Err(too_long) = self.frames.follow(bytes) else { return bytes.len() };
            (self.stops, self.stopped, self.too_long) = (true, true, true);
            self.ends = too_long.before.is_none() || self.frames.is_closed();
            self.frames.allow_all();
            self.ignore(bytes.get(too_long.used..).unwrap_or_default());
            return too_long.before.unwrap_or(0);
        }
        // The message that goes on may be too long: it is told why it ends soon enough.
        let used = self.frames.next(bytes).unwrap_or_else(|head| head);
        if self.frames.is_between() {
            self.stop();
            self.ignore(bytes.get(used..).unwrap_or_default());
        }
        used
    }

    /// So many bytes of a frame's payload went on unseen.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.frames.skip(bytes as u64);
        if self.stops && self.frames.is_between() {
            self.stop();
        }
    }

    /// Bytes of payload that come next.
    pub(super) fn unseen(&self) -> usize {
        usize::try_from(self.frames.left()).unwrap_or(usize::MAX)
    }

    /// Nothing more goes on after the frame that is going on.
    fn stop(&mut self) {
        self.stops = true;
        self.frames.allow_all();
        if !self.stopped && (self.frames.is_between() || self.frames.is_lost()) {
            self.stopped = true;
            self.ends = self.frames.is_closed() || self.frames.is_lost();
        }
    }

    /// Whether nothing more goes on.
    pub(super) fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether the client's message was too long.
    pub(super) fn is_too_long(&self) -> bool {
        self.too_long
    }

    /// These go nowhere; only a close frame is looked for.
    fn ignore(&mut self, bytes: &[u8]) {
        // Of any length, so it does not fail.
        let _of_any_length = self.frames.follow(bytes);
    }

    /// Read once, and look for a close frame; false where there is no more.
    fn hear(&mut self, cx: &mut Context<'_>, from: &mut Socket) -> Poll<bool> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            let Poll::Ready(read) = Pin::new(from).poll_read(cx, &mut buffer) else { return Poll::Pending };
            self.ignore(buffer.filled());
            Poll::Ready(read.is_ok() && !buffer.filled().is_empty())
        })
    }
}

/// A tunnel that the proxy ends.
pub(super) struct Farewell {
    end: End,
    timer: Pin<Box<Sleep>>,
    up: Goodbye,
    down: Goodbye,
}

/// What one side is still to be told.
struct Goodbye {
    /// The close frame, until it is given to the flow.
    frame: Option<Vec<u8>>,
    /// The source has answered, or ended.
    has_answered: bool,
}

impl Farewell {
    /// The tunnel with these flows ends. None where they are not followed: it ends at once.
    pub(super) fn begin(
        end: End,
        (client, upstream): (&Closing, &Closing),
        up: &mut Flow,
        down: &mut Flow,
    ) -> Option<Self> {
        up.followed()?.stop();
        down.followed()?.stop();
        Some(Self {
            end,
            timer: Box::pin(sleep(PATIENCE)),
            up: Goodbye { frame: Some(close_frame(upstream, true)), has_answered: false },
            down: Goodbye { frame: Some(close_frame(client, false)), has_answered: false },
        })
    }

    /// Go on with it; some once both sides are through.
    pub(super) fn step(
        &mut self,
        cx: &mut Context<'_>,
        (client, upstream): (&mut Socket, &mut Socket),
        (up, down): (&mut Flow, &mut Flow),
    ) -> Option<End> {
        let through = [self.up.step(cx, up, client, upstream), self.down.step(cx, down, upstream, client)];
        let patient = self.timer.as_mut().poll(cx).is_pending();
        (through == [true, true] || !patient).then_some(self.end)
    }
}

impl Goodbye {
    /// Whether this way is through.
    fn step(&mut self, cx: &mut Context<'_>, flow: &mut Flow, from: &mut Socket, to: &mut Socket) -> bool {
        loop {
            match flow.step(cx, from, to) {
                // One of them is gone: there is nobody to tell, or to hear.
                Step::Over => return true,
                Step::Blocked => break,
                Step::Dry => {}
            }
            let Some(followed) = flow.followed().filter(|followed| followed.has_stopped()) else { return false };
            let Some(frame) = self.frame.take() else { break };
            if !followed.ends {
                flow.say(frame);
            }
        }
        while !self.has_answered {
            let Some(followed) = flow.followed().filter(|followed| followed.has_stopped()) else { return false };
            if followed.frames.is_closed() || followed.frames.is_lost() {
                self.has_answered = true;
            } else {
                let Poll::Ready(more) = followed.hear(cx, from) else { return false };
                self.has_answered = !more;
            }
        }
        self.frame.is_none() && !flow.has_waiting()
    }
}
