//! What messages cost that flow through a tunnel, and what hook `messages` adds: thread CPU time per
//! message, in µs. Messages come back to back, 64 KiB in a read, so that the cost of system calls is
//! shared by many; the ends of the tunnel are in the same thread, and cost the same in each line.
//! `cargo bench -p tidegate --bench messages`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a program for developers: it prints, and stops at the first surprise"
)]

mod lab;

use std::hint::black_box;

use lab::{Lab, OnlyText, messages, messenger, plugins, session};
use rustix::time::{ClockId, clock_gettime};
use tidegate::hook::{Call, Content, Judgement, Message, Session, Sessions, Way};

// As the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes of a batch.
const BATCH: usize = 60 << 10;

fn main() {
    let runtime = plugins();
    let plugin = messenger(&runtime);
    let mut tunnel = 0;
    let mut part = || {
        tunnel += 1;
        session(&plugin, tunnel)
    };
    for size in [64, 1024] {
        for way in [Way::Up, Way::Down] {
            let direction = if way == Way::Up { "to the upstream" } else { "to the client" };
            println!("{size} B {direction}");
            let bytes = line(Lab::new(None), way, size, "a tunnel of bytes", None);
            let blind: Sessions = vec![Box::new(OnlyText)];
            let walked = line(Lab::new(Some(blind)), way, size, "frames that nobody wants", Some(bytes));
            let one = line(Lab::new(Some(vec![part()])), way, size, "one plugin that passes", Some(walked));
            line(Lab::new(Some(vec![part(), part()])), way, size, "two plugins that pass", Some(one));
        }
        let mut alone = part();
        println!("{:<34}{:>8.3} µs", "the call alone", call(&mut *alone, size));
    }
}

/// Measure and print; what a message costs.
fn line(mut lab: Lab, way: Way, size: usize, what: &str, before: Option<f64>) -> f64 {
    let count = BATCH / size;
    let batch = messages(way, count, size);
    let cost = cpu(|| {
        black_box(lab.send(way, &batch).len());
    }) / count as f64;
    match before {
        Some(before) => println!("  {what:<32}{cost:>8.3} µs  {:+.3}", cost - before),
        None => println!("  {what:<32}{cost:>8.3} µs"),
    }
    cost
}

/// One call of hook `messages`, without a tunnel.
fn call(session: &mut dyn Session, size: usize) -> f64 {
    let data = vec![0x5a; size];
    let message = Message { way: Way::Up, content: Content::Binary, length: Some(size as u64), data: &data };
    let mut ask = || match session.on_message(&message) {
        Call::Ready(answer) => assert_eq!(answer.expect("it does not fail"), Judgement::Pass),
        Call::Later(_) => unreachable!("it imports nothing that waits"),
    };
    cpu(|| (0..100).for_each(|_| ask())) / 100.0
}

/// Thread CPU time of one run, µs: the median of 25 batches.
fn cpu(mut run: impl FnMut()) -> f64 {
    let mut batch = |n: u32| {
        let start = clock();
        (0..n).for_each(|_| run());
        (clock() - start) / f64::from(n)
    };
    batch(100);
    let mut times: Vec<f64> = (0..25).map(|_| batch(100)).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn clock() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
