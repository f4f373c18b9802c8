//! What went wrong in a call, and the rest that a plugin is given after too many failures.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use super::instance::Ctx;
use crate::hook::HookFailureKind;

/// Failures in a row after which a plugin rests.
const ROW: u32 = 8;
/// The first rest; each failure after it doubles the next one.
const REST: Duration = Duration::from_millis(100);
/// How often the rest doubles: up to 6.4 s.
const DOUBLINGS: u32 = 6;

/// What ended a call.
#[derive(Debug)]
pub(super) enum Fault {
    /// The engine stopped it, or the guest's answer could not be read.
    Engine(wasmtime::Error),
    /// The answer was read and breaks the contract.
    Answer(String),
    /// The fiber lane's deadline passed.
    Deadline,
    /// `configure` refused the configuration.
    Configure(String),
    /// The interface of this name has a function of another type.
    Shape(String, wasmtime::Error),
}

impl From<wasmtime::Error> for Fault {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(error)
    }
}

/// A fault with its kind, in words.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: HookFailureKind,
    pub(super) detail: String,
    /// The guest's stack, innermost frame first; empty where there is none.
    pub(super) backtrace: String,
    /// Whether the plugin is to blame, so that it counts towards a rest.
    pub(super) blame: bool,
    /// What a message about a plugin that does not start should be about.
    pub(super) subject: Subject,
}

/// What a failure is about, where there is more to say than its kind.
#[derive(Debug)]
pub(super) enum Subject {
    /// Nothing else.
    Call,
    /// It refused its configuration.
    Configuration,
    /// It was refused memory; with that it would have had this many bytes.
    Memory(usize),
    /// This interface is not as the contract has it.
    Shape(String),
}

impl Failure {
    fn new(kind: HookFailureKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), backtrace: String::new(), blame: true, subject: Subject::Call }
    }

    /// An answer breaks the contract.
    pub(super) fn answer(detail: String) -> Self {
        Self::new(HookFailureKind::BadAnswer, detail)
    }

    /// Too many calls are under way.
    pub(super) fn busy() -> Self {
        Self { blame: false, ..Self::new(HookFailureKind::Instantiate, "too many calls are under way") }
    }

    /// Something that is not the plugin's fault.
    pub(super) fn host(detail: String) -> Self {
        Self { blame: false, ..Self::new(HookFailureKind::Instantiate, detail) }
    }

    /// Name a fault of the call that this store is in.
    pub(super) fn of(fault: &Fault, ctx: &Ctx) -> Self {
        match fault {
            Fault::Answer(detail) => Self::new(HookFailureKind::BadAnswer, detail),
            Fault::Deadline => Self::deadline(ctx),
            Fault::Configure(said) => {
                Self { subject: Subject::Configuration, ..Self::new(HookFailureKind::Instantiate, said) }
            }
            Fault::Shape(interface, error) => {
                let failure = Self::new(HookFailureKind::Instantiate, error.root_cause().to_string());
                Self { subject: Subject::Shape(interface.clone()), ..failure }
            }
            Fault::Engine(error) => Self::of_error(error, ctx),
        }
    }

    fn deadline(ctx: &Ctx) -> Self {
        Self::new(HookFailureKind::Deadline, format!("it took longer than {:?}", ctx.turn.limit()))
    }

    fn of_error(error: &wasmtime::Error, ctx: &Ctx) -> Self {
        let backtrace = error.downcast_ref::<WasmBacktrace>();
        let trap = error.downcast_ref::<Trap>();
        let detail = error.root_cause().to_string();
        let failure = match trap {
            _ if error.is::<PoolConcurrencyLimitError>() => Self::host(detail),
            Some(Trap::Interrupt) => Self::deadline(ctx),
            _ if let Some(wanted) = ctx.meter.refused => {
                Self { subject: Subject::Memory(wanted), ..Self::new(HookFailureKind::Memory, detail) }
            }
            // wasmtime's own type for this is private.
            _ if detail.contains("fuel allocated for hostcalls") => Self::new(HookFailureKind::BadAnswer, detail),
            // What is raised outside of the guest's code is about its answer: text that is
            // not UTF-8, a list beyond its memory.
            None if backtrace.is_none() => Self::new(HookFailureKind::BadAnswer, detail),
            _ => Self::new(HookFailureKind::Trap, detail),
        };
        Self { backtrace: backtrace.map(ToString::to_string).unwrap_or_default(), ..failure }
    }
}

/// Counts failures in a row, and makes the plugin rest after 8 of them: 100 ms, doubling
/// to 6.4 s, until a call succeeds. A client that can make a plugin trap then costs less
/// than the making of an instance for each of its requests.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    row: AtomicU32,
    /// Milliseconds since `START`; 0 where it does not rest.
    until: AtomicU64,
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Breaker {
    /// Whether the plugin rests now.
    pub(super) fn resting(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until != 0 && now() < until
    }

    /// A call succeeded.
    pub(super) fn good(&self) {
        if self.row.load(Ordering::Relaxed) != 0 {
            self.row.store(0, Ordering::Relaxed);
            self.until.store(0, Ordering::Relaxed);
        }
    }

    /// A call failed. The rest that begins now, if one does.
    pub(super) fn bad(&self) -> Option<Duration> {
        let row = self.row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let over = row.checked_sub(ROW)?;
        let rest = REST * 2_u32.pow(over.min(DOUBLINGS));
        let until = now().saturating_add(u64::try_from(rest.as_millis()).unwrap_or(u64::MAX));
        self.until.store(until.max(1), Ordering::Relaxed);
        Some(rest)
    }
}

fn now() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_after_eight_failures_and_longer_each_time() {
        let breaker = Breaker::default();
        assert!((0..7).all(|_| breaker.bad().is_none()), "seven are borne");
        assert!(!breaker.resting());
        let rests: Vec<_> = (0..9).filter_map(|_| breaker.bad()).map(|r| r.as_millis()).collect();
        assert_eq!(rests, [100, 200, 400, 800, 1600, 3200, 6400, 6400, 6400]);
        assert!(breaker.resting());
        breaker.good();
        assert!(!breaker.resting());
        assert!(breaker.bad().is_none(), "the row begins anew");
    }
}
