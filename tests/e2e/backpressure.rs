//! A slow reader stalls its writer: the proxy holds a bounded number of bytes, loses none,
//! and goes on when the reader does.

use std::sync::mpsc::channel;
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_tests::ws;
use tidegate_tests::{Backend, Noise, Subject, Wire, both, tidegate};

both!(a_slow_client_stalls_the_server, a_slow_server_stalls_the_client);

/// Far more than all sockets on the way hold.
const MOST: usize = 256 << 20;
/// What the sockets on the way may hold: the kernel's own limits (4 MiB to send, twice,
/// and what it allows a receiver that does not read), with room.
const BOUND: usize = 64 << 20;
const AFTER: usize = 8 << 20;
const QUIET: Duration = Duration::from_millis(700);

fn a_slow_client_stalls_the_server(subject: Subject) {
    let (stalled, at) = channel();
    let stalled = Mutex::new(stalled);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        let mut noise = Noise::new(11);
        let sent = wire.send_until_stalled(&mut noise, MOST, QUIET);
        stalled.lock().send(sent).unwrap();
        wire.send(noise.take(AFTER));
    });
    let proxy = subject.before(backend.address());
    let mut client = Wire::connect_narrow(proxy.address());
    client.upgrade("/ws");
    let sent = at.recv().expect("the backend stalls");
    assert!(sent < BOUND, "{sent} bytes went into the proxy while nobody read");
    client.expect_noise(&mut Noise::new(11), sent + AFTER);
    client.expect_close();
    backend.join();
}

fn a_slow_server_stalls_the_client(subject: Subject) {
    let (stalled, at) = channel();
    let at = Mutex::new(at);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        let sent: usize = at.lock().recv().expect("the client stalls");
        wire.expect_noise(&mut Noise::new(12), sent + AFTER);
        wire.send("all of it");
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    let mut noise = Noise::new(12);
    let sent = client.send_until_stalled(&mut noise, MOST, QUIET);
    assert!(sent < BOUND, "{sent} bytes went into the proxy while nobody read");
    stalled.send(sent).unwrap();
    client.send(noise.take(AFTER));
    client.expect("all of it");
    client.expect_close();
    backend.join();
}

/// What is under way lies in the sockets: the process itself holds next to nothing of it.
#[test]
fn the_process_does_not_grow() {
    const ROOM: usize = 4 << 20;
    let ((go, told), (stalled, at)) = (channel::<()>(), channel::<()>());
    let (told, stalled) = (Mutex::new(told), Mutex::new(stalled));
    let backend = Backend::script(move |mut wire, number| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect("ready");
        wire.send("ready");
        if number == 2 {
            wire.send_until_stalled(&mut Noise::new(13), MOST, QUIET);
            stalled.lock().send(()).unwrap();
        }
        told.lock().recv().unwrap();
    });
    let mut proxy = tidegate("[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"")
        .var("backend", backend.address())
        .binary()
        .start();
    let (mut down, mut up) = (Wire::connect_narrow(proxy.address()), proxy.connect());
    up.upgrade("/warm");
    up.send("ready");
    up.expect("ready");
    let before = proxy.process().memory();
    down.upgrade("/ws");
    down.send("ready");
    down.expect("ready");
    let sent = up.send_until_stalled(&mut Noise::new(14), MOST, QUIET);
    assert!(sent > 0);
    let () = at.recv().expect("the backend stalls");
    let after = proxy.process().memory();
    assert!(after < before + ROOM, "from {before} to {after} bytes");
    go.send(()).unwrap();
    go.send(()).unwrap();
    drop((down, up, proxy));
    backend.join();
}
