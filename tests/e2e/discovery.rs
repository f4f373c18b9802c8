//! Peers that have names: looked up, followed, and kept while the name servers fail.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::Value;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Dns, Proxy, Setup, Subject, both, eventually, tidegate, wait_for};

both!(localhost_is_found_in_the_hosts_file);

/// The least time between two questions, so short that tests need not wait.
const QUICK: &str = "[resolver]\naddresses = [\"%dns%\"]\nmin_ttl = \"20ms\"\ntimeout = \"2s\"\n";

/// One route to one upstream with these peers, and the operator's pages.
fn text(peers: &str) -> String {
    format!(
        "{QUICK}[admin]\naddress = \"%admin%\"\n[upstreams.group]\npeers = [{peers}]\nkeepalive = 0\n\
         [[sites]]\nroutes = [{{ match = \"/\", upstream = \"group\" }}]\n"
    )
}

fn setup(dns: &Dns, admin: &HeldPort, port: u16, peers: &str) -> Setup {
    tidegate(&text(peers)).var("dns", dns.address()).var("admin", admin.address()).var("port", port)
}

/// Backends `a`, `b`, … on one port of 127.0.0.1, 127.0.0.2, …
fn on_one_port(names: &[&'static str]) -> (Vec<Backend>, u16) {
    let listeners = wait_for("a port that is free at several addresses", || {
        let first = TcpListener::bind("127.0.0.1:0").ok()?;
        let port = first.local_addr().ok()?.port();
        let others = (2..=u8::try_from(names.len()).unwrap())
            .map(|n| TcpListener::bind(SocketAddr::from(([127, 0, 0, n], port))));
        let others = others.collect::<Result<Vec<_>, _>>().ok()?;
        Some(std::iter::once(first).chain(others).collect::<Vec<_>>())
    });
    let port = listeners[0].local_addr().unwrap().port();
    let backends = listeners.into_iter().zip(names).map(|(listener, name)| Backend::named_on(listener, name));
    (backends.collect(), port)
}

fn order(proxy: &Proxy, requests: usize) -> String {
    (0..requests).map(|_| proxy.get("/").1.text()).collect()
}

fn ask(admin: &HeldPort, path: &str) -> String {
    let mut stream = TcpStream::connect(admin.address()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// What `/status` says of the group's first name.
fn status(admin: &HeldPort) -> Value {
    let status: Value = serde_json::from_str(&ask(admin, "/status")).unwrap();
    status["upstreams"]["group"]["names"][0].clone()
}

#[test]
fn several_addresses_are_several_peers() {
    let (dns, admin, (_backends, port)) = (Dns::new(), HeldPort::new(), on_one_port(&["a", "b", "c"]));
    // Not in the order that they are used in: servers turn theirs.
    dns.host("group.test", 3600, &["127.0.0.2", "127.0.0.3", "127.0.0.1"]);
    let proxy = setup(&dns, &admin, port, r#"{ address = "group.test:%port%", max_fails = 0 }"#).start();
    assert_eq!(order(&proxy, 6), "abcabc");
    let source = status(&admin);
    assert_eq!(source["question"], "group.test");
    let addresses: Vec<String> = (1..=3).map(|n| format!("127.0.0.{n}:{port}")).collect();
    assert_eq!(source["addresses"], serde_json::json!(addresses));
    assert!(source["next_in_seconds"].as_f64().unwrap() > 3000.0, "{source}");
    assert!(source["resolved_at"].as_str().is_some_and(|at| at.ends_with('Z')) && source["last_error"].is_null());
}

#[test]
fn a_route_may_name_the_host_itself() {
    let (dns, (_backends, port)) = (Dns::new(), on_one_port(&["a", "b"]));
    dns.host("backend.test", 3600, &["127.0.0.1", "127.0.0.2"]);
    let text = format!("{QUICK}[[sites]]\nroutes = [{{ match = \"/\", upstream = \"http://Backend.test:{port}\" }}]\n");
    let proxy = tidegate(&text).var("dns", dns.address()).start();
    assert_eq!(order(&proxy, 4), "abab");
}

#[test]
fn changes_act_without_a_reload_and_tunnels_live_on() {
    let (dns, admin, (_backends, port)) = (Dns::new(), HeldPort::new(), on_one_port(&["a", "b"]));
    let echo = Backend::ws_echo();
    dns.host("echo.test", 0, &["127.0.0.1"]);
    dns.host("group.test", 0, &["127.0.0.1"]);
    let both = format!(
        "{}\n[[sites.routes]]\nmatch = \"/ws\"\nupstream = \"echo.test:{}\"\n",
        text(r#""group.test:%port%""#).replace("routes = [{ match = \"/\", upstream = \"group\" }]", ""),
        echo.address().port()
    );
    let both = format!("{both}[[sites.routes]]\nmatch = \"/\"\nupstream = \"group\"\n");
    let setup = tidegate(&both).var("dns", dns.address()).var("admin", admin.address()).var("port", port);
    let proxy = setup.start();
    let mut tunnel = proxy.open("/ws");
    tunnel.echo(&Frame::text("before"));
    assert_eq!(order(&proxy, 3), "aaa");
    dns.host("group.test", 0, &["127.0.0.2"]);
    dns.remove("echo.test");
    dns.host("echo.test", 0, &["127.0.0.2"]);
    eventually("the other address", || order(&proxy, 1) == "b");
    assert_eq!(order(&proxy, 3), "bbb");
    dns.host("group.test", 0, &["127.0.0.1", "127.0.0.2"]);
    eventually("both addresses", || ["abab", "baba"].contains(&order(&proxy, 4).as_str()));
    // Nobody listens where the name leads now, and that it came from there is over.
    dns.wait_for_questions("echo.test", 2);
    tunnel.echo(&Frame::text("after"));
}

/// One that is asked all the time tells that time goes on; the other is not asked again.
#[test]
fn an_answer_is_used_for_its_time_and_over_reloads() {
    let (dns, admin, (_backends, port)) = (Dns::new(), HeldPort::new(), on_one_port(&["a", "b"]));
    dns.host("long.test", 3600, &["127.0.0.1"]);
    dns.host("short.test", 0, &["127.0.0.2"]);
    let peers = r#""long.test:%port%", "short.test:%port%""#;
    let mut proxy = setup(&dns, &admin, port, peers).in_process().start();
    dns.wait_for_questions("short.test", 3);
    proxy.reload(&text(peers)).unwrap();
    dns.wait_for_questions("short.test", 3);
    assert_eq!((dns.count("long.test", "A"), dns.count("long.test", "AAAA")), (1, 1));
    assert_eq!(order(&proxy, 4).matches('a').count(), 2);
}

#[test]
fn valid_and_once_do_not_heed_the_answers_time() {
    let (dns, admin, (_backends, port)) = (Dns::new(), HeldPort::new(), on_one_port(&["a", "b"]));
    dns.host("clock.test", 0, &["127.0.0.1"]);
    dns.host("once.test", 0, &["127.0.0.2"]);
    let peers = r#""clock.test:%port%", { address = "once.test:%port%", resolve = "once" }"#;
    let proxy = setup(&dns, &admin, port, peers).start();
    dns.host("once.test", 0, &["127.0.0.1"]);
    dns.wait_for_questions("clock.test", 4);
    assert_eq!(dns.count("once.test", "A"), 1);
    assert_eq!(order(&proxy, 4).matches('b').count(), 2);
    let valid = text(r#""clock.test:%port%""#).replace("min_ttl", "valid = \"1h\"\nmin_ttl");
    let asked = dns.count("clock.test", "A");
    drop(proxy);
    let _proxy = tidegate(&valid).var("dns", dns.address()).var("admin", admin.address()).var("port", port).start();
    assert_eq!(dns.count("clock.test", "A"), asked + 1);
    assert!(status(&admin)["next_in_seconds"].as_f64().unwrap() > 3500.0, "a TTL of 0 would be asked at once");
}

#[test]
fn failures_keep_the_last_good_set_until_the_name_is_back() {
    let (dns, admin, (_backends, port)) = (Dns::new(), HeldPort::new(), on_one_port(&["a", "b"]));
    dns.host("group.test", 0, &["127.0.0.1"]);
    let mut proxy = setup(&dns, &admin, port, r#""group.test:%port%""#).in_process().start();
    for said in ["SERVFAIL", "NXDOMAIN"] {
        match said {
            "SERVFAIL" => dns.fail("group.test"),
            _ => dns.remove("group.test"),
        }
        let source = wait_for(&format!("the failure in the status: {said}"), || {
            let source = status(&admin);
            source["last_error"]["message"].as_str().is_some_and(|text| text.contains(said)).then_some(source)
        });
        assert_eq!(source["addresses"], serde_json::json!([format!("127.0.0.1:{port}")]));
        assert_eq!(order(&proxy, 3), "aaa", "{said}");
        // Nor does a reload ask for more than what is known.
        proxy.reload(&text(r#""group.test:%port%""#)).unwrap();
        assert_eq!(order(&proxy, 3), "aaa", "{said}");
    }
    dns.host("group.test", 0, &["127.0.0.2"]);
    eventually("the new address", || order(&proxy, 1) == "b");
    assert!(status(&admin)["last_error"].is_null());
    let metrics = ask(&admin, "/metrics");
    let value = |name: &str| -> u64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name}{{name=\"group.test\"}} ")));
        line.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).parse().unwrap()
    };
    assert!(value("tidegate_name_answers_total") >= 2 && value("tidegate_name_failures_total") >= 2, "{metrics}");
    assert_eq!(value("tidegate_name_addresses"), 1);
}

#[test]
fn a_silent_name_server_is_waited_for_in_vain_and_then_asked_again() {
    let (dns, admin, (_backends, port)) = (Dns::new(), HeldPort::new(), on_one_port(&["a"]));
    dns.host("group.test", 0, &["127.0.0.1"]);
    let proxy = setup(&dns, &admin, port, r#""group.test:%port%""#).start();
    dns.silence("group.test");
    let source = wait_for("the time-out in the status", || {
        let source = status(&admin);
        source["last_error"]["message"].as_str().is_some().then_some(source)
    });
    assert!(source["last_error"]["message"].as_str().unwrap().contains("no answer in time"), "{source}");
    assert_eq!(order(&proxy, 2), "aa");
    dns.host("group.test", 0, &["127.0.0.1"]);
    eventually("the recovery", || status(&admin)["last_error"].is_null());
}

#[test]
fn names_without_an_answer_are_errors_at_the_start() {
    let (dns, admin) = (Dns::new(), HeldPort::new());
    dns.fail("broken.test");
    dns.host("good.test", 0, &["127.0.0.1"]);
    let peers =
        r#""good.test:1", "no.test:1", { address = "broken.test:1" }, { address = "none.test", service = "http" }"#;
    let problems = setup(&dns, &admin, 0, peers).in_process().try_start().err().unwrap();
    for expected in [
        "test.toml:8:25: upstreams.group.peers[1]: cannot resolve \"no.test\": there is no such name (NXDOMAIN)",
        "upstreams.group.peers[2].address: cannot resolve \"broken.test\": the name server failed (SERVFAIL)",
        "upstreams.group.peers[3].address: cannot resolve \"_http._tcp.none.test\": there is no such name (NXDOMAIN)",
    ] {
        assert!(problems.contains(expected), "no `{expected}` in\n{problems}");
    }
    assert_eq!(problems.lines().count(), 3, "{problems}");
}

#[test]
fn a_lazy_name_may_come_later() {
    let (dns, admin, (_backends, port)) = (Dns::new(), HeldPort::new(), on_one_port(&["a"]));
    let peers = r#"{ address = "late.test:%port%", resolve = "lazy" }"#;
    let mut proxy = setup(&dns, &admin, port, peers).in_process().start();
    dns.wait_for_questions("late.test", 1);
    assert_eq!(proxy.get("/").0.status(), 502);
    // A reload that brings a name without an answer changes nothing.
    let problems = proxy.reload(&text("\"never.test:80\"")).unwrap_err();
    assert!(problems.contains("cannot resolve \"never.test\""), "{problems}");
    dns.host("late.test", 3600, &["127.0.0.1"]);
    eventually("the name", || proxy.get("/").0.status() == 200);
}

#[test]
fn a_service_says_ports_weights_and_backups() {
    let (dns, admin) = (Dns::new(), HeldPort::new());
    let (a, b, c) = (Backend::named("a"), Backend::named("b"), Backend::named("c"));
    let (refusing, at) = (HeldPort::new(), |backend: &Backend| backend.address().port());
    dns.host("one.test", 3600, &["127.0.0.1"]);
    let records = [(10, 3, at(&a), "one.test"), (10, 1, at(&b), "one.test"), (20, 9, at(&c), "one.test")];
    dns.service("_ws._tcp.example.test", 0, &records);
    let peers = r#"{ address = "Example.test", service = "_ws._tcp", max_fails = 0 }"#;
    let proxy = setup(&dns, &admin, 0, peers).start();
    let mut eight: Vec<char> = order(&proxy, 8).chars().collect();
    eight.sort_unstable();
    assert_eq!(eight, ['a', 'a', 'a', 'a', 'a', 'a', 'b', 'b']);
    assert_eq!(status(&admin)["question"], "SRV _ws._tcp.example.test");
    // The first priority is out: the second serves.
    let gone = refusing.address().port();
    dns.service("_ws._tcp.example.test", 0, &[(10, 1, gone, "one.test"), (20, 9, at(&c), "one.test")]);
    eventually("the backup", || order(&proxy, 1) == "c");
    // A target that cannot be asked stays where it was; the others change.
    dns.fail("one.test");
    dns.host("two.test", 3600, &["127.0.0.1"]);
    dns.service("_ws._tcp.example.test", 0, &[(5, 1, at(&a), "one.test"), (5, 1, at(&b), "two.test")]);
    eventually("both targets", || ["abab", "baba"].contains(&order(&proxy, 4).as_str()));
}

#[test]
fn answers_that_do_not_fit_come_over_tcp() {
    let (dns, admin, (_backends, port)) = (Dns::new(), HeldPort::new(), on_one_port(&["a", "b"]));
    dns.truncate();
    dns.host("group.test", 3600, &["127.0.0.1", "127.0.0.2"]);
    let proxy = setup(&dns, &admin, port, r#""group.test:%port%""#).start();
    assert_eq!(order(&proxy, 4), "abab");
    let over_tcp = |tcp: bool| dns.asked().iter().filter(|asked| asked.kind == "A" && asked.tcp == tcp).count();
    assert_eq!((over_tcp(false), over_tcp(true)), (1, 1));
}

#[test]
fn aliases_are_followed_and_their_time_counts() {
    let (dns, admin, (_backends, port)) = (Dns::new(), HeldPort::new(), on_one_port(&["a", "b"]));
    dns.alias("group.test", 0, "first.test");
    dns.host("first.test", 3600, &["127.0.0.1"]);
    dns.host("second.test", 3600, &["127.0.0.2"]);
    let proxy = setup(&dns, &admin, port, r#""group.test:%port%""#).start();
    assert_eq!(order(&proxy, 2), "aa");
    dns.alias("group.test", 0, "second.test");
    eventually("the other target", || order(&proxy, 1) == "b");
}

#[test]
fn a_name_with_ipv6_alone() {
    let (dns, admin) = (Dns::new(), HeldPort::new());
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _backend = Backend::named_on(listener, "six");
    dns.host("six.test", 3600, &["::1"]);
    let proxy = setup(&dns, &admin, port, r#""six.test:%port%""#).start();
    assert_eq!(proxy.get("/").1.text(), "six");
    assert_eq!(status(&admin)["addresses"], serde_json::json!([format!("[::1]:{port}")]));
    drop(proxy);
    let four = text(r#""six.test:%port%""#).replace("timeout", "ipv6 = false\ntimeout");
    let setup = tidegate(&four).var("dns", dns.address()).var("admin", admin.address()).var("port", port);
    let asked = dns.count("six.test", "AAAA");
    let problems = setup.in_process().try_start().err().unwrap();
    assert!(problems.contains("cannot resolve \"six.test\": the name has no address"), "{problems}");
    assert_eq!(dns.count("six.test", "AAAA"), asked);
}

#[test]
fn upstreams_with_one_name_ask_once() {
    let (dns, (_backends, port)) = (Dns::new(), on_one_port(&["a"]));
    dns.host("same.test", 3600, &["127.0.0.1"]);
    let text = format!(
        "{QUICK}[upstreams.one]\npeers = [\"same.test:{port}\"]\n[upstreams.two]\npeers = [\"SAME.test:{port}\"]\n\
         [[sites]]\nroutes = [{{ match = \"/1\", upstream = \"one\" }}, {{ match = \"/2\", upstream = \"two\" }}]\n"
    );
    let proxy = tidegate(&text).var("dns", dns.address()).start();
    assert_eq!((proxy.get("/1").1.text().as_str(), proxy.get("/2").1.text().as_str()), ("a", "a"));
    assert_eq!(dns.count("same.test", "A"), 1);
}

/// Without a name server of the test's own: the machine's files are enough.
fn localhost_is_found_in_the_hosts_file(subject: Subject) {
    let backend = Backend::named("here");
    let at: SocketAddr = backend.address();
    let setup = subject
        .setup()
        .nginx("location / { proxy_pass http://localhost:%port%; %guide% }")
        .tidegate("[[sites]]\nroutes = [{ match = \"/\", upstream = \"localhost:%port%\" }]\n")
        .var("port", at.port());
    let proxy = setup.start();
    for _ in 0..4 {
        assert_eq!(proxy.get("/").1.text(), "here");
    }
}
