//! What is measured, in the order of the table.

use std::time::Duration;

use crate::load::bulk::Way;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Connect, 101, close.
    Handshake,
    /// Messages there and back; paced where a rate is given.
    Echo {
        /// Bytes of payload.
        size: usize,
        /// Messages per second over all tunnels.
        per_second: Option<u32>,
    },
    /// Messages in one direction.
    Bulk {
        /// Bytes of payload.
        size: usize,
        /// Which direction.
        way: Way,
    },
    /// Plain requests.
    Get,
    /// What the checks and header rules cost a plain request, by difference.
    Hooks,
    /// Memory at rest.
    Idle,
    /// From the start of the process to the first answer.
    StartUp,
}

/// The unit of a case's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Processor microseconds for each of these.
    CpuPer(&'static str),
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
    /// Nothing: for the record.
    None,
}

impl Case {
    /// The unit of its value.
    pub(crate) fn unit(&self) -> Unit {
        match self.kind {
            Kind::Handshake => Unit::CpuPer("handshake"),
            Kind::Echo { .. } => Unit::CpuPer("round trip"),
            Kind::Bulk { .. } => Unit::CpuPer("MiB"),
            Kind::Get | Kind::Hooks => Unit::CpuPer("request"),
            Kind::Idle => Unit::KibiBytes,
            Kind::StartUp => Unit::Milliseconds,
        }
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
            Self::KibiBytes => "KiB RSS / tunnel".into(),
            Self::Milliseconds => "ms".into(),
        }
    }
}

const fn echo(size: usize) -> Kind {
    Kind::Echo { size, per_second: None }
}

const fn bulk(size: usize, way: Way) -> Kind {
    Kind::Bulk { size, way }
}

const fn case(name: &'static str, title: &'static str, kind: Kind, target: Target) -> Case {
    Case { name, title, kind, target }
}

/// All of them.
pub(crate) const CASES: &[Case] = &[
    case("handshake", "handshake: connect, 101, close", Kind::Handshake, Target::Ratio(1.1)),
    case("echo-64", "64 B echo, 64 tunnels", echo(64), Target::Ratio(1.0)),
    case("paced-64", "64 B echo at 5,000/s, 64 tunnels", Kind::Echo { size: 64, per_second: Some(5000) }, Target::None),
    case("echo-1k", "1 KiB echo, 64 tunnels", echo(1024), Target::None),
    case("echo-16k", "16 KiB echo, 64 tunnels", echo(16 * 1024), Target::Ratio(0.4)),
    case("bulk-64k", "bulk down, 64 KiB messages", bulk(64 * 1024, Way::Down), Target::Ratio(0.2)),
    case("bulk-1m", "bulk down, 1 MiB messages", bulk(1 << 20, Way::Down), Target::Ratio(0.2)),
    case("bulk-up", "bulk up, 1 MiB messages", bulk(1 << 20, Way::Up), Target::None),
    case("get", "keep-alive GET of 64 B, 64 connections", Kind::Get, Target::Ratio(1.35)),
    case("hooks", "checks and headers on a GET, by difference", Kind::Hooks, Target::Value(6.0)),
    case("idle", "idle tunnel", Kind::Idle, Target::Value(3.0)),
    case("start", "start-up to the first answer, cache warm", Kind::StartUp, Target::Value(50.0)),
];
