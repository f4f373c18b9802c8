//! How long instances live.

use super::guests::{Guest, allow, origin};
use super::*;

/// Allows the first call in an instance's life, and traps in the second.
const ONCE: &str = "(if (i32.load (i32.const 40)) (then unreachable))
    (i32.store (i32.const 40) (i32.const 1)) (i32.const 512)";

#[test]
fn instances_are_reused_or_fresh_for_each_call() {
    let runtime = runtime();
    let reused = load(&runtime, origin(ONCE));
    assert!(check(&reused).is_ok());
    assert!(check(&reused).is_err(), "the same instance");
    let fresh = runtime.load(&Spec { isolation: hook::Isolation::Request, ..spec(origin(ONCE)) }).unwrap();
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

/// Hides something in memory, in memory that it has grown, in a global and in a table, and traps
/// where it finds something there.
fn hides() -> &'static [u8] {
    let main = r#"(global $g (mut i32) (i32.const 0)) (table $t 4 funcref) (data (i32.const 512) "\01")
        (elem declare func $check)
        (func $check (export "check") (result i32)
          (if (i32.load (i32.const 40)) (then unreachable))
          (if (global.get $g) (then unreachable))
          (if (i32.eqz (ref.is_null (table.get $t (i32.const 2)))) (then unreachable))
          (if (i32.ne (memory.size) (i32.const 1)) (then unreachable))
          (if (i32.ne (memory.grow (i32.const 2)) (i32.const 1)) (then unreachable))
          (if (i32.load (i32.const 70000)) (then unreachable))
          (if (i32.ne (table.size $t) (i32.const 4)) (then unreachable))
          (if (i32.ne (table.grow $t (ref.func $check) (i32.const 3)) (i32.const 4)) (then unreachable))
          (i32.store (i32.const 40) (i32.const 7)) (i32.store (i32.const 70000) (i32.const 7))
          (global.set $g (i32.const 7)) (table.set $t (i32.const 2) (ref.func $check))
          (i32.const 512))"#;
    Guest { main, ..Guest::default() }.bytes()
}

#[test]
fn nothing_of_one_request_is_visible_to_the_next() {
    let runtime = runtime();
    let shared = load(&runtime, hides());
    assert!(check(&shared).is_ok());
    assert!(check(&shared).is_err(), "it is there for who shares the instance");
    drop(shared);
    let alone = Spec { isolation: hook::Isolation::Request, ..spec(hides()) };
    let plugin = runtime.load(&alone).unwrap();
    // More than the pool has slots, so that each is used again.
    assert!((0..50).all(|_| check(&plugin).is_ok()));
    assert_eq!(live(&runtime), 0, "no request, no instance");
    let fiber = runtime.load(&Spec { deadline: Duration::from_secs(1), ..alone }).unwrap();
    let rt = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for _ in 0..50 {
        rt.block_on(fiber.check_origin(&view()).answer()).unwrap();
    }
    assert_eq!(live(&runtime), 0);
}

#[test]
fn the_hooks_of_one_request_share_its_instance() {
    let runtime = runtime();
    let counts = r#"(data (i32.const 512) "\01")
        (func $count (result i32) (i32.store (i32.const 40) (i32.add (i32.load (i32.const 40)) (i32.const 1)))
          (i32.load (i32.const 40)))
        (func (export "check") (result i32) (drop (call $count)) (i32.const 512))
        (func (export "on-end") (param i32 i32 i32 i32 i32 i32 i32 i64 i64 i64)
          (if (i32.ne (call $count) (i32.const 3)) (then unreachable)))"#;
    let bytes = Guest { hooks: &[hook::Hook::Origin, hook::Hook::AccessLog], main: counts, ..Guest::default() }.bytes();
    let plugin = runtime.load(&Spec { isolation: hook::Isolation::Request, ..spec(bytes) }).unwrap();
    let summary = hook::Summary {
        status: 200,
        upstream: None,
        tunnel: false,
        cause: "done",
        duration_us: 1,
        bytes_in: 1,
        bytes_out: 1,
    };
    for _ in 0..3 {
        let (one, other) = (view(), view());
        // The second copy is the same request.
        let copy = Arc::new(View::clone(&one));
        now(plugin.check_origin(&one)).unwrap();
        now(plugin.check_origin(&other)).unwrap();
        now(plugin.check_origin(&copy)).unwrap();
        copy.own.head_is_done();
        assert_eq!(live(&runtime), 2);
        now(plugin.on_end(&one, &response(), &summary)).unwrap();
        drop((one, copy));
        assert_eq!(live(&runtime), 1, "the other request's");
        drop(other);
        assert_eq!(live(&runtime), 0);
    }
}

#[test]
fn a_request_that_is_not_asked_later_lets_go_of_its_instance() {
    let runtime = runtime();
    let plugin = runtime.load(&Spec { isolation: hook::Isolation::Request, ..spec(allow()) }).unwrap();
    let view = view();
    now(plugin.check_origin(&view)).unwrap();
    assert_eq!(live(&runtime), 1);
    view.own.head_is_done();
    assert_eq!(live(&runtime), 0);
    now(plugin.check_origin(&view)).unwrap();
}

#[test]
fn a_failure_costs_a_request_its_instance() {
    let runtime = runtime();
    let plugin = runtime.load(&Spec { isolation: hook::Isolation::Request, ..spec(origin(ONCE)) }).unwrap();
    let view = view();
    assert!(now(plugin.check_origin(&view)).is_ok());
    assert!(now(plugin.check_origin(&view)).is_err(), "the same instance");
    assert_eq!(live(&runtime), 0);
    assert!(now(plugin.check_origin(&view)).is_ok(), "another one");
}

#[test]
fn a_plugin_that_stays_the_same_stays() {
    let runtime = runtime();
    let first = load(&runtime, origin(ONCE));
    check(&first).unwrap();
    let same = load(&runtime, origin(ONCE));
    assert_eq!(runtime.loads().plugins, 1);
    assert!(check(&same).is_err(), "with the first one's instance");
    let other = runtime.load(&Spec { config: "{\"a\":1}".into(), ..spec(origin(ONCE)) }).unwrap();
    assert!(check(&other).is_ok());
    let loads = runtime.loads();
    assert_eq!((loads.plugins, loads.components), (2, 1));
    drop((first, same));
    assert_eq!(runtime.loads().plugins, 1);
    drop(other);
    assert_eq!(runtime.loads(), Loads { plugins: 0, components: 0, instances: 0 });
}
