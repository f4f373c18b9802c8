//! What another peer is tried after, when a peer is left alone, and how much a group is given.

use std::time::Duration;

/// `next_upstream` and what belongs to it. nginx: `proxy_next_upstream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextUpstream {
    /// After what; empty for never.
    pub when: Conditions,
    /// How many peers may be asked for one request; none for all. nginx:
    /// `proxy_next_upstream_tries`.
    pub tries: Option<u32>,
    /// How long after its beginning a request may go to another peer; none for ever. nginx:
    /// `proxy_next_upstream_timeout`.
    pub timeout: Option<Duration>,
    /// How much of a body that streams is kept to be sent again, bytes.
    pub body: usize,
}

/// What may have become of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Condition {
    /// No connection, or one that ended before the answer's head was there.
    Error,
    /// Too long to connect, to send, or without an answer.
    Timeout,
    /// An answer that is not HTTP, or a 101 that does not fit.
    InvalidHeader,
    /// An answer with this status, as are those that follow.
    Http500,
    /// 502
    Http502,
    /// 503
    Http503,
    /// 504
    Http504,
    /// 403
    Http403,
    /// 404
    Http404,
    /// 429
    Http429,
    /// No event, but leave to send a request again that may do something twice.
    NonIdempotent,
}

impl Condition {
    /// Every one with its word, which is nginx's.
    pub const ALL: [(&'static str, Self); 11] = [
        ("error", Self::Error),
        ("timeout", Self::Timeout),
        ("invalid_header", Self::InvalidHeader),
        ("http_500", Self::Http500),
        ("http_502", Self::Http502),
        ("http_503", Self::Http503),
        ("http_504", Self::Http504),
        ("http_403", Self::Http403),
        ("http_404", Self::Http404),
        ("http_429", Self::Http429),
        ("non_idempotent", Self::NonIdempotent),
    ];

    /// The one of an answer's status; none where no word is for it.
    pub fn of_status(status: u16) -> Option<Self> {
        Some(match status {
            500 => Self::Http500,
            502 => Self::Http502,
            503 => Self::Http503,
            504 => Self::Http504,
            403 => Self::Http403,
            404 => Self::Http404,
            429 => Self::Http429,
            _ => return None,
        })
    }

    /// Whether it says something of the peer. nginx: 403 and 404 are never unsuccessful attempts.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Http403 | Self::Http404)
    }
}

/// Several conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conditions(u16);

impl Conditions {
    /// With one more.
    #[must_use]
    pub fn with(self, one: Condition) -> Self {
        Self(self.0 | (1 << one as u8))
    }

    /// Whether this one is among them.
    pub fn has(self, one: Condition) -> bool {
        self.0 & (1 << one as u8) != 0
    }
}

/// `breaker` of an upstream, for each of its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// The part of what a peer was asked that opens it, in percent, 1 to 100.
    pub failures: u32,
    /// The least number of requests within the window.
    pub requests: u32,
    /// How long what a peer was asked counts.
    pub window: Duration,
    /// How long it stays open.
    pub open: Duration,
}

/// `admission` of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Handshakes at once; none for any number.
    pub handshakes: Option<u32>,
    /// Other requests at once; none for any number.
    pub requests: Option<u32>,
    /// How many of each may wait.
    pub queue: u32,
    /// How long one may wait.
    pub wait: Duration,
    /// The least that `Retry-After` says.
    pub retry_after: Duration,
}
