//! What plugins keep, by the guest `keeper`: in memory, over all workers and reloads. What holds
//! for any store is in [`operations`], which `kv_redis` runs on a Redis.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use tidegate_tests::guests::guest;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::{Proxy, Setup, eventually, tidegate};

/// A proxy with the guest at `/`, and this in its configuration: the store `s`.
pub(crate) fn keeper(store: &str, grant: &str) -> Setup {
    tidegate(&text(store, grant)).var("guest", guest("keeper"))
}

pub(crate) fn text(store: &str, grant: &str) -> String {
    format!(
        "[kv.s]\n{store}\n[plugins.keeper]\ncomponent = \"%guest%\"\ngrants = [\"{grant}\"]\n\
         config = {{ store = \"s\" }}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\nplugins = [\"keeper\"]\n"
    )
}

/// What the guest says to a wish.
#[track_caller]
pub(crate) fn ask(proxy: &Proxy, wish: &str) -> String {
    let (head, body) = proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Do: {wish}\r\n\r\n"));
    assert_eq!(head.status(), 200, "{wish}");
    body.text()
}

/// Every operation, on a store that is empty and keeps keys apart.
#[track_caller]
pub(crate) fn operations(proxy: &Proxy) {
    for (wish, answer) in [
        ("get a", "-"),
        ("set a 1 0", "ok"),
        ("get a", "1"),
        ("add a 41 0", "42"),
        ("add a -50 0", "-8"),
        ("get a", "-8"),
        ("delete a", "true"),
        ("delete a", "false"),
        ("swap a - x 0", "true"),
        ("swap a - y 0", "false"),
        ("swap a y z 0", "false"),
        ("swap a x z 0", "true"),
        ("get a", "z"),
        ("add a 1 0", "the value is not a whole number, or out of range"),
        ("raise a 1 1 9 0", "the value is not a whole number, or out of range"),
        ("swap a z - 0", "true"),
        ("get a", "-"),
        ("raise r 1700000000000000 10 1700000000000015 60000", "true 1700000000000010"),
        ("raise r 1700000000000000 10 1700000000000015 60000", "false 1700000000000010"),
        ("raise r 1700000000000005 10 1700000000000020 60000", "true 1700000000000020"),
        ("get r", "1700000000000020"),
        ("raise r 1 -1 9 0", "invalid: `by` is 0 or more, and no number is above 2^53"),
        ("raise r 1 1 9007199254740993 0", "invalid: `by` is 0 or more, and no number is above 2^53"),
        ("set n 9223372036854775807 0", "ok"),
        ("add n 1 0", "the value is not a whole number, or out of range"),
        ("add m 9223372036854775807 60000", "9223372036854775807"),
        ("key 0", "invalid: a key has 1 to 512 bytes, not 0"),
        ("key 512", "ok"),
        ("key 513", "invalid: a key has 1 to 512 bytes, not 513"),
        ("value 65536", "ok"),
        ("value 65537", "invalid: a value of this store has at most 65536 bytes (`max_value`)"),
        ("start", "denied: stores are for hooks, not for `configure`"),
    ] {
        assert_eq!(ask(proxy, wish), answer, "{wish}");
    }
    // Keys end, and a number keeps the end that it was made with.
    assert_eq!(ask(proxy, "set t v 30"), "ok");
    assert_eq!(ask(proxy, "add u 1 30"), "1");
    eventually("keys end", || ask(proxy, "get t") == "-" && ask(proxy, "get u") == "-");
    assert_eq!(ask(proxy, "add u 1 86400000"), "1");
    assert_eq!(ask(proxy, "add u 1 1"), "2");
    assert_eq!(ask(proxy, "add u 1 1"), "3");
}

#[test]
fn a_store_in_memory_does_what_is_asked() {
    operations(&keeper("", "kv:s").start());
}

#[test]
fn a_full_store_drops_or_refuses() {
    let proxy = keeper("max_keys = 20", "kv:s").start();
    assert_eq!(ask(&proxy, "flood 1000"), "ok");
    assert_eq!((ask(&proxy, "get flood999"), ask(&proxy, "get flood0")), ("x".into(), "-".into()));
    let proxy = keeper("max_keys = 20\nfull = \"refuse\"", "kv:s").start();
    assert_eq!(ask(&proxy, "flood 20"), "ok");
    assert_eq!(ask(&proxy, "flood 21"), "the store is full");
    assert_eq!(ask(&proxy, "get flood0"), "x");
    let proxy = keeper("max_bytes = \"16KiB\"", "kv:s").start();
    assert_eq!(ask(&proxy, "value 20000"), "the store is full");
    assert_eq!(ask(&proxy, "value 10000"), "ok");
    assert_eq!(ask(&proxy, "flood 1000"), "ok");
}

/// One store for all workers, with the operations of each counted once.
#[test]
fn workers_share_a_store_and_a_reload_keeps_it() {
    let port = HeldPort::new();
    let text = |more: &str, admin: &str| {
        format!(
            "[server]\nworkers = 3\ncache_dir = \"%cache%\"\n{admin}[[listeners]]\naddress = \"%port%\"\n{}",
            text(more, "kv:s")
        )
    };
    let mut proxy =
        tidegate(&text("", "")).var("guest", guest("keeper")).var("port", port.address()).in_process().start();
    let counts = std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..8).map(|_| scope.spawn(|| (0..20).map(|_| ask(&proxy, "add n 1 0")).collect::<Vec<_>>())).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    let mut counts: Vec<u32> = counts.iter().map(|count| count.parse().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=160).collect::<Vec<_>>());
    proxy.reload(&text("max_keys = 5000", "")).unwrap();
    assert_eq!(ask(&proxy, "get n"), "160");
    // A configuration that is refused takes nothing away either.
    assert!(proxy.reload(&text("max_keys = 0", "")).is_err());
    assert_eq!(ask(&proxy, "add n 1 0"), "161");
}

/// Two plugins meet in a store only by a prefix that both are granted.
#[test]
fn plugins_have_keys_of_their_own() {
    let text = |a: &str, b: &str| {
        let plugin = |name: &str, grant: &str| {
            format!("[plugins.{name}]\ncomponent = \"%guest%\"\ngrants = [\"{grant}\"]\nconfig = {{ store = \"s\" }}\n")
        };
        let route = |name: &str| {
            format!("[[sites.routes]]\nmatch = \"/{name}\"\nupstream = \"127.0.0.1:1\"\nplugins = [\"{name}\"]\n")
        };
        format!("[kv.s]\n{}{}[[sites]]\n{}{}", plugin("a", a), plugin("b", b), route("a"), route("b"))
    };
    for (a, b, meet) in
        [("kv:s", "kv:s", false), ("kv:s/p", "kv:s/p", true), ("kv:s/p", "kv:s/", false), ("kv:s", "kv:s/a:", true)]
    {
        let proxy = tidegate(&text(a, b)).var("guest", guest("keeper")).start();
        let ask = |path: &str, wish: &str| {
            proxy.ask(format!("GET /{path} HTTP/1.1\r\nHost: x\r\nX-Do: {wish}\r\n\r\n")).1.text()
        };
        assert_eq!(ask("a", "set k v 0"), "ok");
        assert_eq!(ask("b", "get k"), if meet { "v" } else { "-" }, "{a} {b}");
    }
}

fn page(address: SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn what_stores_did_is_counted() {
    let text = format!(
        "[server]\nworkers = 1\n[admin]\naddress = \"127.0.0.1:0\"\n[[listeners]]\naddress = \"127.0.0.1:0\"\n{}",
        text("max_keys = 3", "kv:s").replace("%guest%", &guest("keeper"))
    );
    let config = tidegate::config::load_str(&text, std::path::Path::new("."), "test.toml").unwrap();
    let server = tidegate::server::Server::start(&config).unwrap();
    let wish = |wish: &str| {
        let mut stream = TcpStream::connect(server.addresses()[0]).unwrap();
        write!(stream, "GET / HTTP/1.1\r\nHost: x\r\nX-Do: {wish}\r\nConnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut String::new()).unwrap();
    };
    ["flood 5", "add flood4 1 0", "value 70000"].into_iter().for_each(wish);
    let metrics = page(server.admin_address().unwrap(), "/metrics");
    for line in [
        "tidegate_kv_operations_total{store=\"s\",operation=\"set\"} 6",
        "tidegate_kv_operations_total{store=\"s\",operation=\"increment\"} 1",
        "tidegate_kv_errors_total{store=\"s\",kind=\"invalid\"} 1",
        "tidegate_kv_errors_total{store=\"s\",kind=\"not-a-number\"} 1",
        "tidegate_kv_keys{store=\"s\"} 3",
        "tidegate_kv_evicted_total{store=\"s\"} 2",
    ] {
        assert!(metrics.lines().any(|l| l == line), "no `{line}` in\n{metrics}");
    }
    assert!(metrics.contains("tidegate_kv_seconds_total{store=\"s\",operation=\"set\"} 0."), "{metrics}");
}
