//! Distribution, stability and order of each policy. Whether they choose nginx's peer is proven
//! in `tests/nginx_compat/`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Policy, Until};
use crate::hook::{Template, Values};
use crate::upstream::policy::Ask;
use crate::upstream::set::Set;
use crate::upstream::tests::{counts, number, peers, set};
use crate::upstream::{Lease, Peer, Tick};

/// One variable, `$key`.
struct Key(String);

impl Values for Key {
    fn value(&self, _name: &str, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(self.0.as_bytes());
        true
    }
}

fn hash(consistent: bool) -> Policy {
    Policy::Hash { key: Template::parse("$key").unwrap(), consistent }
}

/// The peer of each of these keys, by name.
fn owners(set: &Set, keys: usize) -> Vec<Arc<str>> {
    let owner = |number: usize| {
        let key = Key(format!("/rooms/{number}"));
        let lease = set.pick(&Ask { values: Some(&key), ..Ask::default() }).unwrap();
        Arc::clone(&lease.peer().name)
    };
    (0..keys).map(owner).collect()
}

/// The peer of each of these clients' networks.
fn networks(set: &Set) -> Vec<usize> {
    let peer = |number: u16| {
        let [b, c] = number.to_be_bytes();
        let ask = Ask { client: Some(IpAddr::from([10, b, c, 7])), ..Ask::default() };
        set.pick(&ask).map(|lease| super::super::tests::number(set, &lease)).unwrap()
    };
    (0..4000).map(peer).collect()
}

fn share<T: Eq + std::hash::Hash>(of: impl IntoIterator<Item = T>) -> HashMap<T, usize> {
    of.into_iter().fold(HashMap::new(), |mut sums, item| {
        *sums.entry(item).or_default() += 1;
        sums
    })
}

/// Each is near what its weight promises.
#[track_caller]
fn near(counts: &[usize], weights: &[usize], tolerance: f64) {
    let (sum, whole) = (weights.iter().sum::<usize>() as f64, counts.iter().sum::<usize>() as f64);
    for (count, weight) in counts.iter().zip(weights) {
        let wanted = whole * *weight as f64 / sum;
        assert!((*count as f64 - wanted).abs() <= wanted * tolerance, "{counts:?} for {weights:?}");
    }
}

const WEIGHTS: [usize; 4] = [1, 2, 3, 4];

fn weighted(policy: &Policy) -> Set {
    let peers = peers(4, |number, peer| peer.weight = WEIGHTS[number] as u32);
    set(&peers, policy)
}

#[test]
fn by_turn_chance_load_and_time_weights_are_kept() {
    // Not by time: of idle peers the one with the greatest weight is ready first, as in nginx.
    for policy in [Policy::RoundRobin, Policy::LeastConn, Policy::Random] {
        near(&counts(&weighted(&policy), 10_000), &WEIGHTS, 0.07);
    }
    // What lasts is shared out by weight, too.
    for policy in [Policy::RoundRobin, Policy::LeastConn, Policy::Random, Policy::LeastTime(Until::LastByte)] {
        let set = weighted(&policy);
        let _held: Vec<Lease> = (0..10_000).map(|_| set.pick(&Ask::default()).unwrap()).collect();
        let active: Vec<usize> = set.peers.iter().map(|peer| peer.vitals.active() as usize).collect();
        near(&active, &WEIGHTS, 0.07);
    }
}

#[test]
fn by_hash_weights_are_kept() {
    near_by_name(&weighted(&hash(false)), 0.1);
    near_by_name(&weighted(&hash(true)), 0.35);
    let set = weighted(&Policy::IpHash);
    let sums = share(networks(&set));
    near(&(0..4).map(|peer| sums[&peer]).collect::<Vec<_>>(), &WEIGHTS, 0.15);
}

#[track_caller]
fn near_by_name(set: &Set, tolerance: f64) {
    let sums = share(owners(set, 20_000));
    let counts: Vec<usize> = set.peers.iter().map(|peer| sums[&peer.name]).collect();
    near(&counts, &WEIGHTS, tolerance);
}

#[test]
fn a_peer_that_leaves_moves_its_own_keys_alone() {
    let all = peers(10, |_, _| {});
    let before = owners(&set(&all, &hash(true)), 10_000);
    let gone = Arc::clone(&all[4].name);
    let rest: Vec<Arc<Peer>> = all.iter().filter(|peer| peer.name != gone).cloned().collect();
    let after = owners(&set(&rest, &hash(true)), 10_000);
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    let its_own = before.iter().filter(|name| **name == gone).count();
    assert_eq!(moved, its_own, "nobody else's key moves");
    assert!((600..1500).contains(&moved), "{moved} of 10000 for one of ten peers");
    // They are spread over the others.
    let heirs = share(before.iter().zip(&after).filter(|(before, _)| **before == gone).map(|(_, after)| after));
    assert!(heirs.len() >= 8, "{heirs:?}");
    // Without consistency most of them move.
    let plain = |peers: &[Arc<Peer>]| owners(&set(peers, &hash(false)), 10_000);
    let moved = plain(&all).iter().zip(&plain(&rest)).filter(|(before, after)| before != after).count();
    assert!(moved > 8000, "{moved}");
}

#[test]
fn one_that_is_down_full_or_drains_keeps_the_others_keys() {
    for policy in [hash(false), hash(true)] {
        let before = owners(&set(&peers(5, |_, _| {}), &policy), 5000);
        let changes: [fn(&mut crate::config::Peer); 2] = [|peer| peer.down = true, |peer| peer.drain = true];
        for change in changes {
            let changed = peers(5, |number, peer| {
                if number == 2 {
                    change(peer)
                }
            });
            let after = owners(&set(&changed, &policy), 5000);
            let gone = &changed[2].name;
            assert!(before.iter().zip(&after).all(|(before, after)| before == gone || before == after));
            assert!(after.iter().all(|name| name != gone));
        }
    }
    let before = networks(&set(&peers(5, |_, _| {}), &Policy::IpHash));
    let full = peers(5, |number, peer| peer.max_conns = u32::from(number == 2));
    let _held = Lease::new(&full[2], false).unwrap();
    let after = networks(&set(&full, &Policy::IpHash));
    assert!(before.iter().zip(&after).all(|(before, after)| *before == 2 || before == after));
    assert!(!after.contains(&2));
}

#[test]
fn points_are_found_as_by_halving() {
    let peers = peers(40, |number, peer| peer.weight = 1 + (number % 3) as u32);
    let ring = super::ring::Ring::new(&Template::default(), &peers);
    let by_halving = |hash: u32| ring.hashes.partition_point(|point| *point < hash);
    let spread = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761));
    for hash in spread.chain([0, 1, u32::MAX]).chain(ring.hashes.iter().copied()) {
        assert_eq!(ring.point(hash), by_halving(hash), "{hash}");
    }
}

#[test]
fn the_least_busy_is_chosen_by_weight() {
    let peers = peers(3, |number, peer| peer.weight = [1, 1, 2][number]);
    let set = set(&peers, &Policy::LeastConn);
    let mut held: Vec<Lease> = (0..4).map(|_| set.pick(&Ask::default()).unwrap()).collect();
    assert_eq!(peers.iter().map(|p| p.vitals.active()).collect::<Vec<_>>(), [1, 1, 2]);
    held.retain(|lease| number(&set, lease) != 1);
    assert_eq!(number(&set, &set.pick(&Ask::default()).unwrap()), 1);
    held.clear();
    held.extend((0..400).map(|_| set.pick(&Ask::default()).unwrap()));
    assert_eq!(peers.iter().map(|p| p.vitals.active()).collect::<Vec<_>>(), [100, 100, 200]);
}

#[test]
fn few_equals_among_many_busy_ones_share() {
    let peers = peers(500, |_, _| {});
    let set = set(&peers, &Policy::LeastConn);
    let idle = [3, 250, 499];
    let _held: Vec<Lease> =
        (0..500).filter(|number| !idle.contains(number)).map(|n| Lease::new(&peers[n], false).unwrap()).collect();
    let counts = counts(&set, 3000);
    assert!(idle.iter().all(|peer| counts[*peer].abs_diff(1000) < 200), "{:?}", idle.map(|peer| counts[peer]));
}

#[test]
fn the_less_busy_of_two() {
    let peers = peers(10, |_, _| {});
    let set = set(&peers, &Policy::RandomTwo);
    let _held: Vec<Lease> = (0..10_000).map(|_| set.pick(&Ask::default()).unwrap()).collect();
    let active: Vec<u32> = peers.iter().map(|peer| peer.vitals.active()).collect();
    // By mere chance they would differ by about 100.
    assert!(active.iter().all(|active| active.abs_diff(1000) < 20), "{active:?}");
}

#[test]
fn the_quick_one_is_chosen_until_it_is_as_busy_as_slow() {
    let peers = peers(2, |_, _| {});
    let set = set(&peers, &Policy::LeastTime(Until::Header));
    let now = Tick::now();
    peers[0].vitals.answered(Duration::from_millis(190), now);
    peers[1].vitals.answered(Duration::from_millis(50), now);
    // 200 ms against 60 ms: the third in a row would make 4 × 60.
    let held: Vec<Lease> = (0..5).map(|_| set.pick(&Ask::default()).unwrap()).collect();
    let order: Vec<usize> = held.iter().map(|lease| number(&set, lease)).collect();
    assert_eq!(order, [1, 1, 1, 0, 1]);
    drop(held);
    // A minute later it is long ago that the slow one was slow.
    let later = Ask { now: now.after(Duration::from_secs(60)), ..Ask::default() };
    let chosen: Vec<usize> = (0..4).map(|_| number(&set, &set.pick(&later).unwrap())).collect();
    assert!(chosen.contains(&0), "{chosen:?}");
}

#[test]
fn a_new_peer_does_not_get_all_of_a_burst() {
    for policy in [Policy::LeastConn, Policy::RoundRobin, Policy::RandomTwo, Policy::LeastTime(Until::Header)] {
        let peers = peers(5, |_, peer| peer.slow_start = Duration::from_secs(30));
        let set = set(&peers, &policy);
        let now = Tick::now();
        let _busy: Vec<Lease> =
            peers[..4].iter().flat_map(|peer| (0..100).map(|_| Lease::new(peer, false).unwrap())).collect();
        peers[4].vitals.returns(now);
        let at = |seconds: u64| Ask { now: now.after(Duration::from_secs(seconds)), ..Ask::default() };
        let burst: Vec<Lease> = (0..40).map(|_| set.pick(&at(3)).unwrap()).collect();
        let new = burst.iter().filter(|lease| number(&set, lease) == 4).count();
        assert!(new <= 14, "{policy:?}: {new} of 40 after a tenth of its slow start");
        drop(burst);
        let late: Vec<Lease> = (0..40).map(|_| set.pick(&at(31)).unwrap()).collect();
        let new = late.iter().filter(|lease| number(&set, lease) == 4).count();
        assert!(new >= 5, "{policy:?}: {new} of 40 after it");
    }
}

#[test]
fn a_slow_start_fills_a_peer_step_by_step() {
    let peers = peers(5, |_, peer| peer.slow_start = Duration::from_secs(100));
    let set = set(&peers, &Policy::LeastConn);
    let now = Tick::now();
    let mut held: Vec<Lease> =
        peers[..4].iter().flat_map(|peer| (0..200).map(|_| Lease::new(peer, false).unwrap())).collect();
    peers[4].vitals.returns(now);
    let mut filled = Vec::new();
    for second in 1..=100 {
        let ask = Ask { now: now.after(Duration::from_secs(second)), ..Ask::default() };
        held.extend((0..10).map(|_| set.pick(&ask).unwrap()));
        filled.push(peers[4].vitals.active());
    }
    // At each quarter no more than its share of what the others have.
    assert!(filled[24] < 70 && filled[49] < 170 && filled[99] > 250, "{filled:?}");
}
