use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::limit::table::{SET, WAYS};

const RATE: u64 = 1000;

fn held(rates: &Rates) -> usize {
    rates.0.live::<Packed>().len()
}

#[test]
fn keys_have_buckets_of_their_own() {
    let rates = Rates::new(1 << 20);
    assert_eq!(rates.look(b"a", RATE, 0, 0, true), Ok(0));
    assert_eq!(rates.look(b"b", RATE, 0, 0, true), Ok(0));
    assert_eq!(rates.look(b"a", RATE, 0, 10, true), Err(990));
    assert_eq!(rates.look(b"a", RATE, 990, 10, true), Ok(990));
}

#[test]
fn a_look_takes_nothing() {
    let rates = Rates::new(1 << 20);
    for _ in 0..3 {
        assert_eq!(rates.look(b"a", RATE, 0, 0, false), Ok(0));
    }
    assert_eq!(rates.take(b"a", RATE, 0), 0);
    assert_eq!(rates.look(b"a", RATE, 5000, 0, false), Ok(1000));
    assert_eq!(rates.take(b"a", RATE, 0), 1000);
}

#[test]
fn a_flood_of_keys_forgets_the_oldest_and_stays_within_the_size() {
    let rates = Rates::new(32 << 10);
    assert_eq!(rates.look(b"first", RATE, 0, 0, true), Ok(0));
    for number in 0..10_000_u32 {
        assert_eq!(rates.look(&number.to_be_bytes(), RATE, 0, 0, true), Ok(0));
    }
    assert_eq!(rates.look(b"first", RATE, 0, 0, true), Ok(0), "forgotten");
    assert_eq!(rates.look(&9999_u32.to_be_bytes(), RATE, 0, 0, true), Err(1000), "kept");
    assert!(held(&rates) <= (32 << 10) / SET * WAYS);
    assert_eq!(rates.look(&[0; 40_000], RATE, 0, 0, true), Ok(0), "long keys take no more room");
    assert_eq!(rates.look(&[0; 40_000], RATE, 0, 0, true), Err(1000));
}

#[test]
fn what_no_longer_matters_is_forgotten_first() {
    let rates = Rates::new(SET);
    // Older than the others, and with an excess that is there for longer.
    for _ in 0..11 {
        rates.look(b"greedy", RATE, 10_000, 0, true).unwrap();
    }
    for number in 1..WAYS as u32 {
        rates.look(&number.to_be_bytes(), RATE, 0, 100, true).unwrap();
    }
    for number in 100..100 + WAYS as u32 {
        rates.look(&number.to_be_bytes(), RATE, 0, 1200, true).unwrap();
    }
    assert_eq!(rates.look(b"greedy", RATE, 0, 1200, true), Err(9800));
    assert_eq!(held(&rates), WAYS);
}

#[test]
fn time_may_go_back_a_little_and_begin_anew() {
    for start in [5000, TIMES - 500, TIMES, TIMES + 1, 3 * TIMES + 7] {
        let rates = Rates::new(SET);
        let look = |now| rates.look(b"a", RATE, 3000, now, true);
        assert_eq!([look(start), look(start - 100), look(start)], [Ok(0), Ok(1000), Ok(2000)]);
        assert_eq!(look(start + 1000), Ok(2000));
        assert_eq!(look(start + 100_000_000), Ok(0), "a day later");
    }
}

#[test]
fn the_largest_excess_is_kept_and_never_taken_for_a_time() {
    let full = Bucket { excess: 1_000_000 * ONE, last: 77 };
    assert_eq!(Packed::unpack(Packed::pack(&full), 77), Some(full));
    let beyond = Bucket { excess: u64::MAX / 2, last: 77 };
    assert_eq!(Packed::unpack(Packed::pack(&beyond), 77), Some(Bucket { excess: EXCESS - NONE, last: 77 }));
    assert_eq!(Packed::stage(Packed::pack(&Bucket::new(0))), Stage::Live);
}

/// The same requests to a zone and to plain buckets have the same outcome.
#[test]
fn it_does_what_a_map_of_buckets_does() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20 {
        let rates = Rates::new(1 << 20);
        let mut model: HashMap<u64, Bucket> = HashMap::new();
        let (rate, burst) = (random() % 20_000 + 1, random() % 5 * ONE);
        let mut now = random() % 1_000_000;
        for _ in 0..5000 {
            now += random() % 8;
            let (key, take) = (random() % 40, random() % 4 > 0);
            let expected = match model.get_mut(&key) {
                Some(bucket) => {
                    let excess = bucket.excess(rate, now);
                    if excess > burst {
                        Err(excess)
                    } else {
                        if take {
                            bucket.take(excess, now);
                        }
                        Ok(excess)
                    }
                }
                None => {
                    if take {
                        model.insert(key, Bucket::new(now));
                    }
                    Ok(0)
                }
            };
            assert_eq!(rates.look(&key.to_be_bytes(), rate, burst, now, take), expected);
        }
    }
}

/// Threads that bring the same new keys at the same moment let pass what one would.
#[test]
fn threads_let_pass_together_what_one_would() {
    const KEYS: usize = 10;
    for round in 0..300_u64 {
        let rates = Rates::new(SET);
        let passed: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
        let barrier = std::sync::Barrier::new(4);
        let work = || {
            barrier.wait();
            for _ in 0..20 {
                for (key, passed) in passed.iter().enumerate() {
                    if rates.look(&[key as u8], RATE, 7 * ONE, round, true).is_ok() {
                        passed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(work);
            }
        });
        let passed: Vec<_> = passed.iter().map(|passed| passed.load(Ordering::SeqCst)).collect();
        assert_eq!(passed, [8; KEYS], "one, and a burst of seven");
    }
}

/// With more keys than there is room for buckets come and go under the threads that use them:
/// nothing is stuck, and a key whose bucket stays is held to its rate.
#[test]
fn threads_that_flood_a_set_leave_it_whole() {
    let rates = Rates::new(SET);
    let passed = AtomicU64::new(0);
    for _ in 0..100 {
        rates.take(b"kept", RATE, 0);
    }
    let work = |thread: u32| {
        for number in 0..50_000_u32 {
            rates.look(&(number % 40 + thread).to_be_bytes(), RATE, 0, u64::from(number / 50), true).ok();
            if rates.look(b"kept", RATE, 99 * ONE, 0, true).is_ok() {
                passed.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    std::thread::scope(|scope| {
        let work = &work;
        for thread in 0..4 {
            scope.spawn(move || work(thread));
        }
    });
    assert_eq!(passed.load(Ordering::SeqCst), 0, "the bucket with the largest excess was forgotten");
    assert_eq!(held(&rates), WAYS);
    let mut fresh = (0..WAYS as u64).map(|key| rates.look(&key.to_le_bytes(), RATE, 0, 100_000, true));
    assert!(fresh.all(|looked| looked.is_ok()));
}
