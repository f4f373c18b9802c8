//! The end of the process: accepting stops, tunnels get time, a second signal gives none.

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread::spawn;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::Signal;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Proxy, eventually, tidegate};

fn patient(backend: &Backend, drain_timeout: &str) -> Proxy {
    tidegate(
        r#"
        [server]
        workers = 2
        cache_dir = "%cache%"
        drain_timeout = "%timeout%"
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        "#,
    )
    .var("backend", backend.address())
    .var("timeout", drain_timeout)
    .binary()
    .start()
}

fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

#[test]
fn a_tunnel_lives_until_its_end() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let backend = Backend::ws_echo();
        let mut proxy = patient(&backend, "60s");
        let mut tunnel = proxy.open("/ws");
        proxy.process().signal(signal);
        let address = proxy.address();
        eventually("accepting to stop", || !accepts(address));
        tunnel.echo(&Frame::text("still here"));
        tunnel.echo(&Frame::binary(&vec![1; 500_000]));
        assert!(proxy.process().runs());
        tunnel.echo(&Frame::close(1000));
        tunnel.expect_close();
        let status = proxy.process().wait();
        assert!(status.success(), "{signal:?}: {status}");
    }
}

#[test]
fn the_deadline_ends_what_is_left() {
    let backend = Backend::ws_echo();
    let mut proxy = patient(&backend, "1s");
    let mut tunnel = proxy.open("/ws");
    tunnel.echo(&Frame::text("hello"));
    let since = Instant::now();
    proxy.process().signal(Signal::TERM);
    tunnel.expect_end();
    let took = since.elapsed();
    assert!(took > Duration::from_millis(800), "ended after {took:?}");
    proxy.process().wait();
    assert!(since.elapsed() < Duration::from_secs(10), "ended only after {:?}", since.elapsed());
}

#[test]
fn a_second_signal_ends_at_once() {
    let backend = Backend::ws_echo();
    let mut proxy = patient(&backend, "600s");
    let mut tunnel = proxy.open("/ws");
    proxy.process().signal(Signal::TERM);
    let address = proxy.address();
    eventually("accepting to stop", || !accepts(address));
    tunnel.echo(&Frame::text("still here"));
    proxy.process().signal(Signal::TERM);
    tunnel.expect_end();
    proxy.process().wait();
}

#[test]
fn without_tunnels_it_ends_soon() {
    let backend = Backend::named("hello");
    let mut proxy = patient(&backend, "600s");
    // An idle kept connection does not hold it up.
    let mut idle = proxy.connect();
    idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(idle.read_response().1.text(), "hello");
    let silent = proxy.connect();
    proxy.process().signal(Signal::TERM);
    idle.expect_end();
    let status = proxy.process().wait();
    assert!(status.success(), "{status}");
    drop(silent);
}

#[test]
fn a_request_in_flight_is_answered() {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
        told.lock().recv().unwrap();
        wire.send(" last");
        wire.expect_end();
    });
    let mut proxy = patient(&backend, "60s");
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_head().status(), 200);
    client.expect("first");
    proxy.process().signal(Signal::TERM);
    let address = proxy.address();
    eventually("accepting to stop", || !accepts(address));
    go.send(()).unwrap();
    client.expect(" last");
    client.expect_end();
    assert!(proxy.process().wait().success());
    backend.join();
}

#[test]
fn in_this_process_too() {
    let backend = Backend::ws_echo();
    let proxy = tidegate("[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"")
        .var("backend", backend.address())
        .in_process()
        .start();
    let mut tunnel = proxy.open("/ws");
    let address = proxy.address();
    let draining = spawn(move || proxy.drain());
    eventually("accepting to stop", || !accepts(address));
    tunnel.echo(&Frame::text("still here"));
    assert!(!draining.is_finished());
    drop(tunnel);
    eventually("the drain to end", || draining.is_finished());
    draining.join().unwrap();
}
