//! The thread that moves the engines' epochs, by which deadlines are kept.
//!
//! It sleeps when no plugin has been called for a second, so that an idle proxy does not
//! wake 200 times a second for nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use wasmtime::Engine;

use super::engine::TICK;

/// Ticks without a call after which the thread goes to sleep.
const IDLE_TICKS: u32 = if cfg!(test) { 20 } else { 200 };

/// The running ticker; stops when dropped.
pub(super) struct Ticker {
    state: Arc<State>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// Whether a plugin was called since the last tick.
    used: AtomicBool,
    /// Whether the thread sleeps until it is woken.
    asleep: AtomicBool,
    stop: AtomicBool,
    /// The second engine, once there is one.
    second: OnceLock<Engine>,
}

impl Ticker {
    /// Start the thread.
    pub(super) fn start(engine: Engine) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let thread = thread::Builder::new().name("tidegate-epoch".into()).spawn(move || run(&engine, &shared))?;
        Ok(Self { state, thread })
    }

    /// Keep the deadlines of another engine, too; there is at most one.
    pub(super) fn join(&self, engine: Engine) {
        let _there_already = self.state.second.set(engine);
    }

    /// A plugin is about to run, or still runs: keep ticking.
    pub(super) fn touch(&self) {
        // Set at most once a tick, so that workers do not fight over the cache line. Where
        // it was set already, the thread stays awake for a second from now.
        if !self.state.used.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Whether the thread sleeps.
    #[cfg(test)]
    pub(super) fn asleep(&self) -> bool {
        self.state.asleep.load(Ordering::SeqCst)
    }

    #[cold]
    fn wake(&self) {
        self.state.used.store(true, Ordering::SeqCst);
        if self.state.asleep.load(Ordering::SeqCst) {
            self.thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
    }
}

fn run(engine: &Engine, state: &State) {
    let mut idle = 0;
    while !state.stop.load(Ordering::SeqCst) {
        thread::park_timeout(TICK);
        engine.increment_epoch();
        if let Some(second) = state.second.get() {
            second.increment_epoch();
        }
        if state.used.swap(false, Ordering::SeqCst) {
            idle = 0;
            continue;
        }
        idle += 1;
        if idle < IDLE_TICKS {
            continue;
        }
        state.asleep.store(true, Ordering::SeqCst);
        while !state.used.load(Ordering::SeqCst) && !state.stop.load(Ordering::SeqCst) {
            thread::park();
        }
        state.asleep.store(false, Ordering::SeqCst);
        idle = 0;
    }
}
