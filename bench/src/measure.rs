//! One measurement: one case, one proxy, one fresh process of it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::backend::accepted;
use crate::case::{Case, Kind};
use crate::error::{BenchError, Result};
use crate::load::{Meter, Span, Window, burst, echo, get, handshake, idle, stream, tls};
use crate::process::Cpu;
use crate::strace::{Calls, Trace};
use crate::subject::{Running, Setup, Subject, start};

/// Starts of the process in one start-up measurement.
const STARTS: usize = 7;

/// Tunnels beside those that are measured.
const OTHERS: usize = 1000;

/// How to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Length of the window.
    pub(crate) window: Duration,
    /// Idle tunnels.
    pub(crate) tunnels: usize,
}

/// What came out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// In the case's unit.
    pub(crate) value: f64,
    /// Of that, in user mode; zero where it is no processor time.
    pub(crate) user: f64,
    /// Of that, in the kernel.
    pub(crate) system: f64,
    /// Operations per second; none where there is no rate.
    pub(crate) rate: Option<f64>,
    /// Share of one processor that the proxy used.
    pub(crate) busy: Option<f64>,
}

/// Measure once.
pub(crate) fn measure(case: &Case, subject: Subject, setup: &Setup, backend: SocketAddr, plan: Plan) -> Result<Sample> {
    match case.kind {
        Kind::StartUp => start_up(subject, setup, backend),
        Kind::Reuse => reuse(case, subject, setup, backend, plan),
        Kind::Burst(share) => {
            let proxy = start(subject, setup, backend, false)?;
            let time = burst::run(proxy.door.address, Span { warm_up: case.warm_up(), window: plan.window }, share)?;
            Ok(Sample { value: time.as_secs_f64() * 1e3, ..Sample::default() })
        }
        Kind::Idle { tls } => {
            // One that has to compile plugins first has room to spare from that for thousands of tunnels.
            drop(start(subject, setup, backend, tls)?);
            let proxy = start(subject, setup, backend, tls)?;
            let bytes = idle::run(&proxy.door, plan.tunnels, &proxy.tree)?;
            Ok(Sample { value: bytes / 1024.0, ..Sample::default() })
        }
        Kind::Hooks => {
            let bare = subject.bare().ok_or(BenchError::Format("a proxy without hooks".into()))?;
            difference(case, subject, bare, setup, backend, plan)
        }
        Kind::Messages(_) => difference(case, Subject::TidegateSeen, Subject::TidegateBare, setup, backend, plan),
        Kind::Beside(_) => difference(case, Subject::TidegateBeside, Subject::TidegateBare, setup, backend, plan),
        _ => cpu(case, subject, setup, backend, plan),
    }
}

/// What one proxy costs more than another.
fn difference(
    case: &Case,
    more: Subject,
    less: Subject,
    setup: &Setup,
    backend: SocketAddr,
    plan: Plan,
) -> Result<Sample> {
    let without = cpu(case, less, setup, backend, plan)?;
    let with = cpu(case, more, setup, backend, plan)?;
    Ok(Sample {
        value: with.value - without.value,
        user: with.user - without.user,
        system: with.system - without.system,
        rate: None,
        busy: with.busy,
    })
}

fn cpu(case: &Case, subject: Subject, setup: &Setup, backend: SocketAddr, plan: Plan) -> Result<Sample> {
    let proxy = start(subject, setup, backend, case.is_secure())?;
    // Open while the load runs.
    let _others = match case.kind {
        Kind::Beside(_) => idle::open(&proxy.door, "/seen/echo", OTHERS)?,
        _ => Vec::new(),
    };
    let window = load(case, &proxy, setup, Span { warm_up: case.warm_up(), window: plan.window })?;
    let operations = window.operations as f64 / case.scale();
    let Cpu { user, system } = window.cpu;
    let per_operation = |time: Duration| time.as_secs_f64() * 1e6 / operations;
    Ok(Sample {
        value: per_operation(window.cpu.total()),
        user: per_operation(user),
        system: per_operation(system),
        rate: Some(operations / window.wall.as_secs_f64()),
        busy: Some(window.cpu.total().as_secs_f64() / window.wall.as_secs_f64()),
    })
}

fn load(case: &Case, proxy: &Running, setup: &Setup, span: Span) -> Result<Window> {
    let meter = Meter::start(&proxy.tree, span);
    let to = &proxy.door;
    match case.kind {
        Kind::Handshake => handshake::run(to.address, meter),
        Kind::Tls { resumed } => tls::run(to.address, &setup.trust, resumed, meter),
        Kind::Echo(shape)
        | Kind::Bulk(shape)
        | Kind::SecureEcho(shape)
        | Kind::SecureBulk(shape)
        | Kind::Messages(shape)
        | Kind::Beside(shape) => echo::run(to, shape, meter),
        Kind::Stream(way) => stream::run(to, way, meter),
        Kind::Get | Kind::Hooks | Kind::Reuse | Kind::Burst(_) | Kind::Idle { .. } | Kind::StartUp => {
            get::run(to.address, meter)
        }
    }
}

/// How many of the requests of a load came to the backend over a connection that was there
/// already, once a load before it has opened those that there must be.
fn reuse(case: &Case, subject: Subject, setup: &Setup, backend: SocketAddr, plan: Plan) -> Result<Sample> {
    let proxy = start(subject, setup, backend, false)?;
    load(case, &proxy, setup, Span { warm_up: Duration::ZERO, window: case.warm_up() })?;
    let before = accepted(backend)?;
    let window = load(case, &proxy, setup, Span { warm_up: Duration::ZERO, window: plan.window })?;
    // The second question came over a connection, too.
    let fresh = accepted(backend)?.saturating_sub(before + 1);
    let share = 1.0 - fresh as f64 / window.all_operations as f64;
    let rate = Some(window.operations as f64 / window.wall.as_secs_f64());
    Ok(Sample { value: share * 100.0, rate, ..Sample::default() })
}

/// The median of a few starts; one more before them warms the cache.
fn start_up(subject: Subject, setup: &Setup, backend: SocketAddr) -> Result<Sample> {
    drop(start(subject, setup, backend, false)?);
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(start(subject, setup, backend, false)?.start_up.as_secs_f64() * 1e3);
    }
    Ok(Sample { value: median(&mut times), ..Sample::default() })
}

/// System calls of one proxy under one case; none where the case does not count operations.
pub(crate) fn calls(
    case: &Case,
    subject: Subject,
    setup: &Setup,
    backend: SocketAddr,
    plan: Plan,
) -> Result<Option<Calls>> {
    let by_difference = matches!(case.kind, Kind::Hooks | Kind::Messages(_) | Kind::Beside(_));
    if by_difference || matches!(case.kind, Kind::Idle { .. } | Kind::StartUp | Kind::Reuse | Kind::Burst(_)) {
        return Ok(None);
    }
    let proxy = start(subject, setup, backend, case.is_secure())?;
    let trace = Trace::attach(&proxy.tree, setup)?;
    let window = load(case, &proxy, setup, Span { warm_up: Duration::ZERO, window: plan.window })?;
    trace.detach(window.all_operations as f64 / case.scale()).map(Some)
}

/// The middle value; of two middle ones their mean.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 {
        return upper;
    }
    let lower = middle.checked_sub(1).and_then(|i| values.get(i)).copied().unwrap_or(f64::NAN);
    f64::midpoint(lower, upper)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_middle_of_some_values() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }
}
