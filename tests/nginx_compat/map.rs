//! `map $http_upgrade $connection_upgrade` as the guides write it, maps that use maps, host
//! names with wildcards, captures, and `volatile`.

use tidegate_tests::{Backend, Subject, both, ws};

both!(connection_upgrade, host_names_and_captures, a_value_is_worked_out_once);

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

/// Host names before expressions, the longest wildcard first, a final dot left out; captures
/// by number and by name.
fn host_names_and_captures(subject: Subject) {
    let backend = Backend::named("ok");
    let proxy = subject
        .setup()
        .nginx(
            r#"
            map $http_x_name $kind {
                hostnames;
                default         none;
                *.example.com   head;
                *.b.example.com longer;
                www.*           tail;
                .both.test      both;
                \*.shielded     shield;
                ~^(?<first>[a-z]+)\.([0-9]+)$ "$first then $2 for $request_method";
            }
            server { listen %listen%; location / { proxy_pass http://%backend%; proxy_set_header X-Chosen "$kind"; } }
            "#,
        )
        .tidegate(
            r#"
            [maps.kind]
            from = "$http_x_name"
            hostnames = true
            default = "none"
            [maps.kind.values]
            "*.example.com" = "head"
            "*.b.example.com" = "longer"
            "www.*" = "tail"
            ".both.test" = "both"
            '\*.shielded' = "shield"
            '~^(?<first>[a-z]+)\.([0-9]+)$' = "$first then $2 for $request_method"
            [[sites]]
            [[sites.routes]]
            match = "/"
            upstream = "%backend%"
            set_headers = { X-Chosen = "$kind" }
            "#,
        )
        .var("backend", backend.address())
        .start();
    let table = [
        ("example.com", "none"),
        ("a.example.com", "head"),
        ("A.EXAMPLE.com.", "head"),
        ("x.y.example.com", "head"),
        ("x.b.example.com", "longer"),
        ("www.example.com", "head"),
        ("www.other.net", "tail"),
        ("www", "none"),
        ("both.test", "both"),
        ("x.both.test", "both"),
        ("xboth.test", "none"),
        ("abc.42", "abc then 42 for GET"),
        ("abc.4x", "none"),
    ];
    for (name, wanted) in table {
        proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Name: {name}\r\n\r\n"));
        assert_eq!(backend.heads().last().unwrap().get("x-chosen"), Some(wanted), "{name}");
    }
}

/// A value is kept for the request's life: two maps of the same changing variable agree
/// where one is read through the other, and the same map read twice is the same.
fn a_value_is_worked_out_once(subject: Subject) {
    let backend = Backend::named("ok");
    let proxy = subject
        .setup()
        .nginx(
            r#"
            map "" $once { default "$request_id"; }
            map "" $each { volatile; default "$request_id"; }
            server {
                listen %listen%;
                location / {
                    proxy_pass http://%backend%;
                    proxy_set_header X-Once "$once$once"; proxy_set_header X-Each "$each"; proxy_set_header X-Id "$request_id";
                }
            }
            "#,
        )
        .tidegate(
            r#"
            [maps.once]
            from = ""
            default = "$request_id"
            [maps.each]
            from = ""
            default = "$request_id"
            volatile = true
            [[sites]]
            [[sites.routes]]
            match = "/"
            upstream = "%backend%"
            set_headers = { X-Once = "$once$once", X-Each = "$each", X-Id = "$request_id" }
            "#,
        )
        .var("backend", backend.address())
        .start();
    proxy.get("/");
    proxy.get("/");
    let ids: Vec<_> = backend
        .heads()
        .iter()
        .map(|head| {
            let id = head.get("x-id").unwrap().to_owned();
            assert_eq!(head.get("x-once"), Some(format!("{id}{id}").as_str()));
            assert_eq!(head.get("x-each"), Some(id.as_str()));
            id
        })
        .collect();
    assert_ne!(ids[0], ids[1], "what one request keeps is not the next one's");
}
