//! `error_page`, `proxy_intercept_errors`.

use tidegate_tests::backend::Refusing;
use tidegate_tests::{Backend, Response, Subject, both};

use super::mirror;

both!(
    pages_of_the_proxys_own_errors,
    the_upstreams_errors,
    other_statuses_and_redirects,
    named_routes,
    a_page_that_fails,
    pages_that_are_fixed_answers,
    a_page_has_the_request_of_a_get
);

fn pages_of_the_proxys_own_errors(subject: Subject) {
    let dead = Refusing::new();
    let proxy = subject
        .setup()
        .file("www/50x.html", "sorry")
        .file("www/404.html", "lost")
        .nginx(
            "root %dir%/www; error_page 502 503 504 /50x.html; error_page 404 /404.html; include /etc/nginx/mime.types;
             location / { }
             location /dead { proxy_pass http://%dead%; }
             location /none { return 404; }
             location /text { return 404 'own words'; }",
        )
        .tidegate(
            r#"
            [[sites]]
            root = "www"
            error_pages = { "502 503 504" = "/50x.html", "404" = "/404.html" }
            routes = [
              { match = "/" },
              { match = "/dead", upstream = "%dead%" },
              { match = "/none", respond = { status = 404 } },
              { match = "/text", respond = { status = 404, body = "own words" } },
            ]
            "#,
        )
        .var("dead", dead.address())
        .start();
    for (path, status, text) in [
        ("/dead", 502, "sorry"),
        ("/nothing", 404, "lost"),
        ("/none", 404, "lost"),
        ("/text", 404, "own words"),
        ("/50x.html", 200, "sorry"),
    ] {
        let (head, body) = proxy.get(path);
        assert_eq!((head.status(), body.text().as_str()), (status, text), "{path}");
    }
    // No part of a page, and none that the client has already.
    let (head, body) = proxy.ask("GET /dead HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\nIf-None-Match: *\r\n\r\n");
    assert_eq!((head.status(), body.text().as_str()), (502, "sorry"));
    assert_eq!(head.get("content-type"), Some("text/html"));
    // The connection goes on.
    let mut wire = proxy.connect();
    for _ in 0..2 {
        wire.send("GET /dead HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(wire.read_response().0.status(), 502);
    }
}

fn the_upstreams_errors(subject: Subject) {
    let backend = Backend::http(|request| {
        let status = request.head.target()[request.head.target().len() - 3..].parse().unwrap();
        Response::new(status).header("WWW-Authenticate", "Basic realm=x").header("X-Own", "1").body("upstream")
    });
    let proxy = subject
        .setup()
        .file("www/page.html", "page")
        .nginx(
            "root %dir%/www; error_page 401 500 /page.html;
             location / { }
             location /as-it-is/ { proxy_pass http://%backend%; }
             location /replaced/ { proxy_intercept_errors on; proxy_pass http://%backend%; }",
        )
        .tidegate(
            r#"
            [[sites]]
            root = "www"
            error_pages = { "401 500" = "/page.html" }
            routes = [
              { match = "/" },
              { match = "/as-it-is/", upstream = "%backend%" },
              { match = "/replaced/", upstream = "%backend%", intercept_errors = true },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start();
    for (path, status, text, challenge, own) in [
        ("/as-it-is/500", 500, "upstream", Some("Basic realm=x"), Some("1")),
        ("/replaced/200", 200, "upstream", Some("Basic realm=x"), Some("1")),
        ("/replaced/502", 502, "upstream", Some("Basic realm=x"), Some("1")),
        ("/replaced/500", 500, "page", None, None),
        ("/replaced/401", 401, "page", Some("Basic realm=x"), None),
    ] {
        let (head, body) = proxy.get(path);
        assert_eq!((head.status(), body.text().as_str()), (status, text), "{path}");
        assert_eq!((head.get("www-authenticate"), head.get("x-own")), (challenge, own), "{path}");
    }
}

fn other_statuses_and_redirects(subject: Subject) {
    let proxy = subject
        .setup()
        .file("www/page.html", "page")
        .nginx(
            "root %dir%/www;
             location / { }
             location /ok { error_page 404 =200 /page.html; return 404; }
             location /own { error_page 404 = /empty; return 404; }
             location /empty { return 204; }
             location /away { error_page 403 404 http://b.test$request_uri; return 403; }
             location /away-301 { error_page 403 =301 http://b.test/; return 403; }",
        )
        .tidegate(
            r#"
            [[sites]]
            root = "www"
            routes = [
              { match = "/" },
              { match = "/ok", error_pages = { "404 =200" = "/page.html" }, respond = { status = 404 } },
              { match = "/own", error_pages = { "404 =" = "/empty" }, respond = { status = 404 } },
              { match = "/empty", respond = { status = 204 } },
              { match = "/away", error_pages = { "403 404" = "http://b.test$request_uri" }, respond = { status = 403 } },
              { match = "/away-301", error_pages = { "403 =301" = "http://b.test/" }, respond = { status = 403 } },
            ]
            "#,
        )
        .start();
    for (path, status, location) in [
        ("/ok", 200, None),
        ("/own", 204, None),
        ("/away?x=1", 302, Some("http://b.test/away?x=1")),
        ("/away-301", 301, Some("http://b.test/")),
    ] {
        let (head, _) = proxy.get(path);
        assert_eq!((head.status(), head.get("location")), (status, location), "{path}");
    }
}

fn named_routes(subject: Subject) {
    let backend = mirror();
    let dead = Refusing::new();
    let proxy = subject
        .setup()
        .nginx(
            "location / { error_page 502 = @fallback; proxy_pass http://%dead%; }
             location @fallback { proxy_pass http://%backend%; }",
        )
        .tidegate(
            r#"
            [[sites]]
            routes = [
              { match = "/", upstream = "%dead%", error_pages = { "502 =" = "@fallback" } },
              { match = "@fallback", upstream = "%backend%" },
            ]
            "#,
        )
        .var("dead", dead.address())
        .var("backend", backend.address())
        .start();
    let (head, body) = proxy.ask("DELETE /x%20y?z=1 HTTP/1.1\r\nHost: x\r\nX-Mine: 1\r\n\r\n");
    let text = body.text();
    assert_eq!(head.status(), 200);
    assert!(text.starts_with("DELETE /x%20y?z=1 HTTP/1."), "{text}");
    assert!(text.to_ascii_lowercase().contains("x-mine: 1"), "{text}");
}

fn a_page_that_fails(subject: Subject) {
    let dead = Refusing::new();
    let proxy = subject
        .setup()
        .nginx(
            "error_page 404 502 /page; root %dir%/www;
             location / { proxy_pass http://%dead%; }
             location = /missing { error_page 502 /none.html; proxy_pass http://%dead%; }
             location = /none.html { }",
        )
        .tidegate(
            r#"
            [[sites]]
            error_pages = { "404 502" = "/page" }
            routes = [
              { match = "/", upstream = "%dead%" },
              { match = "= /missing", upstream = "%dead%", error_pages = { "502" = "/none.html" } },
              { match = "= /none.html", root = "www" },
            ]
            "#,
        )
        .var("dead", dead.address())
        .start();
    assert_eq!(proxy.get("/x").0.status(), 502);
    assert_eq!(proxy.get("/missing").0.status(), 404);
}

fn pages_that_are_fixed_answers(subject: Subject) {
    let proxy = subject
        .setup()
        .nginx(
            "location /a { error_page 404 /text; return 404; }
             location /b { error_page 404 =410 /text; return 404; }
             location /c { error_page 404 = /kept; return 404; }
             location /d { error_page 404 /kept; return 404; }
             location /e { error_page 404 /moved; return 404; }
             location /f { error_page 404 /fails; return 404; }
             location /text { return 200 'text'; }
             location /kept { return 503 'kept'; }
             location /moved { return 302 http://b.test/; }
             location /fails { return 503; }",
        )
        .tidegate(
            r#"
            [[sites]]
            routes = [
              { match = "/a", error_pages = { "404" = "/text" }, respond = { status = 404 } },
              { match = "/b", error_pages = { "404 =410" = "/text" }, respond = { status = 404 } },
              { match = "/c", error_pages = { "404 =" = "/kept" }, respond = { status = 404 } },
              { match = "/d", error_pages = { "404" = "/kept" }, respond = { status = 404 } },
              { match = "/e", error_pages = { "404" = "/moved" }, respond = { status = 404 } },
              { match = "/f", error_pages = { "404" = "/fails" }, respond = { status = 404 } },
              { match = "/text", respond = { status = 200, body = "text" } },
              { match = "/kept", respond = { status = 503, body = "kept" } },
              { match = "/moved", respond = { status = 302, location = "http://b.test/" } },
              { match = "/fails", respond = { status = 503 } },
            ]
            "#,
        )
        .start();
    for (path, status, text) in [
        ("/a", 404, "text"),
        ("/b", 410, "text"),
        ("/c", 503, "kept"),
        ("/d", 404, "kept"),
        ("/e", 302, ""),
        ("/f", 503, ""),
    ] {
        let (head, body) = proxy.get(path);
        assert_eq!(head.status(), status, "{path}");
        assert!(text.is_empty() || body.text() == text, "{path}");
    }
}

fn a_page_has_the_request_of_a_get(subject: Subject) {
    let backend = mirror();
    let dead = Refusing::new();
    let proxy = subject
        .setup()
        .nginx(
            "location / { error_page 502 /page?from=$uri; proxy_pass http://%dead%; proxy_set_header X-Added 1; }
             location /page { proxy_pass http://%backend%; proxy_set_header X-Asked $request_uri; }",
        )
        .tidegate(
            r#"
            [[sites]]
            routes = [
              { match = "/", upstream = "%dead%", error_pages = { "502" = "/page?from=$uri" }, set_headers = { X-Added = "1" } },
              { match = "/page", upstream = "%backend%", set_headers = { X-Asked = "$request_uri" } },
            ]
            "#,
        )
        .var("dead", dead.address())
        .var("backend", backend.address())
        .start();
    let (head, body) = proxy.ask("POST /x?y HTTP/1.1\r\nHost: x\r\nX-Mine: 1\r\nContent-Length: 4\r\n\r\nbody");
    let text = body.text().to_ascii_lowercase();
    assert_eq!(head.status(), 502);
    assert!(text.starts_with("get /page?from=/x http/1."), "{text}");
    assert!(text.contains("x-mine: 1") && text.contains("x-asked: /x?y"), "{text}");
    assert!(!text.contains("x-added"), "{text}");
    if subject == Subject::Tidegate {
        // nginx sends the body once more, under a GET.
        assert!(!text.contains("content-length: 4") && !text.contains("body"), "{text}");
    }
}
