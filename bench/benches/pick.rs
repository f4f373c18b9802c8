//! What choosing a peer costs, by policy, among 1,000 peers that have nothing to do or are busy, without what
//! it costs to let go of it:
//! `cargo bench -p tidegate-bench --bench pick`.
#![allow(clippy::unwrap_used, reason = "a program for developers: it stops at the first surprise")]

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tidegate::config::load_str;
use tidegate::hook::Values;
use tidegate::upstream::{Ask, Lease, Shared, Tick, Upstream};

/// How many peers there are.
const PEERS: u32 = 1000;

/// The policies, as a configuration names them.
const POLICIES: [(&str, &str); 8] = [
    ("round-robin", ""),
    ("ip-hash", "policy = \"ip-hash\""),
    ("hash", "policy = \"hash\"\nhash = { key = \"$request_uri\" }"),
    ("hash consistent", "policy = \"hash\"\nhash = { key = \"$request_uri\", consistent = true }"),
    ("random", "policy = \"random\""),
    ("random-two", "policy = \"random-two\""),
    ("least-conn", "policy = \"least-conn\""),
    ("least-time", "policy = \"least-time\""),
];

/// The value of every variable.
struct Key(&'static [u8]);

impl Values for Key {
    fn value(&self, _name: &str, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(self.0);
        true
    }
}

/// An upstream of peers with weights from 1 to 3.
fn upstream(policy: &str) -> Upstream {
    let mut text = format!("[[listeners]]\naddress = \"127.0.0.1:0\"\n[upstreams.u]\n{policy}\npeers = [\n");
    for number in 0..PEERS {
        let [_, a, b, c] = number.to_be_bytes();
        writeln!(text, "{{ address = \"10.{a}.{b}.{c}:8080\", weight = {} }},", 1 + number % 3).unwrap();
    }
    text.push_str("]\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n");
    let config = load_str(&text, Path::new("."), "bench").unwrap();
    Upstream::new(config.upstreams.first().unwrap(), &Shared::default())
}

fn pick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick among 1000");
    for (name, policy) in POLICIES {
        for tunnels in [0, 7 * PEERS] {
            let upstream = upstream(policy);
            let key = Key(b"/rooms/17/messages?since=42");
            // Made once: by itself it would ask for the time at each pick.
            let ask = Ask { now: Tick::now(), values: Some(&key), ..Ask::default() };
            let mut number = 0_u32;
            let mut next = || {
                number = number.wrapping_add(2_654_435_761);
                let client = Some(IpAddr::from(number.to_be_bytes()));
                upstream.pick(&Ask { client, ..ask })
            };
            let held: Vec<Lease> = (0..tunnels).filter_map(|_| next()).collect();
            let state = if tunnels == 0 { "idle" } else { "busy" };
            group.bench_function(BenchmarkId::new(name, state), |bencher| bencher.iter_with_large_drop(&mut next));
            drop(held);
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = pick
}
criterion_main!(benches);
