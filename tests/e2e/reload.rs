//! A new configuration, all or nothing, under open tunnels.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::spawn;

use rustix::process::Signal;
use tidegate_tests::subject::{Binary, HeldPort};
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Noise, Wire, eventually, tidegate};

const TO_A: &str = r#"
[[listeners]]
address = "%first%"
[[sites]]
[[sites.routes]]
match = "/"
upstream = "%a%"
"#;

const TO_B: &str = r#"
[[listeners]]
address = "%first%"
[[sites]]
[[sites.routes]]
match = "/b"
upstream = "%b%"
"#;

#[test]
fn a_new_configuration_acts_and_open_tunnels_live_on() {
    let (a, b, port) = (Backend::ws_echo(), Backend::ws_echo(), HeldPort::new());
    let mut proxy =
        tidegate(TO_A).var("first", port.address()).var("a", a.address()).var("b", b.address()).in_process().start();
    let mut old = proxy.open("/ws");
    old.echo(&Frame::text("before"));
    proxy.reload(TO_B).unwrap();
    // Its route and upstream are gone from the configuration, the tunnel is not.
    old.echo(&Frame::text("after"));
    assert_eq!(proxy.get("/ws").0.status(), 404);
    let mut new = proxy.open("/b");
    new.echo(&Frame::text("new"));
    assert_eq!((a.connections(), b.connections()), (1, 1));
    old.echo(&Frame::binary(&vec![9; 300_000]));
    proxy.reload(TO_A).unwrap();
    old.echo(&Frame::text("twice"));
    new.echo(&Frame::text("once"));
    assert_eq!(proxy.get("/").1.text(), "plain");
}

/// A kept client connection asks by the new configuration from its next request on.
#[test]
fn kept_connections_take_part() {
    let (a, b, port) = (Backend::named("a"), Backend::named("b"), HeldPort::new());
    let mut proxy =
        tidegate(TO_A).var("first", port.address()).var("a", a.address()).var("b", b.address()).in_process().start();
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_response().1.text(), "a");
    proxy.reload(TO_B).unwrap();
    // A server may also end such a connection; this one's client would then ask anew.
    if client.try_send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n").is_ok() && client.has_more() {
        assert_eq!(client.read_response().1.text(), "b");
    } else {
        assert_eq!(proxy.get("/b").1.text(), "b");
    }
}

#[test]
fn a_bad_configuration_changes_nothing() {
    let (a, port, second) = (Backend::ws_echo(), HeldPort::new(), HeldPort::new());
    let mut proxy = tidegate(TO_A)
        .var("first", port.address())
        .var("second", second.address())
        .var("a", a.address())
        .in_process()
        .start();
    let mut tunnel = proxy.open("/ws");
    let bad = [
        ("not TOML", "[[sites"),
        ("unknown key", "[[listeners]]\naddress = \"%second%\"\n[[sites]]\nnaems = [\"x\"]\n"),
        (
            "no such upstream",
            "[[listeners]]\naddress = \"%second%\"\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"nope\"\n",
        ),
        (
            "a plugin refuses its config",
            "[[listeners]]\naddress = \"%second%\"\n[[sites]]\nauth_basic = { realm = \"x\", users = \"bob:$9$what\" }\n\
             [[sites.routes]]\nmatch = \"/\"\nupstream = \"%a%\"\n",
        ),
    ];
    for (what, text) in bad {
        let problems = proxy.reload(text).expect_err(what);
        assert!(!problems.is_empty());
        tunnel.echo(&Frame::text(what));
        assert_eq!(proxy.get("/").1.text(), "plain", "{what}");
        assert!(TcpStream::connect(second.address()).is_err(), "{what}: half of it acts");
    }
}

const BOTH: &str = r#"
[[listeners]]
address = "%first%"
[[listeners]]
address = "%second%"
[[sites]]
[[sites.routes]]
match = "/"
upstream = "%a%"
"#;

fn plain(address: SocketAddr) -> String {
    let mut wire = Wire::connect(address);
    wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    wire.read_response().1.text()
}

fn refuses(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

#[test]
fn listeners_are_added_and_removed() {
    let (a, first, second) = (Backend::ws_echo(), HeldPort::new(), HeldPort::new());
    let (first_at, second_at) = (first.address(), second.address());
    let mut proxy =
        tidegate(TO_A).var("first", first_at).var("second", second_at).var("a", a.address()).in_process().start();
    assert!(refuses(second_at));
    let mut tunnel = proxy.open("/ws");
    proxy.reload(BOTH).unwrap();
    assert_eq!(proxy.addresses(), [first_at, second_at]);
    assert_eq!((plain(first_at).as_str(), plain(second_at).as_str()), ("plain", "plain"));
    proxy.reload(&TO_A.replace("%first%", "%second%")).unwrap();
    assert_eq!(proxy.addresses(), [second_at]);
    eventually("the removed listener to refuse", || refuses(first_at));
    assert_eq!(plain(second_at), "plain");
    // It came through the listener that is gone.
    tunnel.echo(&Frame::text("still here"));
}

#[test]
fn an_address_in_use_changes_nothing() {
    let (a, b, first) = (Backend::named("a"), Backend::named("b"), HeldPort::new());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut proxy = tidegate(TO_A)
        .var("first", first.address())
        .var("second", taken.local_addr().unwrap())
        .var("a", a.address())
        .in_process()
        .start();
    let problems = proxy.reload(&BOTH.replace("%a%", &b.address().to_string())).expect_err("an address is taken");
    assert!(problems.contains(&taken.local_addr().unwrap().to_string()), "{problems}");
    assert_eq!(proxy.get("/").1.text(), "a");
}

/// Requests, handshakes and a large flow go on while the configuration changes under them.
#[test]
fn nothing_fails_while_reloads_go_on() {
    const BULK: usize = 32 << 20;
    let (a, b) = (Backend::ws_echo(), Backend::ws_echo());
    let source = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        for seed in 0..128 {
            wire.send(Noise::new(seed).take(BULK / 128));
        }
    });
    let text = |upstream: &str, listeners: &str| {
        format!(
            "[server]\nworkers = 2\ncache_dir = \"%cache%\"\n[[listeners]]\naddress = \"%first%\"\n{listeners}\
             [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"{upstream}\"\n\
             [[sites.routes]]\nmatch = \"/source\"\nupstream = \"%source%\"\n"
        )
    };
    let (first, second) = (HeldPort::new(), HeldPort::new());
    let mut proxy = tidegate(&text("%a%", ""))
        .var("first", first.address())
        .var("second", second.address())
        .var("a", a.address())
        .var("b", b.address())
        .var("source", source.address())
        .in_process()
        .start();
    let done = Arc::new(AtomicBool::new(false));
    let mut flow = proxy.open("/source");
    let flowing = spawn(move || {
        for seed in 0..128 {
            flow.expect_noise(&mut Noise::new(seed), BULK / 128);
        }
        flow.expect_close();
    });
    let clients: Vec<_> = (0..4)
        .map(|i| {
            let (done, address) = (Arc::clone(&done), proxy.address());
            spawn(move || {
                let mut rounds = 0;
                while !done.load(Ordering::SeqCst) || rounds == 0 {
                    assert_eq!(plain(address), "plain");
                    let mut tunnel = Wire::connect(address);
                    tunnel.upgrade("/ws");
                    tunnel.echo(&Frame::text(&format!("client {i}, round {rounds}")));
                    tunnel.echo(&Frame::close(1000));
                    rounds += 1;
                }
            })
        })
        .collect();
    for round in 0..20 {
        let listeners = if round % 3 == 0 { "[[listeners]]\naddress = \"%second%\"\n" } else { "" };
        proxy.reload(&text(if round % 2 == 0 { "%b%" } else { "%a%" }, listeners)).unwrap();
        assert_eq!(proxy.get("/").1.text(), "plain");
    }
    done.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().unwrap();
    }
    flowing.join().unwrap();
    assert!(a.connections() > 0 && b.connections() > 0);
    source.join();
}

#[test]
fn sighup_reads_the_file_anew() {
    let (a, b, port) = (Backend::ws_echo(), Backend::named("b"), HeldPort::new());
    let mut proxy =
        tidegate(TO_A).var("first", port.address()).var("a", a.address()).var("b", b.address()).binary().start();
    let mut tunnel = proxy.open("/ws");
    proxy.rewrite(TO_B);
    assert_eq!(proxy.get("/").1.text(), "plain", "not read before it is told to");
    proxy.process().signal(Signal::HUP);
    eventually("the new configuration", || proxy.get("/b").1.text() == "b");
    tunnel.echo(&Frame::text("still here"));
    // A file with an error is told of, and changes nothing.
    proxy.rewrite("[[sites]]\nnaems = [\"x\"]\n");
    proxy.process().signal(Signal::HUP);
    eventually("the problem in the log", || proxy.process().stderr().contains("naems"));
    assert_eq!(proxy.get("/b").1.text(), "b");
    tunnel.echo(&Frame::text("and still"));
}

#[test]
fn the_reload_command_tells_the_process() {
    let (a, b, port) = (Backend::named("a"), Backend::named("b"), HeldPort::new());
    let pid_file = "[server]\nworkers = 1\ncache_dir = \"%cache%\"\npid_file = \"%dir%/tidegate.pid\"\n";
    let mut proxy = tidegate(&format!("{pid_file}{TO_A}"))
        .var("first", port.address())
        .var("a", a.address())
        .var("b", b.address())
        .binary()
        .start();
    assert_eq!(proxy.get("/").1.text(), "a");
    let path = proxy.dir().join("tidegate.pid").display().to_string();
    eventually("the pid file", || !proxy.read_file("tidegate.pid").is_empty());
    proxy.rewrite(&format!("{pid_file}{TO_B}"));
    let told = Binary::output(&["reload", "--pid-file", &path]);
    assert!(told.status.success(), "{told:?}");
    eventually("the new configuration", || proxy.get("/b").1.text() == "b");
    proxy.rewrite(&format!("{pid_file}{TO_A}"));
    let told = Binary::output(&["reload", "--pid", &proxy.process().id().to_string()]);
    assert!(told.status.success(), "{told:?}");
    eventually("the old configuration", || proxy.get("/").1.text() == "a");
    assert!(!Binary::output(&["reload", "--pid-file", "/nowhere/tidegate.pid"]).status.success());
}
