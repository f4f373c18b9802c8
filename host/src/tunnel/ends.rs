//! Which side of a tunnel ended first, and when the tunnel ends for it.

use super::End;
use super::flow::{State, Step};
use crate::socket::Socket;

/// Whose end is passed on, and leaves the other way open.
#[derive(Debug, Clone, Copy)]
pub(super) struct HalfClose {
    /// The client's.
    pub(super) client: bool,
    /// The peer's.
    pub(super) upstream: bool,
}

impl HalfClose {
    /// What the terms say; but END_STREAM of a client is no more than it says. Browsers send it
    /// with their close frame, and wait for the peer's (RFC 8441 §5, RFC 9113 §8.5).
    pub(super) fn of(configured: bool, client: &Socket) -> Self {
        let is_stream = matches!(client, Socket::Http2(_) | Socket::Http3(_));
        Self { client: configured || is_stream, upstream: configured }
    }
}

/// The end of a tunnel, as its two ways bring it about.
#[derive(Debug)]
pub(super) struct Ends {
    half_close: HalfClose,
    /// Which side ended first.
    first: Option<End>,
    /// Whether that was a reset, or all the same as one.
    reset: bool,
}

impl Ends {
    /// Nothing has ended.
    pub(super) fn new(half_close: HalfClose) -> Self {
        Self { half_close, first: None, reset: false }
    }

    /// The way from this side is over; the first one says why the tunnel ends. To be told once of
    /// each.
    pub(super) fn over(&mut self, by: End, state: State) {
        let end = match (by, state) {
            (End::Client, State::SourceFailed | State::SourceTruncated) | (End::Upstream, State::SinkFailed) => {
                End::ClientReset
            }
            (End::Upstream, State::SourceFailed | State::SourceTruncated) | (End::Client, State::SinkFailed) => {
                End::UpstreamReset
            }
            _ => by,
        };
        if self.first.is_none() {
            self.first = Some(end);
            self.reset = matches!(state, State::SourceFailed | State::SinkFailed);
        }
    }

    /// Whether the tunnel has ended, with its ways at these steps.
    pub(super) fn judge(&self, up: Step, down: Step) -> Option<End> {
        let first = self.first?;
        let both = up == Step::Over && down == Step::Over;
        let lives_on = !both
            && match first {
                End::Client => self.half_close.client,
                End::Upstream => self.half_close.upstream,
                _ => false,
            };
        // What had arrived from the other side when the first ended is delivered; then, as in
        // nginx, both end.
        let delivers = up == Step::Blocked || down == Step::Blocked;
        (!lives_on && !delivers).then_some(first)
    }

    /// Tell each side that what it was sent is whole, unless it is not.
    pub(super) fn say_goodbye(&self, end: End, client: &mut Socket, upstream: &mut Socket) {
        match end {
            // RFC 9113 §8.5: a reset of one side is one of the other.
            End::ClientReset if self.reset => upstream.reset(),
            End::UpstreamReset if self.reset => client.reset(),
            // RFC 8446 §6.1: a side must be able to tell that it was cut off.
            End::ClientReset | End::UpstreamReset => {}
            _ => {
                client.say_goodbye();
                upstream.say_goodbye();
            }
        }
    }
}
