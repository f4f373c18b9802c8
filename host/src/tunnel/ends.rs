//! Which side of a tunnel ended first, and when the tunnel ends for it.

use super::End;
use super::flow::{State, Step};

/// The end of a tunnel, as its two ways bring it about.
#[derive(Debug)]
pub(super) struct Ends {
    half_close: bool,
    /// Which side ended first.
    first: Option<End>,
}

impl Ends {
    /// Nothing has ended. With `half_close` one way may outlive the other.
    pub(super) fn new(half_close: bool) -> Self {
        Self { half_close, first: None }
    }

    /// The way from this side is over; the first one says why the tunnel ends. To be told once of
    /// each.
    pub(super) fn over(&mut self, by: End, state: State) {
        let end = match (by, state) {
            (End::Client, State::SourceFailed) | (End::Upstream, State::SinkFailed) => End::ClientReset,
            (End::Upstream, State::SourceFailed) | (End::Client, State::SinkFailed) => End::UpstreamReset,
            _ => by,
        };
        self.first.get_or_insert(end);
    }

    /// Whether the tunnel has ended, with its ways at these steps.
    pub(super) fn judge(&self, up: Step, down: Step) -> Option<End> {
        let first = self.first?;
        let both = up == Step::Over && down == Step::Over;
        let lives_on = self.half_close && !both && matches!(first, End::Client | End::Upstream);
        // What had arrived from the other side when the first ended is delivered; then, as in
        // nginx, both end.
        let delivers = up == Step::Blocked || down == Step::Blocked;
        (!lives_on && !delivers).then_some(first)
    }
}
