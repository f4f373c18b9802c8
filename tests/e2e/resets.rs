//! Either side resets its connection (RST): the other side ends cleanly, and nothing else
//! notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::spawn;
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Noise, Subject, both};

both!(the_client_resets, the_server_resets, the_client_resets_under_load, the_server_resets_under_load, others_go_on);

fn the_client_resets(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect("hello");
        wire.send("hello");
        wire.expect_end();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    client.send("hello");
    client.expect("hello");
    client.reset();
    backend.join();
}

fn the_server_resets(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect("hello");
        wire.reset();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    client.send("hello");
    client.expect_end();
    backend.join();
}

fn the_client_resets_under_load(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        let piece = Noise::new(31).take(256 << 10);
        let sent = (0..4096).take_while(|_| wire.try_send(&piece).is_ok()).count();
        assert!(sent < 4096, "1 GiB went to a client that is gone");
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    client.expect_noise(&mut Noise::new(31), 64 << 10);
    client.reset();
    backend.join();
}

fn the_server_resets_under_load(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect_noise(&mut Noise::new(32), 64 << 10);
        wire.reset();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    let mut writer = client.writer();
    let ended = Arc::new(AtomicBool::new(false));
    let writing = {
        let ended = Arc::clone(&ended);
        spawn(move || {
            let piece = Noise::new(32).take(256 << 10);
            while writer.try_send(&piece).is_ok() && !ended.load(Ordering::SeqCst) {}
        })
    };
    // nginx goes on to take what the client sends (`lingering_close`), but says that it ends.
    client.expect_end();
    ended.store(true, Ordering::SeqCst);
    drop((client, proxy));
    writing.join().unwrap();
    backend.join();
}

fn others_go_on(subject: Subject) {
    let (quit, told) = channel::<()>();
    let told = Mutex::new(told);
    let backend = Backend::script(move |mut wire, number| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        if number == 2 {
            told.lock().recv().unwrap();
            return wire.reset();
        }
        while wire.has_more() {
            let frame = wire.read_frame();
            wire.send(frame.bytes());
        }
    });
    let proxy = subject.before(backend.address());
    let (mut first, mut second, mut third) = (proxy.open("/ws"), proxy.open("/ws"), proxy.open("/ws"));
    for client in [&mut first, &mut third] {
        client.echo(&Frame::text("before"));
    }
    quit.send(()).unwrap();
    second.expect_end();
    for client in [&mut first, &mut third] {
        client.expect_silence(Duration::from_millis(50));
        client.echo(&Frame::text("after"));
    }
    proxy.open("/ws").echo(&Frame::text("new"));
    first.finish();
    third.finish();
    first.expect_close();
    third.expect_close();
    backend.join();
}
