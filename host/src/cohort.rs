//! Requests that come together go through the phases together: cohort scheduling (Larus and
//! Parkes, "Using Cohort Scheduling to Enhance Server Performance", 2002).
//!
//! A request that is ready to be sent on waits until the others that its worker holds are
//! ready, too; then they are sent one right behind the other. So the code of a phase is in the
//! processor's caches for all but the first, and the process behind a loopback or a Unix
//! socket is woken once for all of them. A worker that has one request at a time does not wait.

use std::cell::Cell;

/// How many came to a [`gather`] since the worker last had nothing to do, and before that.
#[derive(Clone, Copy)]
struct Cohort {
    now: u32,
    before: u32,
}

thread_local! {
    static COHORT: Cell<Cohort> = const { Cell::new(Cohort { now: 0, before: 0 }) };
}

/// The worker has nothing to do: the next to come begins a cohort.
pub fn ends() {
    COHORT.with(|cohort| cohort.set(Cohort { now: 0, before: cohort.get().now }));
}

/// Another has come; whether there are, or were just now, more than this one.
fn joins() -> bool {
    COHORT.with(|cohort| {
        let Cohort { now, before } = cohort.get();
        let now = now.saturating_add(1);
        cohort.set(Cohort { now, before });
        now.max(before) > 1
    })
}

/// Wait until all that the worker can do at once has come as far as here.
pub async fn gather() {
    if joins() {
        // Behind all that is ready, and all that has arrived meanwhile.
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn who_is_alone_does_not_wait() {
        for _ in 0..3 {
            assert!(!joins());
            ends();
        }
    }

    #[test]
    fn the_first_of_a_cohort_waits_where_the_last_cohort_was_larger() {
        let joined: Vec<bool> = (0..3).map(|_| joins()).collect();
        ends();
        assert_eq!((joined, joins()), (vec![false, true, true], true));
        ends();
        assert!(!joins());
    }

    #[test]
    fn those_that_gather_go_on_together() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let order = Arc::new(Mutex::new(String::new()));
        runtime.block_on(async {
            let tasks = ["a", "b", "c"].map(|name| {
                let order = Arc::clone(&order);
                tokio::spawn(async move {
                    order.lock().push_str(name);
                    gather().await;
                    order.lock().push_str(name);
                })
            });
            for task in tasks {
                task.await.unwrap();
            }
        });
        // The first found nobody else, and did not wait. Which of the others goes on first is the runtime's.
        assert!(matches!(order.lock().as_str(), "aabcbc" | "aabccb"), "{order:?}");
    }
}
