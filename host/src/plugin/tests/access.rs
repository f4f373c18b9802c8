//! `access`: what a grant binds a tunnel to.

use std::time::SystemTime;

use super::guests::Guest;
use super::*;
use crate::hook::{AccessTerms, Hook, HookFailureKind, Verdict};

const ACCESS: &str = r#"(import "tidegate:plugin/access@0.1.0" (instance $access
    (export "subject" (func (param "name" string)))
    (export "tag" (func (param "name" string)))
    (export "expires-at" (func (param "unix-ms" u64)))
    (export "max-lifetime" (func (param "ms" u64)))
    (export "max-message" (func (param "bytes" u64)))
    (export "is-renewal" (func (result bool)))))"#;
const USES: [(&str, &str); 6] = [
    ("access", "subject"),
    ("access", "tag"),
    ("access", "expires-at"),
    ("access", "max-lifetime"),
    ("access", "max-message"),
    ("access", "is-renewal"),
];

/// A guest that serves one hook: what it says, and where its answer is. At 512 is a grant of nothing,
/// at 560 `next`; at 64 and 80 are names.
fn saying(hook: Hook, function: &str, body: &str) -> &'static [u8] {
    let main = format!(
        r#"(import "access" "subject" (func $subject (param i32 i32)))
  (import "access" "tag" (func $tag (param i32 i32)))
  (import "access" "expires-at" (func $expires (param i64)))
  (import "access" "max-lifetime" (func $lifetime (param i64)))
  (import "access" "max-message" (func $message (param i64)))
  (import "access" "is-renewal" (func $renewal (result i32)))
  (data (i32.const 64) "ann") (data (i32.const 80) "staff") (data (i32.const 512) "\01") (data (i32.const 560) "\00")
  (func (export "{function}") (result i32) {body})"#
    );
    Guest { hooks: &[hook], imports: ACCESS, uses: &USES, main: &main, ..Guest::default() }.bytes()
}

fn authorize(body: &str) -> Result<Verdict, HookFailure> {
    let runtime = runtime();
    let plugin = load(&runtime, saying(Hook::Authorizer, "authorize", body));
    now(plugin.authorize(&view()))
}

#[test]
fn what_is_said_comes_with_the_grant() {
    let body = "(call $subject (i32.const 64) (i32.const 3))
        (call $tag (i32.const 80) (i32.const 5)) (call $tag (i32.const 64) (i32.const 3))
        (call $tag (i32.const 80) (i32.const 5))
        (call $expires (i64.const 9000)) (call $expires (i64.const 7000)) (call $expires (i64.const -1))
        (call $lifetime (i64.const 5)) (call $lifetime (i64.const 6))
        (call $message (i64.const 100))
        (i32.const 512)";
    let Ok(Verdict::Grant(grant)) = authorize(body) else { panic!() };
    let terms = AccessTerms {
        subject: Some("ann".into()),
        tags: vec!["staff".into(), "ann".into()],
        expires: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(7)),
        lifetime: Some(Duration::from_millis(5)),
        max_message: Some(100),
    };
    assert_eq!(grant.terms.as_deref(), Some(&terms));
    let Ok(Verdict::Grant(grant)) = authorize("(i32.const 512)") else { panic!() };
    assert_eq!(grant.terms, None, "nothing was said in this call");
    assert_eq!(authorize("(call $subject (i32.const 64) (i32.const 3)) (i32.const 560)"), Ok(Verdict::Next));
}

#[test]
fn what_cannot_be_is_a_bad_answer() {
    for body in [
        "(call $subject (i32.const 64) (i32.const 0)) (i32.const 512)",
        "(call $tag (i32.const 64) (i32.const 257)) (i32.const 512)",
        // More tags than a grant has: the names are of one byte to 33.
        "(local $n i32) (loop $more (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (memory.fill (i32.const 200) (i32.const 97) (i32.const 40))
           (call $tag (i32.const 200) (local.get $n))
           (br_if $more (i32.lt_u (local.get $n) (i32.const 33)))) (i32.const 512)",
    ] {
        assert_eq!(authorize(body).unwrap_err().kind, HookFailureKind::BadAnswer, "{body}");
    }
    // Beside no grant it has no effect.
    assert_eq!(authorize("(call $subject (i32.const 64) (i32.const 0)) (i32.const 560)"), Ok(Verdict::Next));
}

#[test]
fn elsewhere_it_traps() {
    let runtime = runtime();
    let body = "(call $subject (i32.const 64) (i32.const 3)) (i32.const 512)";
    let plugin = load(&runtime, saying(Hook::Origin, "check", body));
    let failure = now(plugin.check_origin(&view())).unwrap_err();
    assert_eq!(failure.kind, HookFailureKind::Trap);
    assert!(failure.detail.contains("`authorizer.authorize` only"), "{}", failure.detail);
}

#[test]
fn a_guest_knows_that_it_is_asked_again() {
    let runtime = runtime();
    // A grant where it is, else `next`.
    let body = "(select (i32.const 512) (i32.const 560) (call $renewal))";
    let plugin = load(&runtime, saying(Hook::Authorizer, "authorize", body));
    let again = Arc::new(View { is_renewal: true, ..View::clone(&view()) });
    assert_eq!(now(plugin.authorize(&view())), Ok(Verdict::Next));
    assert!(matches!(now(plugin.authorize(&again)), Ok(Verdict::Grant(_))));
}
