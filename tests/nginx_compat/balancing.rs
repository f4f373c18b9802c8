//! `ip_hash`, `hash`, `least_conn`, and `backup`, `down`, `max_conns` of `server`: the same peer as
//! nginx, in the same order.

use tidegate_tests::backend::Refusing;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Setup, Subject, both, eventually};

both!(
    least_conn_counts_tunnels,
    least_conn_by_weight,
    backup_serves_where_no_other_can,
    max_conns_covers_tunnels,
    max_conns_of_all_leaves_a_bad_gateway,
    hashes_go_on_where_nobody_listens,
    a_hash_refuses_backup
);

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A proxy before these peers, each with its parameters for nginx and for Tidegate.
fn before(subject: Subject, policy: (&str, &str), peers: &[(&Backend, &str, &str)]) -> Proxy {
    let (mut nginx, mut toml) = (String::new(), String::new());
    for (backend, parameters, keys) in peers {
        nginx.push_str(&format!("server {} {parameters};\n", backend.address()));
        let comma = if keys.is_empty() { "" } else { ", " };
        toml.push_str(&format!("{{ address = \"{}\"{comma}{keys} }}, ", backend.address()));
    }
    setup(subject, policy, &nginx, &toml).start()
}

fn setup(subject: Subject, policy: (&str, &str), nginx: &str, toml: &str) -> Setup {
    subject
        .setup()
        .nginx(&format!(
            "upstream u {{ {} {nginx} }} set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;
             server {{ listen %listen%; location / {{ proxy_pass http://u; %guide% }} }}",
            policy.0
        ))
        .tidegate(&format!(
            "[real_ip]\ntrusted = [\"127.0.0.1\"]\n[upstreams.u]\n{}\npeers = [{toml}]\n\
             [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n",
            policy.1
        ))
}

fn order(proxy: &Proxy, requests: usize) -> String {
    (0..requests).map(|_| proxy.get("/").1.text()).collect()
}

/// Answers handshakes, and everything else with its name.
fn talker(name: &'static str) -> Backend {
    Backend::ws_echo_named(name)
}

fn least_conn_counts_tunnels(subject: Subject) {
    let (a, b, c) = (talker("a"), talker("b"), talker("c"));
    let proxy =
        before(subject, ("least_conn;", "policy = \"least-conn\""), &[(&a, "", ""), (&b, "", ""), (&c, "", "")]);
    // Equals take turns.
    assert_eq!(order(&proxy, 6), "abcabc");
    let mut first = proxy.open("/ws");
    first.echo(&Frame::text("on a"));
    assert_eq!((a.connections() > 1, order(&proxy, 4).as_str()), (true, "bcbc"));
    let second = proxy.open("/ws");
    let third = proxy.open("/ws");
    // Each has one.
    let mut with_tunnel = [&a, &b, &c].map(tunnels);
    with_tunnel.sort_unstable();
    assert_eq!(with_tunnel, [1, 1, 1]);
    drop(first);
    eventually("the first tunnel to be over", || order(&proxy, 3) == "aaa");
    drop((second, third));
}

fn tunnels(backend: &Backend) -> usize {
    backend.heads().iter().filter(|head| head.get("sec-websocket-key").is_some()).count()
}

fn least_conn_by_weight(subject: Subject) {
    let (a, b) = (talker("a"), talker("b"));
    let proxy =
        before(subject, ("least_conn;", "policy = \"least-conn\""), &[(&a, "weight=3", "weight = 3"), (&b, "", "")]);
    let open: Vec<_> = (0..8).map(|_| proxy.open("/ws")).collect();
    assert_eq!((tunnels(&a), tunnels(&b)), (6, 2));
    drop(open);
}

fn backup_serves_where_no_other_can(subject: Subject) {
    let (a, b, c) = (talker("a"), talker("b"), talker("c"));
    let proxy = before(
        subject,
        ("", ""),
        &[(&a, "max_conns=1", "max_conns = 1"), (&b, "backup", "backup = true"), (&c, "down", "down = true")],
    );
    assert_eq!(order(&proxy, 4), "aaaa");
    let mut tunnel = proxy.open("/ws");
    tunnel.echo(&Frame::text("on a"));
    assert_eq!(order(&proxy, 4), "bbbb");
    drop(tunnel);
    eventually("a to have room", || order(&proxy, 2) == "aa");
    assert_eq!(c.connections(), 0);
}

fn max_conns_covers_tunnels(subject: Subject) {
    let (a, b, c) = (talker("a"), talker("b"), talker("c"));
    let proxy = before(subject, ("", ""), &[(&a, "max_conns=1", "max_conns = 1"), (&b, "", ""), (&c, "", "")]);
    let mut tunnel = proxy.open("/ws");
    tunnel.echo(&Frame::text("on a"));
    assert_eq!(order(&proxy, 6), "bcbcbc");
    drop(tunnel);
    eventually("a to have room", || order(&proxy, 6).contains('a'));
}

fn max_conns_of_all_leaves_a_bad_gateway(subject: Subject) {
    let (a, b) = (talker("a"), talker("b"));
    let proxy =
        before(subject, ("", ""), &[(&a, "max_conns=1", "max_conns = 1"), (&b, "max_conns=1", "max_conns = 1")]);
    let open = [proxy.open("/ws"), proxy.open("/ws")];
    assert_eq!(proxy.get("/").0.status(), 502);
    assert_eq!(proxy.ask(ws::handshake("/ws", "")).0.status(), 502);
    drop(open);
    eventually("room", || proxy.get("/").0.status() == 200);
}

fn hashes_go_on_where_nobody_listens(subject: Subject) {
    let (nobody, a) = (Refusing::new(), Backend::named("a"));
    for policy in [
        ("ip_hash;", "policy = \"ip-hash\""),
        ("hash $uri;", "policy = \"hash\"\nhash = { key = \"$uri\" }"),
        ("hash $uri consistent;", "policy = \"hash\"\nhash = { key = \"$uri\", consistent = true }"),
        ("random;", "policy = \"random\""),
    ] {
        let nginx = format!("server {}; server {};", nobody.address(), a.address());
        let toml = format!("\"{}\", \"{}\"", nobody.address(), a.address());
        let proxy = setup(subject, policy, &nginx, &toml).start();
        for path in ["/1", "/2", "/3", "/4", "/5"] {
            assert_eq!(proxy.get(path).1.text(), "a", "{policy:?} {path}");
        }
    }
}

fn a_hash_refuses_backup(subject: Subject) {
    for (nginx, tidegate) in [
        ("ip_hash;", "policy = \"ip-hash\""),
        ("hash $uri;", "policy = \"hash\"\nhash = { key = \"$uri\" }"),
        ("random;", "policy = \"random\""),
    ] {
        if subject == Subject::Nginx {
            let text = format!("upstream u {{ {nginx} server 127.0.0.1:1; server 127.0.0.1:2 backup; }}");
            let said = tidegate_tests::subject::nginx_check(&text).unwrap_err();
            assert!(said.contains("does not support parameter \"backup\""), "{said}");
        } else {
            let peers = "{ address = \"127.0.0.1:1\" }, { address = \"127.0.0.1:2\", backup = true }";
            let said = setup(subject, ("", tidegate), "", peers).try_start().err().unwrap();
            assert!(said.contains("`backup` does not go with the policy"), "{said}");
        }
    }
}

/// What both answer for these requests, with the same backends behind them.
fn same(policy: (&str, &str), parameters: &[(&str, &str)], requests: &[String]) -> String {
    let backends: Vec<Backend> = NAMES[..parameters.len()].iter().map(|name| Backend::named(name)).collect();
    let peers: Vec<(&Backend, &str, &str)> =
        backends.iter().zip(parameters).map(|(backend, (nginx, toml))| (backend, *nginx, *toml)).collect();
    let [nginx, tidegate] = [Subject::Nginx, Subject::Tidegate].map(|subject| {
        let proxy = before(subject, policy, &peers);
        requests.iter().map(|request| proxy.ask(request).1.text()).collect::<String>()
    });
    assert_eq!(nginx, tidegate, "{policy:?} {parameters:?}");
    nginx
}

const PLAIN: [(&str, &str); 5] = [("", ""); 5];
const WEIGHTED: [(&str, &str); 5] =
    [("weight=2", "weight = 2"), ("", ""), ("weight=5", "weight = 5"), ("down", "down = true"), ("", "")];

#[test]
fn ip_hash_chooses_nginxs_peer() {
    let v4 = (0..80_u32).map(|n| format!("{}.{}.{}.{}", 1 + n * 37 % 223, n * 91 % 256, n * 53 % 256, n));
    let v6 = (0..40_u32).map(|n| format!("2001:db8:{:x}::{:x}", n * 7919 % 65_536, n * 104_729 % 65_536));
    let requests: Vec<String> =
        v4.chain(v6).map(|address| format!("GET / HTTP/1.1\r\nHost: x\r\nX-Real-IP: {address}\r\n\r\n")).collect();
    for parameters in [&PLAIN[..], &WEIGHTED, &PLAIN[..2]] {
        let chosen = same(("ip_hash;", "policy = \"ip-hash\""), parameters, &requests);
        let distinct: std::collections::BTreeSet<char> = chosen.chars().collect();
        assert_eq!(distinct.len(), parameters.iter().filter(|(nginx, _)| *nginx != "down").count(), "{chosen}");
    }
}

#[test]
fn hash_chooses_nginxs_peer() {
    let requests: Vec<String> =
        (0..120).map(|n| format!("GET /rooms/{}/x HTTP/1.1\r\nHost: x\r\n\r\n", n * n)).collect();
    for (nginx, toml) in [("hash $uri;", "false"), ("hash $uri consistent;", "true")] {
        let toml = format!("policy = \"hash\"\nhash = {{ key = \"$uri\", consistent = {toml} }}");
        for parameters in [&PLAIN[..], &WEIGHTED, &PLAIN[..2], &PLAIN[..1]] {
            same((nginx, &toml), parameters, &requests);
        }
    }
}

#[test]
fn an_empty_key_is_nginxs() {
    let requests = vec!["GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(); 12];
    for (nginx, toml) in [("hash $arg_none;", "false"), ("hash $arg_none consistent;", "true")] {
        let toml = format!("policy = \"hash\"\nhash = {{ key = \"$arg_none\", consistent = {toml} }}");
        same((nginx, &toml), &PLAIN, &requests);
        same((nginx, &toml), &WEIGHTED, &requests);
    }
}
