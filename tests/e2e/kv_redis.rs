//! What plugins keep in a Redis: Debian's real one.

use std::time::Instant;

use tidegate_tests::{Authority, Redis, TempDir, eventually, patience};

use super::kv::{ask, keeper, operations};

#[test]
fn a_redis_does_what_memory_does() {
    let redis = Redis::start();
    operations(&keeper(&format!("url = \"{}\"\ntimeout = \"20s\"", redis.url()), "kv:s").start());
    // Each key has the plugin's prefix.
    assert_eq!(redis.cli(&["get", "keeper:u"]), "3");
    assert!(redis.cli(&["pttl", "keeper:u"]).parse::<u64>().unwrap() > 80_000_000);
    assert!(redis.cli(&["pttl", "keeper:r"]).parse::<u64>().unwrap() > 1000);
    assert_eq!(redis.cli(&["pttl", "keeper:n"]), "-1");
}

#[test]
fn passwords_users_and_databases() {
    let redis = Redis::start_with(&["--requirepass", "s3:c@t"]);
    let cli = |words: &[&str]| redis.cli(&[&["-a", "s3:c@t", "--no-auth-warning"], words].concat());
    cli(&["acl", "setuser", "ann", "on", ">p", "~*", "+@all"]);
    let at = |who: &str, database: u8| format!("redis://{who}127.0.0.1:{}/{database}", redis.port());
    for (url, database) in
        [(at(":s3%3Ac%40t@", 3), "3"), (at("ann:p@", 0), "0"), (format!("{}?db=5&pass=s3%3Ac%40t", redis.url()), "5")]
    {
        let proxy = keeper(&format!("url = \"{url}\"\ntimeout = \"20s\""), "kv:s").start();
        assert_eq!(ask(&proxy, "set k v 0"), "ok", "{url}");
        assert_eq!(cli(&["-n", database, "get", "keeper:k"]), "v");
    }
    for url in [at("", 0), at(":wrong-one@", 0), at("ann:wrong-one@", 0), at(":s3%3Ac%40t@", 99)] {
        let proxy = keeper(&format!("url = \"{url}\"\ntimeout = \"20s\""), "kv:s").start();
        let said = ask(&proxy, "get k");
        assert!(said.starts_with("unavailable: ") || said.to_ascii_lowercase().contains("auth"), "{url}: {said}");
        assert!(!said.contains("wrong-one") && !said.contains("s3"), "{said}");
    }
}

#[test]
fn over_tls_with_an_authority_of_ones_own() {
    let (authority, dir) = (Authority::new(), TempDir::new());
    let certified = authority.issue(&["redis.test"]);
    dir.write("cert.pem", &certified.certificate);
    dir.write("key.pem", &certified.key);
    let redis = Redis::start_in(
        dir,
        &[
            "--port",
            "0",
            "--tls-port",
            "%port%",
            "--tls-cert-file",
            "%dir%/cert.pem",
            "--tls-key-file",
            "%dir%/key.pem",
            "--tls-ca-cert-file",
            "%dir%/cert.pem",
            "--tls-auth-clients",
            "no",
        ],
    );
    let said = |tls: &str| {
        let store = format!("url = \"rediss://127.0.0.1:{}\"\ntimeout = \"20s\"\n{tls}", redis.port());
        let proxy = keeper(&store, "kv:s").file("ca.pem", authority.certificate()).start();
        ask(&proxy, "add n 1 0")
    };
    assert_eq!(said("tls = { ca = \"ca.pem\", name = \"redis.test\" }"), "1");
    assert!(said("tls = { ca = \"ca.pem\", name = \"other.test\" }").starts_with("unavailable: "));
    assert!(said("tls = { ca = \"ca.pem\" }").starts_with("unavailable: "));
}

/// Nobody waits for a Redis that is away, and it is used again once it is back.
#[test]
fn a_redis_that_is_away_costs_no_wait() {
    let mut redis = Redis::start();
    let store = format!("url = \"{}\"\ntimeout = \"10s\"\nconnect_timeout = \"10s\"", redis.tcp_url());
    let proxy = keeper(&store, "kv:s").start();
    assert_eq!(ask(&proxy, "set k v 0"), "ok");
    redis.kill();
    // Refused connections are known at once: hundreds of operations, in much less than one timeout.
    eventually("it is known to be away", || ask(&proxy, "get k").starts_with("unavailable: "));
    let start = Instant::now();
    for _ in 0..300 {
        assert!(ask(&proxy, "get k").starts_with("unavailable: "));
    }
    assert!(start.elapsed() < patience(), "{:?}", start.elapsed());
    redis.restart();
    eventually("it is used again", || ask(&proxy, "get k") == "-");
    assert_eq!(ask(&proxy, "set k w 0"), "ok");
    // One that comes back without anybody having asked meanwhile is not even missed.
    redis.restart();
    eventually("the new one answers", || ask(&proxy, "get k") == "-");
}

#[test]
fn a_redis_that_hangs_is_given_up() {
    let redis = Redis::start();
    let proxy = keeper(&format!("url = \"{}\"\ntimeout = \"100ms\"", redis.tcp_url()), "kv:s").start();
    eventually("it answers in time", || ask(&proxy, "set k v 0") == "ok");
    redis.freeze();
    assert_eq!(ask(&proxy, "get k"), "no answer in time");
    let said = ask(&proxy, "get k");
    assert!(said.contains("it did not answer in time") || said == "no answer in time", "{said}");
    redis.thaw();
    eventually("it answers again", || ask(&proxy, "get k") == "v");
}

/// Operations of one key from several proxies and workers are one after the other.
#[test]
fn proxies_share_a_redis() {
    let redis = Redis::start();
    let store = format!("url = \"{}\"\ntimeout = \"20s\"", redis.url());
    let proxies = [keeper(&store, "kv:s/shared:").start(), keeper(&store, "kv:s/shared:").start()];
    std::thread::scope(|scope| {
        for proxy in proxies.iter().chain(&proxies) {
            scope.spawn(|| {
                for _ in 0..25 {
                    ask(proxy, "add n 1 60000");
                    ask(proxy, "raise r 0 1 60 60000");
                }
            });
        }
    });
    assert_eq!((ask(&proxies[0], "get n"), ask(&proxies[1], "get r")), ("100".into(), "60".into()));
    assert_eq!(redis.cli(&["get", "shared:n"]), "100");
}
