//! `client_max_body_size`: by what the head declares, and as the body comes.

use tidegate_tests::{Backend, Proxy, Response, Subject, both};

both!(declared_length, chunks, the_default_is_a_mebibyte);

fn upload(proxy: &Proxy, path: &str, length: usize) -> u16 {
    let mut client = proxy.connect();
    client.send(format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"));
    // It may be refused before all of it was sent.
    let _ = client.try_send(vec![b'x'; length]);
    client.read_head().status()
}

fn declared_length(subject: Subject) {
    let backend = Backend::http(|request| Response::text(request.body.data.len().to_string()));
    let proxy = subject
        .setup()
        .nginx(
            "client_max_body_size 1k;
             location / { proxy_pass http://%backend%; }
             location /large { client_max_body_size 3m; proxy_pass http://%backend%; }
             location /any { client_max_body_size 0; proxy_pass http://%backend%; }",
        )
        .tidegate(
            "[[sites]]\nupstream = \"%backend%\"\nlimits = { max_body = \"1k\" }\n\
             [[sites.routes]]\nmatch = \"/\"\n\
             [[sites.routes]]\nmatch = \"/large\"\nlimits = { max_body = \"3m\" }\n\
             [[sites.routes]]\nmatch = \"/any\"\nlimits = { max_body = 0 }\n",
        )
        .var("backend", backend.address())
        .start();
    for (path, length, wanted) in [
        ("/", 1024, 200),
        ("/", 1025, 413),
        ("/large", 3 << 20, 200),
        ("/large", (3 << 20) + 1, 413),
        ("/any", 4 << 20, 200),
    ] {
        assert_eq!(upload(&proxy, path, length), wanted, "{path} {length}");
    }
    // Refused before its body is sent, and the connection ends, since the body may still come.
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n");
    let (head, _) = client.read_response();
    assert_eq!((head.status(), head.get("connection")), (413, Some("close")));
}

/// A body that does not say how long it is.
fn chunks(subject: Subject) {
    let backend = Backend::http(|request| Response::text(request.body.data.len().to_string()));
    let proxy = subject
        .setup()
        .nginx("client_max_body_size 1k; location / { proxy_pass http://%backend%; proxy_http_version 1.1; }")
        .tidegate(
            "[[sites]]\nlimits = { max_body = \"1k\" }\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n",
        )
        .var("backend", backend.address())
        .start();
    let piece = format!("200\r\n{}\r\n", "x".repeat(0x200));
    for (body, wanted) in [
        (format!("{piece}{piece}0\r\n\r\n"), 200),
        (format!("{piece}{piece}1\r\ny\r\n0\r\n\r\n"), 413),
        (format!("{piece}{piece}{piece}"), 413),
    ] {
        let (head, answer) =
            proxy.ask(format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        assert_eq!(head.status(), wanted, "{}", body.len());
        if wanted == 200 {
            assert_eq!(answer.text(), "1024");
        } else {
            assert_eq!(head.get("connection"), Some("close"));
        }
    }
}

fn the_default_is_a_mebibyte(subject: Subject) {
    let backend = Backend::http(|request| Response::text(request.body.data.len().to_string()));
    let proxy = subject
        .setup()
        .nginx("location / { proxy_pass http://%backend%; }")
        .tidegate("[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n")
        .var("backend", backend.address())
        .start();
    assert_eq!([upload(&proxy, "/", 1 << 20), upload(&proxy, "/", (1 << 20) + 1)], [200, 413]);
}
