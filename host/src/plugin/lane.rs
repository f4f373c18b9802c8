//! The two ways to call a guest, and how each keeps its deadline.
//!
//! Both count the time for which the guest itself runs or waits, and not the time for which
//! the system or other work of the worker keeps it from running: a busy machine is no
//! reason to fail a good plugin.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Store, UpdateDeadline};

use super::engine::TICK;
use super::instance::Ctx;

/// Deadlines above this put a plugin on a fiber: nothing may hold a worker for longer.
const LONGEST_ON_WORKER: Duration = Duration::from_millis(20);

/// Ticks that a call of the sync lane gets at once; well below what lets the ticker sleep.
const LONGEST_GRANT: u64 = 10;

/// Interfaces with functions that can wait.
const WAITING: [&str; 5] =
    ["tidegate:plugin/http-client@", "wasi:io/", "wasi:filesystem/", "wasi:sockets/", "wasi:http/"];

/// How a plugin is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Like a function, on the worker's stack: for components that import nothing which
    /// can wait, and have a deadline of 20 ms or less. 0.2 µs a call.
    Sync,
    /// On a fiber: for components that import something which can wait (`http-client`, `wasi:io`, with
    /// which wasi-libc waits and prints, `wasi:filesystem`, `wasi:sockets`, `wasi:http`),
    /// or have a deadline above 20 ms. The worker is given back while it waits, and every
    /// 5 ms while it computes. About 0.6 µs a call.
    Fiber,
}

impl Lane {
    /// The lane of a component that can wait or not, and has this deadline.
    pub(super) fn choose(waits: bool, deadline: Duration) -> Self {
        if waits || deadline > LONGEST_ON_WORKER { Self::Fiber } else { Self::Sync }
    }
}

/// Whether an import has functions that can wait.
pub(super) fn can_wait(import: &str) -> bool {
    WAITING.iter().any(|prefix| import.starts_with(prefix))
}

/// The deadline of the call that a store is in.
#[derive(Debug)]
pub(super) struct Turn {
    limit: Duration,
    /// The thread's CPU time at the first tick of the call (sync lane).
    since: Option<Duration>,
    /// Ticks that the call was given so far.
    granted: u64,
    /// Whether the last pause was given by us, not asked for by the guest (fiber lane).
    paused: Arc<AtomicBool>,
}

impl Turn {
    pub(super) fn new() -> Self {
        Self { limit: Duration::ZERO, since: None, granted: 0, paused: Arc::default() }
    }

    /// One tick of the sync lane. A tick that comes after the deadline proves little: the
    /// thread may not have run. So the first tick (at most 5 ms after the start) reads the
    /// thread's CPU clock, which would be too dear for each call, and later ones compare.
    /// A guest is stopped after its deadline and at most two ticks.
    fn tick(&mut self) -> UpdateDeadline {
        let now = cpu_time();
        let used = now.saturating_sub(*self.since.get_or_insert(now));
        // An end in any case, on a machine that hardly lets the thread run.
        let most = ticks(self.limit).saturating_mul(20).saturating_add(100);
        // Ticks are not exact: half a one is within the deadline's tolerance.
        if used + TICK / 2 >= self.limit || self.granted >= most {
            return UpdateDeadline::Interrupt;
        }
        // Not all at once: the ticker must hear before it goes to sleep that we still run.
        let more = ticks(self.limit.saturating_sub(used)).min(LONGEST_GRANT);
        self.granted += more;
        UpdateDeadline::Continue(more)
    }

    /// How long the current call may take.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// The flag that says who paused the guest, for [`within`].
    pub(super) fn pauses(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.paused)
    }
}

/// Prepare a new store for its lane.
pub(super) fn prepare(store: &mut Store<Ctx>, lane: Lane) {
    match lane {
        Lane::Sync => store.epoch_deadline_callback(|mut cx| {
            let ctx = cx.data_mut();
            ctx.shared.ticker.touch();
            ctx.meter.allow_call()?;
            Ok(ctx.turn.tick())
        }),
        Lane::Fiber => store.epoch_deadline_callback(|cx| {
            let ctx = cx.data();
            ctx.shared.ticker.touch();
            ctx.meter.allow_call()?;
            ctx.turn.paused.store(true, Ordering::Relaxed);
            // tokio's own yield lets it look at sockets and timers before it comes back; a
            // plain wake-up would be served 60 times in a row before that.
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        }),
    }
}

/// Begin a call that may take `limit`.
pub(super) fn begin(store: &mut Store<Ctx>, limit: Duration) {
    let ctx = store.data_mut();
    ctx.shared.ticker.touch();
    ctx.turn.limit = limit;
    ctx.turn.since = None;
    ctx.turn.granted = 0;
    ctx.meter.begin();
    store.set_epoch_deadline(1);
}

/// Run a call of the fiber lane for at most `limit`; none where that has passed.
///
/// Needs a tokio runtime with its timer where the guest waits.
pub(super) async fn within<F: Future>(limit: Duration, pauses: &AtomicBool, call: F) -> Option<F::Output> {
    let mut call = pin!(call);
    let mut spent = Duration::ZERO;
    // Most calls end in the first poll, for which no clock is read: without a pause it
    // takes a tick at most.
    let mut first = true;
    let mut waiting_since = None::<Instant>;
    let mut timer = None::<Pin<Box<tokio::time::Sleep>>>;
    poll_fn(move |cx| {
        let start = (!first).then(Instant::now);
        first = false;
        if let Some((start, since)) = start.zip(waiting_since.take()) {
            spent += start.saturating_duration_since(since);
        }
        if spent < limit {
            if let Poll::Ready(output) = call.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            spent += start.map_or(Duration::ZERO, |start| start.elapsed());
        }
        if spent >= limit {
            return Poll::Ready(None);
        }
        if pauses.swap(false, Ordering::Relaxed) {
            return Poll::Pending;
        }
        waiting_since = Some(Instant::now());
        let end = tokio::time::Instant::now() + limit.saturating_sub(spent);
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        timer.as_mut().reset(end);
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Whole ticks in which `time` has passed; at least one.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX).max(1)
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
