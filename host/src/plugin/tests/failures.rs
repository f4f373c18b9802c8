//! A plugin can fail only its own call.

use std::time::Instant;

use super::guests::{ALLOW, Guest, REQUEST, RESPONSE, allow, origin};
use super::*;
use crate::hook::{Hook, HookFailureKind};

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
    let failure = fails("(loop $l (br $l)) (i32.const 512)");
    assert_eq!((failure.kind, &*failure.detail), (HookFailureKind::Deadline, "it took longer than 10ms (`deadline`)"));
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
    let failure = fails(hog);
    assert_eq!(failure.kind, HookFailureKind::Memory);
    let rule = "it asked for 4259840 bytes of memory, and may have 4194304 (`memory`): wasm trap";
    assert!(failure.detail.starts_with(rule), "{failure}");
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
    assert!(failure.detail.starts_with("it gave more than 1048576 bytes at once (`output`)"), "{failure}");
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
fn a_plugin_that_fails_again_and_again_is_put_into_quarantine() {
    let runtime = runtime();
    let plugin = load(&runtime, origin("unreachable"));
    for _ in 0..8 {
        assert_eq!(check(&plugin).unwrap_err().kind, HookFailureKind::Trap);
    }
    assert_eq!(check(&plugin).unwrap_err().kind, HookFailureKind::Quarantined);
    let text = metrics(&runtime);
    assert!(text.contains(r#"hook="origin",kind="plugin.trap"} 8"#), "{text}");
    assert!(text.contains(r#"hook="origin",kind="plugin.quarantined"} 1"#), "{text}");
    // After the rest it gets another chance.
    let end = Instant::now() + Duration::from_secs(5);
    while check(&plugin).unwrap_err().kind == HookFailureKind::Quarantined {
        assert!(Instant::now() < end, "the rest of 100 ms ends");
        std::thread::yield_now();
    }
}

/// A guest whose table has one element, and grows by so many in each call.
fn grows_its_table(by: u32) -> &'static [u8] {
    let main = format!(
        r#"(table $t 1 funcref) (data (i32.const 512) "\01") (func (export "check") (result i32)
        (if (i32.eq (table.grow $t (ref.null func) (i32.const {by})) (i32.const -1)) (then unreachable)) (i32.const 512))"#
    );
    Guest { main: &main, ..Guest::default() }.bytes()
}

#[test]
fn a_table_above_the_limit_is_refused() {
    let runtime = runtime();
    let plugin = load(&runtime, grows_its_table(600));
    assert_eq!(check(&plugin).unwrap(), Decision::Allow);
    let failure = check(&plugin).unwrap_err();
    assert_eq!(failure.kind, HookFailureKind::Memory);
    let rule = "it asked for tables of 1201 elements, and may have 1000 (`table`): wasm trap";
    assert!(failure.detail.starts_with(rule), "{failure}");
    let none = hook::Caps { table: 0, ..spec(allow()).caps };
    match refused(&Spec { caps: none, ..spec(grows_its_table(1)) }) {
        PluginError::Table { needed: 1, limit: 0 } => {}
        other => panic!("{other}"),
    }
}

/// A guest that asks for the request's method so often.
fn calls_the_host(times: u32) -> &'static [u8] {
    let main = format!(
        r#"(import "request" "method" (func $method (param i32))) (data (i32.const 512) "\01")
        (func (export "check") (result i32) (local $n i32)
          (loop $l (call $method (i32.const 100)) (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $n) (i32.const {times}))))
          (i32.const 512))"#
    );
    Guest { imports: REQUEST, uses: &[("request", "method")], main: &main, ..Guest::default() }.bytes()
}

#[test]
fn calls_of_the_host_are_counted() {
    let runtime = runtime();
    let most = load(&runtime, calls_the_host(1000));
    assert!((0..3).all(|_| check(&most).is_ok()), "each call begins anew");
    let more = load(&runtime, calls_the_host(1001));
    let failure = check(&more).unwrap_err();
    assert_eq!(failure.kind, HookFailureKind::HostCalls);
    assert_eq!(failure.detail, "it called the host more than 1000 times (`host_calls`)");
    let fiber = runtime.load(&Spec { deadline: Duration::from_secs(1), ..spec(calls_the_host(1001)) }).unwrap();
    let rt = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let failure = rt.block_on(fiber.check_origin(&view()).answer()).unwrap_err();
    assert_eq!(failure.kind, HookFailureKind::HostCalls);
}

/// The time at which a guest's instances begin to fail to start is in the guest.
fn starts_until(millis: u64) -> &'static [u8] {
    let main = format!(
        r#"(import "clock" "unix-ms" (func $now (result i64))) {ALLOW}
        (func (export "configure") (param i32 i32) (result i32)
          (if (i64.ge_u (call $now) (i64.const {millis})) (then unreachable)) (i32.const 600))"#
    );
    let clock = r#"(import "tidegate:plugin/clock@0.1.0" (instance $clock (export "unix-ms" (func (result u64)))))"#;
    Guest { configure: true, imports: clock, uses: &[("clock", "unix-ms")], main: &main, ..Guest::default() }.bytes()
}

fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

#[test]
fn a_plugin_that_does_not_start_any_more_is_put_into_quarantine() {
    let runtime = runtime();
    // As long as this machine takes to load it.
    let (end, plugin) = (0..)
        .map(|n| unix_ms() + (200 << n))
        .find_map(|end| {
            let spec = Spec { isolation: hook::Isolation::Request, ..spec(starts_until(end)) };
            Some((end, runtime.load(&spec).ok()?))
        })
        .unwrap();
    while unix_ms() < end {
        std::thread::yield_now();
    }
    for _ in 0..8 {
        assert_eq!(check(&plugin).unwrap_err().kind, HookFailureKind::Instantiate);
    }
    assert_eq!(check(&plugin).unwrap_err().kind, HookFailureKind::Quarantined);
    let state = runtime.metrics().counts().remove(0).quarantine.unwrap();
    let reason = "8 failures in a row, the last: could not be instantiated: while it started: trapped: ";
    assert!(state.reason.starts_with(reason), "{state:?}");
}

#[test]
fn one_call_ends_a_quarantine() {
    let runtime = runtime();
    let rules = hook::Quarantine { rest: Duration::from_millis(1), ..QUARANTINE };
    let flag = every_second("unreachable");
    let plugin = runtime.load(&Spec { quarantine: Some(rules), ..spec(flag) }).unwrap();
    (0..8).for_each(|_| drop(now(plugin.authorize(&view())).unwrap_err()));
    let counts = || runtime.metrics().counts().remove(0);
    assert!(counts().quarantine.is_some());
    while check(&plugin).is_err() {
        std::thread::yield_now();
    }
    assert_eq!((counts().quarantine, counts().quarantines), (None, 1));
    assert!(check(&plugin).is_ok());
}

#[test]
fn time_and_memory_are_counted() {
    let runtime = runtime();
    let endless = "(loop $l (br $l)) (i32.const 512)";
    let counts = || runtime.metrics().counts().remove(0);
    let plugin = load(&runtime, every_second(endless));
    let before = counts();
    assert_eq!((before.instances, before.memory, before.memory_peak), (1, 65_536, 65_536));
    now(plugin.authorize(&view())).unwrap_err();
    let after = counts();
    let worked = after.cpu.checked_sub(before.cpu).unwrap();
    assert!(worked >= Duration::from_millis(9), "{worked:?}");
    assert_eq!((after.instances, after.memory, after.memory_peak), (0, 0, 65_536));
    let fiber = runtime.load(&Spec { deadline: Duration::from_millis(30), ..spec(every_second(endless)) }).unwrap();
    let rt = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    rt.block_on(fiber.authorize(&view()).answer()).unwrap_err();
    let worked = counts().cpu.checked_sub(after.cpu).unwrap();
    assert!(worked >= Duration::from_millis(25), "{worked:?}");
    drop((plugin, fiber));
    let grown = "(drop (memory.grow (i32.const 3))) (i32.const 512)";
    let plugin = load(&runtime, origin(grown));
    check(&plugin).unwrap();
    assert_eq!((counts().memory, counts().memory_peak), (4 * 65_536, 4 * 65_536));
}

#[test]
fn without_room_for_an_instance_a_call_fails_and_no_more() {
    let runtime = Runtime::new(&RuntimeSettings { instances: 2, ..RuntimeSettings::default() }).unwrap();
    let _first = load(&runtime, allow());
    let second = runtime.load(&Spec { isolation: hook::Isolation::Request, ..spec(allow()) }).unwrap();
    let third = runtime.load(&Spec { name: "other".into(), ..spec(allow()) }).unwrap();
    let failure = check(&second).unwrap_err();
    assert_eq!(failure.kind, HookFailureKind::Instantiate);
    assert!(failure.detail.contains("limit of 2"), "{failure}");
    drop(third);
    assert_eq!(check(&second).unwrap(), Decision::Allow, "room again");
}
