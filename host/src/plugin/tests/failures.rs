//! A plugin can fail only its own call.

use std::time::Instant;

use super::*;
use crate::hook::{Hook, HookFailureKind};
use crate::plugin::guests::{ALLOW, Guest, REQUEST, RESPONSE, allow, origin};

/// A guest that does `bad` where its counter is not even, and allows every second call.
fn every_second(bad: &str) -> &'static [u8] {
    let main = format!(
        r#"(global $n (mut i32) (i32.const 0)) {ALLOW}
  (func (export "authorize") (result i32) {bad})"#
    );
    Guest { hooks: &[Hook::Origin, Hook::Authorizer], main: &main, ..Guest::default() }.bytes()
}

fn fails(bad: &str) -> HookFailure {
    let runtime = runtime();
    let plugin = load(&runtime, every_second(bad));
    let failure = now(plugin.authorize(&view())).unwrap_err();
    assert_eq!((&*failure.plugin, failure.hook), ("test", Hook::Authorizer));
    assert_eq!(live(&runtime), 0, "the instance is thrown away");
    assert_eq!(check(&plugin).unwrap(), Decision::Allow, "the next call is served");
    let line = format!(
        "\ntidegate_hook_failures_total{{plugin=\"test\",hook=\"authorizer\",kind=\"{}\"}} 1\n",
        failure.kind.code()
    );
    assert!(metrics(&runtime).contains(&line), "{}", metrics(&runtime));
    failure
}

#[test]
fn a_trap_fails_one_call() {
    let failure = fails("unreachable");
    assert_eq!(failure.kind, HookFailureKind::Trap);
    assert!(failure.detail.contains("unreachable"), "{failure}");
    assert_eq!(fails("(i32.div_u (i32.const 1) (i32.const 0))").kind, HookFailureKind::Trap);
    assert_eq!(fails("(i32.load (i32.const -4))").kind, HookFailureKind::Trap);
}

#[test]
fn unbounded_recursion_is_a_trap() {
    let main = r#"(func $down (param i32) (result i32) (i32.add (call $down (local.get 0)) (i32.const 1)))
        (func (export "check") (result i32) (call $down (i32.const 0)))"#;
    let runtime = runtime();
    let plugin = load(&runtime, Guest { main, ..Guest::default() }.bytes());
    let failure = check(&plugin).unwrap_err();
    assert_eq!(failure.kind, HookFailureKind::Trap);
    assert!(failure.detail.contains("call stack exhausted"), "{failure}");
}

#[test]
fn an_endless_loop_is_stopped_at_the_deadline() {
    let start = Instant::now();
    assert_eq!(fails("(loop $l (br $l)) (i32.const 512)").kind, HookFailureKind::Deadline);
    assert!(start.elapsed() >= Duration::from_millis(10));
}

#[test]
fn deadlines_are_kept_after_the_ticker_slept() {
    let runtime = runtime();
    let plugin = load(&runtime, origin("(loop $l (br $l)) (i32.const 512)"));
    while !runtime.ticker().asleep() {
        std::thread::yield_now();
    }
    assert_eq!(check(&plugin).unwrap_err().kind, HookFailureKind::Deadline);
}

#[test]
fn memory_above_the_limit_is_refused() {
    // A guest's allocator aborts when it gets no more.
    let hog = "(if (i32.eq (memory.grow (i32.const 64)) (i32.const -1)) (then unreachable)) (i32.const 512)";
    assert_eq!(fails(hog).kind, HookFailureKind::Memory);
}

#[test]
fn a_guest_that_lives_with_less_memory_goes_on() {
    let asks = "(drop (memory.grow (i32.const 64))) (i32.const 512)";
    let runtime = runtime();
    let plugin = load(&runtime, origin(asks));
    assert_eq!(check(&plugin).unwrap(), Decision::Allow);
    assert_eq!(check(&plugin).unwrap(), Decision::Allow);
}

#[test]
fn an_answer_that_breaks_the_contract_is_bad() {
    // grant with one edit of a header that is the host's: set `te`
    let main = format!(
        r#"(data (i32.const 16) "te") {ALLOW}
  (data (i32.const 112) "\00\00\00\00\10\00\00\00\02\00\00\00\10\00\00\00\01\00\00\00")
  (data (i32.const 384) "\01\00\00\00\00\00\00\00\00\00\00\00\70\00\00\00\01\00\00\00")
  (func (export "authorize") (result i32) (i32.const 384))"#
    );
    let bytes = Guest { hooks: &[Hook::Origin, Hook::Authorizer], main: &main, ..Guest::default() }.bytes();
    let runtime = runtime();
    let plugin = load(&runtime, bytes);
    let failure = now(plugin.authorize(&view())).unwrap_err();
    assert_eq!(failure.kind, HookFailureKind::BadAnswer);
    assert_eq!(failure.detail, "`te` is the host's: a plugin cannot change it");
    assert_eq!(live(&runtime), 0);
}

#[test]
fn an_answer_that_cannot_be_read_is_bad() {
    for pointer in ["(i32.const 65532)", "(i32.const 3)", "(i32.const -1)"] {
        assert_eq!(fails(pointer).kind, HookFailureKind::BadAnswer, "{pointer}");
    }
    // A verdict with tag 9.
    let tag = r#"(i32.store8 (i32.const 600) (i32.const 9)) (i32.const 600)"#;
    assert_eq!(fails(tag).kind, HookFailureKind::BadAnswer);
}

#[test]
fn an_answer_cannot_name_one_string_a_thousand_times() {
    // deny with 1000 fields whose values are the same 32 KiB
    let many = r#"(local $n i32)
      (loop $l
        (i32.store offset=4096 (i32.shl (local.get $n) (i32.const 4)) (i32.const 16))
        (i32.store offset=4100 (i32.shl (local.get $n) (i32.const 4)) (i32.const 1))
        (i32.store offset=4104 (i32.shl (local.get $n) (i32.const 4)) (i32.const 0))
        (i32.store offset=4108 (i32.shl (local.get $n) (i32.const 4)) (i32.const 32768))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 1000))))
      (i32.store8 (i32.const 600) (i32.const 2)) (i32.store16 (i32.const 604) (i32.const 403))
      (i32.store (i32.const 608) (i32.const 4096)) (i32.store (i32.const 612) (i32.const 1000))
      (i32.const 600)"#;
    let failure = fails(many);
    assert_eq!(failure.kind, HookFailureKind::BadAnswer);
    assert!(failure.detail.contains("too much data"), "{failure}");
}

#[test]
fn the_response_cannot_be_read_where_there_is_none() {
    let guest = Guest {
        imports: RESPONSE,
        uses: &[("response", "status")],
        main: r#"(import "response" "status" (func $status (result i32)))
            (func (export "check") (result i32) (call $status))"#,
        ..Guest::default()
    };
    let runtime = runtime();
    let plugin = load(&runtime, guest.bytes());
    let failure = check(&plugin).unwrap_err();
    assert_eq!(failure.kind, HookFailureKind::Trap);
    assert!(failure.detail.starts_with("there is no response"), "{failure}");
}

#[test]
fn the_request_cannot_be_read_in_configure() {
    let main = format!(
        r#"(import "request" "method" (func $method (param i32))) {ALLOW}
        (func (export "configure") (param i32 i32) (result i32) (call $method (i32.const 100)) (i32.const 600))"#
    );
    let guest =
        Guest { configure: true, imports: REQUEST, uses: &[("request", "method")], main: &main, ..Guest::default() };
    match refused(&spec(guest.bytes())) {
        PluginError::Start { detail } => assert!(detail.starts_with("there is no current request"), "{detail}"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_plugin_that_fails_again_and_again_rests() {
    let runtime = runtime();
    let plugin = load(&runtime, origin("unreachable"));
    for _ in 0..8 {
        assert_eq!(check(&plugin).unwrap_err().kind, HookFailureKind::Trap);
    }
    assert_eq!(check(&plugin).unwrap_err().kind, HookFailureKind::Resting);
    let text = metrics(&runtime);
    assert!(text.contains(r#"hook="origin",kind="plugin.trap"} 8"#), "{text}");
    assert!(text.contains(r#"hook="origin",kind="plugin.resting"} 1"#), "{text}");
    // After the rest it gets another chance.
    let end = Instant::now() + Duration::from_secs(5);
    while check(&plugin).unwrap_err().kind == HookFailureKind::Resting {
        assert!(Instant::now() < end, "the rest of 100 ms ends");
        std::thread::yield_now();
    }
}

#[test]
fn without_room_for_an_instance_a_call_fails_and_no_more() {
    let runtime = Runtime::new(&RuntimeSettings { workers: 1, cache_dir: None, instances: 2 }).unwrap();
    let _first = load(&runtime, allow());
    let second = runtime.load(&Spec { per_call: true, ..spec(allow()) }).unwrap();
    let third = load(&runtime, allow());
    let failure = check(&second).unwrap_err();
    assert_eq!(failure.kind, HookFailureKind::Instantiate);
    assert!(failure.detail.contains("limit of 2"), "{failure}");
    drop(third);
    assert_eq!(check(&second).unwrap(), Decision::Allow, "room again");
}
