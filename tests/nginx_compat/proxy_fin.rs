//! One side ends a tunnel (FIN) through the guides' configuration.

use tidegate_tests::{Backend, Noise, Proxy, Subject, both, ws};

both!(the_clients_fin, the_servers_fin, both_at_once);

const AMOUNT: usize = 1 << 20;

fn guided(subject: Subject, backend: &Backend) -> Proxy {
    subject
        .setup()
        .nginx(
            r#"location /ws {
                proxy_pass http://%backend%;
                proxy_http_version 1.1;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection "upgrade";
                proxy_read_timeout 3600s;
                proxy_send_timeout 3600s;
            }"#,
        )
        .tidegate(
            "[[sites]]\n[[sites.routes]]\nmatch = \"/ws\"\nupstream = \"%backend%\"\ntimeouts = { read = \"1h\", send = \"1h\" }",
        )
        .var("backend", backend.address())
        .start()
}

fn the_clients_fin(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect_noise(&mut Noise::new(1), AMOUNT);
        wire.expect_close();
    });
    let proxy = guided(subject, &backend);
    let mut client = proxy.open("/ws");
    client.send(Noise::new(1).take(AMOUNT));
    client.finish();
    client.expect_close();
    backend.join();
}

fn the_servers_fin(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.send(Noise::new(2).take(AMOUNT));
        wire.finish();
        wire.expect_end();
    });
    let proxy = guided(subject, &backend);
    let mut client = proxy.open("/ws");
    client.expect_noise(&mut Noise::new(2), AMOUNT);
    client.expect_close();
    backend.join();
}

fn both_at_once(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        wire.expect("goodbye");
        wire.finish();
        wire.expect_close();
    });
    let proxy = guided(subject, &backend);
    let mut client = proxy.open("/ws");
    client.send("goodbye");
    client.finish();
    client.expect_close();
    backend.join();
}
