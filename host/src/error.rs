//! Errors as data: what happened, on which side, and whether another peer may be tried.
//!
//! `proxy/respond.rs` is the one place that turns a [`Kind`] into a status.

use std::io;

use http::StatusCode;

use crate::hook::{HookFailureKind, LocalReply};

/// Which side of the proxy an error comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client.
    Downstream,
    /// The peer.
    Upstream,
    /// A plugin.
    Plugin,
    /// The proxy itself or its configuration.
    Internal,
}

/// Whether the same request may be sent to another peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// No: the peer may have acted on it.
    Never,
    /// Yes: nothing of it reached the peer.
    NextPeer,
}

/// What happened. A closed list: each has a stable [`Kind::code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request breaks HTTP: its grammar, its framing, no Host, two Hosts.
    BadRequest,
    /// The request line alone is larger than a head may be.
    TargetTooLong,
    /// The head is larger than it may be.
    HeadTooLarge,
    /// A version of HTTP that is not spoken.
    Version,
    /// A transfer coding other than `chunked`.
    TransferCoding,
    /// Plain HTTP where TLS is spoken. nginx: 497.
    PlainOnTls,
    /// For a site that asks more of clients than was asked on the connection (RFC 9110 §15.5.20).
    Misdirected,
    /// CONNECT, which a reverse proxy does not serve.
    MethodNotAllowed,
    /// A WebSocket handshake that breaks RFC 6455 §4.2.1.
    Handshake,
    /// A WebSocket version other than 13 (RFC 6455 §4.4).
    HandshakeVersion,
    /// The client's body broke off or could not be parsed.
    ClientBody,
    /// The body is larger than `limits.max_body`.
    BodyTooLarge,
    /// Beyond a rate of `limits.rate`, with the status that it says.
    RateLimit(StatusCode),
    /// Beyond a number of `limits.concurrent`, with the status that it says.
    OpenLimit(StatusCode),
    /// The file is not there.
    NotFound,
    /// The file must not be read: no right, a link that is not followed, a folder without index.
    Forbidden,
    /// A file cannot be read or compressed.
    File,
    /// A condition of the request does not hold for the file.
    Precondition,
    /// No part of a file of this length, in bytes, is in the ranges that were asked for.
    Range(u64),
    /// The status that `try_files` ends with.
    NoneOfThese(StatusCode),
    /// Too many turns from path to path within the proxy.
    Circles,
    /// The client was silent for too long within its head or its body.
    ClientTimeout,
    /// No router knew a route.
    NoRoute,
    /// A router named a route or upstream that the configuration does not have.
    UnknownTarget,
    /// Beyond `admission` of an upstream; so many seconds are to pass before the next try.
    Admission(u32),
    /// Every peer is down or was tried.
    NoPeer,
    /// The peer's address is not public, and it was found by a name that a plugin may ask.
    Private,
    /// The connection to the peer was refused or failed.
    Connect,
    /// The connection to the peer took longer than `timeouts.connect`.
    ConnectTimeout,
    /// The TLS handshake with the peer failed: its certificate is not to be believed, or the two
    /// have no version in common.
    Tls,
    /// TLS with the peer failed behind the handshake; with TLS 1.3 a peer that refuses the
    /// proxy's certificate says so only then.
    TlsBroken,
    /// The peer took no bytes for `timeouts.send`.
    SendTimeout,
    /// The peer sent nothing for `timeouts.read`.
    ReadTimeout,
    /// The peer closed or reset the connection before the head was there.
    Closed,
    /// The peer has done nothing with the request and said so: REFUSED_STREAM, or GOAWAY with an
    /// earlier stream as its last (RFC 9113 §8.7).
    Refused,
    /// The peer was to speak HTTP/2 and does not.
    NotHttp2,
    /// The peer's answer is not HTTP.
    BadResponse,
    /// A 101 that does not fit the handshake (RFC 6455 §4.2.2).
    BadSwitch,
    /// A 101 that nobody asked for.
    UnaskedSwitch,
    /// The grant of a tunnel was revoked before it opened.
    Revoked,
    /// A plugin's call failed, and it fails closed.
    Plugin(HookFailureKind),
    /// A plugin let a body go on no further.
    BodyStopped,
    /// An answer's body is larger than plugins may be shown it whole, by `bodies.max_size`.
    AnswerTooLarge,
}

impl Kind {
    /// The side that it comes from.
    pub fn side(self) -> Side {
        match self {
            Self::BadRequest
            | Self::TargetTooLong
            | Self::HeadTooLarge
            | Self::Version
            | Self::TransferCoding
            | Self::PlainOnTls
            | Self::Misdirected
            | Self::MethodNotAllowed
            | Self::Handshake
            | Self::HandshakeVersion
            | Self::ClientBody
            | Self::BodyTooLarge
            | Self::RateLimit(_)
            | Self::OpenLimit(_)
            | Self::Admission(_)
            | Self::Revoked
            | Self::ClientTimeout => Side::Downstream,
            Self::NoPeer
            | Self::Private
            | Self::Connect
            | Self::ConnectTimeout
            | Self::Tls
            | Self::TlsBroken
            | Self::SendTimeout
            | Self::ReadTimeout
            | Self::Closed
            | Self::Refused
            | Self::NotHttp2
            | Self::BadResponse
            | Self::BadSwitch
            | Self::UnaskedSwitch => Side::Upstream,
            Self::NotFound | Self::Forbidden | Self::Precondition | Self::Range(_) | Self::NoneOfThese(_) => {
                Side::Downstream
            }
            Self::Plugin(_) | Self::BodyStopped | Self::AnswerTooLarge => Side::Plugin,
            Self::NoRoute | Self::UnknownTarget | Self::File | Self::Circles => Side::Internal,
        }
    }

    /// Whether another peer may be tried. Only where the connection never stood, or the peer says
    /// itself that it has not acted: what was written to a peer may have acted.
    pub fn retry(self) -> Retry {
        match self {
            Self::Connect | Self::ConnectTimeout | Self::Tls | Self::Refused | Self::NotHttp2 => Retry::NextPeer,
            _ => Retry::Never,
        }
    }

    /// The stable code for logs, metrics and tests.
    pub fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "downstream.bad_request",
            Self::TargetTooLong => "downstream.target_too_long",
            Self::HeadTooLarge => "downstream.head_too_large",
            Self::Version => "downstream.version",
            Self::TransferCoding => "downstream.transfer_coding",
            Self::PlainOnTls => "downstream.plain_on_tls",
            Self::Misdirected => "downstream.misdirected",
            Self::MethodNotAllowed => "downstream.method",
            Self::Handshake => "downstream.handshake",
            Self::HandshakeVersion => "downstream.handshake_version",
            Self::ClientBody => "downstream.body",
            Self::BodyTooLarge => "downstream.body_too_large",
            Self::RateLimit(_) => "limit.rate",
            Self::OpenLimit(_) => "limit.concurrent",
            Self::Admission(_) => "limit.admission",
            Self::NotFound => "file.not_found",
            Self::Forbidden => "file.forbidden",
            Self::File => "file.unreadable",
            Self::Precondition => "file.precondition",
            Self::Range(_) => "file.range",
            Self::NoneOfThese(_) => "file.none_of_these",
            Self::Circles => "internal.circles",
            Self::ClientTimeout => "downstream.timeout",
            Self::NoRoute => "internal.no_route",
            Self::UnknownTarget => "internal.unknown_target",
            Self::NoPeer => "upstream.no_peer",
            Self::Private => "upstream.private",
            Self::Connect => "upstream.connect",
            Self::ConnectTimeout => "upstream.connect_timeout",
            Self::Tls => "upstream.tls",
            Self::TlsBroken => "upstream.tls_broken",
            Self::SendTimeout => "upstream.send_timeout",
            Self::ReadTimeout => "upstream.read_timeout",
            Self::Closed => "upstream.closed",
            Self::Refused => "upstream.refused",
            Self::NotHttp2 => "upstream.not_http2",
            Self::BadResponse => "upstream.bad_response",
            Self::BadSwitch => "upstream.bad_switch",
            Self::UnaskedSwitch => "upstream.unasked_switch",
            Self::Revoked => "access.revoked",
            Self::Plugin(kind) => kind.code(),
            Self::BodyStopped => "plugin.body_stopped",
            Self::AnswerTooLarge => "plugin.answer_too_large",
        }
    }
}

/// An error on a request's way: its kind and, for the log, what exactly was wrong.
#[derive(Debug, thiserror::Error)]
#[error("{}{}{}", kind.code(), if detail.is_empty() { "" } else { ": " }, detail)]
pub struct Error {
    /// What happened.
    pub kind: Kind,
    /// More, for the log; may be empty.
    pub detail: String,
}

impl Error {
    /// An error of a kind, with a detail for the log.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// An error of a connection to a peer.
    pub fn from_peer(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => Kind::SendTimeout,
            _ if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => Kind::TlsBroken,
            _ => Kind::Closed,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self { kind, detail: String::new() }
    }
}

/// An error and its sources in one line.
pub fn chain_text(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for source in std::iter::successors(error.source(), |e| e.source()) {
        let part = source.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
    }
    text
}

/// Why a phase stopped the request: an error, or an answer that a plugin gave.
#[derive(Debug)]
pub enum Stop {
    /// Something went wrong.
    Error(Error),
    /// A plugin answered.
    Reply(LocalReply),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Kind> for Stop {
    fn from(kind: Kind) -> Self {
        Self::Error(kind.into())
    }
}

impl From<LocalReply> for Stop {
    fn from(reply: LocalReply) -> Self {
        Self::Reply(reply)
    }
}
