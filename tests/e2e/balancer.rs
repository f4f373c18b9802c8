//! Hook `balancer`: by the guest `picker`, which picks as `x-pick` says, and by the stock plugin
//! affinity.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};

use tidegate_tests::backend::Refusing;
use tidegate_tests::guests::guest;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Proxy, Setup, Wire, tidegate, wait_for};

/// `/metrics` at this address.
fn metrics(port: &HeldPort) -> String {
    let mut stream = TcpStream::connect(port.address()).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of a series; 0 where it is not there.
fn value(port: &HeldPort, series: &str) -> u64 {
    let metrics = metrics(port);
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

const CALLS: &str = "tidegate_hook_calls_total{plugin=\"picker\",hook=\"balancer\"}";
const UPDATES: &str = "tidegate_plugin_updates_total{plugin=\"picker\",group=\"u\"}";
const KNOWN: &str = "tidegate_plugin_known_peers{plugin=\"picker\",group=\"u\"}";

fn failures(port: &HeldPort, kind: &str) -> u64 {
    value(port, &format!("tidegate_hook_failures_total{{plugin=\"picker\",hook=\"balancer\",kind=\"{kind}\"}}"))
}

/// An upstream `u` of these peers, as TOML, that `picker` balances. `?pick=` is what it is told.
fn text(peers: &str, plugin: &str) -> String {
    format!(
        "[admin]\naddress = \"%admin%\"\n\
         [plugins.picker]\ncomponent = \"%picker%\"\n{plugin}\n\
         [upstreams.u]\nbalancer = \"picker\"\npeers = [{peers}]\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\nset_headers = {{ X-Pick = \"$arg_pick\" }}\n"
    )
}

fn with(peers: &str, plugin: &str, port: &HeldPort) -> Setup {
    tidegate(&text(peers, plugin)).var("picker", guest("picker")).var("admin", port.address()).in_process()
}

fn list(backends: &[&Backend]) -> String {
    backends.iter().fold(String::new(), |mut list, backend| {
        let _ = write!(list, "\"{}\", ", backend.address());
        list
    })
}

fn three() -> [Backend; 3] {
    [Backend::named("a"), Backend::named("b"), Backend::named("c")]
}

/// Who answers, where the plugin is told this.
#[track_caller]
fn picked(proxy: &Proxy, pick: &str) -> String {
    let (head, body) = proxy.get(&format!("/?pick={pick}"));
    assert_eq!(head.status(), 200, "{pick}");
    body.text()
}

/// It sees the request as the upstream will: with the edits of `request-headers`.
#[test]
fn the_choice_follows_the_request() {
    let ([a, b, c], port) = (three(), HeldPort::new());
    let peers = format!(
        "\"{}\", {{ address = \"{}\", tags = {{ zone = \"eu\", rack = \"7\" }} }}, \"{}\"",
        a.address(),
        b.address(),
        c.address()
    );
    let proxy = with(&peers, "", &port).start();
    assert_eq!(["2", "0", "0", "1", "2"].map(|pick| picked(&proxy, pick)), ["c", "a", "a", "b", "c"]);
    assert_eq!(picked(&proxy, "zone=eu"), "b");
    // What it leaves to the policy takes its turns, and those of its own are none.
    assert_eq!(["none", "none", "none", ""].map(|pick| picked(&proxy, pick)), ["a", "b", "c", "a"]);
    assert_eq!(value(&port, CALLS), 10);
    assert_eq!(c.heads()[0].get("x-pick"), Some("2"));
}

#[test]
fn tunnels_go_where_it_says() {
    let (a, b, port) = (Backend::ws_echo(), Backend::ws_echo(), HeldPort::new());
    let proxy = with(&list(&[&a, &b]), "", &port).start();
    let mut tunnels: Vec<Wire> = (0..3).map(|_| proxy.open("/ws?pick=1")).collect();
    tunnels.iter_mut().for_each(|tunnel| tunnel.echo(&Frame::text("hello")));
    assert_eq!((a.connections(), b.connections()), (0, 3));
}

/// What was tried is told by `tried`.
#[test]
fn after_a_try_that_failed_it_is_asked_again() {
    let (refusing, [_, b, c], port) = (Refusing::new(), three(), HeldPort::new());
    // It stays in use, whatever it does.
    let peers = format!("{{ address = \"{}\", max_fails = 0 }}, {}", refusing.address(), list(&[&b, &c]));
    let proxy = with(&peers, "", &port).start();
    assert_eq!(picked(&proxy, "0,2"), "c");
    assert_eq!((value(&port, CALLS), value(&port, UPDATES)), (2, 1));
    assert_eq!(picked(&proxy, "0,1"), "b");
    assert_eq!(metrics(&port).matches("tidegate_hook_failures_total{plugin=\"picker\"").count(), 0);
}

#[test]
fn a_peer_that_was_tried_is_a_bad_answer() {
    let (refusing, [_, b, _], port) = (Refusing::new(), three(), HeldPort::new());
    let peers = format!("\"{}\", {}", refusing.address(), list(&[&b]));
    let proxy = with(&peers, "", &port).start();
    assert_eq!(picked(&proxy, "0,0"), "b");
    assert_eq!(failures(&port, "plugin.bad_answer"), 1);
}

/// Whatever `on_failure` says: the policy goes on in its order, as if nobody had been asked.
#[test]
fn failures_leave_the_choice_to_the_policy() {
    for on_failure in ["closed", "open"] {
        for (pick, kind) in [
            ("trap", "plugin.trap"),
            ("spin", "plugin.deadline"),
            ("hog", "plugin.memory"),
            ("99", "plugin.bad_answer"),
            ("3", "plugin.bad_answer"),
        ] {
            let ([a, b, c], port) = (three(), HeldPort::new());
            let peers = format!("{}{{ address = \"127.0.0.1:1\", down = true }}", list(&[&a, &b, &c]));
            let settings = format!("deadline = \"20ms\"\nmemory = \"4MiB\"\non_failure = \"{on_failure}\"");
            let proxy = with(&peers, &settings, &port).start();
            assert_eq!([pick; 3].map(|pick| picked(&proxy, pick)), ["a", "b", "c"], "{pick}");
            assert_eq!((failures(&port, kind), value(&port, CALLS)), (3, 3), "{pick}");
            assert_eq!(picked(&proxy, "2"), "c", "the next instance works");
        }
    }
}

/// Also while the plugin rests after failures in a row, and where it fails already in `update`.
#[test]
fn no_request_is_lost_however_often_it_fails() {
    let (a, port) = (Backend::ws_echo(), HeldPort::new());
    let proxy = with(&list(&[&a]), "config = { trap_in_update = true }", &port).start();
    for _ in 0..10 {
        assert_eq!(picked(&proxy, "0"), "plain");
    }
    proxy.open("/ws?pick=0").echo(&Frame::text("hello"));
    assert_eq!(failures(&port, "plugin.trap") + failures(&port, "plugin.quarantined"), 11);
    assert!(failures(&port, "plugin.trap") >= 8);
}

#[test]
fn peers_are_told_once_and_again_when_they_change() {
    let ([a, b, c], port) = (three(), HeldPort::new());
    let mut proxy = with(&list(&[&a, &b]), "", &port).start();
    for _ in 0..5 {
        picked(&proxy, "1");
    }
    assert_eq!((value(&port, UPDATES), value(&port, KNOWN)), (1, 2));
    proxy.reload(&text(&list(&[&a, &b, &c]), "")).unwrap();
    for _ in 0..5 {
        assert_eq!(picked(&proxy, "2"), "c");
    }
    assert_eq!((value(&port, UPDATES), value(&port, KNOWN)), (2, 3));
}

/// For as long as they are open, also over a reload.
#[test]
fn tunnels_are_load() {
    let (backends, port) = ([Backend::ws_echo(), Backend::ws_echo(), Backend::ws_echo()], HeldPort::new());
    let [a, b, c] = &backends;
    let mut proxy = with(&list(&[a, b, c]), "", &port).start();
    let mut tunnels: Vec<Wire> = (0..6).map(|_| proxy.open("/ws?pick=least")).collect();
    assert!(backends.iter().all(|backend| backend.connections() == 2));
    proxy.reload(&text(&list(&[a, b, c]), "")).unwrap();
    // The second one's tunnels end: the next two go there.
    let ended = SocketAddr::to_string(&b.address());
    tunnels.remove(4);
    tunnels.remove(1);
    let series = format!("tidegate_peer_tunnels{{upstream=\"u\",peer=\"{ended}\"}}");
    wait_for("the tunnels to end", || (value(&port, &series) == 0).then_some(()));
    let more: Vec<Wire> = (0..2).map(|_| proxy.open("/ws?pick=least")).collect();
    assert_eq!(backends.each_ref().map(Backend::connections), [2, 4, 2]);
    drop(more);
}

#[test]
fn a_plugin_without_the_hook_is_refused() {
    let refused = tidegate(
        "[plugins.trap]\ncomponent = \"%trap%\"\n[upstreams.u]\nbalancer = \"trap\"\npeers = [\"127.0.0.1:1\"]\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n",
    )
    .var("trap", guest("trap"))
    .in_process()
    .try_start();
    let problems = refused.err().expect("trap is no balancer");
    assert!(
        problems.contains("test.toml:1:") && problems.contains("upstream `u` names it as its balancer"),
        "{problems}"
    );
}

/// The stock plugin with this configuration.
fn affinity(backends: &[&Backend], config: &str) -> Proxy {
    tidegate(&format!(
        "[plugins.rooms]\ncomponent = \"stock:affinity\"\nconfig = {{ {config} }}\n\
         [upstreams.u]\nbalancer = \"rooms\"\npeers = [{}]\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n",
        list(backends)
    ))
    .start()
}

fn of_room(proxy: &Proxy, header: &str, room: usize) -> String {
    let (head, body) = proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{header}room-{room}\r\n\r\n"));
    assert_eq!(head.status(), 200);
    body.text()
}

#[test]
fn affinity_sends_a_room_to_one_peer() {
    let [a, b, c] = three();
    for (config, header) in [
        ("by = { header = \"X-Room\" }", "X-Room: "),
        ("by = { cookie = \"room\" }", "Cookie: a=1; room="),
        ("by = { variable = \"http_x_room\" }, bounded_load = 2", "X-Room: "),
    ] {
        let proxy = affinity(&[&a, &b, &c], config);
        let homes: Vec<String> = (0..30).map(|room| of_room(&proxy, header, room)).collect();
        assert_eq!(homes.iter().collect::<HashSet<_>>().len(), 3, "{homes:?}");
        for (room, home) in homes.iter().enumerate() {
            assert_eq!(of_room(&proxy, header, room), *home, "{config}: room {room}");
        }
        // Without a room it is the policy's turn.
        let turns: Vec<String> = (0..3).map(|_| proxy.get("/").1.text()).collect();
        assert_eq!(turns, ["a", "b", "c"]);
    }
}

/// The rooms of a peer that refuses go on at others, each at one; the rest stay.
#[test]
fn affinity_moves_the_rooms_of_a_dead_peer_only() {
    let ([a, b, c], refusing) = (three(), Refusing::new());
    let peers = |third: SocketAddr| format!("{}{{ address = \"{third}\" }}", list(&[&a, &b]));
    let start = |peers: &str| {
        tidegate(&format!(
            "[plugins.affinity]\nconfig = {{ by = {{ header = \"X-Room\" }} }}\n\
             [upstreams.u]\nbalancer = \"affinity\"\npeers = [{peers}]\n\
             [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n"
        ))
        .start()
    };
    let homes = |proxy: &Proxy| -> HashMap<usize, String> {
        (0..40).map(|room| (room, of_room(proxy, "X-Room: ", room))).collect()
    };
    let alone = homes(&start(&list(&[&a, &b])));
    let proxy = start(&peers(refusing.address()));
    assert_eq!(homes(&proxy), homes(&proxy));
    assert_eq!(homes(&proxy), alone, "as if it were not there");
    let whole = homes(&start(&peers(c.address())));
    assert!(whole.iter().all(|(room, home)| home == "c" || alone[room] == *home));
    assert!(whole.values().any(|home| home == "c"));
}

/// Tunnels of one room: with a bound no peer has more than its share of them times that.
#[test]
fn a_bound_spreads_the_tunnels_of_a_busy_room() {
    for (bound, wanted) in [("", [0, 0, 6]), (", bounded_load = 1", [2, 2, 2]), (", bounded_load = 1.5", [0, 3, 3])] {
        let backends = [Backend::ws_echo(), Backend::ws_echo(), Backend::ws_echo()];
        let [a, b, c] = &backends;
        let proxy = affinity(&[a, b, c], &format!("by = {{ variable = \"arg_room\" }}{bound}"));
        let tunnels: Vec<Wire> = (0..6).map(|_| proxy.open("/ws?room=blue")).collect();
        let mut counts = backends.each_ref().map(Backend::connections);
        counts.sort_unstable();
        assert_eq!(counts, wanted, "{bound}");
        drop(tunnels);
    }
}

#[test]
fn affinity_says_what_is_wrong_with_its_configuration() {
    let refused = tidegate(
        "[plugins.affinity]\nconfig = { by = { cookie = \"a b\" } }\n\
         [upstreams.u]\nbalancer = \"affinity\"\npeers = [\"127.0.0.1:1\"]\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n",
    )
    .in_process()
    .try_start();
    let problems = refused.err().expect("no cookie has this name");
    assert!(problems.contains("test.toml:2:") && problems.contains("\"a b\" is not a name"), "{problems}");
}
