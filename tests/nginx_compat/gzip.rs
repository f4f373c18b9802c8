//! `gzip`, `gzip_types`, `gzip_min_length`, `gzip_vary`.

use std::io::Read as _;

use tidegate_tests::http::Body;
use tidegate_tests::{Backend, Head, Proxy, Response, Subject, both};

both!(what_is_compressed, the_client_decides, files_are_compressed);

/// The backend answers with the type, status and headers that the query names.
fn backend() -> Backend {
    Backend::http(|request| {
        let target = request.head.target().to_owned();
        let part = |name: &str| {
            let at = target.split(['?', '&']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            at.map(str::to_owned)
        };
        let status = part("status").map_or(200, |status| status.parse().unwrap());
        let mut response = Response::new(status).header("ETag", "\"tag\"").header("Accept-Ranges", "bytes");
        response = response.header("Content-Type", &part("type").unwrap_or_else(|| "text/html".to_owned()));
        if let Some(coding) = part("coding") {
            response = response.header("Content-Encoding", &coding);
        }
        if let Some(tag) = part("vary") {
            response = response.header("Vary", &tag);
        }
        let size = part("size").map_or(1000, |size| size.parse().unwrap());
        response.body("x".repeat(size))
    })
}

fn start(subject: Subject, backend: &Backend) -> Proxy {
    subject
        .setup()
        .file("www/a.html", "x".repeat(1000))
        .file("www/a.css", "x".repeat(1000))
        .nginx(
            "gzip on; gzip_vary on; gzip_types application/json; gzip_min_length 100; gzip_proxied any;
             include /etc/nginx/mime.types;
             location / { proxy_pass http://%backend%; }
             location /off/ { gzip off; proxy_pass http://%backend%; }
             location /files/ { alias %dir%/www/; }",
        )
        .tidegate(
            r#"
            [[sites]]
            upstream = "%backend%"
            compress = { codings = ["gzip"], types = ["application/json"], min_length = 100 }
            routes = [
              { match = "/" },
              { match = "/off/", compress = false },
              { match = "/files/", alias = "www/" },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start()
}

fn ask(proxy: &Proxy, request: &str, lines: &str) -> (Head, Body) {
    let mut wire = proxy.connect();
    wire.send(format!("{request} HTTP/1.1\r\nHost: x\r\n{lines}\r\n"));
    let head = wire.read_head();
    let body = tidegate_tests::http::read_body(&mut wire, &head, request.starts_with("HEAD"));
    (head, body)
}

fn unpacked(data: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(data).read_to_string(&mut text).unwrap();
    text
}

fn what_is_compressed(subject: Subject) {
    let backend = backend();
    let proxy = start(subject, &backend);
    for (target, compressed, varies) in [
        ("/", true, true),
        ("/?type=TEXT/HTML;charset=utf-8", true, true),
        ("/?type=application/json", true, true),
        ("/?type=text/plain", false, false),
        ("/?size=99", false, false),
        ("/?size=100", true, true),
        ("/?status=404", true, true),
        ("/?status=403", true, true),
        ("/?status=500", false, false),
        ("/?status=201", false, false),
        ("/?coding=br", false, false),
        ("/off/", false, false),
    ] {
        let (head, body) = ask(&proxy, &format!("GET {target}"), "Accept-Encoding: gzip\r\n");
        let coding = head.get("content-encoding").filter(|coding| *coding == "gzip");
        assert_eq!(coding.is_some(), compressed, "{target}");
        assert_eq!(head.all("vary"), if varies { vec!["Accept-Encoding"] } else { vec![] }, "{target}");
        assert_eq!(head.get("etag"), Some(if compressed { "W/\"tag\"" } else { "\"tag\"" }), "{target}");
        assert_eq!(head.get("content-length").is_none(), compressed, "{target}");
        assert_eq!(head.get("accept-ranges").is_none(), compressed, "{target}");
        if compressed {
            assert_eq!(unpacked(&body.data), "x".repeat(if target == "/?size=100" { 100 } else { 1000 }), "{target}");
        }
    }
    // HEAD says what GET would, but for the length that nobody knows.
    let (head, _) = ask(&proxy, "HEAD /", "Accept-Encoding: gzip\r\n");
    assert_eq!((head.get("content-encoding"), head.get("content-length")), (Some("gzip"), None));
    assert_eq!(head.get("vary"), Some("Accept-Encoding"));
    let (head, _) = ask(&proxy, "HEAD /?size=99", "Accept-Encoding: gzip\r\n");
    assert_eq!((head.get("content-encoding"), head.get("content-length")), (None, Some("99")));
    for accept in ["Accept-Encoding: gzip\r\n", ""] {
        let (head, _) = ask(&proxy, "HEAD /files/a.html", accept);
        let shown = (head.get("content-encoding"), head.get("content-length"));
        assert_eq!(shown, if accept.is_empty() { (None, Some("1000")) } else { (Some("gzip"), None) }, "{accept}");
    }
    let (head, _) = ask(&proxy, "GET /?vary=Cookie", "Accept-Encoding: gzip\r\n");
    let mut varies = head.all("vary");
    varies.sort_unstable();
    assert_eq!(varies, ["Accept-Encoding", "Cookie"]);
}

fn the_client_decides(subject: Subject) {
    let backend = backend();
    let proxy = start(subject, &backend);
    for (accept, compressed) in [
        ("gzip", true),
        ("deflate, gzip", true),
        ("gzip;q=0.5", true),
        ("gzip;q=0", false),
        ("gzip;q=0.000", false),
        ("deflate", false),
        ("identity", false),
    ] {
        let (head, _) = ask(&proxy, "GET /", &format!("Accept-Encoding: {accept}\r\n"));
        assert_eq!(head.get("content-encoding").is_some(), compressed, "{accept}");
        assert_eq!(head.get("vary"), Some("Accept-Encoding"), "{accept}");
    }
    assert_eq!(ask(&proxy, "GET /", "").0.get("content-encoding"), None);
    let (head, _) = proxy.ask("GET / HTTP/1.0\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    assert_eq!(head.get("content-encoding"), None);
}

fn files_are_compressed(subject: Subject) {
    let backend = backend();
    let proxy = start(subject, &backend);
    let (head, body) = ask(&proxy, "GET /files/a.html", "Accept-Encoding: gzip\r\n");
    assert_eq!((head.status(), head.get("content-encoding")), (200, Some("gzip")));
    assert!(head.get("etag").is_some_and(|tag| tag.starts_with("W/\"")));
    assert_eq!(unpacked(&body.data), "x".repeat(1000));
    // The tag that the client was given is known again.
    let tag = head.get("etag").unwrap();
    let (head, _) = ask(&proxy, "GET /files/a.html", &format!("Accept-Encoding: gzip\r\nIf-None-Match: {tag}\r\n"));
    assert_eq!(head.status(), 304);
    // Compressed content has no parts; what is not compressed has.
    let (head, _) = ask(&proxy, "GET /files/a.html", "Accept-Encoding: gzip\r\nRange: bytes=0-1\r\n");
    assert_eq!((head.status(), head.get("content-encoding")), (200, Some("gzip")));
    let (head, _) = ask(&proxy, "GET /files/a.html", "Range: bytes=0-1\r\n");
    assert_eq!((head.status(), head.get("content-encoding")), (206, None));
    let (head, _) = ask(&proxy, "GET /files/a.css", "Accept-Encoding: gzip\r\nRange: bytes=0-1\r\n");
    assert_eq!((head.status(), head.get("content-encoding")), (206, None));
}
