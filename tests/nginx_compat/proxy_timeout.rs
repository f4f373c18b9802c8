//! `proxy_connect_timeout`, `proxy_read_timeout`, `proxy_send_timeout`.

use std::time::{Duration, Instant};

use tidegate_tests::backend::{Hanging, Refusing};
use tidegate_tests::{Backend, Proxy, Subject, both, ws};

both!(statuses, a_tunnel_ends_after_the_read_timeout, the_answer_may_take_as_long_as_the_timeout);

const TIMEOUT: Duration = Duration::from_millis(900);

fn timed(subject: Subject, backend: std::net::SocketAddr) -> Proxy {
    subject
        .setup()
        .nginx(
            "location / { proxy_pass http://%backend%; %guide%
                proxy_connect_timeout 900ms; proxy_read_timeout 900ms; proxy_send_timeout 900ms; }",
        )
        .tidegate(
            "[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n\
             timeouts = { connect = \"900ms\", read = \"900ms\", send = \"900ms\" }",
        )
        .var("backend", backend)
        .start()
}

fn statuses(subject: Subject) {
    let (refusing, hanging, silent) = (Refusing::new(), Hanging::new(), Backend::silent());
    let table = [(refusing.address(), 502), (hanging.address(), 504), (silent.address(), 504)];
    for (address, wanted) in table {
        let proxy = timed(subject, address);
        assert_eq!(proxy.get("/").0.status(), wanted);
        assert_eq!(proxy.ask(ws::handshake("/ws", "")).0.status(), wanted);
    }
}

fn a_tunnel_ends_after_the_read_timeout(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect_close();
    });
    let proxy = timed(subject, backend.address());
    let mut client = proxy.open("/ws");
    let since = Instant::now();
    client.expect_close();
    assert!(since.elapsed() > TIMEOUT / 2 && since.elapsed() < TIMEOUT * 6, "{:?}", since.elapsed());
    backend.join();
}

fn the_answer_may_take_as_long_as_the_timeout(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.expect_silence(TIMEOUT / 3);
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect_end();
    });
    let proxy = timed(subject, backend.address());
    drop(proxy.open("/ws"));
    backend.join();
}
