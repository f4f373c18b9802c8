//! How the proxy itself ends a relayed tunnel (RFC 6455 §7.1).
//!
//! Each side is sent a close frame, at the next boundary of a frame, and is waited for until it
//! has answered with its own or ended, but not for long. The side that broke the protocol is told
//! how; the other is told only that it is over: the upstream that the client is going away (1001),
//! the client that what stands behind the proxy has failed (1014).
//!
//! A client at fault is told after the upstream has had its say: what it answers to messages that came
//! before the fault, and before its own close frame, is still delivered, as if it had seen the fault
//! itself.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::super::End;
use super::close;
use super::frame::Opcode;
use super::inlet::Event;
use super::lane::Lane;
use super::looking::Pause;
use super::{BUFFER, Relay, Violation};
use crate::hook::{Closing, Way};
use crate::socket::Socket;

/// How long both sides together may take to answer a close frame.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an upstream may take to say what it has to say to a client at fault.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A client is at fault, and the upstream has its say.
pub(super) struct Parting {
    end: End,
    timer: Pin<Box<Sleep>>,
    client: Closing,
    upstream: Closing,
}

/// A tunnel that the proxy ends.
pub(super) struct Leaving {
    end: End,
    timer: Pin<Box<Sleep>>,
    client: Goodbye,
    upstream: Goodbye,
}

/// A tunnel that is to end, through no fault of a side.
pub(super) struct Dismissed {
    end: End,
    closing: Closing,
    timer: Pin<Box<Sleep>>,
}

/// How far one side is.
#[derive(Debug, Default)]
struct Goodbye {
    /// It could not be sent a close frame, or what it says can no longer be understood: it sees the
    /// end of the stream in place of an answer to its own.
    is_cut: bool,
    /// It was told of the end of the stream.
    is_shut: bool,
    /// It has answered, ended or failed.
    has_answered: bool,
}

impl Violation {
    fn end(self) -> End {
        match self {
            Self::Protocol(_) => End::BadFrame,
            Self::Text | Self::Packed => End::BadData,
            Self::TooLarge => End::TooLarge,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Protocol(why) => why,
            Self::Text => "not UTF-8",
            Self::Packed => "not deflated",
            Self::TooLarge => "the message is too large",
        }
    }
}

impl Relay {
    /// One side breaks the protocol or a limit.
    pub(super) fn violated(&mut self, way: Way, violation: Violation) -> Pause {
        let end = violation.end();
        let code = end.close_code().unwrap_or(1002);
        tracing::debug!(?way, code, reason = violation.reason(), "a side of a tunnel is at fault");
        self.close_code = self.close_code.or(Some(code));
        let at_fault = Closing { code, reason: violation.reason().to_owned() };
        let other = |code| Closing { code, reason: String::new() };
        match way {
            Way::Up => {
                let (timer, upstream) = (Box::pin(sleep(LAST_WORDS)), other(1001));
                let parting = Parting { end, timer, client: at_fault, upstream };
                // Where it can be told at once that it is over, and may have something to say.
                if self.up.inlet.is_within_frame() || self.up.outlet.is_closed || !self.upstream_talks() {
                    self.end_parting(&parting);
                } else {
                    self.up.outlet.close(&close::payload(&parting.upstream));
                    self.up.inlet.skip_all();
                    self.parting = Some(parting);
                }
            }
            Way::Down => {
                if let Some(parting) = self.parting.take() {
                    self.end_parting(&parting);
                } else {
                    self.begin(end, &other(1014), &at_fault);
                }
                self.misunderstand(Way::Down);
            }
        }
        Pause::Closing
    }

    /// Whether something may still come from the upstream.
    fn upstream_talks(&self) -> bool {
        self.down.state == super::State::Open && !self.down.inlet.is_over
    }

    /// Let the upstream have its say; then the client is told.
    pub(super) fn part(&mut self, cx: &mut Context<'_>) {
        let is_gone = self.write(cx, Way::Up) == Poll::Ready(false);
        let step = self.flow(cx, Way::Down);
        // Not where a plugin has ended the tunnel meanwhile.
        let Some(mut parting) = self.parting.take() else { return };
        // Nor is more of it delivered once the tunnel is to end for another reason: its grant, say.
        let is_over = is_gone || step == super::Step::Over || !self.upstream_talks() || self.has_stopped(Way::Down);
        if is_over || parting.timer.as_mut().poll(cx).is_ready() {
            self.end_parting(&parting);
        } else {
            self.parting = Some(parting);
        }
    }

    fn end_parting(&mut self, parting: &Parting) {
        self.begin(parting.end, &parting.client, &parting.upstream);
        self.misunderstand(Way::Up);
    }

    /// Where the frames of one side begin and end nobody knows any more.
    fn misunderstand(&mut self, way: Way) {
        if let Some(leaving) = &mut self.leaving {
            let side = match way {
                Way::Up => &mut leaving.client,
                Way::Down => &mut leaving.upstream,
            };
            (side.is_cut, side.has_answered) = (true, false);
        }
    }

    /// The tunnel ends through no fault of a side.
    pub(super) fn fail(&mut self, end: End) {
        let code = end.close_code().unwrap_or(1011);
        self.close_code = self.close_code.or(Some(code));
        self.close_both(end, &Closing { code, reason: String::new() });
    }

    /// The tunnel is to end with this close frame, as soon as the frames that have begun to go on are
    /// through.
    pub(in crate::tunnel) fn dismiss(&mut self, end: End, closing: &Closing) {
        if self.leaving.is_none() {
            let timer = Box::pin(sleep(PATIENCE));
            self.dismissed = Some(Dismissed { end, closing: closing.clone(), timer });
        }
    }

    /// Whether nothing more of a way is looked at, because the tunnel is to end.
    pub(super) fn has_stopped(&self, way: Way) -> bool {
        let lane = match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        };
        self.dismissed.is_some() && !lane.inlet.is_within_frame()
    }

    /// Begin to end it, where it is to end and nothing stands in the way.
    pub(super) fn is_dismissed(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(dismissed) = &mut self.dismissed else { return false };
        let stands = |lane: &Lane| lane.inlet.is_within_frame() && lane.state == super::State::Open;
        if (stands(&self.up) || stands(&self.down)) && dismissed.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        let Some(Dismissed { end, closing, .. }) = self.dismissed.take() else { return false };
        self.close_code = self.close_code.or(Some(closing.code));
        self.close_both(end, &closing);
        true
    }

    /// Both sides are told the same.
    pub(super) fn close_both(&mut self, end: End, closing: &Closing) {
        self.begin(end, closing, closing);
    }

    fn begin(&mut self, end: End, client: &Closing, upstream: &Closing) {
        self.parting = None;
        let timer = Box::pin(sleep(PATIENCE));
        let client = say(&mut self.down, &self.up, client);
        let upstream = say(&mut self.up, &self.down, upstream);
        self.up.inlet.skip_all();
        self.down.inlet.skip_all();
        self.leaving = Some(Leaving { end, timer, client, upstream });
    }

    /// Go on with the end; some once both sides are through with it.
    pub(super) fn leave(&mut self, cx: &mut Context<'_>) -> Option<End> {
        let leaving = self.leaving.as_mut()?;
        let client = leaving.client.step(cx, &mut self.client, &mut self.up, &mut self.down, &mut self.heard);
        let upstream = leaving.upstream.step(cx, &mut self.upstream, &mut self.down, &mut self.up, &mut self.heard);
        let patient = leaving.timer.as_mut().poll(cx).is_pending();
        (client && upstream || !patient).then_some(leaving.end)
    }

    /// The tunnel ends at once, from outside: who can be told is told why.
    pub(super) fn tell_end(&mut self, cx: &mut Context<'_>, end: End) {
        let Some(code) = end.close_code().filter(|_| self.leaving.is_none()) else { return };
        let closing = Closing { code, reason: String::new() };
        let _told = (say(&mut self.down, &self.up, &closing), say(&mut self.up, &self.down, &closing));
        // One try: nobody waits any more.
        let _written = self.down.outlet.poll_write(cx, &mut self.client);
        let _written = self.up.outlet.poll_write(cx, &mut self.upstream);
    }
}

/// Queue a close frame on the way to a side, unless it has had one; `from` is the way that comes
/// from that side.
fn say(to: &mut Lane, from: &Lane, closing: &Closing) -> Goodbye {
    let is_cut = to.inlet.is_within_frame() && !to.outlet.is_closed;
    if !is_cut {
        to.outlet.close(&close::payload(closing));
    }
    to.outlet.is_closed = true;
    let has_ended = from.state != super::State::Open;
    Goodbye { is_cut, is_shut: false, has_answered: from.inlet.is_over && !is_cut || has_ended }
}

impl Goodbye {
    /// Whether this side is through. `from` is the way that comes from it, `to` the one to it.
    fn step(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
        from: &mut Lane,
        to: &mut Lane,
        heard: &mut u64,
    ) -> bool {
        match to.outlet.poll_write(cx, socket) {
            Poll::Pending => {}
            Poll::Ready(Err(_gone)) => return true,
            Poll::Ready(Ok(())) if self.is_cut && !self.is_shut => {
                // Its own close frame will not be seen: it is told by the end of the stream.
                self.is_shut = Pin::new(&mut *socket).poll_shutdown(cx).is_ready();
            }
            Poll::Ready(Ok(())) => {}
        }
        while !self.has_answered {
            let Poll::Ready(more) = self.hear(cx, socket, from, heard) else { return false };
            self.has_answered = !more;
        }
        !to.outlet.has_waiting()
    }

    /// Read once; false where it has answered or ended.
    fn hear(&self, cx: &mut Context<'_>, socket: &mut Socket, from: &mut Lane, heard: &mut u64) -> Poll<bool> {
        if from.looked < from.left.len() {
            let mut left = std::mem::take(&mut from.left);
            let looked = std::mem::take(&mut from.looked);
            return Poll::Ready(self.is_cut || !has_close(from, left.get_mut(looked..).unwrap_or_default()));
        }
        BUFFER.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(socket).poll_read(cx, &mut buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(_gone)) => Poll::Ready(false),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(false),
                Poll::Ready(Ok(())) => {
                    *heard += buffer.filled().len() as u64;
                    Poll::Ready(self.is_cut || !has_close(from, buffer.filled_mut()))
                }
            }
        })
    }
}

/// Whether a close frame is in these bytes, or they are no frames any more.
fn has_close(from: &mut Lane, bytes: &mut [u8]) -> bool {
    let mut at = 0;
    while at < bytes.len() {
        let (used, event) = from.inlet.next(bytes.get_mut(at..).unwrap_or_default());
        match event {
            Event::Control(head, ..) if head.opcode == Opcode::Close => return true,
            Event::Bad(_) => return true,
            _ => at += used,
        }
    }
    false
}
