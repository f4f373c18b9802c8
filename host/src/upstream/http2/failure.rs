//! What became of a request that failed over HTTP/2, and whether it may be sent again.

use h2::Reason;

use crate::error::{Error, Kind};

/// Whether a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Yes: the peer has done nothing with it (RFC 9113 §8.7): refused, or beyond the last
    /// stream of a GOAWAY.
    Untouched,
    /// Only what does nothing by being repeated: the connection had served others and was lost
    /// before an answer, as a kept connection of HTTP/1.1 that its peer closed.
    Idempotent,
    /// No.
    Never,
}

/// A request that failed.
#[derive(Debug)]
pub struct Failure {
    /// What happened.
    pub error: Error,
    /// Whether it may be sent again, if its body can be had from the beginning.
    pub again: Again,
}

impl Failure {
    /// What h2 reports of a stream. `reused` is whether the connection had served others.
    pub(super) fn of(error: &h2::Error, reused: bool) -> Self {
        let untouched = error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM));
        let again = match untouched {
            true => Again::Untouched,
            false if error.is_io() && reused => Again::Idempotent,
            false => Again::Never,
        };
        let kind = match again {
            Again::Untouched => Kind::Refused,
            _ => kind(error),
        };
        Self { error: Error::new(kind, error.to_string()), again }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, again: Again::Never }
    }
}

/// What h2 reports of a stream that was under way.
pub(super) fn broken(error: &h2::Error) -> Error {
    Error::new(kind(error), error.to_string())
}

fn kind(error: &h2::Error) -> Kind {
    // What h2 itself finds is the peer's breach of the protocol.
    if error.is_library() { Kind::BadResponse } else { Kind::Closed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_as_with_http_1() {
        let lost = |reused| {
            // h2 makes its own errors only; a reason alone stands for a stream's error.
            Failure::of(&h2::Error::from(Reason::INTERNAL_ERROR), reused)
        };
        assert_eq!((lost(true).again, lost(true).error.kind), (Again::Never, Kind::Closed));
        assert_eq!(lost(false).again, Again::Never);
    }
}
