//! What a request's hooks cost: thread CPU time per call of the stock plugins, in µs.
//! `cargo bench --bench hooks`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a program for developers: it prints, and stops at the first surprise"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Version};
use rustix::time::{ClockId, clock_gettime};
use tidegate::hook::{Builtins, Call, Caps, Isolation, OnFailure, Own, Plugin, View};
use tidegate::plugin::{Runtime, RuntimeSettings, Source, Spec};
use tidegate::stock;

const ROUTER: &str = r#"{"sites":[{"names":["ws.example.com"],"default":true,"routes":[
    {"name":"chat","match":"/ws","replace_prefix":null,"rewrite":null},
    {"name":"assets","match":"~ \\.(js|css)$","replace_prefix":null,"rewrite":null},
    {"name":"all","match":"/","replace_prefix":null,"rewrite":null}]}]}"#;
const ORIGIN: &str = r#"{"allow":["https://app.example.com","https://*.example.org"],"missing":"deny"}"#;
const HEADERS: &str = r#"{"request":{"defaults":true,"set":[],"append":[],"remove":[]},
    "response":{"set":[],"append":[],"remove":[]}}"#;
/// `ann` with the password `secret`.
const USERS: &str = r#"{"realm":"Private","users":"ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="}"#;

// As the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let cache_dir = Some(concat!(env!("CARGO_TARGET_TMPDIR"), "/hooks").into());
    let runtime = Runtime::new(&RuntimeSettings { cache_dir, ..RuntimeSettings::default() }).unwrap();
    let load = |name: &str, config: &str, ms| {
        let spec = Spec {
            name: name.into(),
            source: Source::Bytes(stock::component(name).unwrap()),
            config: config.into(),
            on_failure: OnFailure::Closed,
            deadline: Duration::from_millis(ms),
            memory: 16 << 20,
            caps: Caps { table: 40_000, output: None, host_calls: 10_000 },
            quarantine: None,
            hooks: None,
            restart_tunnels: false,
            isolation: Isolation::Worker,
            fetch: None,
            kv: Vec::new(),
            secrets: Vec::new(),
            environment: Vec::new(),
            stage: None,
        };
        runtime.load(&spec).unwrap()
    };
    let router = load("router", ROUTER, 10);
    let origin = load("origin-check", ORIGIN, 10);
    let headers = load("header-map", HEADERS, 10);
    let users = load("auth-basic", USERS, 10);
    let users_on_fiber = load("auth-basic", USERS, 1000);
    let view = view();

    let route = || ready(router.route(&view)).unwrap().unwrap();
    let check = || ready(origin.check_origin(&view));
    let map = || ready(headers.on_request(&view)).unwrap().len();
    let authorize = |users: &Arc<dyn Plugin>| ready(users.authorize(&view));
    println!("route {:?}\norigin {:?}\nauth {:?}\nheaders {}", route(), check(), authorize(&users), map());

    let chain = || {
        black_box(route());
        black_box(check());
        black_box(authorize(&users));
        black_box(map());
    };
    println!("{:<34}{:>8.2} µs", "router", cpu(|| drop(black_box(route()))));
    println!("{:<34}{:>8.2} µs", "origin-check", cpu(|| drop(black_box(check()))));
    println!("{:<34}{:>8.2} µs", "auth-basic", cpu(|| drop(black_box(authorize(&users)))));
    println!("{:<34}{:>8.2} µs", "auth-basic, fiber lane", cpu(|| drop(black_box(authorize(&users_on_fiber)))));
    println!(
        "{:<34}{:>8.2} µs",
        "header-map",
        cpu(|| {
            black_box(map());
        })
    );
    println!("{:<34}{:>8.2} µs", "all four", cpu(chain));
}

/// The answer of a call; none of these waits.
fn ready<T>(call: Call<T>) -> T {
    let answer = match call {
        Call::Ready(answer) => answer,
        Call::Later(mut later) => {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            loop {
                // A fiber is paused at most every 5 ms.
                if let std::task::Poll::Ready(answer) = later.as_mut().poll(&mut context) {
                    break answer;
                }
            }
        }
    };
    answer.expect("the stock plugins do not fail")
}

/// Thread CPU time of one call, µs: the median of 25 batches of about 10 ms.
fn cpu(mut call: impl FnMut()) -> f64 {
    let mut batch = |n: u32| {
        let start = clock();
        (0..n).for_each(|_| call());
        (clock() - start) / f64::from(n)
    };
    batch(2000);
    let mut times: Vec<f64> = (0..25).map(|_| batch(4000)).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn clock() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// A handshake as a browser sends it: 14 headers.
fn view() -> Arc<View> {
    let lines = [
        ("host", "ws.example.com"),
        ("connection", "Upgrade"),
        ("pragma", "no-cache"),
        ("cache-control", "no-cache"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        ),
        ("upgrade", "websocket"),
        ("origin", "https://app.example.com"),
        ("sec-websocket-version", "13"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-GB,en;q=0.9"),
        ("cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
        ("authorization", "Basic YW5uOnNlY3JldA=="),
    ];
    Arc::new(View {
        serial: 1,
        method: Method::GET,
        version: Version::HTTP_11,
        path_with_query: "/ws?room=1".into(),
        original: None,
        path: "/ws".into(),
        authority: "ws.example.com".into(),
        host: "ws.example.com".into(),
        scheme: "http",
        is_websocket: true,
        headers: lines.into_iter().collect(),
        client: "192.0.2.1:4711".parse().unwrap(),
        peer: "192.0.2.1:4711".parse().unwrap(),
        limit_req_status: "",
        limit_conn_status: "",
        is_renewal: false,
        local: "192.0.2.2:80".parse().unwrap(),
        variables: Vec::new(),
        route: "".into(),
        site: "".into(),
        arrival: tidegate::hook::Arrival::default(),
        upstream: "".into(),
        outcome: tidegate::hook::Outcome::default(),
        maps: Arc::default(),
        kept: tidegate::hook::Kept::default(),
        own: Own::default(),
        builtins: &Variables,
    })
}

/// The variables that the recommended headers are made of.
#[derive(Debug)]
struct Variables;

impl Builtins for Variables {
    fn resolve(&self, view: &View, name: &str, out: &mut Vec<u8>) -> bool {
        match name {
            "host" => out.extend_from_slice(view.host.as_bytes()),
            "scheme" => out.extend_from_slice(view.scheme.as_bytes()),
            "remote_addr" | "proxy_add_x_forwarded_for" => {
                out.extend_from_slice(view.client.ip().to_string().as_bytes())
            }
            _ => return false,
        }
        true
    }

    fn outcome(&self, _: &tidegate::hook::Outcome, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }

    fn header(&self, _: &tidegate::message::Fields, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }
}
