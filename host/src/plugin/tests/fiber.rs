//! The fiber lane: plugins that wait, or compute for long.

use std::time::Instant;

use super::guests::{Guest, WAIT, allow, origin};
use super::*;
use crate::hook::HookFailureKind;

pub(super) fn rt() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// Waits for `ms` milliseconds, then allows.
fn waits(ms: u64) -> &'static [u8] {
    let ns = ms * 1_000_000;
    let main = format!(
        r#"(import "poll" "[method]pollable.block" (func $block (param i32)))
        (import "mono" "subscribe-duration" (func $after (param i64) (result i32)))
        (data (i32.const 512) "\01")
        (func (export "check") (result i32) (call $block (call $after (i64.const {ns}))) (i32.const 512))"#
    );
    Guest {
        imports: WAIT,
        uses: &[("poll", "[method]pollable.block"), ("mono", "subscribe-duration")],
        main: &main,
        ..Guest::default()
    }
    .bytes()
}

/// Computes for some milliseconds in a way that the compiler cannot shorten, then allows.
const LONG: &str = "(local $n i32)
    (loop $l (i32.store (i32.const 40) (i32.add (i32.load (i32.const 40)) (i32.const 1)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $n) (i32.const 40000000))))
    (i32.const 512)";

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn waiting_calls_wait_at_the_same_time() {
    let runtime = runtime();
    let plugin = runtime.load(&Spec { deadline: 10 * SECOND, ..spec(waits(200)) }).unwrap();
    rt().block_on(async {
        let start = Instant::now();
        let calls: Vec<_> = (0..5).map(|_| tokio::spawn(plugin.check_origin(&view()).answer())).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), Decision::Allow);
        }
        assert!(start.elapsed() >= Duration::from_millis(200));
        assert!(start.elapsed() < Duration::from_millis(900), "one after the other takes a second");
    });
    assert!(live(&runtime) <= 4, "at most four stay on the shelf");
}

#[test]
fn a_wait_ends_at_the_deadline() {
    let runtime = runtime();
    let plugin = runtime.load(&Spec { deadline: Duration::from_millis(30), ..spec(waits(60_000)) }).unwrap();
    rt().block_on(async {
        let start = Instant::now();
        let failure = plugin.check_origin(&view()).answer().await.unwrap_err();
        assert_eq!(failure.kind, HookFailureKind::Deadline);
        assert!(start.elapsed() >= Duration::from_millis(30));
    });
    assert_eq!(live(&runtime), 0);
}

#[test]
fn a_long_computation_gives_the_worker_back() {
    let runtime = runtime();
    let plugin = runtime.load(&Spec { deadline: 60 * SECOND, ..spec(origin(LONG)) }).unwrap();
    rt().block_on(async {
        let call = tokio::spawn(plugin.check_origin(&view()).answer());
        let mut ticks = 0;
        let mut every = tokio::time::interval(Duration::from_millis(1));
        while !call.is_finished() {
            every.tick().await;
            ticks += 1;
        }
        assert_eq!(call.await.unwrap().unwrap(), Decision::Allow);
        assert!(ticks >= 2, "timers fired {ticks} times meanwhile");
    });
}

#[test]
fn an_endless_computation_ends_at_the_deadline() {
    let runtime = runtime();
    let endless = origin("(loop $l (br $l)) (i32.const 512)");
    let plugin = runtime.load(&Spec { deadline: Duration::from_millis(30), ..spec(endless) }).unwrap();
    rt().block_on(async {
        let start = Instant::now();
        let failure = plugin.check_origin(&view()).answer().await.unwrap_err();
        assert_eq!(failure.kind, HookFailureKind::Deadline);
        assert!(start.elapsed() >= Duration::from_millis(30));
    });
}

#[test]
fn a_call_that_nobody_waits_for_leaves_nothing_behind() {
    let runtime = runtime();
    let plugin = runtime.load(&Spec { deadline: 60 * SECOND, ..spec(waits(60_000)) }).unwrap();
    let mut view = view();
    rt().block_on(async {
        let call = plugin.check_origin(&view).answer();
        tokio::time::timeout(Duration::from_millis(20), call).await.unwrap_err();
    });
    assert_eq!(live(&runtime), 0, "its instance could not be called again");
    assert!(Arc::get_mut(&mut view).is_some());
}

#[test]
fn the_exchange_is_free_again_when_a_call_returns() {
    let runtime = runtime();
    let plugin = runtime.load(&Spec { deadline: SECOND, ..spec(allow()) }).unwrap();
    let mut view = view();
    rt().block_on(async {
        plugin.check_origin(&view).answer().await.unwrap();
        assert!(Arc::get_mut(&mut view).is_some());
    });
}

#[test]
fn a_plugin_can_be_loaded_inside_of_a_tokio_runtime() {
    rt().block_on(async {
        let runtime = runtime();
        let plugin = runtime.load(&Spec { deadline: SECOND, ..spec(waits(1)) }).unwrap();
        assert_eq!(plugin.check_origin(&view()).answer().await.unwrap(), Decision::Allow);
    });
}

#[test]
fn more_calls_than_may_run_take_turns() {
    let runtime = runtime();
    // Four computing calls may be under way on one worker; eight instances fit the pool.
    let plugin = runtime.load(&Spec { deadline: 60 * SECOND, ..spec(origin(LONG)) }).unwrap();
    rt().block_on(async {
        let calls: Vec<_> = (0..10).map(|_| tokio::spawn(plugin.check_origin(&view()).answer())).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), Decision::Allow);
        }
    });
}
