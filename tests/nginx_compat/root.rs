//! `root`, `alias`, `index`, `types`, `default_type`: nginx's static module.

use std::time::{Duration, UNIX_EPOCH};

use tidegate_tests::http::Body;
use tidegate_tests::{Head, Proxy, Setup, Subject, both};

use super::mirror;

both!(
    files_of_a_root,
    a_folder_needs_its_slash,
    an_index_is_another_request,
    an_alias_takes_the_place_of_the_prefix,
    methods,
    no_way_out,
    types,
    conditions,
    ranges,
    a_large_file_is_whole
);

/// Sun, 09 Sep 2001 01:46:40 GMT
const TIME: u64 = 1_000_000_000;
const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";

/// Files that all cases know.
fn with_files(subject: Subject) -> Setup {
    subject
        .setup()
        .file("www/index.html", "<p>home</p>")
        .file("www/a.txt", "0123456789")
        .file("www/a b?.txt", "odd")
        .file("www/.hidden", "seen")
        .file("www/sub/index.html", "<p>sub</p>")
        .file("www/empty/file.css", "a {}")
        .file("secret.txt", "secret")
}

/// One root for everything.
fn root(subject: Subject) -> Proxy {
    let proxy = with_files(subject)
        .nginx("include /etc/nginx/mime.types; root %dir%/www; location / { }")
        .tidegate("[[sites]]\nroot = \"www\"\n[[sites.routes]]\nmatch = \"/\"\n")
        .start();
    let file = std::fs::File::options().write(true).open(proxy.dir().join("www/a.txt")).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(TIME)).unwrap();
    proxy
}

fn ask(proxy: &Proxy, method: &str, path: &str, lines: &str) -> (Head, Body) {
    let mut wire = proxy.connect();
    wire.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n"));
    let head = wire.read_head();
    let body = tidegate_tests::http::read_body(&mut wire, &head, method == "HEAD");
    (head, body)
}

fn files_of_a_root(subject: Subject) {
    let proxy = root(subject);
    let (head, body) = ask(&proxy, "GET", "/a.txt?q=1", "");
    let line = |name| head.get(name).map(str::to_owned);
    assert_eq!((head.status(), body.text().as_str()), (200, "0123456789"));
    assert_eq!(line("content-type").as_deref(), Some("text/plain"));
    assert_eq!(line("content-length").as_deref(), Some("10"));
    assert_eq!(line("last-modified").as_deref(), Some(DATE));
    assert_eq!(line("etag").as_deref(), Some("\"3b9aca00-a\""));
    assert_eq!(line("accept-ranges").as_deref(), Some("bytes"));
    for (path, status) in [
        ("/", 200),
        ("/.hidden", 200),
        ("/a%20b%3F.txt", 200),
        ("/sub/../a.txt", 200),
        ("//a.txt", 200),
        ("/sub%2findex.html", 200),
        ("/none", 404),
        ("/none/", 404),
        ("/a.txt/", 404),
        ("/a.txt/x", 404),
        ("/empty/", 403),
        ("/A.txt", 404),
    ] {
        assert_eq!(ask(&proxy, "GET", path, "").0.status(), status, "{path}");
    }
    let (head, body) = ask(&proxy, "HEAD", "/a.txt", "");
    assert_eq!((head.status(), head.get("content-length"), body.data.len()), (200, Some("10"), 0));
    // The connection goes on after any of these.
    let mut wire = proxy.connect();
    for (request, status) in [("HEAD /a.txt", 200), ("GET /none", 404), ("GET /empty/", 403), ("GET /a.txt", 200)] {
        wire.send(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let head = wire.read_head();
        tidegate_tests::http::read_body(&mut wire, &head, request.starts_with("HEAD"));
        assert_eq!(head.status(), status, "{request}");
    }
}

fn a_folder_needs_its_slash(subject: Subject) {
    let proxy = root(subject);
    let port = proxy.address().port();
    for (path, location) in [("/sub", "/sub/"), ("/sub?a=1&b", "/sub/?a=1&b"), ("/./empty", "/empty/")] {
        let (head, _) = ask(&proxy, "GET", path, "");
        let wanted = format!("http://x:{port}{location}");
        assert_eq!((head.status(), head.get("location")), (301, Some(wanted.as_str())), "{path}");
    }
}

fn an_index_is_another_request(subject: Subject) {
    let backend = mirror();
    let proxy = with_files(subject)
        .file("www/app/index.php", "not shown")
        .nginx(
            "root %dir%/www; index index.php index.html;
             location / { }
             location ~ \\.php$ { proxy_pass http://%backend%; proxy_set_header X-Asked $request_uri; }",
        )
        .tidegate(
            r#"
            [[sites]]
            root = "www"
            index = ["index.php", "index.html"]
            routes = [
              { match = "/" },
              { match = "~ \\.php$", upstream = "%backend%", set_headers = { X-Asked = "$request_uri" } },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start();
    assert_eq!(ask(&proxy, "GET", "/sub/", "").1.text(), "<p>sub</p>");
    let (head, body) = ask(&proxy, "GET", "/app/?a=1", "");
    assert_eq!(head.status(), 200);
    let text = body.text();
    assert!(text.starts_with("GET /app/index.php?a=1 HTTP/1."), "{text}");
    assert!(text.to_ascii_lowercase().contains("x-asked: /app/?a=1"), "{text}");
}

fn an_alias_takes_the_place_of_the_prefix(subject: Subject) {
    let proxy = with_files(subject)
        .nginx(
            "location /i/ { alias %dir%/www/; }
             location = /one { alias %dir%/www/a.txt; }
             location ~ ^/r/(?<name>[a-z]+)$ { alias %dir%/www/$name.txt; }
             location /slashless { alias %dir%/www/; }",
        )
        .tidegate(
            r#"
            [[sites]]
            routes = [
              { match = "/i/", alias = "www/" },
              { match = "= /one", alias = "www/a.txt" },
              { match = "~ ^/r/(?<name>[a-z]+)$", alias = "www/$name.txt" },
              { match = "/slashless", alias = "www/" },
            ]
            "#,
        )
        .start();
    for (path, status) in [
        ("/i/a.txt", 200),
        ("/i/sub/index.html", 200),
        ("/i/sub/", 200),
        ("/i/none", 404),
        ("/one", 200),
        ("/r/a", 200),
        ("/r/b", 404),
        ("/slashless/a.txt", 200),
        ("/slashless/sub", 301),
    ] {
        assert_eq!(ask(&proxy, "GET", path, "").0.status(), status, "{path}");
    }
}

fn methods(subject: Subject) {
    let proxy = root(subject);
    for (method, path, status) in [
        ("POST", "/a.txt", 405),
        ("POST", "/none", 404),
        ("PUT", "/a.txt", 405),
        ("PUT", "/none", 405),
        ("DELETE", "/a.txt", 405),
        ("OPTIONS", "/a.txt", 405),
        ("PUT", "/sub/", 405),
        ("POST", "/sub/", 405),
    ] {
        let (head, _) = ask(&proxy, method, path, "Content-Length: 0\r\n");
        assert_eq!(head.status(), status, "{method} {path}");
    }
}

fn no_way_out(subject: Subject) {
    let proxy = root(subject);
    for path in [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/sub/../../secret.txt",
        "/sub/..%2f..%2fsecret.txt",
        "/a.txt%00",
    ] {
        let (head, body) = ask(&proxy, "GET", path, "");
        assert_eq!(head.status(), 400, "{path}");
        assert!(!body.text().contains("secret"), "{path}");
    }
    for path in ["/..../secret.txt", "/%252e%252e/secret.txt", "/sub\\..\\..\\secret.txt"] {
        assert_eq!(ask(&proxy, "GET", path, "").0.status(), 404, "{path}");
    }
}

fn types(subject: Subject) {
    let proxy = with_files(subject)
        .file("www/x.unheard", "")
        .file("www/x", "")
        .file("www/x.MINE", "")
        .file("www/x.json", "{}")
        .nginx(
            "types { text/html html; text/css css; application/json json; text/mine mine; }
             default_type application/octet-stream; root %dir%/www; location / { }",
        )
        .tidegate(
            "[[sites]]\nroot = \"www\"\ntypes = { mine = \"text/mine\" }\ndefault_type = \"application/octet-stream\"\n\
             [[sites.routes]]\nmatch = \"/\"\n",
        )
        .start();
    for (path, kind) in [
        ("/index.html", "text/html"),
        ("/empty/file.css", "text/css"),
        ("/x.json", "application/json"),
        ("/x.MINE", "text/mine"),
        ("/x.unheard", "application/octet-stream"),
        ("/x", "application/octet-stream"),
    ] {
        assert_eq!(ask(&proxy, "GET", path, "").0.get("content-type"), Some(kind), "{path}");
    }
}

fn conditions(subject: Subject) {
    let proxy = root(subject);
    let (tag, later) = ("\"3b9aca00-a\"", "Sun, 09 Sep 2001 01:46:41 GMT");
    for (lines, status) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: W/{tag}\r\n"), 304),
        (format!("If-None-Match: \"x\", {tag}\r\n"), 304),
        ("If-None-Match: *\r\n".to_owned(), 304),
        ("If-None-Match: \"x\"\r\n".to_owned(), 200),
        (format!("If-Modified-Since: {DATE}\r\n"), 304),
        (format!("If-Modified-Since: {later}\r\n"), 200),
        (format!("If-Modified-Since: {DATE}\r\nIf-None-Match: \"x\"\r\n"), 200),
        (format!("If-Modified-Since: {later}\r\nIf-None-Match: {tag}\r\n"), 200),
        (format!("If-Match: {tag}\r\n"), 200),
        (format!("If-Match: W/{tag}\r\n"), 412),
        ("If-Match: \"x\"\r\n".to_owned(), 412),
        (format!("If-Unmodified-Since: {DATE}\r\n"), 200),
        ("If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n".to_owned(), 412),
    ] {
        let (head, body) = ask(&proxy, "GET", "/a.txt", &lines);
        assert_eq!(head.status(), status, "{lines}");
        if status == 304 {
            let shown = (head.get("etag"), head.get("last-modified"), head.get("content-length"));
            assert_eq!(shown, (Some(tag), Some(DATE), None), "{lines}");
            assert_eq!((head.get("content-type"), body.data.len()), (None, 0), "{lines}");
        }
    }
}

fn ranges(subject: Subject) {
    let proxy = root(subject);
    let tag = "\"3b9aca00-a\"";
    for (range, status, content_range, text) in [
        ("bytes=0-0", 206, Some("bytes 0-0/10"), "0"),
        ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
        ("bytes=7-", 206, Some("bytes 7-9/10"), "789"),
        ("bytes=-3", 206, Some("bytes 7-9/10"), "789"),
        ("bytes=0-99", 206, Some("bytes 0-9/10"), "0123456789"),
        ("bytes=20-30,1-2", 206, Some("bytes 1-2/10"), "12"),
        ("bytes=0-9,0-9", 200, None, "0123456789"),
        ("items=0-1", 200, None, "0123456789"),
    ] {
        let (head, body) = ask(&proxy, "GET", "/a.txt", &format!("Range: {range}\r\n"));
        assert_eq!((head.status(), head.get("content-range")), (status, content_range), "{range}");
        assert_eq!(body.text(), text, "{range}");
        assert_eq!(head.get("etag"), Some(tag), "{range}");
        assert_eq!(head.get("accept-ranges"), (status == 200).then_some("bytes"), "{range}");
    }
    for range in ["bytes=10-", "bytes=20-30", "bytes=5-3", "bytes=-0", "bytes=a-b", "bytes=-"] {
        let (head, _) = ask(&proxy, "GET", "/a.txt", &format!("Range: {range}\r\n"));
        assert_eq!((head.status(), head.get("content-range")), (416, Some("bytes */10")), "{range}");
    }
    for (if_range, status) in [(tag, 206), (DATE, 206), ("\"x\"", 200), ("Sun, 09 Sep 2001 01:46:41 GMT", 200)] {
        let (head, _) = ask(&proxy, "GET", "/a.txt", &format!("Range: bytes=0-0\r\nIf-Range: {if_range}\r\n"));
        assert_eq!(head.status(), status, "{if_range}");
    }
    let (head, body) = ask(&proxy, "GET", "/a.txt", "Range: bytes=0-1, -2\r\n");
    let kind = head.get("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range, text| {
        format!("\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {range}/10\r\n\r\n{text}")
    };
    assert_eq!(head.status(), 206);
    assert_eq!(body.text(), format!("{}{}\r\n--{boundary}--\r\n", part("0-1", "01"), part("8-9", "89")));
    let (head, _) = ask(&proxy, "HEAD", "/a.txt", "Range: bytes=2-4\r\n");
    assert_eq!((head.status(), head.get("content-length")), (206, Some("3")));
}

fn a_large_file_is_whole(subject: Subject) {
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let proxy = subject
        .setup()
        .file("www/large.bin", &large)
        .nginx("root %dir%/www; location / { }")
        .tidegate("[[sites]]\nroot = \"www\"\n[[sites.routes]]\nmatch = \"/\"\n")
        .start();
    let (head, body) = ask(&proxy, "GET", "/large.bin", "");
    assert_eq!(head.get("content-length"), Some("3000000"));
    assert!(body.data == large);
    let (_, body) = ask(&proxy, "GET", "/large.bin", "Range: bytes=70000-2999998\r\n");
    assert!(body.data == large[70_000..2_999_999]);
}
