//! One side ends its direction (FIN). As in nginx, what it sent is delivered, and then
//! both sides end; with `half_close = true` the other direction stays open.

use tidegate_tests::ws;
use tidegate_tests::{Backend, Noise, Proxy, Subject, both, tidegate};

both!(the_client_ends, the_server_ends, the_server_ends_with_much_under_way, the_client_ends_with_much_under_way);

fn the_client_ends(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect("last words");
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    client.send("last words");
    client.finish();
    client.expect_close();
    backend.join();
}

fn the_server_ends(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect("question");
        wire.send("answer");
        wire.finish();
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    client.send("question");
    client.expect("answer");
    // The client keeps its direction open, and the tunnel ends all the same.
    client.expect_close();
    backend.join();
}

const MUCH: usize = 4 << 20;

fn the_server_ends_with_much_under_way(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.send(Noise::new(5).take(MUCH));
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    client.expect_noise(&mut Noise::new(5), MUCH);
    client.expect_close();
    backend.join();
}

fn the_client_ends_with_much_under_way(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.send("here is something");
        wire.expect_noise(&mut Noise::new(6), MUCH);
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.open("/ws");
    client.send(Noise::new(6).take(MUCH));
    client.finish();
    client.expect("here is something");
    client.expect_close();
    backend.join();
}

/// What has arrived from the other side when one side ends is delivered too: here it is
/// stuck behind a client that has not read yet.
#[test]
fn what_came_before_the_clients_end_is_delivered() {
    const SENT: usize = 512 << 10;
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.send(Noise::new(7).take(SENT));
        wire.expect("bye");
        wire.expect_close();
    });
    let proxy = Subject::Tidegate.before(backend.address());
    let mut client = tidegate_tests::Wire::connect_narrow(proxy.address());
    client.upgrade("/ws");
    client.expect_noise(&mut Noise::new(7), 1);
    // By now everything is on its way; the client's own buffer holds a fraction of it.
    client.send("bye");
    client.finish();
    let mut noise = Noise::new(7);
    noise.take(1);
    client.expect_noise(&mut noise, SENT - 1);
    client.expect_close();
    backend.join();
}

fn keeping(backend: &Backend) -> Proxy {
    tidegate(
        r#"
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        half_close = true
        "#,
    )
    .var("backend", backend.address())
    .start()
}

#[test]
fn kept_half_open_after_the_clients_end() {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect("all that I have");
        wire.expect_close();
        // Only now, after the client's end, does the answer begin.
        wire.send(Noise::new(8).take(300_000));
        wire.send("and the end");
    });
    let proxy = keeping(&backend);
    let mut client = proxy.open("/ws");
    client.send("all that I have");
    client.finish();
    client.expect_noise(&mut Noise::new(8), 300_000);
    client.expect("and the end");
    client.expect_close();
    backend.join();
}

#[test]
fn kept_half_open_after_the_servers_end() {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.send("that is all from me");
        wire.finish();
        wire.expect_noise(&mut Noise::new(9), 300_000);
        wire.expect_close();
    });
    let proxy = keeping(&backend);
    let mut client = proxy.open("/ws");
    client.expect("that is all from me");
    client.expect_close();
    client.send(Noise::new(9).take(300_000));
    client.finish();
    backend.join();
}
