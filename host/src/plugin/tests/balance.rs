//! Hook `balancer`: when a guest is told of peers, what it can ask, what its answers mean.

use std::sync::atomic::{AtomicU64, Ordering};

use super::guests::{Guest, PEERS};
use super::*;
use crate::hook::{Choice, Hook, HookFailureKind, PeerFacts, Peers};

/// Peers 10 and 11, which serve 3 and 4; 12 is down.
#[derive(Debug, Default)]
struct Two {
    group: u32,
    generation: AtomicU64,
}

impl Peers for Two {
    fn group(&self) -> u32 {
        self.group
    }
    fn name(&self) -> &'static str {
        "two"
    }
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
    fn facts(&self) -> Vec<PeerFacts> {
        let facts = |id: u32, backup| PeerFacts {
            id,
            name: "a:1".into(),
            address: "192.0.2.1:1".into(),
            weight: 5,
            backup,
            tags: vec![("zone".into(), "eu".into())],
        };
        vec![facts(10, false), facts(11, true), facts(12, false)]
    }
    fn has(&self, id: u32) -> bool {
        (10..=12).contains(&id)
    }
    fn active(&self, id: u32) -> Option<u32> {
        (10..=11).contains(&id).then(|| id - 7)
    }
    fn total(&self) -> u32 {
        7
    }
}

fn ask(plugin: &Arc<dyn hook::Plugin>, peers: &Arc<Two>, tried: &[u32]) -> Result<Option<u32>, HookFailure> {
    let choice = Choice { peers: Arc::<Two>::clone(peers), tried: tried.to_vec() };
    now(plugin.pick(&view(), choice))
}

/// Some of the number at 600.
const SOME: &str = r#"(data (i32.const 596) "\01")"#;

fn guest(main: &str, uses: &[(&str, &str)]) -> &'static [u8] {
    let main = format!("{main} {SOME}");
    Guest { hooks: &[Hook::Balancer], imports: PEERS, uses, main: &main, ..Guest::default() }.bytes()
}

/// Picks 10 and more by the number of updates.
const COUNTS: &str = r#"
  (global $updates (mut i32) (i32.const 9))
  (func (export "update") (param $group i32) (param i32 i32) (param $peers i32) (param $len i32)
    (if (i32.ne (local.get $len) (i32.const 3)) (then unreachable))
    ;; the second one's id, weight, whether it is a backup, number of tags: records of 36 bytes
    (if (i32.ne (i32.load offset=36 (local.get $peers)) (i32.const 11)) (then unreachable))
    (if (i32.ne (i32.load offset=56 (local.get $peers)) (i32.const 5)) (then unreachable))
    (if (i32.ne (i32.load8_u offset=60 (local.get $peers)) (i32.const 1)) (then unreachable))
    (if (i32.ne (i32.load offset=68 (local.get $peers)) (i32.const 1)) (then unreachable))
    (global.set $updates (i32.add (global.get $updates) (i32.const 1))))
  (func (export "pick") (param $group i32) (result i32)
    (i32.store (i32.const 600) (global.get $updates)) (i32.const 596))"#;

#[test]
fn an_instance_is_told_of_peers_before_its_first_pick_and_after_each_change() {
    let runtime = runtime();
    let plugin = load(&runtime, guest(COUNTS, &[]));
    let peers = Arc::new(Two::default());
    assert_eq!([ask(&plugin, &peers, &[]), ask(&plugin, &peers, &[])], [Ok(Some(10)), Ok(Some(10))]);
    peers.generation.store(1, Ordering::Relaxed);
    assert_eq!([ask(&plugin, &peers, &[]), ask(&plugin, &peers, &[])], [Ok(Some(11)), Ok(Some(11))]);
    // Another group is news too, and the first one's peers are not forgotten for it.
    let other = Arc::new(Two { group: 1, ..Two::default() });
    assert_eq!(ask(&plugin, &other, &[]).unwrap_err().kind, HookFailureKind::BadAnswer, "the third update: 12 is down");
    // That was the end of the instance: the next one knows nothing.
    assert_eq!([ask(&plugin, &peers, &[]), ask(&plugin, &peers, &[])], [Ok(Some(10)), Ok(Some(10))]);
    assert_eq!(ask(&plugin, &other, &[]), Ok(Some(11)));
    assert_eq!(ask(&plugin, &peers, &[]), Ok(Some(11)));
}

/// The same on a fiber, which a deadline above 20 ms asks for.
#[test]
fn plugins_that_can_wait_are_told_of_peers_too() {
    let runtime = runtime();
    let plugin = runtime.load(&Spec { deadline: Duration::from_secs(1), ..spec(guest(COUNTS, &[])) }).unwrap();
    let peers = Arc::new(Two::default());
    let ask = |tried: Vec<u32>| {
        let call = plugin.pick(&view(), Choice { peers: Arc::<Two>::clone(&peers), tried });
        assert!(matches!(call, Call::Later(_)));
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(call.answer())
    };
    assert_eq!([ask(vec![]), ask(vec![])], [Ok(Some(10)), Ok(Some(10))]);
    peers.generation.store(1, Ordering::Relaxed);
    assert_eq!(ask(vec![]), Ok(Some(11)));
    assert_eq!(ask(vec![11]).unwrap_err().kind, HookFailureKind::BadAnswer);
}

#[test]
fn ids_that_cannot_be_picked_are_bad_answers() {
    let runtime = runtime();
    let plugin = load(&runtime, guest(COUNTS, &[]));
    let peers = Arc::new(Two::default());
    let failure = ask(&plugin, &peers, &[11, 10]).unwrap_err();
    assert_eq!(failure.kind, HookFailureKind::BadAnswer);
    assert!(failure.to_string().contains("peer 10 of `two` was tried for this request already"), "{failure}");
    assert!(metrics(&runtime).contains("hook=\"balancer\""), "{}", metrics(&runtime));
}

/// Picks the peer whose load is the difference of total and that of the last that was tried.
const ASKS: &str = r#"
  (import "peers" "active" (func $active (param i32 i32)))
  (import "peers" "total" (func $total (result i32)))
  (import "peers" "tried" (func $tried (param i32)))
  (func (export "update") (param i32 i32 i32 i32 i32))
  (func (export "pick") (param $group i32) (result i32)
    (call $tried (i32.const 100))
    (if (i32.ne (i32.load (i32.const 104)) (i32.const 1)) (then unreachable))
    (if (i32.ne (i32.load (i32.load (i32.const 100))) (i32.const 10)) (then unreachable))
    (call $active (i32.const 10) (i32.const 120))
    (if (i32.load8_u (i32.const 120)) (then unreachable))
    (call $active (i32.const 99) (i32.const 120))
    (if (i32.load8_u (i32.const 120)) (then unreachable))
    (call $active (i32.const 11) (i32.const 120))
    (if (i32.ne (i32.load8_u (i32.const 120)) (i32.const 1)) (then unreachable))
    (if (i32.ne (i32.load (i32.const 124)) (i32.const 4)) (then unreachable))
    (i32.store (i32.const 600) (i32.add (call $total) (i32.load (i32.const 124)))) (i32.const 596))"#;

#[test]
fn a_guest_asks_what_peers_serve() {
    let runtime = runtime();
    let uses = [("peers", "active"), ("peers", "total"), ("peers", "tried")];
    let plugin = load(&runtime, guest(ASKS, &uses));
    assert_eq!(ask(&plugin, &Arc::new(Two::default()), &[10]), Ok(Some(11)));
    let failure = ask(&plugin, &Arc::new(Two::default()), &[11]).unwrap_err();
    assert_eq!(failure.kind, HookFailureKind::Trap);
}

/// There is no request while a guest is told of peers.
#[test]
fn peers_are_asked_about_while_picking_only() {
    let main = r#"
      (import "peers" "total" (func $total (result i32)))
      (func (export "update") (param i32 i32 i32 i32 i32) (drop (call $total)))
      (func (export "pick") (param $group i32) (result i32) unreachable)"#;
    let runtime = runtime();
    let plugin = load(&runtime, guest(main, &[("peers", "total")]));
    let failure = ask(&plugin, &Arc::new(Two::default()), &[]).unwrap_err();
    assert!(failure.to_string().contains("`balancer.pick` only"), "{failure}");
}

#[test]
fn none_leaves_it_to_the_policy() {
    let main = r#"
      (func (export "update") (param i32 i32 i32 i32 i32))
      (func (export "pick") (param $group i32) (result i32) (i32.const 700))"#;
    let runtime = runtime();
    let plugin = load(&runtime, guest(main, &[]));
    assert_eq!(ask(&plugin, &Arc::new(Two::default()), &[]), Ok(None));
}

/// A thousand peers that all serve the same.
#[derive(Debug)]
struct Thousand;

impl Peers for Thousand {
    fn group(&self) -> u32 {
        0
    }
    fn name(&self) -> &'static str {
        "thousand"
    }
    fn generation(&self) -> u64 {
        0
    }
    fn facts(&self) -> Vec<PeerFacts> {
        let facts = |id: u32| PeerFacts {
            id,
            name: format!("10.0.{}.{}:9000", id / 250, id % 250).into(),
            address: format!("10.0.{}.{}:9000", id / 250, id % 250),
            weight: 1,
            backup: false,
            tags: Vec::new(),
        };
        (0..1000).map(facts).collect()
    }
    fn has(&self, id: u32) -> bool {
        id < 1000
    }
    fn active(&self, id: u32) -> Option<u32> {
        self.has(id).then_some(5)
    }
    fn total(&self) -> u32 {
        5000
    }
}

/// Within the default deadline; how long it takes is printed (`--nocapture`).
#[test]
fn the_stock_affinity_balances_a_thousand_peers() {
    const AFFINITY: &[u8] = include_bytes!("../../../../plugins/dist/affinity.wasm");
    let runtime = runtime();
    let config = r#"{"by": {"header": "origin"}, "bounded_load": 1.25}"#.to_owned();
    let plugin = runtime.load(&Spec { config, ..spec(AFFINITY) }).unwrap();
    let choice = || Choice { peers: Arc::new(Thousand), tried: Vec::new() };
    let view = view();
    let began = std::time::Instant::now();
    let first = now(plugin.pick(&view, choice())).unwrap();
    let told = began.elapsed();
    assert!(first.is_some());
    let (picks, began) = (1000, std::time::Instant::now());
    for _ in 0..picks {
        assert_eq!(now(plugin.pick(&view, choice())).unwrap(), first);
    }
    eprintln!("1000 peers: first pick with its update {told:?}, each further one {:?}", began.elapsed() / picks);
}
