//! Numbers by chance, quick and good enough to spread requests: no secret depends on them.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0_u8));
}

/// The next 64 bits: SplitMix64 (Steele, Lea, Flood 2014).
fn next() -> u64 {
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number below `end`; 0 where that is 0.
pub(in crate::upstream) fn below(end: u64) -> u64 {
    // The upper half of the product (Lemire 2019); its bias does not matter here.
    u64::try_from((u128::from(end) * u128::from(next())) >> 64).unwrap_or(0)
}

/// As [`below`], for small numbers: one product of 64 bits.
pub(in crate::upstream) fn below_u32(end: u32) -> u32 {
    u32::try_from((u64::from(end) * (next() >> 32)) >> 32).unwrap_or(0)
}

/// Begin this thread's numbers anew, for tests that count.
#[cfg(test)]
pub(in crate::upstream) fn seed(seed: u64) {
    STATE.set(seed);
}
