//! `kv`: which lane a plugin is called in, and what it is refused.

use super::guests::{ALLOW, Guest, allow};
use super::*;
use crate::hook::{Hook, Kv, KvError, KvGrant, KvOperation, KvReply, KvValue};

/// Answers at once, or later.
struct Fake(bool);

impl Kv for Fake {
    fn waits(&self) -> bool {
        self.0
    }

    fn ask(&self, key: Vec<u8>, operation: KvOperation) -> KvReply {
        assert_eq!((key.as_slice(), operation), (&b"mine:key"[..], KvOperation::Get));
        let answer = Err::<KvValue, _>(KvError::Timeout);
        if self.0 { KvReply::Later(Box::pin(std::future::ready(answer))) } else { KvReply::Ready(answer) }
    }
}

fn granted(bytes: &'static [u8], waits: &[bool]) -> Spec {
    let grant = |waits: &bool| KvGrant { name: "s".into(), prefix: "mine:".into(), store: Arc::new(Fake(*waits)) };
    Spec { kv: waits.iter().map(grant).collect(), ..spec(bytes) }
}

const KV: &str = r#"(import "tidegate:plugin/kv@0.1.0" (instance $kv
    (type $e (variant (case "denied" string) (case "invalid" string) (case "full") (case "not-a-number")
      (case "unavailable" string) (case "timeout") (case "other" string)))
    (export "kv-error" (type $error (eq $e)))
    (export "get" (func (param "store" u32) (param "key" string) (result (result (option (list u8)) (error $error)))))))"#;

/// A plugin pays for a wait only where one of its own stores can make it wait.
#[test]
fn the_lane_is_that_of_the_stores_that_are_granted() {
    let imports = Guest { imports: KV, main: ALLOW, ..Guest::default() }.bytes();
    let runtime = runtime();
    for (waits, later) in [(&[][..], false), (&[false, false], false), (&[false, true], true), (&[false], false)] {
        let plugin = runtime.load(&granted(imports, waits)).unwrap();
        assert_eq!(matches!(plugin.check_origin(&view()), Call::Later(_)), later, "{waits:?}");
        // One that does not import it is called as ever.
        let plugin = runtime.load(&granted(allow(), waits)).unwrap();
        assert!(matches!(plugin.check_origin(&view()), Call::Ready(_)), "{waits:?}");
    }
}

/// Asks for `key` of the store of this number, and allows only where the answer is this case of
/// the error.
fn asks(store: u32, case: u32) -> &'static [u8] {
    let main = format!(
        r#"(import "kv" "get" (func $get (param i32 i32 i32 i32)))
           (data (i32.const 16) "key") (data (i32.const 512) "\01") (data (i32.const 600) "\00")
           (func (export "check") (result i32)
             (call $get (i32.const {store}) (i32.const 16) (i32.const 3) (i32.const 64))
             (if (result i32) (i32.and (i32.load8_u (i32.const 64)) (i32.eq (i32.load8_u (i32.const 68)) (i32.const {case})))
               (then (i32.const 512)) (else (i32.const 600))))"#
    );
    Guest { hooks: &[Hook::Origin], imports: KV, uses: &[("kv", "get")], main: &main, ..Guest::default() }.bytes()
}

#[test]
fn either_lane_asks_the_store_and_knows_its_numbers() {
    const DENIED: u32 = 0;
    const TIMEOUT: u32 = 5;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for waits in [false, true] {
        for (store, case) in [(0, TIMEOUT), (1, DENIED), (u32::MAX, DENIED)] {
            let plugin = runtime().load(&granted(asks(store, case), &[waits])).unwrap();
            let answer = tokio.block_on(plugin.check_origin(&view()).answer());
            assert!(matches!(answer, Ok(Decision::Allow)), "{waits} {store}: {answer:?}");
        }
    }
}
