//! Plugins change while the proxy runs: no request is lost, no tunnel is cut, a bad one is refused,
//! and nothing is left behind.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;
use tidegate_tests::guests::guest;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Wire, eventually, tidegate};

use super::quarantine::page;

/// `plugin.wasm` with this version on `/`, and a messenger that says the version on `/ws`.
fn text(version: &str) -> String {
    format!(
        r#"
        [server]
        workers = 2
        cache_dir = "%cache%"
        keepalive_requests = 1000000
        [admin]
        address = "%admin%"
        [plugins.changing]
        component = "plugin.wasm"
        config = {{ version = "{version}" }}
        [plugins.messenger]
        component = "%messenger%"
        config = {{ interest = ["text-up"], suffix = "-{version}" }}
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        plugins = ["changing"]
        [[sites.routes]]
        match = "/ws"
        upstream = "%backend%"
        plugins = ["changing", "messenger"]
        "#
    )
}

/// The guest with other bytes, which mean the same: a section that nobody reads is added (section
/// id 0, its size, and a name of one byte with what follows it).
fn variant(number: u8) -> Vec<u8> {
    let mut bytes = std::fs::read(guest("greedy")).unwrap();
    bytes.extend([0, 3, 1, b'v', number]);
    bytes
}

fn put(dir: &Path, bytes: &[u8]) {
    // Put in place as deployments do it.
    std::fs::write(dir.join("next.wasm"), bytes).unwrap();
    std::fs::rename(dir.join("next.wasm"), dir.join("plugin.wasm")).unwrap();
}

fn status(port: &HeldPort) -> Value {
    serde_json::from_str(&page(port, "/status")).unwrap()
}

/// Ends the load, also where the test fails: its threads would go on for ever.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn no_request_is_lost_and_no_tunnel_is_cut() {
    let (backend, port) = (Backend::ws_echo(), HeldPort::new());
    let mut proxy = tidegate(&text("1"))
        .var("messenger", guest("messenger"))
        .var("backend", backend.address())
        .var("admin", port.address())
        .file("plugin.wasm", variant(1))
        .in_process()
        .start();
    let address = proxy.address();
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (stop, answered) = (&stop, &answered);
    thread::scope(|scope| {
        let _ended = Ended(stop);
        for _ in 0..2 {
            scope.spawn(move || {
                let mut wire = Wire::connect(address);
                while !stop.load(Ordering::Relaxed) {
                    wire.send(REQUEST);
                    let (head, body) = wire.read_response();
                    assert_eq!((head.status(), body.text().as_str()), (200, "plain"));
                    assert!(["1", "2"].map(Some).contains(&head.get("x-version")), "{head:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut tunnels: Vec<_> = (0..3).map(|_| proxy.open("/ws")).collect();
        for round in 0..20_u8 {
            let version = if round % 2 == 0 { "2" } else { "1" };
            put(proxy.dir(), &variant(if round % 2 == 0 { 2 } else { 1 }));
            proxy.reload(&text(version)).unwrap();
            assert_eq!(proxy.get("/").0.get("x-version"), Some(version), "at once");
            for (at, tunnel) in tunnels.iter_mut().enumerate() {
                tunnel.send(Frame::text("a").masked());
                let said = String::from_utf8(tunnel.read_frame().payload).unwrap();
                let opened = if at < 3 { 1 } else { 2 };
                assert_eq!(said, format!("a-{opened}"), "the version that opened tunnel {at}");
            }
            if round == 0 {
                tunnels.push(proxy.open("/ws"));
            }
            let seen = answered.load(Ordering::Relaxed);
            eventually("requests go on", || answered.load(Ordering::Relaxed) > seen + 2);
        }
    });
    assert!(answered.load(Ordering::Relaxed) > 40);
}

#[test]
fn a_bad_one_is_refused_and_the_old_one_stays() {
    let (backend, port) = (Backend::ws_echo(), HeldPort::new());
    let mut proxy = tidegate(&text("1"))
        .var("messenger", guest("messenger"))
        .var("backend", backend.address())
        .var("admin", port.address())
        .file("plugin.wasm", variant(1))
        .in_process()
        .start();
    let mut tunnel = proxy.open("/ws");
    let loaded = || ["plugins", "components"].map(|what| status(&port)["loaded"][what].as_u64().unwrap());
    let before = loaded();
    let wrong = std::fs::read(guest("wrong-version")).unwrap();
    let cut = variant(1)[..20_000].to_vec();
    for (bytes, version, why) in [
        (b"garbage".to_vec(), "2", "this is not a WebAssembly file"),
        (cut, "2", "the component does not compile"),
        (b"\0asm\x01\0\0\0".to_vec(), "2", "this is a core module"),
        (wrong, "2", "0.2.0"),
        (variant(2), "bad", "is bad"),
    ] {
        put(proxy.dir(), &bytes);
        let problems = proxy.reload(&text(version)).expect_err(why);
        assert!(problems.contains(why) && problems.contains(".toml:"), "{problems}");
        assert_eq!(proxy.get("/").0.get("x-version"), Some("1"), "after: {why}");
        tunnel.send(Frame::text("a").masked());
        assert_eq!(tunnel.read_frame(), Frame::text("a-1"));
    }
    std::fs::remove_file(proxy.dir().join("plugin.wasm")).unwrap();
    let problems = proxy.reload(&text("2")).expect_err("there is no file");
    assert!(problems.contains("plugin.wasm"), "{problems}");
    assert_eq!(proxy.get("/").0.get("x-version"), Some("1"));
    assert_eq!(loaded(), before, "nothing is left of what was refused");
    put(proxy.dir(), &variant(2));
    proxy.reload(&text("2")).unwrap();
    assert_eq!(proxy.get("/").0.get("x-version"), Some("2"));
}

/// Two hundred swaps of the real binary, with requests and tunnels on each version.
#[test]
fn memory_returns_to_where_it_was() {
    let (backend, port) = (Backend::ws_echo(), HeldPort::new());
    // What a look at it sees does not depend on which worker served what.
    let text = |version: &str| text(version).replace("workers = 2", "workers = 1");
    let mut proxy = tidegate(&text("1"))
        .var("messenger", guest("messenger"))
        .var("backend", backend.address())
        .var("admin", port.address())
        .file("plugin.wasm", variant(1))
        .binary()
        .start();
    let mut swaps = 0;
    let mut swap = |proxy: &mut tidegate_tests::Proxy, times: u64| {
        for _ in 0..times {
            swaps += 1;
            let (version, number) = if swaps % 2 == 0 { ("1", 1) } else { ("2", 2) };
            put(proxy.dir(), &variant(number));
            proxy.rewrite(&text(version));
            proxy.process().signal(Signal::HUP);
            eventually("the reload", || status(&port)["reloads"].as_u64() == Some(swaps));
            assert_eq!(proxy.get("/").0.get("x-version"), Some(version));
            let mut tunnel = proxy.open("/ws");
            tunnel.send(Frame::text("a").masked());
            assert_eq!(tunnel.read_frame(), Frame::text(&format!("a-{version}")));
        }
        eventually("the last tunnel is gone", || status(&port)["tunnels"] == 0);
        // The same requests before each look.
        assert!((0..20).all(|_| proxy.get("/").0.status() == 200));
        let loaded = wait_for_rest(&port);
        (proxy.process().memory(), loaded)
    };
    // Until the allocator has what it needs.
    let (before, loaded_before) = swap(&mut proxy, 40);
    let (after, loaded_after) = swap(&mut proxy, 200);
    eprintln!("resident: {before} bytes after 40 swaps, {after} after 240; {loaded_after}");
    assert_eq!(loaded_before, loaded_after, "plugins, components, instances");
    assert!(after < before + (6 << 20), "{before} bytes after 40 swaps, {after} after 240");
}

/// What is loaded, once older versions have let go.
fn wait_for_rest(port: &HeldPort) -> Value {
    let mut last = Value::Null;
    eventually("what is loaded stays as it is", || {
        let now = status(port)["loaded"].clone();
        let same = now == last;
        last = now;
        same
    });
    last
}
