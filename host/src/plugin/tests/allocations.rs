//! What a message costs in memory: nothing is allocated for one that passes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::lab::{Lab, OnlyText, messages, messenger, plugins, session};
use crate::hook::{Sessions, Way};

/// The system's allocator, which counts for each thread what it is asked for.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn asked() {
    // A thread that ends may still free and allocate.
    let _gone = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

#[expect(unsafe_code, reason = "an allocator's functions are unsafe; these pass on what they are given")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        asked();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        asked();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread while 40 batches go through, after some that make what stays.
fn allocations(lab: &mut Lab, way: Way, batch: &[u8]) -> u64 {
    for _ in 0..4 {
        let came = lab.send(way, batch);
        // What was joined goes to the upstream under another mask.
        assert!(way == Way::Up || came == batch, "what passes goes on byte for byte");
    }
    let before = ASKED.get();
    for _ in 0..40 {
        lab.send(way, batch);
    }
    ASKED.get() - before
}

#[test]
fn a_message_that_passes_takes_no_memory() {
    let runtime = plugins();
    let plugin = messenger(&runtime);
    let parts = |numbers: &[u64]| -> Option<Sessions> {
        Some(numbers.iter().map(|number| session(&plugin, *number)).collect())
    };
    let before = ASKED.get();
    drop(std::hint::black_box(vec![0_u8; 100]));
    assert_eq!(ASKED.get() - before, 1, "they are counted");
    let labs = [
        ("bytes", None),
        ("only text", Some(vec![Box::new(OnlyText) as _])),
        ("one", parts(&[1])),
        ("two", parts(&[2, 3])),
    ];
    for (what, sessions) in labs {
        let mut lab = Lab::new(sessions);
        for way in [Way::Up, Way::Down] {
            // One alone, and as many as a read brings, whose last one does not end with the read.
            for (count, size) in [(1, 64), (1, 1024), (1, 60_000), (900, 64), (120, 1000)] {
                let batch = messages(way, count, size);
                let all = allocations(&mut lab, way, &batch);
                // What a read cuts in two is joined, in a buffer of its own: at most a few of a batch.
                let cut = if count > 1 { 40 * 4 } else { 0 };
                assert!(all <= cut, "{what}: {all} for 40 times {count} messages of {size} B, {way:?}");
            }
        }
    }
}
