//! The level of the process's log while one request is served. nginx: `error_log` in a
//! `server` or `location`, and `debug_connection`.
//!
//! The level is the thread's while the request's task runs, so that every line that is
//! written on its behalf, by whatever module, goes by it.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::level_filters::LevelFilter;

/// Whether any configuration had a level of its own for some requests.
static ACTIVE: AtomicBool = AtomicBool::new(false);

thread_local! {
    static CURRENT: Cell<Option<LevelFilter>> = const { Cell::new(None) };
}

/// From now on requests may have levels of their own. Until this is said for the first time,
/// they cost nothing.
pub fn activate() {
    if !ACTIVE.swap(true, Ordering::Relaxed) {
        // Lines that no level let through may be wanted now.
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Whether requests may have levels of their own.
pub fn is_active() -> bool {
    ACTIVE.load(Ordering::Relaxed)
}

/// The level of what runs on this thread now; none where it has no own.
pub fn current() -> Option<LevelFilter> {
    CURRENT.get()
}

/// Give the request that is being served this level, for the rest of its life. Does nothing
/// outside of [`scope`].
pub fn set(level: LevelFilter) {
    if is_active() {
        CURRENT.set(Some(level));
    }
}

/// Serve a request, with a level that [`set`] can give it.
///
/// By reference: what serves a request is some kilobytes, and a future has room for what it is given, and once more
/// for where that is moved to.
pub async fn scope<F: Future>(mut serving: Pin<&mut F>) -> F::Output {
    if !is_active() {
        return serving.await;
    }
    let mut level = None;
    poll_fn(|cx| {
        let others = CURRENT.replace(level);
        let polled = serving.as_mut().poll(cx);
        level = CURRENT.replace(others);
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_level_is_its_requests_alone() {
        activate();
        let request = |level| async move {
            scope(pin!(async move {
                assert_eq!(current(), None);
                set(level);
                tokio::task::yield_now().await;
                current()
            }))
            .await
        };
        let (one, two) = tokio::join!(request(LevelFilter::DEBUG), request(LevelFilter::ERROR));
        assert_eq!((one, two, current()), (Some(LevelFilter::DEBUG), Some(LevelFilter::ERROR), None));
    }
}
