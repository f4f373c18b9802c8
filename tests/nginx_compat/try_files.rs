//! `try_files`, with each kind of end.

use tidegate_tests::{Subject, both};

use super::mirror;

both!(paths_are_tried_in_order, the_end_is_a_path_a_route_or_a_status, a_circle_ends);

fn paths_are_tried_in_order(subject: Subject) {
    let proxy = subject
        .setup()
        .file("www/a.html", "a")
        .file("www/d/index.html", "d")
        .file("www/default.html", "default")
        .nginx("root %dir%/www; location / { try_files $uri $uri.html $uri/ /default.html; }")
        .tidegate(
            r#"
            [[sites]]
            root = "www"
            try_files = ["$uri", "$uri.html", "$uri/", "/default.html"]
            [[sites.routes]]
            match = "/"
            "#,
        )
        .start();
    for (path, status, text) in [
        ("/a", 200, "a"),
        ("/a.html", 200, "a"),
        ("/d/", 200, "d"),
        ("/none", 200, "default"),
        ("/none/deeper/", 200, "default"),
    ] {
        let (head, body) = proxy.get(path);
        assert_eq!((head.status(), body.text().as_str()), (status, text), "{path}");
    }
    assert_eq!(proxy.get("/d").0.status(), 301);
}

fn the_end_is_a_path_a_route_or_a_status(subject: Subject) {
    let backend = mirror();
    let proxy = subject
        .setup()
        .file("www/a.txt", "a")
        .nginx(
            "root %dir%/www;
             location /status/ { try_files $uri =418; }
             location /named/ { try_files $uri @app; }
             location /path/ { try_files $uri /app/$arg_x?from=$uri; }
             location /app/ { proxy_pass http://%backend%; }
             location @app { proxy_pass http://%backend%; }",
        )
        .tidegate(
            r#"
            [[sites]]
            root = "www"
            routes = [
              { match = "/status/", try_files = ["$uri", "=418"] },
              { match = "/named/", try_files = ["$uri", "@app"] },
              { match = "/path/", try_files = ["$uri", "/app/$arg_x?from=$uri"] },
              { match = "/app/", upstream = "%backend%" },
              { match = "@app", upstream = "%backend%" },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start();
    assert_eq!(proxy.get("/status/x").0.status(), 418);
    let asked = |request: &str| {
        let (_, body) = proxy.ask(request);
        body.text().lines().next().unwrap_or_default().rsplit_once(' ').unwrap_or_default().0.to_owned()
    };
    assert_eq!(asked("GET /named/a%20b?q=%31 HTTP/1.1\r\nHost: x\r\n\r\n"), "GET /named/a%20b?q=%31");
    assert_eq!(asked("GET /path/y?x=z HTTP/1.1\r\nHost: x\r\n\r\n"), "GET /app/z?from=/path/y");
    // Method and body go along.
    let (_, body) = proxy.ask("POST /named/x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    let text = body.text();
    assert!(text.starts_with("POST /named/x HTTP/1.") && text.ends_with("body"), "{text}");
    let (head, _) = proxy.ask("PUT /named/x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(head.status(), 200);
}

fn a_circle_ends(subject: Subject) {
    let proxy = subject
        .setup()
        .nginx("root %dir%; location / { try_files /none /still-none; }")
        .tidegate(
            "[[sites]]\nroot = \".\"\n[[sites.routes]]\nmatch = \"/\"\ntry_files = [\"/none\", \"/still-none\"]\n",
        )
        .start();
    assert_eq!(proxy.get("/x").0.status(), 500);
}
