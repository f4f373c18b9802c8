//! Each hook, and what it can read.

use super::guests::{Guest, METRICS, REQUEST, RESPONSE, allow, origin};
use super::*;
use crate::hook::{FieldEdit, Grant, Hook, HookSet, LocalReply, Summary, Target, Verdict};
use crate::message::{FieldName, FieldValue};

/// Field lists and texts that the answers below point to.
const TEXTS: &str = r#"
  (data (i32.const 16) "x-user") (data (i32.const 32) "\ff")
  (data (i32.const 48) "role") (data (i32.const 64) "admin")
  (data (i32.const 80) "chat") (data (i32.const 96) "/new?x")
  (data (i32.const 112) "\01\00\00\00\10\00\00\00\06\00\00\00\20\00\00\00\01\00\00\00")
  (data (i32.const 144) "\30\00\00\00\04\00\00\00\40\00\00\00\05\00\00\00")
  (data (i32.const 176) "\10\00\00\00\06\00\00\00\20\00\00\00\01\00\00\00")"#;

fn edit() -> FieldEdit {
    FieldEdit::Append(FieldName::new("x-user").unwrap(), FieldValue::new(*b"\xff").unwrap())
}

fn variables() -> Vec<(String, String)> {
    vec![("role".into(), "admin".into())]
}

#[test]
fn answers_of_every_hook_arrive() {
    let main = format!(
        r#"{TEXTS}
  ;; ok(some(target)): route 80, no upstream, path 96, variables 144
  (data (i32.const 256) "\00\00\00\00\01\00\00\00\50\00\00\00\04\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\60\00\00\00\06\00\00\00\90\00\00\00\01\00\00\00")
  (func (export "route") (result i32) (i32.const 256))
  ;; deny: 403, fields 176, body 80
  (data (i32.const 320) "\02\00\00\00\93\01\00\00\b0\00\00\00\01\00\00\00\50\00\00\00\04\00\00\00")
  (func (export "check") (result i32) (i32.const 320))
  ;; grant: variables 144, edits 112
  (data (i32.const 384) "\01\00\00\00\90\00\00\00\01\00\00\00\70\00\00\00\01\00\00\00")
  (func (export "authorize") (result i32) (i32.const 384))
  ;; ok: edits 112
  (data (i32.const 448) "\00\00\00\00\70\00\00\00\01\00\00\00")
  (func (export "on-request") (result i32) (i32.const 448))
  ;; err: 426
  (data (i32.const 480) "\01\00\00\00\aa\01\00\00\b0\00\00\00\00\00\00\00\50\00\00\00\00\00\00\00")
  (func (export "on-response") (result i32) (i32.const 480))"#
    );
    let hooks = [Hook::Router, Hook::Origin, Hook::Authorizer, Hook::RequestHeaders, Hook::ResponseHeaders];
    let runtime = runtime();
    let plugin = load(&runtime, Guest { hooks: &hooks, main: &main, ..Guest::default() }.bytes());
    assert_eq!((plugin.name(), plugin.hooks()), ("test", hooks.into_iter().collect::<HookSet>()));
    let view = view();
    let target =
        Target { route: "chat".into(), upstream: None, path_with_query: Some("/new?x".into()), variables: variables() };
    assert_eq!(now(plugin.route(&view)).unwrap(), Ok(Some(target)));
    let fields = vec![(FieldName::new("x-user").unwrap(), FieldValue::new(*b"\xff").unwrap())];
    let deny = LocalReply { status: StatusCode::FORBIDDEN, fields, body: "chat".into() };
    assert_eq!(now(plugin.check_origin(&view)).unwrap(), Decision::Deny(deny));
    let grant = Grant { variables: variables(), edits: vec![edit()], terms: None };
    assert_eq!(now(plugin.authorize(&view)).unwrap(), Verdict::Grant(grant));
    assert_eq!(now(plugin.on_request(&view)).unwrap(), Ok(vec![edit()]));
    let reply = LocalReply { status: StatusCode::UPGRADE_REQUIRED, fields: vec![], body: "".into() };
    assert_eq!(now(plugin.on_response(&view, &response())).unwrap(), Err(reply));
}

/// Traps unless every getter gives what `view()` has.
#[test]
fn hooks_read_the_request_and_the_response() {
    let main = r#"
  (import "request" "method" (func $method (param i32)))
  (import "request" "get" (func $get (param i32 i32 i32)))
  (import "request" "variable" (func $variable (param i32 i32 i32)))
  (import "response" "status" (func $status (result i32)))
  (data (i32.const 16) "ORIGIN") (data (i32.const 32) "user") (data (i32.const 48) "host") (data (i32.const 64) "none")
  (data (i32.const 512) "\00")
  (func $is (param $ptr i32) (param $len i32) (param $first i32)
    (if (i32.ne (i32.load8_u (local.get $ptr)) (i32.const 1)) (then unreachable))
    (if (i32.ne (i32.load offset=8 (local.get $ptr)) (local.get $len)) (then unreachable))
    (if (i32.ne (i32.load8_u (i32.load offset=4 (local.get $ptr))) (local.get $first)) (then unreachable)))
  (func (export "on-response") (result i32)
    (call $method (i32.const 100))
    (if (i32.ne (i32.load (i32.load (i32.const 100))) (i32.const 0x00544547)) (then unreachable))
    (call $get (i32.const 16) (i32.const 6) (i32.const 100))
    (call $is (i32.const 100) (i32.const 23) (i32.const 104))
    (call $variable (i32.const 32) (i32.const 4) (i32.const 100))
    (call $is (i32.const 100) (i32.const 3) (i32.const 97))
    (call $variable (i32.const 48) (i32.const 4) (i32.const 100))
    (call $is (i32.const 100) (i32.const 14) (i32.const 119))
    (call $variable (i32.const 64) (i32.const 4) (i32.const 100))
    (if (i32.load8_u (i32.const 100)) (then unreachable))
    (if (i32.ne (call $status) (i32.const 101)) (then unreachable))
    (i32.const 512))"#;
    let guest = Guest {
        hooks: &[Hook::ResponseHeaders],
        imports: &format!("{REQUEST} {RESPONSE}"),
        uses: &[("request", "method"), ("request", "get"), ("request", "variable"), ("response", "status")],
        main,
        ..Guest::default()
    };
    let runtime = runtime();
    let plugin = load(&runtime, guest.bytes());
    assert_eq!(now(plugin.on_response(&view(), &response())).unwrap(), Ok(vec![]));
}

#[test]
fn the_exchange_is_free_again_when_a_call_returns() {
    let runtime = runtime();
    let good = load(&runtime, allow());
    let bad = load(&runtime, origin("unreachable"));
    let mut view = view();
    for _ in 0..3 {
        now(good.check_origin(&view)).unwrap();
        now(bad.check_origin(&view)).unwrap_err();
        Arc::get_mut(&mut view).expect("nobody else holds the request").path.push('x');
    }
}

/// The guest traps unless the summary's numbers are what the test sends.
#[test]
fn the_access_log_hook_gets_the_summary() {
    let main = r#"
  (func (export "on-end") (param $status i32) (param $some i32) (param i32 i32) (param $tunnel i32) (param i32)
    (param $cause-len i32) (param $us i64) (param $in i64) (param $out i64)
    (if (i32.ne (local.get $status) (i32.const 101)) (then unreachable))
    (if (i32.ne (local.get $some) (i32.const 1)) (then unreachable))
    (if (i32.ne (local.get $tunnel) (i32.const 1)) (then unreachable))
    (if (i32.ne (local.get $cause-len) (i32.const 4)) (then unreachable))
    (if (i64.ne (local.get $us) (i64.const 5000000000)) (then unreachable))
    (if (i64.ne (i64.sub (local.get $out) (local.get $in)) (i64.const 1)) (then unreachable)))"#;
    let runtime = runtime();
    let plugin = load(&runtime, Guest { hooks: &[Hook::AccessLog], main, ..Guest::default() }.bytes());
    let mut summary = Summary {
        status: 101,
        upstream: Some("127.0.0.1:9000".into()),
        tunnel: true,
        cause: "done",
        duration_us: 5_000_000_000,
        bytes_in: 41,
        bytes_out: 42,
    };
    now(plugin.on_end(&view(), &response(), &summary)).unwrap();
    summary.tunnel = false;
    now(plugin.on_end(&view(), &response(), &summary)).unwrap_err();
}

#[test]
fn guests_keep_metrics_that_all_instances_share() {
    let main = r#"(import "metrics" "counter" (func $counter (param i32 i32 i32 i32 i32 i32 i32)))
  (import "metrics" "add" (func $add (param i32 i64)))
  (data (i32.const 16) "seen") (data (i32.const 32) "How many.")
  (func (export "configure") (param i32 i32) (result i32)
    (call $counter (i32.const 16) (i32.const 4) (i32.const 32) (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 100))
    (if (i32.load8_u (i32.const 100)) (then unreachable))
    (i32.const 120))
  (data (i32.const 512) "\01")
  (func (export "check") (result i32)
    (call $add (i32.load (i32.const 104)) (i64.const 2))
    (call $add (i32.const 77) (i64.const 2))
    (i32.const 512))"#;
    let bytes = Guest {
        configure: true,
        imports: METRICS,
        uses: &[("metrics", "counter"), ("metrics", "add")],
        main,
        ..Guest::default()
    }
    .bytes();
    let runtime = runtime();
    let isolated = runtime.load(&Spec { isolation: hook::Isolation::Request, ..spec(bytes) }).unwrap();
    let reused = load(&runtime, bytes);
    for plugin in [&isolated, &reused, &isolated] {
        check(plugin).unwrap();
    }
    let text = metrics(&runtime);
    assert!(text.contains("\ntidegate_plugin_seen{plugin=\"test\"} 6\n"), "{text}");
    assert!(text.contains("\ntidegate_hook_calls_total{plugin=\"test\",hook=\"origin\"} 3\n"), "{text}");
    assert!(text.contains("\ntidegate_plugin_instances{plugin=\"test\"} 1\n"), "{text}");
}
