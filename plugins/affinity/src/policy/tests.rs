use std::collections::HashMap;

use tidegate_plugin::testing::{self, Request};
use tidegate_plugin::{Balancer, Peer};

use super::*;
use crate::Affinity;

/// What peers serve, by their ids.
#[derive(Default)]
struct Serving {
    active: HashMap<u32, u32>,
    gone: Vec<u32>,
}

impl Load for Serving {
    fn active(&self, id: u32) -> Option<u32> {
        (!self.gone.contains(&id)).then(|| self.active.get(&id).copied().unwrap_or_default())
    }

    fn total(&self) -> u32 {
        self.active.values().sum()
    }
}

fn peers(count: u32) -> Vec<Peer> {
    (0..count).map(|id| Peer::new(id, format!("10.0.{}.{}:9000", id / 250, id % 250))).collect()
}

fn policy(config: &str) -> Policy {
    Policy::new(serde_json::from_str(config).unwrap()).unwrap()
}

fn plain() -> Policy {
    policy(r#"{"by": {"header": "x-room"}}"#)
}

fn bounded(factor: f64) -> Policy {
    policy(&format!(r#"{{"by": {{"header": "x-room"}}, "bounded_load": {factor}}}"#))
}

fn key(n: u32) -> Vec<u8> {
    format!("room-{n}").into_bytes()
}

/// How often each peer is picked by 10,000 keys, each of which then ends.
fn counts(ring: &Ring) -> HashMap<u32, u32> {
    let (policy, mut counts) = (plain(), HashMap::new());
    for n in 0..10_000 {
        *counts.entry(policy.pick(ring, &key(n), &Serving::default()).unwrap()).or_default() += 1;
    }
    counts
}

#[test]
fn keys_spread_by_weight() {
    let counts = counts(&Ring::new(&[
        Peer::new(0, "10.0.0.1:1"),
        Peer::new(1, "10.0.0.2:1").with_weight(2),
        Peer::new(2, "10.0.0.3:1").with_weight(5),
    ]));
    for (id, share) in [(0, 1250.0), (1, 2500.0), (2, 6250.0)] {
        let off = (f64::from(counts[&id]) - share).abs() / share;
        assert!(off < 0.2, "{counts:?}");
    }
}

/// Also where weights ask for more points than a ring may have.
#[test]
fn large_groups_and_weights_spread_too() {
    let many = counts(&Ring::new(&peers(1000)));
    assert!(many.len() > 990 && many.values().all(|count| *count < 40), "{many:?}");
    let heavy = [Peer::new(0, "10.0.0.1:1").with_weight(60_000), Peer::new(1, "10.0.0.2:1").with_weight(20_000)];
    let counts = counts(&Ring::new(&heavy));
    assert!((2000..3000).contains(&counts[&1]), "{counts:?}");
}

#[test]
fn a_peer_that_leaves_moves_its_own_keys_only() {
    let (before, policy) = (peers(10), plain());
    let mut after = before.clone();
    after.remove(3);
    let (before, after) = (Ring::new(&before), Ring::new(&after));
    let mut moved = 0;
    for n in 0..10_000 {
        let was = policy.pick(&before, &key(n), &Serving::default());
        let is = policy.pick(&after, &key(n), &Serving::default());
        // A peer that cannot be picked is as one that left.
        assert_eq!(policy.pick(&before, &key(n), &Serving { gone: vec![3], ..Serving::default() }), is);
        assert!(was == is || was == Some(3), "{n}: {was:?}, then {is:?}");
        moved += u32::from(was != is);
    }
    assert!((700..1300).contains(&moved), "{moved} of 10000 moved");
}

/// 3,000 tunnels of Zipf's popularity: without a bound one peer has far more than its share.
#[test]
fn no_peer_gets_more_than_its_bound() {
    let ring = Ring::new(&peers(10));
    let most = |policy: &Policy| {
        let mut serving = Serving::default();
        for n in 0..3000 {
            let id = policy.pick(&ring, &key(n % (1 + n % 40)), &serving).unwrap();
            *serving.active.entry(id).or_default() += 1;
            if let Some(factor) = policy.bounded_load {
                let bound = (f64::from(n + 1) / 10.0 * factor).ceil() as u32;
                assert!(serving.active[&id] <= bound, "{n}: {:?}", serving.active);
            }
        }
        serving.active.values().copied().max().unwrap()
    };
    assert!(most(&plain()) > 500);
    assert_eq!(most(&bounded(1.0)), 300);
    assert!(most(&bounded(1.25)) <= 375);
}

#[test]
fn passed_over_means_the_next_on_the_ring() {
    let (ring, policy) = (Ring::new(&peers(5)), bounded(1.25));
    for n in 0..50 {
        let order: Vec<u32> = {
            let mut order = Vec::new();
            ring.from(&key(n)).for_each(|place| {
                if !order.contains(&place.id) {
                    order.push(place.id)
                }
            });
            order
        };
        assert_eq!(order.len(), 5);
        let mut serving = Serving::default();
        serving.active.insert(order[0], 3);
        serving.active.insert(order[1], 3);
        assert_eq!(policy.pick(&ring, &key(n), &serving), Some(order[2]));
        // The bound is of those that can be picked: with two left of five, one may have five.
        serving.gone = order[2..].to_vec();
        assert_eq!(policy.pick(&ring, &key(n), &serving), Some(order[0]));
    }
}

/// What still runs on peers that left is no reason to find everyone too busy.
#[test]
fn where_all_are_above_the_bound_the_least_loaded_is_picked() {
    let peers = [Peer::new(0, "a:1").with_weight(4), Peer::new(1, "b:1"), Peer::new(2, "c:1")];
    struct All;
    impl Load for All {
        fn active(&self, id: u32) -> Option<u32> {
            Some([20, 6, 7][id as usize])
        }
        fn total(&self) -> u32 {
            3
        }
    }
    let ring = Ring::new(&peers);
    for n in 0..20 {
        assert_eq!(bounded(1.25).pick(&ring, &key(n), &All), Some(0), "20 for a weight of 4 is less than 6 for 1");
    }
}

#[test]
fn the_bound_has_a_floor() {
    let policy = policy(r#"{"by": {"cookie": "room"}, "bounded_load": 1, "least_bound": 3}"#);
    let ring = Ring::new(&peers(4));
    let home = policy.pick(&ring, b"x", &Serving::default()).unwrap();
    let with = |active| Serving { active: [(home, active)].into(), ..Serving::default() };
    assert_eq!(policy.pick(&ring, b"x", &with(2)), Some(home));
    assert_ne!(policy.pick(&ring, b"x", &with(3)), Some(home));
}

#[test]
fn without_key_or_peer_it_is_left_to_the_upstream() {
    let (ring, policy) = (Ring::new(&peers(3)), bounded(1.25));
    assert_eq!(policy.pick(&ring, b"", &Serving::default()), None);
    assert_eq!(policy.pick(&ring, b"x", &Serving { gone: vec![0, 1, 2], ..Serving::default() }), None);
    let mut backups = peers(2);
    backups[0].backup = true;
    backups[1].weight = 0;
    let empty = Ring::new(&backups);
    assert!(empty.is_empty());
    assert_eq!(policy.pick(&empty, b"x", &Serving::default()), None);
}

#[test]
fn peers_of_one_name_have_places_of_their_own() {
    let peer = |id: u32| Peer { name: "backend:9000".to_owned(), ..Peer::new(id, format!("10.0.0.{id}:9000")) };
    assert_eq!(counts(&Ring::new(&[peer(0), peer(1), peer(2)])).len(), 3);
}

#[test]
fn wrong_configurations_are_named() {
    for (config, pointer) in [
        (r#"{"by": {"cookie": ""}}"#, "/by/cookie"),
        (r#"{"by": {"header": "X Room"}}"#, "/by/header"),
        (r#"{"by": {"variable": "$arg_room"}}"#, "/by/variable"),
        (r#"{"by": {"header": "x"}, "bounded_load": 0.9}"#, "/bounded_load"),
        (r#"{"by": {"header": "x"}, "bounded_load": "2"}"#, "/bounded_load"),
        (r#"{"by": {"path": "x"}}"#, "/by/path"),
        (r#"{"by": {"header": "x"}, "bound": 2}"#, "/bound"),
    ] {
        assert_eq!(testing::configure::<Affinity>(config).unwrap_err().pointer(), pointer, "{config}");
    }
    assert!(testing::configure::<Affinity>("{}").unwrap_err().message().contains("missing field `by`"));
}

#[test]
fn as_a_plugin() {
    let mut plugin: Affinity = testing::configure(r#"{"by": {"cookie": "room"}, "bounded_load": 2}"#).unwrap();
    plugin.update(7, "chat".to_owned(), peers(3));
    let idle = testing::Load::new().peer(0, 0).peer(1, 0).peer(2, 0);
    let request = Request::get("/").header("Cookie", "a=b; room=blue");
    let home = testing::with_peers(&request, &idle, || plugin.pick(7)).unwrap();
    assert_eq!(testing::with_peers(&request, &idle, || plugin.pick(7)), Some(home));
    let next = testing::with_peers(&request, &idle.clone().tried(home), || plugin.pick(7)).unwrap();
    assert_ne!(next, home);
    assert_eq!(testing::with_peers(&Request::get("/"), &idle, || plugin.pick(7)), None);
    // The group has changed: one peer is left.
    plugin.update(7, "chat".to_owned(), vec![Peer::new(0, "10.1.1.1:1")]);
    plugin.update(8, "other".to_owned(), peers(3));
    assert_eq!(testing::with_peers(&request, &idle, || plugin.pick(7)), Some(0));
    assert_eq!(testing::with_peers(&request, &idle, || plugin.pick(8)), Some(home));
}
