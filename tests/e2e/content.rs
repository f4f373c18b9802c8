//! Files, compression, error pages and buffers, where nginx has no such thing or differs.

use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::sync::mpsc::channel;

use parking_lot::Mutex;
use tidegate_tests::backend::Refusing;
use tidegate_tests::http::read_chunk;
use tidegate_tests::{Backend, Proxy, Response, tidegate};

fn get(proxy: &Proxy, path: &str, lines: &str) -> (tidegate_tests::Head, tidegate_tests::http::Body) {
    proxy.ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n"))
}

#[test]
fn symbolic_links() {
    let proxy = tidegate(
        r#"
        [[sites]]
        root = "www"
        routes = [
          { match = "/" },
          { match = "/never/", alias = "www/", follow_symlinks = "never" },
          { match = "/anywhere/", alias = "www/", follow_symlinks = "anywhere" },
        ]
        "#,
    )
    .file("www/file.txt", "inside")
    .file("www/sub/x.txt", "inside")
    .file("secret/secret.txt", "secret")
    .start();
    let www = proxy.dir().join("www");
    symlink("file.txt", www.join("near.txt")).unwrap();
    symlink("../secret/secret.txt", www.join("far.txt")).unwrap();
    symlink(proxy.dir().join("secret"), www.join("folder")).unwrap();
    for (name, inside, never, anywhere) in [
        ("file.txt", 200, 200, 200),
        ("near.txt", 200, 403, 200),
        ("far.txt", 403, 403, 200),
        ("folder/secret.txt", 403, 403, 200),
    ] {
        let statuses =
            ["/", "/never/", "/anywhere/"].map(|start| get(&proxy, &format!("{start}{name}"), "").0.status());
        assert_eq!(statuses, [inside, never, anywhere], "{name}");
    }
}

#[test]
fn an_alias_without_a_slash_has_no_way_out() {
    let proxy = tidegate("[[sites]]\n[[sites.routes]]\nmatch = \"/i\"\nalias = \"www\"\n")
        .file("www/a.txt", "a")
        .file("wwwa.txt", "beside")
        .file("secret.txt", "secret")
        .start();
    assert_eq!(get(&proxy, "/i/a.txt", "").0.status(), 200);
    // nginx serves both of these: the first is the way out that it is known for.
    for path in ["/i../secret.txt", "/ia.txt"] {
        assert_eq!(get(&proxy, path, "").0.status(), 404, "{path}");
    }
}

#[test]
fn codings_by_preference() {
    let text = "hello compression ".repeat(1000);
    let backend = Backend::http({
        let text = text.clone();
        move |request| {
            let response = Response::new(200).header("Content-Type", "text/html");
            let response = match request.head.target() {
                "/no-transform" => response.header("Cache-Control", "max-age=1, No-Transform"),
                "/partial" => {
                    Response::new(206).header("Content-Type", "text/html").header("Content-Range", "bytes 0-9/20")
                }
                _ => response,
            };
            response.body(&text)
        }
    });
    let proxy = tidegate("[[sites]]\nupstream = \"%backend%\"\ncompress = {}\n[[sites.routes]]\nmatch = \"/\"\n")
        .var("backend", backend.address())
        .start();
    for (accept, coding) in [
        ("gzip, br, zstd", "br"),
        ("gzip, zstd", "zstd"),
        ("gzip", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("*", "br"),
    ] {
        let (head, body) = get(&proxy, "/", &format!("Accept-Encoding: {accept}\r\n"));
        assert_eq!(head.get("content-encoding"), Some(coding), "{accept}");
        let mut back = String::new();
        match coding {
            "br" => brotli::Decompressor::new(&*body.data, 4096).read_to_string(&mut back),
            "zstd" => zstd::stream::read::Decoder::new(&*body.data).unwrap().read_to_string(&mut back),
            _ => flate2::read::GzDecoder::new(&*body.data).read_to_string(&mut back),
        }
        .unwrap();
        assert!(back == text && body.data.len() < text.len() / 10, "{coding}: {} bytes", body.data.len());
    }
    for path in ["/no-transform", "/partial"] {
        let (head, body) = get(&proxy, path, "Accept-Encoding: br, gzip\r\n");
        assert_eq!((head.get("content-encoding"), head.get("vary")), (None, None), "{path}");
        assert_eq!(body.text(), text, "{path}");
    }
}

/// An event is on the wire, and can be unpacked, before the next one exists.
#[test]
fn events_are_not_held_back() {
    let (next, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            wire.send(format!("{:x}\r\n{event}\r\n", event.len()));
            wait.lock().recv().unwrap();
        }
        wire.send("0\r\n\r\n");
    });
    let proxy = tidegate(
        "[[sites]]\nupstream = \"%backend%\"\ncompress = { codings = [\"gzip\"], types = [\"text/event-stream\"] }\n\
         [[sites.routes]]\nmatch = \"/\"\n",
    )
    .var("backend", backend.address())
    .start();
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    assert_eq!(client.read_head().get("content-encoding"), Some("gzip"));
    let mut packed = Vec::new();
    for wanted in ["data: 1\n\n", "data: 1\n\ndata: 2\n\n"] {
        let mut text = Vec::new();
        while text.len() < wanted.len() {
            packed.extend_from_slice(&read_chunk(&mut client));
            text = vec![0; wanted.len()];
            let read = flate2::read::GzDecoder::new(&*packed).read_exact(&mut text);
            if read.is_err() {
                text.clear();
            }
        }
        assert_eq!(text, wanted.as_bytes());
        next.send(()).unwrap();
    }
    assert!(!read_chunk(&mut client).is_empty(), "gzip's own end");
    assert!(read_chunk(&mut client).is_empty());
}

#[test]
fn a_tunnel_is_not_compressed() {
    let backend = Backend::ws_echo();
    let proxy = tidegate(
        "[[sites]]\nupstream = \"%backend%\"\ncompress = { types = [\"*\"] }\nbuffer_responses = \"1MiB\"\n\
         buffer_requests = \"1MiB\"\n[[sites.routes]]\nmatch = \"/\"\n",
    )
    .var("backend", backend.address())
    .start();
    let mut client = proxy.open("/ws");
    client.echo(&tidegate_tests::ws::Frame::text("hello"));
}

#[test]
fn an_error_page_can_be_a_text() {
    let dead = Refusing::new();
    let proxy = tidegate(
        r#"
        [[sites]]
        upstream = "%dead%"
        error_pages = { "502" = "<h1>$host is away</h1>", "404 =200" = "nothing" }
        add_response_headers = { X-All = "1" }
        append_response_headers = { X-Always = "1" }
        [[sites.routes]]
        match = "/"
        [[sites.routes]]
        match = "/none"
        respond = { status = 404 }
        "#,
    )
    .var("dead", dead.address())
    .start();
    let (head, body) = get(&proxy, "/", "");
    assert_eq!((head.status(), head.get("content-type")), (502, Some("text/html")));
    assert_eq!((head.get("x-all"), head.get("x-always")), (None, Some("1")));
    assert_eq!(body.text(), "<h1>x is away</h1>");
    let (head, body) = get(&proxy, "/none", "");
    assert_eq!((head.status(), head.get("content-type"), body.text().as_str()), (200, Some("text/plain"), "nothing"));
}

#[test]
fn an_error_page_keeps_the_challenge() {
    let proxy = tidegate(
        r#"
        [[sites]]
        root = "www"
        error_pages = { "401" = "/401.html" }
        routes = [
          { match = "/", auth_basic = { realm = "r", users = "ann:{PLAIN}secret" } },
          { match = "= /401.html" },
        ]
        "#,
    )
    .file("www/401.html", "who are you")
    .start();
    let (head, body) = get(&proxy, "/", "");
    assert_eq!((head.status(), body.text().as_str()), (401, "who are you"));
    assert_eq!(head.get("www-authenticate"), Some("Basic realm=\"r\", charset=\"UTF-8\""));
}

#[test]
fn a_body_that_does_not_fit_its_buffer_is_refused() {
    let backend = Backend::http(|request| Response::text(request.body.data.len().to_string()));
    let proxy =
        tidegate("[[sites]]\nupstream = \"%backend%\"\nbuffer_requests = \"1KiB\"\n[[sites.routes]]\nmatch = \"/\"\n")
            .var("backend", backend.address())
            .start();
    let post = |length: usize, chunked: bool| {
        let body = "x".repeat(length);
        let mut client = proxy.connect();
        client.send(if chunked {
            format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
        } else {
            format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
        });
        client.read_response().0.status()
    };
    for chunked in [false, true] {
        assert_eq!([post(1024, chunked), post(1025, chunked)], [200, 413], "{chunked}");
    }
    assert_eq!(backend.heads().len(), 2);
}

/// A body that is held serves for the next peer.
#[test]
fn a_held_body_goes_to_the_next_peer() {
    let dead = Refusing::new();
    let backend = Backend::http(|request| Response::text(request.body.text()));
    let proxy = tidegate(
        r#"
        [upstreams.two]
        peers = [{ address = "%dead%", weight = 100 }, "%backend%"]
        [[sites]]
        upstream = "two"
        buffer_requests = "1KiB"
        [[sites.routes]]
        match = "/"
        "#,
    )
    .var("dead", dead.address())
    .var("backend", backend.address())
    .start();
    let (head, body) =
        proxy.ask("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n");
    assert_eq!((head.status(), body.text().as_str()), (200, "body"));
}
