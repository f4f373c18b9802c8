//! What is measured, in the order of the table.

use std::time::Duration;

use crate::load::echo::Shape;
use crate::load::stream::Way;
use crate::load::{BULK_TUNNELS, CONNECTIONS};

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// For `--only`.
    pub(crate) name: &'static str,
    /// For the table.
    pub(crate) title: &'static str,
    /// What is done.
    pub(crate) kind: Kind,
    /// What Tidegate has to reach.
    pub(crate) target: Target,
}

/// What a case does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Connect, 101, close.
    Handshake,
    /// Messages there and back.
    Echo(Shape),
    /// The same, counted in MiB moved: a message there and back is twice its size.
    Bulk(Shape),
    /// Messages of a MiB back to back in one direction.
    Stream(Way),
    /// Plain requests.
    Get,
    /// What the checks and header rules cost a plain request, by difference.
    Hooks,
    /// Connect, TLS handshake, close.
    Tls {
        /// With a session of an earlier one.
        resumed: bool,
    },
    /// Messages there and back over TLS.
    SecureEcho(Shape),
    /// The same, counted in MiB moved.
    SecureBulk(Shape),
    /// Plain requests, of which it is counted how many came to the backend over a connection
    /// that was there.
    Reuse,
    /// What a plugin that sees each message adds to messages there and back, by difference; counted in
    /// messages.
    Messages(Shape),
    /// Messages there and back on tunnels that no plugin looks into: what they cost more beside others
    /// that one does look into, by difference; counted in MiB moved.
    Beside(Shape),
    /// Plain requests that come together: the time that this share of them is answered within.
    Burst(f64),
    /// Memory at rest.
    Idle {
        /// Of tunnels over TLS.
        tls: bool,
    },
    /// From the start of the process to the first answer.
    StartUp,
}

/// The unit of a case's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Processor microseconds for each of these.
    CpuPer(&'static str),
    /// A share.
    Percent,
    /// Memory.
    KibiBytes,
    /// Time that passes.
    Milliseconds,
}

/// What has to be reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// At most so many times nginx's value.
    Ratio(f64),
    /// At most this value.
    Value(f64),
    /// At least this value.
    Least(f64),
    /// Nothing: for the record.
    None,
}

impl Case {
    /// The unit of its value.
    pub(crate) fn unit(&self) -> Unit {
        match self.kind {
            Kind::Handshake => Unit::CpuPer("handshake"),
            Kind::Tls { .. } => Unit::CpuPer("TLS handshake"),
            Kind::Echo(_) | Kind::SecureEcho(_) => Unit::CpuPer("round trip"),
            Kind::Bulk(_) | Kind::SecureBulk(_) | Kind::Stream(_) | Kind::Beside(_) => Unit::CpuPer("MiB moved"),
            Kind::Messages(_) => Unit::CpuPer("message"),
            Kind::Get | Kind::Hooks => Unit::CpuPer("request"),
            Kind::Reuse => Unit::Percent,
            Kind::Idle { .. } => Unit::KibiBytes,
            Kind::Burst(_) | Kind::StartUp => Unit::Milliseconds,
        }
    }

    /// How many operations of the load make one of the unit.
    pub(crate) fn scale(&self) -> f64 {
        let mebibyte = f64::from(1 << 20);
        match self.kind {
            Kind::Bulk(shape) | Kind::SecureBulk(shape) | Kind::Beside(shape) => mebibyte / (2.0 * shape.size as f64),
            Kind::Stream(_) => mebibyte,
            // There and back.
            Kind::Messages(_) => 0.5,
            _ => 1.0,
        }
    }

    /// Whether clients speak TLS.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self.kind, Kind::Tls { .. } | Kind::SecureEcho(_) | Kind::SecureBulk(_) | Kind::Idle { tls: true })
    }

    /// How long it runs uncounted.
    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_millis(500)
    }
}

impl Unit {
    /// As written in the table.
    pub(crate) fn text(self) -> String {
        match self {
            Self::CpuPer(what) => format!("CPU µs / {what}"),
            Self::Percent => "% of requests".into(),
            Self::KibiBytes => "KiB RSS / tunnel".into(),
            Self::Milliseconds => "ms".into(),
        }
    }
}

const fn shape(size: usize, tunnels: usize) -> Shape {
    Shape { size, tunnels, per_second: None }
}

const fn echo(size: usize, per_second: Option<u32>) -> Kind {
    Kind::Echo(Shape { size, tunnels: CONNECTIONS, per_second })
}

const fn seen(size: usize) -> Kind {
    Kind::Messages(shape(size, CONNECTIONS))
}

const fn bulk(size: usize) -> Kind {
    Kind::Bulk(shape(size, BULK_TUNNELS))
}

const fn case(name: &'static str, title: &'static str, kind: Kind, target: Target) -> Case {
    Case { name, title, kind, target }
}

/// All of them.
pub(crate) const CASES: &[Case] = &[
    case("handshake", "handshake: connect, 101, close", Kind::Handshake, Target::Ratio(1.1)),
    case("echo-64", "64 B echo, 64 tunnels", echo(64, None), Target::Ratio(1.0)),
    case("paced-64", "64 B echo at 5,000/s, 64 tunnels", echo(64, Some(5000)), Target::None),
    case("echo-1k", "1 KiB echo, 64 tunnels", echo(1024, None), Target::None),
    case("echo-16k", "16 KiB echo, 64 tunnels", echo(16 * 1024, None), Target::Ratio(0.4)),
    case("bulk-64k", "bulk: 64 KiB echo, 4 tunnels", bulk(64 * 1024), Target::Ratio(0.2)),
    case("bulk-1m", "bulk: 1 MiB echo, 4 tunnels", bulk(1 << 20), Target::Ratio(0.2)),
    case("stream-down", "1 MiB messages, server to client, 4 tunnels", Kind::Stream(Way::Down), Target::None),
    case("stream-up", "1 MiB messages, client to server, 4 tunnels", Kind::Stream(Way::Up), Target::None),
    case("get", "keep-alive GET of 64 B, 64 connections", Kind::Get, Target::Ratio(1.35)),
    case("hooks", "checks and headers on a GET, by difference", Kind::Hooks, Target::Value(6.0)),
    case("seen-64", "hook `messages` on a 64 B message, by difference", seen(64), Target::Value(1.0)),
    case("seen-1k", "hook `messages` on a 1 KiB message, by difference", seen(1024), Target::Value(1.1)),
    case(
        "beside-1m",
        "the bulk of 1 MiB beside 1,000 tunnels that hook `messages` looks into, by difference",
        Kind::Beside(shape(1 << 20, BULK_TUNNELS)),
        Target::None,
    ),
    case("reuse", "keep-alive GETs that go over a kept connection to the backend", Kind::Reuse, Target::Least(99.0)),
    case("burst-median", "64 GETs at the same moment: time to an answer, median", Kind::Burst(0.5), Target::None),
    case("burst-99", "the same, 99 % of them", Kind::Burst(0.99), Target::None),
    case("idle", "idle tunnel", Kind::Idle { tls: false }, Target::Value(3.0)),
    case("tls", "TLS handshake, whole", Kind::Tls { resumed: false }, Target::Ratio(1.0)),
    case("tls-resumed", "TLS handshake, resumed", Kind::Tls { resumed: true }, Target::Ratio(1.0)),
    case("wss-64", "64 B echo over TLS, 64 tunnels", Kind::SecureEcho(shape(64, CONNECTIONS)), Target::Ratio(1.0)),
    case(
        "wss-16k",
        "16 KiB echo over TLS, 64 tunnels",
        Kind::SecureEcho(shape(16 << 10, CONNECTIONS)),
        Target::Ratio(1.0),
    ),
    case(
        "wss-1m",
        "bulk over TLS: 1 MiB echo, 4 tunnels",
        Kind::SecureBulk(shape(1 << 20, BULK_TUNNELS)),
        Target::Ratio(1.0),
    ),
    case("wss-idle", "idle tunnel over TLS", Kind::Idle { tls: true }, Target::Ratio(0.5)),
    case("start", "start-up to the first answer, cache warm", Kind::StartUp, Target::Value(50.0)),
];
