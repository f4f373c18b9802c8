//! A tunnel ends when nothing comes from either side for `timeouts.read`, as with nginx's
//! `proxy_read_timeout`.

use std::time::{Duration, Instant};

use tidegate_tests::ws;
use tidegate_tests::{Backend, Proxy, Subject, both};

both!(an_idle_tunnel_ends, the_clients_traffic_keeps_it, the_servers_traffic_keeps_it);

const TIMEOUT: Duration = Duration::from_millis(1000);
const PACE: Duration = Duration::from_millis(250);

/// Tunnels end after 1 s of silence.
pub(crate) fn with_timeout(subject: Subject, backend: &Backend) -> Proxy {
    subject
        .setup()
        .nginx("location / { proxy_pass http://%backend%; %guide% proxy_read_timeout 1000ms; }")
        .tidegate(
            r#"
            [[sites]]
            [[sites.routes]]
            match = "/"
            upstream = "%backend%"
            timeouts = { read = "1000ms" }
            "#,
        )
        .var("backend", backend.address())
        .start()
}

fn an_idle_tunnel_ends(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect("hello");
        wire.send("hello");
        wire.expect_close();
    });
    let proxy = with_timeout(subject, &backend);
    let mut client = proxy.open("/ws");
    client.send("hello");
    client.expect("hello");
    let since = Instant::now();
    client.expect_close();
    let idle = since.elapsed();
    assert!(idle >= TIMEOUT - Duration::from_millis(100), "ended after {idle:?}");
    assert!(idle < TIMEOUT * 5, "ended only after {idle:?}");
    backend.join();
}

fn the_clients_traffic_keeps_it(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect("tick".repeat(8));
        wire.send("all eight");
        wire.expect_end();
    });
    let proxy = with_timeout(subject, &backend);
    let mut client = proxy.open("/ws");
    for _ in 0..8 {
        // Twice the timeout in all, in silence from the server.
        client.expect_silence(PACE);
        client.send("tick");
    }
    client.expect("all eight");
    drop(client);
    backend.join();
}

fn the_servers_traffic_keeps_it(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        for _ in 0..8 {
            wire.expect_silence(PACE);
            wire.send("tick");
        }
        wire.expect("all eight");
        wire.expect_end();
    });
    let proxy = with_timeout(subject, &backend);
    let mut client = proxy.open("/ws");
    client.expect("tick".repeat(8));
    client.send("all eight");
    drop(client);
    backend.join();
}
