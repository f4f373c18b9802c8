//! `map $http_upgrade $connection_upgrade` as the guides write it, and a map that uses it.

use tidegate_tests::{Backend, Subject, both, ws};

both!(connection_upgrade);

fn connection_upgrade(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject
        .setup()
        .nginx(
            r#"
            map $http_upgrade $connection_upgrade { default upgrade; '' close; }
            map $connection_upgrade $kind { upgrade tunnel; default "plain $request_method"; }
            server {
                listen %listen%;
                location / {
                    proxy_pass http://%backend%; %guide%
                    proxy_set_header X-Connection $connection_upgrade;
                    proxy_set_header X-Kind "kind: $kind";
                }
            }
            "#,
        )
        .tidegate(
            r#"
            [maps.connection_upgrade]
            from = "$http_upgrade"
            default = "upgrade"
            values = { "" = "close" }
            [maps.kind]
            from = "$connection_upgrade"
            default = "plain $request_method"
            values = { upgrade = "tunnel" }
            [[sites]]
            [[sites.routes]]
            match = "/"
            upstream = "%backend%"
            set_headers = { X-Connection = "$connection_upgrade", X-Kind = "kind: $kind" }
            "#,
        )
        .var("backend", backend.address())
        .start();
    let _tunnel = proxy.open("/ws");
    proxy.get("/");
    proxy.ask(ws::handshake("/ws", ""));
    let seen: Vec<_> = backend
        .heads()
        .iter()
        .map(|h| [h.get("x-connection").unwrap().to_owned(), h.get("x-kind").unwrap().to_owned()])
        .collect();
    assert_eq!(seen, [["upgrade", "kind: tunnel"], ["close", "kind: plain GET"], ["upgrade", "kind: tunnel"]]);
}
