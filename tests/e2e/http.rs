//! Requests that are not upgrades: methods, framing, streaming, versions, header lines.

use std::sync::mpsc::channel;
use std::thread::spawn;

use parking_lot::Mutex;
use tidegate_tests::http::{read_body, read_chunk};
use tidegate_tests::{Backend, Noise, Proxy, Response, Subject, both};

both!(
    get_with_a_length,
    get_chunked,
    get_until_close,
    post_with_a_length,
    post_chunked,
    a_large_body_each_way,
    a_response_streams,
    a_request_streams,
    head_has_no_body,
    no_content_and_not_modified,
    expect_100_continue,
    http_1_0,
    absolute_form,
    bytes_of_header_values_pass,
    methods_pass,
    a_status_line_without_reason,
    many_header_lines_pass,
    a_long_target_passes,
    a_backend_of_http_1_0,
    a_get_with_a_body,
    an_empty_chunked_body,
    a_304_may_tell_a_length,
);

const GET: &str = "GET / HTTP/1.1\r\nHost: ws.example.com\r\n\r\n";

fn get_with_a_length(subject: Subject) {
    let backend = Backend::http(|request| Response::text(&request.head.start).header("X-Kind", "fixed"));
    let proxy = subject.before(backend.address());
    let (head, body) = proxy.get("/some/path?and=query");
    assert_eq!(head.status(), 200);
    assert_eq!(head.get("x-kind"), Some("fixed"));
    assert_eq!(head.get("content-length"), Some("33"));
    assert_eq!(head.get("transfer-encoding"), None);
    assert_eq!(body.text(), "GET /some/path?and=query HTTP/1.1");
}

fn get_chunked(subject: Subject) {
    let backend = Backend::http(|_| Response::new(200).chunked(&["one, ", "two, ", "three"], ""));
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send(GET);
        let (head, body) = client.read_response();
        assert_eq!(head.get("content-length"), None);
        assert!(body.chunked);
        assert_eq!(body.text(), "one, two, three");
    }
}

/// A response without framing ends with its connection; the client's need not.
fn get_until_close(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
    });
    let proxy = subject.before(backend.address());
    let (head, body) = proxy.get("/");
    assert_eq!((head.status(), body.text().as_str()), (200, "until the end"));
    backend.join();
}

fn post_with_a_length(subject: Subject) {
    let backend = Backend::http(|request| Response::text(&request.body.data));
    let proxy = subject.before(backend.address());
    let (head, body) = proxy.ask("POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\na=b&c=d&e=f");
    assert_eq!((head.status(), body.text().as_str()), (200, "a=b&c=d&e=f"));
    let seen = backend.only_head();
    assert_eq!(seen.get("content-length"), Some("11"));
    assert_eq!(seen.get("transfer-encoding"), None);
}

fn post_chunked(subject: Subject) {
    let backend = Backend::http(|request| Response::text(&request.body.data));
    let proxy = subject.before(backend.address());
    let (head, body) = proxy.ask(
        "POST /form HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n7;ext=1\r\n, world\r\n0\r\n\r\n",
    );
    assert_eq!((head.status(), body.text().as_str()), (200, "hello, world"));
    let seen = backend.only_head();
    // nginx counts a body that came whole with the head.
    match seen.get("content-length") {
        Some(length) => assert_eq!((length, seen.get("transfer-encoding")), ("12", None)),
        None => assert_eq!(seen.get("transfer-encoding"), Some("chunked")),
    }
}

fn a_large_body_each_way(subject: Subject) {
    const LENGTH: usize = 16 << 20;
    let backend = Backend::script(|mut wire, _| {
        let head = wire.read_head();
        assert_eq!(head.get("content-length"), Some(LENGTH.to_string().as_str()));
        wire.expect_noise(&mut Noise::new(41), LENGTH);
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"));
        wire.send(Noise::new(42).take(LENGTH));
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    let mut writer = client.writer();
    let writing = spawn(move || {
        writer.send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LENGTH}\r\n\r\n"));
        writer.send(Noise::new(41).take(LENGTH));
    });
    let head = client.read_head();
    assert_eq!(head.status(), 200, "{}", head.raw.escape_ascii());
    client.expect_noise(&mut Noise::new(42), LENGTH);
    writing.join().unwrap();
    drop((client, proxy));
    backend.join();
}

/// The second part is sent only when the client has the first.
fn a_response_streams(subject: Subject) {
    let (got, told) = channel();
    let told = Mutex::new(told);
    let backend = Backend::script(move |mut wire, _| {
        wire.read_head();
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        let () = told.lock().recv().expect("the client gets the first part");
        wire.send("6\r\nsecond\r\n");
        let () = told.lock().recv().expect("the client gets the second part");
        wire.send("0\r\n\r\n");
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(GET);
    assert_eq!(client.read_head().status(), 200);
    for part in ["first", "second"] {
        assert_eq!(read_chunk(&mut client), part.as_bytes());
        got.send(()).unwrap();
    }
    assert_eq!(read_chunk(&mut client), b"");
    drop((client, proxy));
    backend.join();
}

/// The client sends the second part only when the backend has the first.
fn a_request_streams(subject: Subject) {
    let (got, told) = channel();
    let got = Mutex::new(got);
    let backend = Backend::script(move |mut wire, _| {
        let head = wire.read_head();
        assert_eq!(head.get("transfer-encoding"), Some("chunked"));
        for part in ["first", "second"] {
            assert_eq!(read_chunk(&mut wire), part.as_bytes());
            got.lock().send(()).unwrap();
        }
        assert_eq!(read_chunk(&mut wire), b"");
        wire.expect("\r\n");
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nboth");
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for part in ["5\r\nfirst\r\n", "6\r\nsecond\r\n"] {
        client.send(part);
        let () = told.recv().expect("the backend gets the part");
    }
    client.send("0\r\n\r\n");
    let (head, body) = client.read_response();
    assert_eq!((head.status(), body.text().as_str()), (200, "both"));
    drop((client, proxy));
    backend.join();
}

fn head_has_no_body(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        assert_eq!(wire.read_head().start, "HEAD / HTTP/1.1");
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nX-Kind: head\r\n\r\n");
        assert_eq!(wire.read_head().start, "GET /next HTTP/1.1");
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext");
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = client.read_head();
    assert_eq!((head.status(), head.get("content-length")), (200, Some("1234")));
    assert_eq!(head.get("x-kind"), Some("head"));
    client.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    let (_, body) = client.read_response();
    assert_eq!(body.text(), "next");
    drop((client, proxy));
    backend.join();
}

fn no_content_and_not_modified(subject: Subject) {
    let backend = Backend::http(|request| match request.head.target() {
        "/204" => Response::new(204).header("X-Kind", "none"),
        "/304" => Response::new(304).header("ETag", "\"x\""),
        _ => Response::text("some"),
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send("GET /204 HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = client.read_head();
    assert_eq!((head.status(), head.get("x-kind"), head.get("transfer-encoding")), (204, Some("none"), None));
    client.send("GET /304 HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = client.read_head();
    assert_eq!((head.status(), head.get("etag"), head.get("transfer-encoding")), (304, Some("\"x\""), None));
    client.send("GET /200 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_response().1.text(), "some");
    assert_eq!(backend.connections(), 1);
}

fn expect_100_continue(subject: Subject) {
    let backend = Backend::http(|request| Response::text(&request.body.data));
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.read_head().status(), 100);
    client.send("hello");
    let head = client.read_head();
    assert_eq!(head.status(), 200);
    assert_eq!(read_body(&mut client, &head, false).text(), "hello");
}

fn http_1_0(subject: Subject) {
    let backend = Backend::http(|_| Response::new(200).chunked(&["one, ", "two"], ""));
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let head = client.read_head();
    assert_eq!(head.status(), 200);
    assert_eq!(head.get("transfer-encoding"), None, "HTTP/1.0 has no chunks");
    assert_eq!(client.read_until_close(), b"one, two");
    assert_eq!(backend.only_head().start, "GET / HTTP/1.1");
}

/// RFC 9112 section 3.2.2: the target's host counts, not the header's.
fn absolute_form(subject: Subject) {
    let backend = Backend::reflect();
    let proxy = subject.before(backend.address());
    let (_, body) = proxy.ask("GET http://ws.example.com/x?y=1 HTTP/1.1\r\nHost: other.example.com\r\n\r\n");
    assert_eq!(body.text(), "GET /x?y=1 HTTP/1.1");
    assert_eq!(backend.only_head().get("host"), Some("ws.example.com"));
}

fn bytes_of_header_values_pass(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        let head = wire.read_head();
        let line = b"X-Bytes: \xFFa\tb\xE9\r\n";
        assert!(head.raw.windows(line.len()).any(|w| w == line), "{}", head.raw.escape_ascii());
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Back: \xE9 \xFF\r\n\r\n");
        wire.expect_close();
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Bytes: \xFFa\tb\xE9\r\n\r\n");
    let head = client.read_head();
    let line = b"X-Back: \xE9 \xFF\r\n";
    assert!(head.raw.windows(line.len()).any(|w| w == line), "{}", head.raw.escape_ascii());
    drop((client, proxy));
    backend.join();
}

fn methods_pass(subject: Subject) {
    let backend = Backend::http(|request| Response::text(request.head.method()));
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    for method in ["OPTIONS", "DELETE", "PATCH", "PROPFIND", "PURGE"] {
        client.send(format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(client.read_response().1.text(), method);
    }
}

fn a_status_line_without_reason(subject: Subject) {
    let backend = Backend::http(|_| Response::raw("HTTP/1.1 299 \r\nContent-Length: 2\r\n\r\nok"));
    let proxy = subject.before(backend.address());
    let (head, body) = proxy.get("/");
    assert_eq!((head.status(), body.text().as_str()), (299, "ok"));
}

/// The limit of a head is its size, not how many lines it has.
fn many_header_lines_pass(subject: Subject) {
    let lines: String = (0..180).map(|i| format!("X-Line-{i}: {i}\r\n")).collect();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{lines}\r\n");
    let backend = Backend::http(move |_| Response::raw(&answer));
    let proxy = subject.before(backend.address());
    let (head, _) = proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n"));
    assert_eq!(head.status(), 200);
    let seen = backend.only_head();
    for i in 0..180 {
        let (name, value) = (format!("x-line-{i}"), i.to_string());
        assert_eq!((seen.get(&name), head.get(&name)), (Some(value.as_str()), Some(value.as_str())), "{name}");
    }
}

fn a_long_target_passes(subject: Subject) {
    let backend = Backend::reflect();
    let proxy = subject.before(backend.address());
    let target = format!("/{}?{}", "a".repeat(3000), "b".repeat(4000));
    assert_eq!(proxy.get(&target).1.text(), format!("GET {target} HTTP/1.1"));
}

fn a_backend_of_http_1_0(subject: Subject) {
    let backend = Backend::script(|mut wire, number| {
        wire.read_head();
        wire.send(match number {
            1 => "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            _ => "HTTP/1.0 200 OK\r\n\r\nuntil the end",
        });
    });
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    for wanted in ["ok", "until the end"] {
        client.send(GET);
        let (head, body) = client.read_response();
        assert!(head.start.starts_with("HTTP/1.1 200"), "{}", head.start);
        assert_eq!(body.text(), wanted);
    }
    backend.join();
}

fn a_get_with_a_body(subject: Subject) {
    let backend = Backend::http(|request| Response::text(&request.body.data));
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    for text in ["hello", "again"] {
        client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{text}"));
        assert_eq!(client.read_response().1.text(), text);
    }
}

fn an_empty_chunked_body(subject: Subject) {
    let backend = Backend::http(|request| Response::text(format!("{} bytes", request.body.data.len())));
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        assert_eq!(client.read_response().1.text(), "0 bytes");
    }
}

fn a_304_may_tell_a_length(subject: Subject) {
    let backend =
        Backend::http(|_| Response::raw("HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\nETag: \"x\"\r\n\r\n"));
    let proxy = subject.before(backend.address());
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send(GET);
        let (head, _) = client.read_response();
        assert_eq!((head.status(), head.get("etag")), (304, Some("\"x\"")));
    }
}

#[test]
fn trailers_pass_both_ways() {
    let backend = Backend::http(|request| {
        let (name, value) = &request.body.trailers[0];
        assert!(name.eq_ignore_ascii_case("x-sum"), "{name}");
        assert_eq!((value.as_str(), request.body.trailers.len()), ("abc", 1));
        Response::new(200).header("Trailer", "X-Check").chunked(&["body"], "X-Check: 123\r\n")
    });
    let proxy = to_backend(&backend);
    let (head, body) = proxy.ask(
        "POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
         4\r\ndata\r\n0\r\nx-sum: abc\r\n\r\n",
    );
    assert_eq!(head.status(), 200);
    assert_eq!(body.text(), "body");
    let (name, value) = &body.trailers[0];
    assert!(name.eq_ignore_ascii_case("x-check"), "{name}");
    assert_eq!(value, "123");
}

#[test]
fn early_hints_do_not_break_the_response() {
    let backend = Backend::http(|_| {
        Response::raw(
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n\
             HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal",
        )
    });
    let proxy = to_backend(&backend);
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send(GET);
        let (head, body) = client.read_response();
        assert_eq!((head.status(), body.text().as_str()), (200, "final"));
    }
}

/// RFC 9110 section 7.6.1: what `Connection` names ends here, as do the fields that are
/// known to belong to one connection.
#[test]
fn hop_by_hop_headers_end_here() {
    let backend = Backend::http(|_| {
        Response::text("ok")
            .header("Connection", "X-Theirs, keep-alive")
            .header("X-Theirs", "1")
            .header("Keep-Alive", "timeout=5")
            .header("Proxy-Connection", "keep-alive")
            .header("X-Kept", "2")
    });
    let proxy = to_backend(&backend);
    let (head, _) = proxy.ask(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: X-Ours, close\r\nX-Ours: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n\
         Proxy-Connection: keep-alive\r\nX-Kept: 2\r\n\r\n",
    );
    let seen = backend.only_head();
    for name in ["x-ours", "keep-alive", "te", "proxy-connection"] {
        assert_eq!(seen.get(name), None, "{name} went to the backend");
    }
    assert!(!seen.lists("connection", "close"), "the client's `close` is not the backend's");
    assert_eq!(seen.get("x-kept"), Some("2"));
    for name in ["x-theirs", "keep-alive", "proxy-connection"] {
        assert_eq!(head.get(name), None, "{name} came to the client");
    }
    assert_eq!(head.get("x-kept"), Some("2"));
}

fn to_backend(backend: &Backend) -> Proxy {
    Subject::Tidegate.before(backend.address())
}
