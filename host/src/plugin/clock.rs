//! A clock that is cheap enough to be read twice in each call: 8 ns a reading, where the
//! system's takes 19 ns, and the thread's CPU time asks the kernel.
//!
//! What it measures is how long a guest has had its worker: CPU time, with what the system
//! ran in between. On a worker that has its core to itself both are the same.
#![allow(unsafe_code, reason = "reading the processor's counter has no safe function")]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::{Duration, Instant};

/// A reading of the clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading(u64);

impl Reading {
    /// Read the clock.
    pub(super) fn now() -> Self {
        Self(read())
    }

    /// Ticks since then.
    pub(super) fn ticks(self) -> u64 {
        // Counters of two cores may differ by a few ticks.
        read().saturating_sub(self.0)
    }
}

#[cfg(target_arch = "x86_64")]
fn read() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and Linux lets every process use it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn read() -> u64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// How long a tick is: by the system's clock, since this was made.
#[derive(Debug)]
pub(super) struct Scale {
    reading: Reading,
    instant: Instant,
}

impl Scale {
    pub(super) fn new() -> Self {
        Self { reading: Reading::now(), instant: Instant::now() }
    }

    /// So many ticks as time. Exact to a millionth once this is a minute old.
    pub(super) fn time(&self, ticks: u64) -> Duration {
        let (passed, all) = (self.instant.elapsed(), self.reading.ticks());
        if all == 0 {
            return Duration::ZERO;
        }
        let nanos = u128::from(ticks).saturating_mul(passed.as_nanos()) / u128::from(all);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Run a call of the fiber lane; `worked` hears of the beginning of every turn on a worker, at
/// its end.
pub(super) async fn timed<F: Future>(worked: impl Fn(Reading), call: F) -> F::Output {
    let mut call = pin!(call);
    poll_fn(move |cx| {
        let since = Reading::now();
        let answer = call.as_mut().poll(cx);
        worked(since);
        answer
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_time() {
        let scale = Scale::new();
        let (since, begin) = (Reading::now(), Instant::now());
        while begin.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let (ticks, passed) = (since.ticks(), begin.elapsed());
        let measured = scale.time(ticks);
        let off = measured.abs_diff(passed);
        assert!(off < passed / 10, "{measured:?} for {passed:?}");
        assert_eq!(scale.time(0), Duration::ZERO);
    }
}
