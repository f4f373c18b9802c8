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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
            Kind::Echo(_) => Unit::CpuPer("round trip"),
            Kind::Bulk(_) | Kind::Stream(_) => Unit::CpuPer("MiB moved"),
            Kind::Get | Kind::Hooks => Unit::CpuPer("request"),
            Kind::Idle => Unit::KibiBytes,
            Kind::StartUp => Unit::Milliseconds,
        }
    }

    /// How many operations of the load make one of the unit.
    pub(crate) fn scale(&self) -> f64 {
        let mebibyte = f64::from(1 << 20);
        match self.kind {
            Kind::Bulk(shape) => mebibyte / (2.0 * shape.size as f64),
            Kind::Stream(_) => mebibyte,
            _ => 1.0,
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

const fn echo(size: usize, per_second: Option<u32>) -> Kind {
    Kind::Echo(Shape { size, tunnels: CONNECTIONS, per_second })
}

const fn bulk(size: usize) -> Kind {
    Kind::Bulk(Shape { size, tunnels: BULK_TUNNELS, per_second: None })
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
    case("idle", "idle tunnel", Kind::Idle, Target::Value(3.0)),
    case("start", "start-up to the first answer, cache warm", Kind::StartUp, Target::Value(50.0)),
];
