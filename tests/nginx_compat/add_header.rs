//! `add_header`, with and without `always`; `proxy_hide_header` and `proxy_pass_header`.

use tidegate_tests::{Backend, Response, Subject, both, tidegate, ws};

both!(names_keep_their_case, by_status, on_answers_of_the_proxy, hidden_and_passed);

/// As they are written in the configuration, for those who compare them with their case.
fn names_keep_their_case(subject: Subject) {
    let backend = Backend::named("x");
    let proxy = subject
        .setup()
        .nginx("location / { proxy_pass http://%backend%; proxy_set_header X-REAL-ip $remote_addr; add_header x-Some-NAME v; }")
        .tidegate(
            r#"
            [[sites]]
            upstream = "%backend%"
            routes = [{ match = "/", default_headers = false, set_headers = { X-REAL-ip = "$remote_addr" }, add_response_headers = { x-Some-NAME = "v" } }]
            "#,
        )
        .var("backend", backend.address())
        .start();
    let (head, _) = proxy.get("/");
    assert!(head.headers.iter().any(|(name, _)| name == "x-Some-NAME"), "{head:?}");
    let seen = backend.only_head();
    assert!(seen.headers.iter().any(|(name, _)| name == "X-REAL-ip"), "{seen:?}");
}

fn by_status(subject: Subject) {
    let backend = Backend::http(|request| {
        let status = request.head.target()[1..].parse().unwrap();
        Response::new(status).header("X-Own", "theirs").header("ETag", "\"theirs\"").header("Cache-Control", "no-store")
    });
    let proxy = subject
        .setup()
        .nginx(
            "location / {
                proxy_pass http://%backend%;
                add_header X-Some $host;
                add_header X-All all always;
                add_header X-Own mine;
                add_header Cache-Control private;
                add_header X-Empty $arg_nothing always;
             }",
        )
        .tidegate(
            r#"
            [[sites]]
            upstream = "%backend%"
            [[sites.routes]]
            match = "/"
            add_response_headers = { X-Some = "$host", X-Own = "mine", Cache-Control = "private" }
            append_response_headers = { X-All = "all", X-Empty = "$arg_nothing" }
            "#,
        )
        .var("backend", backend.address())
        .start();
    for status in [200, 201, 202, 203, 204, 206, 301, 302, 303, 304, 305, 307, 308, 400, 401, 403, 404, 500, 502, 503] {
        let (head, _) = proxy.get(&format!("/{status}"));
        let some = [200, 201, 204, 206, 301, 302, 303, 304, 307, 308].contains(&status);
        assert_eq!(head.status(), status);
        assert_eq!(head.get("x-some"), some.then_some("ws.example.com"), "{status}");
        assert_eq!(head.get("x-all"), Some("all"), "{status}");
        assert_eq!(head.get("x-empty"), None, "{status}");
        assert_eq!(head.all("x-own"), if some { vec!["theirs", "mine"] } else { vec!["theirs"] }, "{status}");
        let caching = if some { vec!["no-store", "private"] } else { vec!["no-store"] };
        assert_eq!(head.all("cache-control"), caching, "{status}");
    }
}

fn on_answers_of_the_proxy(subject: Subject) {
    let refusing = tidegate_tests::backend::Refusing::new();
    let proxy = subject
        .setup()
        .nginx(
            "location / { proxy_pass http://%refusing%; add_header X-All all always; add_header X-Some some; }
             location /ok { return 200 ok; add_header X-All ok always; add_header X-Some some; }
             location /moved { return 301 /x; add_header X-All moved always; add_header X-Some some; }
             location /no { return 403; add_header X-All no always; add_header X-Some some; }
             location /dir/ { proxy_pass http://%refusing%; add_header X-All dir always; }",
        )
        .tidegate(
            r#"
            [[sites]]
            upstream = "%refusing%"
            routes = [
              { match = "/", append_response_headers = { X-All = "all" }, add_response_headers = { X-Some = "some" } },
              { match = "/ok", respond = { body = "ok" }, append_response_headers = { X-All = "ok" }, add_response_headers = { X-Some = "some" } },
              { match = "/moved", respond = { status = 301, location = "/x" }, append_response_headers = { X-All = "moved" }, add_response_headers = { X-Some = "some" } },
              { match = "/no", respond = { status = 403 }, append_response_headers = { X-All = "no" }, add_response_headers = { X-Some = "some" } },
              { match = "/dir/", append_response_headers = { X-All = "dir" } },
            ]
            "#,
        )
        .var("refusing", refusing.address())
        .start();
    for (path, status, all, some) in [
        ("/", 502, "all", None),
        ("/ok", 200, "ok", Some("some")),
        ("/moved", 301, "moved", Some("some")),
        ("/no", 403, "no", None),
    ] {
        let (head, _) = proxy.get(path);
        assert_eq!((head.status(), head.get("x-all"), head.get("x-some")), (status, Some(all), some), "{path}");
        assert!(head.get("date").is_some() && head.get("server").is_some(), "{path}");
    }
    let (head, _) = proxy.ask(ws::handshake("/", ""));
    assert_eq!((head.status(), head.get("x-all")), (502, Some("all")));
}

fn hidden_and_passed(subject: Subject) {
    let sent = [
        ("Server", "theirs"),
        ("X-Pad", "p"),
        ("X-Accel-Buffering", "no"),
        ("X-Accel-Charset", "utf-8"),
        ("X-Accel-Expires", "0"),
        ("X-Accel-Limit-Rate", "0"),
        ("X-Powered-By", "php"),
        ("X-Kept", "k"),
    ];
    let backend = Backend::http(move |_| {
        sent.iter().fold(Response::text("x"), |response, (name, value)| response.header(name, value))
    });
    let proxy = subject
        .setup()
        .nginx(
            "location / { proxy_pass http://%backend%; proxy_hide_header X-Powered-By; }
             location /pass { proxy_pass http://%backend%; proxy_pass_header Server; proxy_pass_header X-Accel-Expires; proxy_pass_header x-pad; }",
        )
        .tidegate(
            r#"
            [[sites]]
            upstream = "%backend%"
            routes = [
              { match = "/", remove_response_headers = ["X-Powered-By"] },
              { match = "/pass", pass_response_headers = ["Server", "X-Accel-Expires", "x-pad"] },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start();
    let kept = |path: &str| {
        let (head, _) = proxy.get(path);
        sent.iter().filter(|(name, value)| head.all(name).contains(value)).map(|(name, _)| *name).collect::<Vec<_>>()
    };
    assert_eq!(kept("/"), ["X-Kept"]);
    assert_eq!(kept("/pass"), ["Server", "X-Pad", "X-Accel-Expires", "X-Powered-By", "X-Kept"]);
    // There is one Server and one Date in any case.
    for path in ["/", "/pass"] {
        let (head, _) = proxy.get(path);
        assert!(head.get("server").is_some() && head.get("date").is_some(), "{path}");
    }
}

/// nginx takes all of a server's `add_header` away where a location has one of its own; here
/// the rules of site and route go together, and the route's win by name.
#[test]
fn rules_of_site_and_route_go_together() {
    let backend = Backend::named("x");
    let proxy = tidegate(
        r#"
        [server]
        server_header = "edge"
        [[sites]]
        upstream = "%backend%"
        append_response_headers = { X-Site = "site", X-Both = "site" }
        add_response_headers = { X-Added = "site" }
        routes = [
          { match = "/", append_response_headers = { X-Both = "route" } },
          { match = "/outer/", set_response_headers = { X-Site = "outer" }, routes = [
            { match = "/outer/inner", append_response_headers = { X-Added = "inner" } },
          ] },
        ]
        "#,
    )
    .var("backend", backend.address())
    .start();
    let shown = |path: &str| {
        let (head, _) = proxy.get(path);
        assert_eq!(head.get("server"), Some("edge"));
        ["x-site", "x-both", "x-added"].map(|name| head.get(name).unwrap_or("none").to_owned())
    };
    assert_eq!(shown("/"), ["site", "route", "site"]);
    assert_eq!(shown("/outer/"), ["outer", "site", "site"]);
    assert_eq!(shown("/outer/inner"), ["outer", "site", "inner"]);
}

/// What no route answers has the site's rules; a request that is refused before has none.
#[test]
fn a_sites_own_answers_have_its_rules() {
    let proxy = tidegate("[server]\nserver_header = \"off\"\n[[sites]]\nappend_response_headers = { X-Site = \"$status_is_unknown$site\" }\nnames = [\"a.test\"]\n[plugins.unused]\ncomponent = \"stock:router\"")
        .try_start();
    let problems = proxy.err().expect("an unknown variable");
    assert!(problems.contains("$status_is_unknown"), "{problems}");
    let proxy = tidegate(
        "[server]\nserver_header = \"off\"\n[[sites]]\nnames = [\"a.test\"]\nappend_response_headers = { X-Site = \"$site\" }\n",
    )
    .start();
    let (head, _) = proxy.get("/");
    assert_eq!((head.status(), head.get("x-site"), head.get("server")), (404, Some("a.test"), None));
    let (head, _) = proxy.ask("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_eq!((head.status(), head.get("x-site")), (400, None));
}
