//! What went wrong in a call, with the limit that it passed, if it passed one.

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use super::backtrace;
use super::instance::Ctx;
use super::limits::Refused;
use crate::hook::HookFailureKind;

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
    pub(super) backtrace: Box<str>,
    /// What the guest said before it failed: a panic's message. Empty where it said nothing.
    pub(super) said: Box<str>,
    /// The id of the request that it was about; none outside of one.
    pub(super) request: Option<Box<str>>,
    /// Whether the plugin is to blame, so that it counts towards a quarantine.
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
    /// It was refused elements of tables; with those it would have had so many.
    Table(usize),
    /// This interface is not as the contract has it.
    Shape(String),
}

impl Failure {
    fn new(kind: HookFailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            backtrace: Box::default(),
            said: Box::default(),
            request: None,
            blame: true,
            subject: Subject::Call,
        }
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
        let failure = Self::of_fault(fault, ctx);
        let request = ctx.about.and_then(|(serial, builtins)| builtins.request_id(serial)).map(Into::into);
        Self { said: ctx.voice.last_words().into(), request, ..failure }
    }

    fn of_fault(fault: &Fault, ctx: &Ctx) -> Self {
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
        Self::new(HookFailureKind::Deadline, format!("it took longer than {:?} (`deadline`)", ctx.turn.limit()))
    }

    /// It ended after it was refused what it asked for.
    fn refused(refused: Refused, ctx: &Ctx, detail: &str) -> Self {
        let limits = &ctx.shared.limits;
        let (subject, what) = match refused {
            Refused::Memory(wanted) => (
                Subject::Memory(wanted),
                format!("{wanted} bytes of memory, and may have {} (`memory`)", limits.memory),
            ),
            Refused::Table(wanted) => (
                Subject::Table(wanted),
                format!("tables of {wanted} elements, and may have {} (`table`)", limits.table),
            ),
        };
        Self { subject, ..Self::new(HookFailureKind::Memory, format!("it asked for {what}: {detail}")) }
    }

    fn of_error(error: &wasmtime::Error, ctx: &Ctx) -> Self {
        let backtrace = error.downcast_ref::<WasmBacktrace>();
        let trap = error.downcast_ref::<Trap>();
        let detail = error.root_cause().to_string();
        let failure = match trap {
            _ if error.is::<PoolConcurrencyLimitError>() => Self::host(detail),
            Some(Trap::Interrupt) => Self::deadline(ctx),
            _ if let Some(most) = ctx.meter.passed_calls() => Self::new(
                HookFailureKind::HostCalls,
                format!("it called the host more than {most} times (`host_calls`)"),
            ),
            _ if let Some(refused) = ctx.meter.refused => Self::refused(refused, ctx, &detail),
            // wasmtime's own type for this is private.
            _ if detail.contains("fuel allocated for hostcalls") => {
                let most = ctx.shared.limits.output;
                Self::new(
                    HookFailureKind::BadAnswer,
                    format!("it gave more than {most} bytes at once (`output`): {detail}"),
                )
            }
            // What is raised outside of the guest's code is about its answer: text that is
            // not UTF-8, a list beyond its memory.
            None if backtrace.is_none() => Self::new(HookFailureKind::BadAnswer, detail),
            _ => Self::new(HookFailureKind::Trap, detail),
        };
        Self { backtrace: backtrace.map(backtrace::line).unwrap_or_default().into(), ..failure }
    }
}
