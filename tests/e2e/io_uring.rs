//! Tunnels of many small messages ride on a ring of the kernel (`server.io_uring`). What goes through them, and
//! how they end, is as of any other.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Noise, Proxy, Setup, Subject, Wire, both, eventually, tidegate, wait_for};

use crate::idle_timeout::with_timeout;

both!(
    messages_of_all_sizes_come_back,
    many_messages_at_once_come_in_order,
    the_client_ends,
    the_server_ends,
    the_client_resets,
    the_server_resets,
    a_client_that_does_not_read_loses_nothing,
    an_idle_tunnel_ends,
    traffic_keeps_it
);

/// Far more than it takes to ride.
const MANY: usize = 300;

/// Exchange many small messages, so that the tunnel rides.
fn ride(client: &mut Wire) {
    for round in 0..MANY {
        client.echo(&Frame::binary(&Noise::new(round as u64).take(round)));
    }
}

/// A backend's side of it.
fn accept(wire: &mut Wire) {
    wire.read_head();
    wire.send(ws::switching(ws::KEY, ""));
    for _ in 0..MANY {
        let frame = wire.read_frame();
        wire.send(frame.bytes());
    }
}

fn messages_of_all_sizes_come_back(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    for size in [2000, 2037, 2038, 2039, 2040, 2041, 2042, 2048, 4096, 5000, 16 << 10, 65536, 300_000] {
        ride(&mut client);
        client.echo(&Frame::binary(&Noise::new(size as u64).take(size)));
    }
    client.echo(&Frame::close(1000));
    client.expect_close();
    backend.join();
}

/// Neither side waits for the other between its messages.
fn many_messages_at_once_come_in_order(subject: Subject) {
    const MESSAGES: usize = 20_000;
    let backend = Backend::script(|mut wire, _| {
        accept(&mut wire);
        for number in 0..MESSAGES {
            assert_eq!(wire.read_frame(), Frame::text(&number.to_string()));
            wire.send(Frame::text(&(number * 7).to_string()).bytes());
        }
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    ride(&mut client);
    let mut writer = client.writer();
    let writing = std::thread::spawn(move || {
        for number in 0..MESSAGES {
            writer.send(Frame::text(&number.to_string()).masked());
        }
    });
    for number in 0..MESSAGES {
        assert_eq!(client.read_frame(), Frame::text(&(number * 7).to_string()));
    }
    writing.join().unwrap();
    client.finish();
    client.expect_close();
    backend.join();
}

fn the_client_ends(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        accept(&mut wire);
        wire.expect("last words");
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    ride(&mut client);
    client.send("last words");
    client.finish();
    client.expect_close();
    backend.join();
}

fn the_server_ends(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        accept(&mut wire);
        wire.expect("question");
        wire.send("answer");
        wire.finish();
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    ride(&mut client);
    client.send("question");
    client.expect("answer");
    client.expect_close();
    backend.join();
}

fn the_client_resets(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        accept(&mut wire);
        wire.expect_end();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    ride(&mut client);
    client.reset();
    backend.join();
}

fn the_server_resets(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        accept(&mut wire);
        wire.reset();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    ride(&mut client);
    client.expect_end();
    backend.join();
}

fn a_client_that_does_not_read_loses_nothing(subject: Subject) {
    // More than the sockets on the way hold for a narrow client.
    const MESSAGES: usize = 200_000;
    let message = Frame::binary(&Noise::new(3).take(60)).bytes();
    let sent = message.clone();
    let (end, ended) = std::sync::mpsc::channel();
    let end = parking_lot::Mutex::new(end);
    let backend = Backend::script(move |mut wire, _| {
        accept(&mut wire);
        // Small writes, so that they come as small messages for as long as they go.
        for _ in 0..MESSAGES {
            wire.send(&sent);
        }
        end.lock().send(()).unwrap();
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = Wire::connect_narrow(proxy.address());
    client.upgrade("/ws");
    ride(&mut client);
    // Until nothing goes any more, or all of it has gone into the sockets on the way.
    let _stalled = ended.recv_timeout(Duration::from_millis(700));
    for _ in 0..MESSAGES {
        client.expect(&message);
    }
    client.finish();
    client.expect_close();
    backend.join();
}

fn an_idle_tunnel_ends(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        accept(&mut wire);
        wire.expect_close();
    });
    let proxy = with_timeout(subject, &backend);
    let mut client = proxy.open("/ws");
    // The timer must have been armed well before the last message, or it would fire at the right time by itself.
    client.expect_silence(Duration::from_millis(600));
    ride(&mut client);
    let since = Instant::now();
    client.expect_close();
    let idle = since.elapsed();
    assert!(idle >= Duration::from_millis(900), "ended after {idle:?}");
    assert!(idle < Duration::from_secs(5), "ended only after {idle:?}");
    backend.join();
}

fn traffic_keeps_it(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = with_timeout(subject, &backend);
    let mut client = proxy.open("/ws");
    for _ in 0..8 {
        // Twice the timeout in all.
        client.expect_silence(Duration::from_millis(250));
        ride(&mut client);
    }
    client.echo(&Frame::close(1000));
    client.expect_close();
    backend.join();
}

const LOGGED: &str = r#"
    [server]
    workers = 1
    cache_dir = "%cache%"
    drain_timeout = "500ms"
    io_uring = %rings%
    [access_log]
    path = "access.log"
    format = "life"
    [log_formats.life]
    template = "$bytes_received $body_bytes_sent $cause"
    [[sites]]
    routes = [{ match = "/", upstream = "%backend%", half_close = true }]
"#;

fn logged(backend: &Backend, rings: bool) -> Proxy {
    setup(backend, rings).binary().start()
}

fn setup(backend: &Backend, rings: bool) -> Setup {
    tidegate(LOGGED).var("backend", backend.address()).var("rings", rings)
}

/// Whether the process has a ring open.
fn has_ring(proxy: &mut Proxy) -> bool {
    let files = std::fs::read_dir(format!("/proc/{}/fd", proxy.process().id())).unwrap();
    files
        .filter_map(|file| std::fs::read_link(file.unwrap().path()).ok())
        .any(|file| file.to_string_lossy().contains("[io_uring]"))
}

/// What `ride` delivers each way, masked and not.
fn delivered() -> (usize, usize) {
    (0..MANY)
        .map(|n| Frame::binary(&vec![0; n]))
        .fold((0, 0), |(up, down), frame| (up + frame.masked().len(), down + frame.bytes().len()))
}

#[test]
fn busy_tunnels_ride_where_the_kernel_has_rings_and_are_counted() {
    let backend = Backend::ws_echo();
    let mut proxy = logged(&backend, true);
    let mut client = proxy.open("/ws");
    assert!(!has_ring(&mut proxy), "nobody rides yet");
    ride(&mut client);
    if std::env::var_os("TIDEGATE_TEST_NO_IO_URING").is_none() {
        assert!(has_ring(&mut proxy), "does the kernel allow io_uring? TIDEGATE_TEST_NO_IO_URING=1 goes without");
    }
    drop(client);
    let (up, down) = delivered();
    let line = format!("{up} {down} tunnel.client_closed\n");
    wait_for("the tunnel's line", || (proxy.read_file("access.log") == line).then_some(()));
}

#[test]
fn nobody_rides_where_it_is_off() {
    let backend = Backend::ws_echo();
    let mut proxy = logged(&backend, false);
    let mut client = proxy.open("/ws");
    ride(&mut client);
    ride(&mut client);
    assert!(!has_ring(&mut proxy));
}

#[test]
fn a_direction_is_kept_open_after_the_others_end() {
    let backend = Backend::script(|mut wire, _| {
        accept(&mut wire);
        wire.expect("all that I have");
        wire.expect_close();
        wire.send("only now");
    });
    let proxy = logged(&backend, true);
    let mut client = proxy.open("/ws");
    ride(&mut client);
    client.send("all that I have");
    client.finish();
    client.expect("only now");
    client.expect_close();
    backend.join();
}

#[test]
fn a_reload_leaves_it_as_it_is() {
    let backend = Backend::ws_echo();
    let mut proxy = setup(&backend, true).in_process().start();
    let mut client = proxy.open("/ws");
    ride(&mut client);
    proxy.reload(LOGGED).unwrap();
    ride(&mut client);
    client.echo(&Frame::close(1000));
    client.expect_close();
}

#[test]
fn a_drain_ends_it_at_its_deadline() {
    let backend = Backend::ws_echo();
    let mut proxy = logged(&backend, true);
    let (mut first, mut second) = (proxy.open("/ws"), proxy.open("/ws"));
    ride(&mut first);
    ride(&mut second);
    proxy.process().signal(Signal::TERM);
    let address = proxy.address();
    eventually("accepting to stop", || std::net::TcpStream::connect(address).is_err());
    // The first is at rest, the second is not.
    second.echo(&Frame::text("still here"));
    first.expect_end();
    second.expect_end();
    assert!(proxy.process().wait().success());
    let (up, down) = delivered();
    let mut lines: Vec<String> = proxy.read_file("access.log").lines().map(str::to_owned).collect();
    lines.sort();
    let more = Frame::text("still here");
    let (more_up, more_down) = (up + more.masked().len(), down + more.bytes().len());
    assert_eq!(lines, [format!("{up} {down} tunnel.drain"), format!("{more_up} {more_down} tunnel.drain")]);
}
