//! `return`, and what completes a Location: `absolute_redirect`, `server_name_in_redirect`,
//! `port_in_redirect`.

use tidegate_tests::{Backend, Proxy, Subject, both};

both!(
    closed_without_an_answer,
    redirects_with_variables,
    fixed_answers,
    a_location_is_completed,
    the_slash_redirect,
    a_server_answers_itself
);

/// Status and Location of a GET, with the listener's port as `PORT`.
fn moved(proxy: &Proxy, host: &str, target: &str) -> String {
    let (head, _) = proxy.ask(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let location = head.get("location").unwrap_or("none").replace(&proxy.address().port().to_string(), "PORT");
    format!("{} {location}", head.status())
}

fn redirects_with_variables(subject: Subject) {
    let proxy = subject
        .setup()
        .nginx(
            "server { listen %listen%; server_name a.test;
                location / { return 301 https://$host$request_uri; }
                location /302 { return 302 $scheme://$http_host$uri?was=$arg_was; }
                location /303 { return 303 /other; }
                location /307 { return 307 http://b.test/${server_name}x; }
                location ~ ^/308/(?<rest>.*)$ { return 308 /new/$rest$is_args$args; }
                location ~ ^/num/(.*)/(.*)$ { return 302 /$2/$1; }
                location /url { return http://c.test/; }
             }",
        )
        .tidegate(
            r#"
            [[sites]]
            names = ["a.test"]
            routes = [
              { match = "/", respond = { status = 301, location = "https://$host$request_uri" } },
              { match = "/302", respond = { status = 302, location = "$scheme://$http_host$uri?was=$arg_was" } },
              { match = "/303", respond = { status = 303, location = "/other" } },
              { match = "/307", respond = { status = 307, location = "http://b.test/${server_name}x" } },
              { match = "~ ^/308/(?<rest>.*)$", respond = { status = 308, location = "/new/$rest$is_args$args" } },
              { match = "~ ^/num/(.*)/(.*)$", respond = { location = "/$2/$1" } },
              { match = "/url", respond = { location = "http://c.test/" } },
            ]
            "#,
        )
        .start();
    for (host, target, wanted) in [
        ("a.test", "/", "301 https://a.test/"),
        ("A.test:8080", "/x%20y?a=%41&b", "301 https://a.test/x%20y?a=%41&b"),
        ("a.test", "//x/../y", "301 https://a.test//x/../y"),
        ("a.test:81", "/302/%61?was=1", "302 http://a.test:81/302/a?was=1"),
        ("a.test", "/303", "303 http://a.test:PORT/other"),
        ("other.test", "/303", "303 http://other.test:PORT/other"),
        ("x.test", "/307", "307 http://b.test/a.testx"),
        ("a.test", "/308/y?z=1", "308 http://a.test:PORT/new/y?z=1"),
        ("a.test", "/308/y", "308 http://a.test:PORT/new/y"),
        ("a.test", "/num/1/2", "302 http://a.test:PORT/2/1"),
        ("a.test", "/url", "302 http://c.test/"),
    ] {
        assert_eq!(moved(&proxy, host, target), wanted, "{host} {target}");
    }
    // The connection goes on.
    let mut wire = proxy.connect();
    for _ in 0..2 {
        wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(wire.read_response().0.status(), 301);
    }
}

fn fixed_answers(subject: Subject) {
    let proxy = subject
        .setup()
        .nginx(
            r#"
            location = /health { return 200 "healthy\n"; }
            location = /type { default_type application/json; return 200 '{"host":"$host","q":"$arg_q"}'; }
            location = /empty { return 204; }
            location = /bare { return 200; }
            location = /gone { return 410 "no more"; }
            location = /error { return 503; }
            location /x { return 403 "$uri"; }
            "#,
        )
        .tidegate(
            r#"
            [[sites]]
            routes = [
              { match = "= /health", respond = { body = "healthy\n" } },
              { match = "= /type", respond = { body = '{"host":"$host","q":"$arg_q"}', content_type = "application/json" } },
              { match = "= /empty", respond = { status = 204 } },
              { match = "= /bare", respond = { status = 200 } },
              { match = "= /gone", respond = { status = 410, body = "no more" } },
              { match = "= /error", respond = { status = 503 } },
              { match = "/x", respond = { status = 403, body = "$uri" } },
            ]
            "#,
        )
        .start();
    for (target, status, kind, text) in [
        ("/health", 200, "text/plain", "healthy\n"),
        ("/type?q=1", 200, "application/json", r#"{"host":"ws.example.com","q":"1"}"#),
        ("/gone", 410, "text/plain", "no more"),
        ("/x/%61", 403, "text/plain", "/x/a"),
    ] {
        let (head, body) = proxy.get(target);
        assert_eq!((head.status(), head.get("content-type"), body.text()), (status, Some(kind), text.to_owned()));
        assert_eq!(head.get("content-length"), Some(text.len().to_string().as_str()), "{target}");
    }
    assert_eq!(proxy.get("/empty").0.status(), 204);
    let (head, body) = proxy.get("/bare");
    assert_eq!((head.status(), body.text()), (200, String::new()));
    assert_eq!(proxy.get("/error").0.status(), 503);
    // What a HEAD would have had, and a body that nobody wants.
    let mut wire = proxy.connect();
    wire.send("HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = wire.read_head();
    assert_eq!((head.status(), head.get("content-length")), (200, Some("8")));
    wire.send("POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(wire.read_response().1.text(), "healthy\n");
    assert_eq!(wire.read_response().0.status(), 403);
}

fn a_location_is_completed(subject: Subject) {
    let proxy = subject
        .setup()
        .nginx(
            "server { listen %listen%; server_name a.test b.test;
                location = /default { return 301 /x; }
                location = /off { absolute_redirect off; return 301 /x; }
                location = /name { server_name_in_redirect on; return 301 /x; }
                location = /port { port_in_redirect off; return 301 /x; }
                location = /both { server_name_in_redirect on; port_in_redirect off; return 301 /x; }
                location = /full { server_name_in_redirect on; return 301 https://z/x; }
                location = /bare { return 301 x; }
             }",
        )
        .tidegate(
            r#"
            [[sites]]
            names = ["a.test", "b.test"]
            routes = [
              { match = "= /default", respond = { status = 301, location = "/x" } },
              { match = "= /off", absolute_redirect = false, respond = { status = 301, location = "/x" } },
              { match = "= /name", site_name_in_redirect = true, respond = { status = 301, location = "/x" } },
              { match = "= /port", port_in_redirect = false, respond = { status = 301, location = "/x" } },
              { match = "= /both", site_name_in_redirect = true, port_in_redirect = false, respond = { status = 301, location = "/x" } },
              { match = "= /full", site_name_in_redirect = true, respond = { status = 301, location = "https://z/x" } },
              { match = "= /bare", respond = { status = 301, location = "x" } },
            ]
            "#,
        )
        .start();
    for (host, target, wanted) in [
        ("B.test", "/default", "301 http://b.test:PORT/x"),
        ("b.test:99", "/default", "301 http://b.test:PORT/x"),
        ("b.test", "/off", "301 /x"),
        ("b.test", "/name", "301 http://a.test:PORT/x"),
        ("b.test", "/port", "301 http://b.test/x"),
        ("b.test", "/both", "301 http://a.test/x"),
        ("b.test", "/full", "301 https://z/x"),
        ("b.test", "/bare", "301 x"),
        ("[::1]:80", "/default", "301 http://[::1]:PORT/x"),
    ] {
        assert_eq!(moved(&proxy, host, target), wanted, "{host} {target}");
    }
    let (head, _) = proxy.ask("GET /default HTTP/1.0\r\n\r\n");
    let wanted = format!("http://127.0.0.1:{}/x", proxy.address().port());
    assert_eq!(head.get("location"), Some(wanted.as_str()));
}

fn the_slash_redirect(subject: Subject) {
    let backend = Backend::reflect();
    let proxy = subject
        .setup()
        .nginx(
            "location /a/ { proxy_pass http://%backend%; }
             location = /e/ { proxy_pass http://%backend%; }
             location '/s p/' { proxy_pass http://%backend%; }
             location /off/ { absolute_redirect off; proxy_pass http://%backend%; }
             location /r/ { return 200 r; }",
        )
        .tidegate(
            r#"
            [[sites]]
            upstream = "%backend%"
            routes = [
              { match = "/a/" }, { match = "= /e/" }, { match = "/s p/" },
              { match = "/off/", absolute_redirect = false },
              { match = "/r/", respond = { body = "r" } },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start();
    for (target, wanted) in [
        ("/a", "301 http://h.test:PORT/a/"),
        ("/a?x=%41", "301 http://h.test:PORT/a/?x=%41"),
        ("/a?", "301 http://h.test:PORT/a/"),
        ("/%61", "301 http://h.test:PORT/a/"),
        ("//a", "301 http://h.test:PORT/a/"),
        ("/e", "301 http://h.test:PORT/e/"),
        ("/s%20p", "301 http://h.test:PORT/s%20p/"),
        ("/off?y", "301 /off/?y"),
        ("/r", "404 none"),
        ("/ab", "404 none"),
    ] {
        assert_eq!(moved(&proxy, "h.test", target), wanted, "{target}");
    }
}

/// The guides' server that sends everyone to HTTPS, beside one that does not.
fn a_server_answers_itself(subject: Subject) {
    let proxy = subject
        .setup()
        .nginx(
            r#"
            server { listen %listen%; server_name a.test www.a.test; add_header X-Site a always; return 301 https://a.test$request_uri; }
            server { listen %listen% default_server; server_name _; return 421 "not here"; location / { return 200 never; } }
            "#,
        )
        .tidegate(
            r#"
            [[sites]]
            names = ["a.test", "www.a.test"]
            append_response_headers = { X-Site = "a" }
            respond = { status = 301, location = "https://a.test$request_uri" }
            [[sites]]
            default = true
            respond = { status = 421, body = "not here" }
            routes = [{ match = "/", respond = { body = "never" } }]
            "#,
        )
        .start();
    assert_eq!(moved(&proxy, "www.a.test", "/x?y"), "301 https://a.test/x?y");
    let (head, _) = proxy.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(head.get("x-site"), Some("a"));
    let (head, body) = proxy.ask("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
    assert_eq!((head.status(), body.text(), head.get("x-site")), (421, "not here".to_owned(), None));
}

fn closed_without_an_answer(subject: Subject) {
    let proxy = subject
        .setup()
        .nginx("location / { return 200 ok; } location /no { return 444; }")
        .tidegate(
            r#"
            [[sites]]
            routes = [
              { match = "/", respond = { body = "ok" } },
              { match = "/no", respond = { status = 444 } },
            ]
            "#,
        )
        .start();
    let mut wire = proxy.connect();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(wire.read_response().1.text(), "ok");
    wire.send("GET /no HTTP/1.1\r\nHost: a\r\n\r\n");
    wire.expect_close();
    let mut wire = proxy.connect();
    wire.send(tidegate_tests::ws::handshake("/no", ""));
    wire.expect_close();
}
