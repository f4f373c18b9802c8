//! The stock plugin rate-limit: over a store in memory, and over a Redis that proxies share.

use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Head, Proxy, Redis, tidegate};

fn text(store: &str, config: &str) -> String {
    format!(
        "[kv.s]\n{store}\n[plugins.rate-limit]\ngrants = [\"kv:s/limits:\"]\nconfig = {{ store = \"s\", {config} }}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nplugins = [\"rate-limit\"]\n"
    )
}

fn limited(store: &str, config: &str, backend: &Backend) -> Proxy {
    tidegate(&text(store, config)).var("backend", backend.address()).start()
}

fn get(proxy: &Proxy, key: &str) -> Head {
    proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Key: {key}\r\n\r\n")).0
}

#[test]
fn a_burst_passes_and_then_clients_are_told_to_wait() {
    let backend = Backend::named("ok");
    let limits = "limits = [{ name = \"per-key\", key = \"$http_x_key\", rate = \"1/h\", burst = 3 }]";
    let proxy = limited("", limits, &backend);
    for _ in 0..3 {
        assert_eq!(get(&proxy, "a").status(), 200);
    }
    let refused = get(&proxy, "a");
    assert_eq!(refused.status(), 429);
    // Within the test's own time: an hour, less what has passed.
    let wait: u32 = refused.get("retry-after").unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&wait), "{wait}");
    assert_eq!(refused.get("ratelimit-policy"), Some("\"per-key\";q=3;w=10800"));
    assert_eq!(refused.get("ratelimit"), Some(format!("\"per-key\";r=0;t={wait}").as_str()));
    assert_eq!(get(&proxy, "b").status(), 200);
    // Without a key nothing is counted.
    for _ in 0..5 {
        assert_eq!(proxy.get("/").0.status(), 200);
    }
    assert_eq!(backend.heads().len(), 9);
}

#[test]
fn handshakes_have_limits_of_their_own() {
    let backend = Backend::ws_echo();
    let limits = "limits = [{ key = \"$remote_addr\", rate = \"1/h\", burst = 2, for = \"handshakes\" }], status = 503";
    let proxy = limited("", limits, &backend);
    let mut tunnels = [proxy.open("/"), proxy.open("/")];
    for tunnel in &mut tunnels {
        tunnel.echo(&Frame::text("open"));
    }
    let handshake = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let (head, _) = proxy.ask(handshake);
    assert_eq!((head.status(), head.get("upgrade")), (503, None));
    assert!(head.get("retry-after").is_some());
    for _ in 0..4 {
        assert_eq!(proxy.get("/").0.status(), 200);
    }
    tunnels[0].echo(&Frame::text("still"));
}

/// Two proxies hold one limit together.
#[test]
fn a_fleet_has_one_limit() {
    let (backend, redis) = (Backend::named("ok"), Redis::start());
    let store = format!("url = \"{}\"\ntimeout = \"20s\"", redis.url());
    let limits = "limits = [{ key = \"$http_x_key\", rate = \"1/h\", burst = 10 }], on_store_failure = \"deny\"";
    let proxies = [limited(&store, limits, &backend), limited(&store, limits, &backend)];
    let passed: usize = std::thread::scope(|scope| {
        let ask = |proxy| (0..10).filter(|_| get(proxy, "a").status() == 200).count();
        let clients: Vec<_> = proxies.iter().chain(&proxies).map(|proxy| scope.spawn(move || ask(proxy))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(passed, 10);
    assert_eq!([get(&proxies[0], "b").status(), get(&proxies[1], "a").status()], [200, 429]);
    assert_eq!(redis.cli(&["exists", "limits:default:a"]), "1");
}

#[test]
fn without_its_store_it_lets_pass_or_not() {
    let backend = Backend::named("ok");
    for (says, status) in [("", 200), ("on_store_failure = \"allow\"", 200), ("on_store_failure = \"deny\"", 503)] {
        let limits = format!(
            "limits = [{{ key = \"all\", rate = \"1/h\", burst = 1 }}]{}{says}",
            if says.is_empty() { "" } else { ", " }
        );
        let proxy = limited("url = \"redis://127.0.0.1:1\"", &limits, &backend);
        for _ in 0..3 {
            assert_eq!(get(&proxy, "a").status(), status, "{says}");
        }
    }
}

#[test]
fn what_is_wrong_in_its_configuration_is_told_by_its_line() {
    let refused = |grants: &str, config: &str| {
        let text = text("", config).replace("grants = [\"kv:s/limits:\"]", grants).replace("%backend%", "127.0.0.1:1");
        tidegate(&text).try_start().map(drop).unwrap_err()
    };
    let limits = "limits = [{ key = \"a\", rate = \"1/h\" }]";
    let told = refused("", limits);
    assert!(told.contains("plugins.rate-limit.config") && told.contains("grants = [\"kv:s\"]"), "{told}");
    let told = refused("grants = [\"kv:s\"]", "limits = [{ key = \"a\", rate = \"ten\" }]");
    assert!(told.contains(":5:") && told.contains("rate"), "{told}");
}
