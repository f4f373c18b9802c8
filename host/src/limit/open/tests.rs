use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::limit::table::{SET, WAYS};

fn caps(total: Option<u32>, requests: Option<u32>, tunnels: Option<u32>) -> Caps {
    Caps { total, requests, tunnels }
}

#[test]
fn a_place_is_free_again_when_dropped() {
    let zone = Arc::new(Opened::new(32 << 10));
    let two = caps(Some(2), None, None);
    let first = zone.enter(b"a", Class::Request, &two).unwrap();
    let _second = zone.enter(b"a", Class::Tunnel, &two).unwrap();
    assert!(zone.enter(b"a", Class::Tunnel, &two).is_none());
    assert!(zone.enter(b"b", Class::Tunnel, &two).is_some());
    drop(first);
    assert!(zone.enter(b"a", Class::Tunnel, &two).is_some());
}

#[test]
fn requests_and_tunnels_have_caps_of_their_own() {
    let zone = Arc::new(Opened::new(32 << 10));
    let caps = caps(Some(3), Some(2), Some(1));
    let _tunnel = zone.enter(b"a", Class::Tunnel, &caps).unwrap();
    assert!(zone.enter(b"a", Class::Tunnel, &caps).is_none());
    let _one = zone.enter(b"a", Class::Request, &caps).unwrap();
    let _two = zone.enter(b"a", Class::Request, &caps).unwrap();
    assert!(zone.enter(b"a", Class::Request, &caps).is_none());
    assert!(zone.enter(b"b", Class::Tunnel, &Caps { total: Some(0), ..caps }).is_none());
}

#[test]
fn a_full_zone_refuses_new_keys_and_is_empty_in_the_end() {
    let zone = Arc::new(Opened::new(SET));
    let no_cap = Caps::default();
    let slots: Vec<_> = (0..20).map(|key| zone.enter(&[key], Class::Request, &no_cap)).collect();
    assert_eq!(slots.iter().flatten().count(), WAYS);
    assert!(zone.enter(&[0], Class::Request, &no_cap).is_some(), "a key that is there needs no room");
    assert!(zone.enter(&[99], Class::Request, &no_cap).is_none());
    drop(slots);
    assert_eq!(zone.keys(), 0);
    let others: Vec<_> = (20..40).map(|key| zone.enter(&[key], Class::Tunnel, &no_cap)).collect();
    assert_eq!(others.iter().flatten().count(), WAYS, "keys with nothing open make room");
}

#[test]
fn the_largest_counts_do_not_run_into_one_another() {
    let full = (MOST * Class::Request.one()) | LIVE;
    assert!(!Caps::default().allow(Class::Request, full), "no room in the word");
    assert_eq!(Class::Tunnel.count(full), 0);
    let both = full + MOST * Class::Tunnel.one();
    assert_eq!([Class::Request.count(both), Class::Tunnel.count(both)], [MOST, MOST]);
    assert!(!Caps::default().allow(Class::Tunnel, both));
    assert_eq!(both & (STAGE | TIMES_MASK), LIVE);
    assert_eq!(Counts::taken(TIMES_MASK | LIVE), TAKEN, "the number of times begins anew");
}

/// Zones hold a quarter of what they have room for, without refusing any: what nginx holds in
/// as many bytes, at 64 for each key.
#[test]
fn a_quarter_of_the_room_is_there_for_any_keys() {
    let zone = Arc::new(Opened::new(1 << 20));
    let slots: Vec<_> =
        (0..(1_u32 << 20) / 64).map(|key| zone.enter(&key.to_be_bytes(), Class::Tunnel, &Caps::default())).collect();
    let refused = slots.iter().filter(|slot| slot.is_none()).count();
    // In the mean one in 10⁵ has no room, so one of these 16,384 in seven runs.
    assert!(refused < 5, "{refused}");
}

/// Pseudo-random numbers: xorshift.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// The same operations on a zone and on a plain map have the same outcome.
#[test]
fn it_does_what_a_map_of_counts_does() {
    for seed in 1..=20_u64 {
        // Of one set, so that keys are forgotten all the time; and never more than it holds.
        let zone = Arc::new(Opened::new(SET));
        let mut model: HashMap<u64, [u32; 2]> = HashMap::new();
        let mut held: Vec<(u64, Slot)> = Vec::new();
        let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed);
        for _ in 0..5000 {
            let drawn = random(&mut state);
            if drawn & 3 == 0 && !held.is_empty() {
                let (key, slot) = held.swap_remove(drawn as usize / 4 % held.len());
                let counts = model.get_mut(&key).unwrap();
                counts[slot.class as usize] -= 1;
                if *counts == [0, 0] {
                    model.remove(&key);
                }
                drop(slot);
                continue;
            }
            let key = (drawn >> 8) % 25;
            let class = if drawn & 4 == 0 { Class::Request } else { Class::Tunnel };
            let caps = caps(Some(5), Some(3), Some(4));
            let counts = model.get(&key).copied().unwrap_or_default();
            let own_cap = if class == Class::Request { 3 } else { 4 };
            let allowed = counts[0] + counts[1] < 5
                && counts[class as usize] < own_cap
                && (model.contains_key(&key) || model.len() < WAYS);
            let slot = zone.enter(&key.to_be_bytes(), class, &caps);
            assert_eq!(slot.is_some(), allowed, "seed {seed}, key {key}, {counts:?}");
            if let Some(slot) = slot {
                model.entry(key).or_default()[class as usize] += 1;
                held.push((key, slot));
            }
            assert_eq!(zone.keys(), model.len());
        }
        drop(held);
        assert_eq!(zone.keys(), 0);
    }
}

#[test]
fn workers_never_pass_a_cap_together() {
    let zone = Arc::new(Opened::new(32 << 10));
    let five = caps(Some(5), None, None);
    let open = AtomicI64::new(0);
    let work = || {
        for _ in 0..20_000 {
            let held: Vec<_> = (0..3).filter_map(|_| zone.enter(b"a", Class::Tunnel, &five)).collect();
            let count = held.len() as i64;
            assert!(open.fetch_add(count, Ordering::SeqCst) + count <= 5);
            open.fetch_sub(count, Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(work);
        }
    });
    assert_eq!(zone.keys(), 0);
}

/// More keys than one set has slots, so that slots are taken from one key for another while
/// others enter and leave: no cap is ever passed, no count is lost, and none is left.
#[test]
fn keys_that_take_slots_from_one_another_keep_their_counts() {
    const KEYS: usize = 24;
    for seed in 1..=8_u64 {
        let zone = Arc::new(Opened::new(SET));
        let open: Vec<AtomicI64> = (0..KEYS).map(|_| AtomicI64::new(0)).collect();
        let two = caps(Some(2), None, None);
        let work = |seed: u64| {
            let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed);
            let (mut held, mut entered) = (Vec::new(), 0);
            for _ in 0..20_000 {
                let drawn = random(&mut state);
                if drawn & 1 == 0 || held.len() > 5 {
                    if !held.is_empty() {
                        let (key, slot): (usize, Slot) = held.swap_remove(drawn as usize / 2 % held.len());
                        // Before the place is free: afterwards another thread may have it.
                        assert!(open[key].fetch_sub(1, Ordering::SeqCst) > 0);
                        drop(slot);
                    }
                    continue;
                }
                let key = (drawn >> 8) as usize % KEYS;
                if let Some(slot) = zone.enter(&[key as u8], Class::Request, &two) {
                    assert!(open[key].fetch_add(1, Ordering::SeqCst) < 2, "key {key} has passed its cap");
                    held.push((key, slot));
                    entered += 1;
                }
            }
            for (key, slot) in held {
                open[key].fetch_sub(1, Ordering::SeqCst);
                drop(slot);
            }
            entered
        };
        let entered = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || work(seed * 4 + thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert!(entered > 10_000, "{entered}");
        assert_eq!(zone.keys(), 0);
        let all: Vec<_> = (0..WAYS).map(|key| zone.enter(&[key as u8], Class::Tunnel, &two)).collect();
        assert!(all.iter().all(Option::is_some), "no slot is lost");
    }
}
