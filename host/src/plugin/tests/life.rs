//! How long instances live.

use super::*;
use crate::plugin::guests::{Guest, allow, origin};

/// Allows the first call in an instance's life, and traps in the second.
const ONCE: &str = "(if (i32.load (i32.const 40)) (then unreachable))
    (i32.store (i32.const 40) (i32.const 1)) (i32.const 512)";

#[test]
fn instances_are_reused_or_fresh_for_each_call() {
    let runtime = runtime();
    let reused = load(&runtime, origin(ONCE));
    assert!(check(&reused).is_ok());
    assert!(check(&reused).is_err(), "the same instance");
    let fresh = runtime.load(&Spec { per_call: true, ..spec(origin(ONCE)) }).unwrap();
    assert!((0..5).all(|_| check(&fresh).is_ok()));
}

#[test]
fn one_instance_serves_a_worker() {
    let runtime = runtime();
    let plugin = load(&runtime, allow());
    for _ in 0..100 {
        check(&plugin).unwrap();
    }
    assert_eq!(live(&runtime), 1);
}

#[test]
fn a_dropped_plugin_leaves_nothing_behind_on_any_thread() {
    let runtime = runtime();
    let bytes = allow();
    // More rounds than the pool has slots: what stayed behind would fail them.
    for _ in 0..200 {
        let plugin = load(&runtime, bytes);
        std::thread::scope(|scope| {
            scope.spawn(|| check(&plugin).unwrap());
            check(&plugin).unwrap();
        });
        assert!(live(&runtime) >= 1);
        drop(plugin);
        assert_eq!(live(&runtime), 0);
    }
}

#[test]
fn a_plugin_in_use_outlives_its_runtime_handle() {
    let runtime = runtime();
    let plugin = load(&runtime, allow());
    drop(runtime);
    assert!(check(&plugin).is_ok());
    let endless = {
        let runtime = super::runtime();
        load(&runtime, origin("(loop $l (br $l)) (i32.const 512)"))
    };
    assert!(check(&endless).is_err(), "deadlines are still kept");
}

#[test]
fn an_instance_that_grows_is_replaced_before_it_fails() {
    let runtime = runtime();
    // 4 MiB are 64 pages: growing by 4 in each call would fail in the 16th.
    let grows = "(if (i32.eq (memory.grow (i32.const 4)) (i32.const -1)) (then unreachable)) (i32.const 512)";
    let plugin = load(&runtime, origin(grows));
    for _ in 0..100 {
        check(&plugin).unwrap();
    }
}

#[test]
fn an_instance_that_starts_big_is_reused() {
    let runtime = runtime();
    let main = format!(r#"(data (i32.const 512) "\01") (func (export "check") (result i32) {ONCE})"#);
    let plugin = load(&runtime, Guest { pages: 60, main: &main, ..Guest::default() }.bytes());
    assert!(check(&plugin).is_ok());
    assert!(check(&plugin).is_err(), "the same instance");
}
