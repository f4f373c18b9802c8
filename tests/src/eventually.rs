//! Waiting for a condition instead of sleeping.

use std::thread::park_timeout;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it: 20 seconds, or as many as
/// `TIDEGATE_TEST_PATIENCE` says. A test that passes never waits for that long.
pub fn patience() -> Duration {
    let seconds = std::env::var("TIDEGATE_TEST_PATIENCE").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(20))
}

/// Poll until `condition` holds; fail the test if it does not within [`patience`].
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Poll until `probe` gives something; fail the test if it does not within [`patience`].
#[track_caller]
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {:?} in vain for: {what}", patience());
        park_timeout(Duration::from_millis(2));
    }
}
