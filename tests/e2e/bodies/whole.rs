//! Bodies that plugins see whole, while the head can still be changed.

use tidegate_tests::{Backend, Response};

use super::{LANES, before, chunked, post, set_up, status_and_text, telling, with};

const WHOLE: &str = "wish = \"whole\"";

#[test]
fn a_requests_body_is_replaced_with_its_length() {
    let backend = telling();
    for lane in LANES {
        let proxy = before(backend.address(), set_up("request-body", &["wish = \"whole\", mark = \"!\""], lane, ""));
        let mut client = proxy.connect();
        // On one connection, so that what is left of one would be taken for the next.
        for (sent, told) in [
            (post("hello", ""), "6|HELLO!||5 bytes at /form"),
            (chunked(&["he", "llo"], ""), "6|HELLO!||5 bytes at /form"),
            (post("!pass", ""), "5|!pass||5 bytes at /form"),
            (chunked(&["!pa", "ss"], "X-Sum: 1\r\n"), "chunked|!pass|X-Sum=1|5 bytes at /form"),
            (post("!drop", ""), "0|||5 bytes at /form"),
            (post("hello", "X-Unseen: 1\r\n"), "5|hello||"),
            // There is no body, and so nothing to ask about.
            (post("", ""), "0|||"),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "none|||"),
        ] {
            client.send(&sent);
            let answer = client.read_response();
            assert_eq!(status_and_text(&answer), (200, told.to_owned()), "{sent}");
        }
    }
}

#[test]
fn trailers_of_a_whole_body() {
    let backend = telling();
    let config = "wish = \"whole\", tally = true, quiet = true";
    let proxy = before(backend.address(), set_up("request-body", &[config], "", ""));
    let answer = proxy.ask(chunked(&["abc"], "X-Sum: 12\r\n"));
    assert_eq!(status_and_text(&answer), (200, "chunked|abc|x-sum=2:12|3 bytes at /form".to_owned()));
}

#[test]
fn a_plugin_answers_in_place_of_the_upstream() {
    let backend = telling();
    for lane in LANES {
        let proxy = before(backend.address(), set_up("request-body", &[WHOLE], lane, ""));
        let before = backend.connections();
        let mut client = proxy.connect();
        for _ in 0..2 {
            client.send(post("!reply not this", ""));
            let answer = client.read_response();
            assert_eq!(status_and_text(&answer), (403, "not this".to_owned()));
            assert_eq!(answer.0.get("x-why"), Some("told so"));
        }
        assert_eq!(backend.connections(), before, "the upstream was not asked");
        client.send(post("go on", ""));
        assert_eq!(client.read_response().0.status(), 200, "the connection goes on");
    }
}

/// The client waits to be told to send; a plugin that sees the body whole wants it.
#[test]
fn a_client_that_waits_for_100() {
    let backend = telling();
    let proxy = before(backend.address(), set_up("request-body", &[WHOLE], "", "bodies = { max_size = \"8B\" }"));
    let mut client = proxy.connect();
    let head = |length: usize| {
        format!("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
    };
    client.send(head(5));
    assert_eq!(client.read_head().status(), 100);
    client.send("hello");
    assert_eq!(client.read_response().1.text(), "5|HELLO||5 bytes at /");
    // What is too large is refused before it is sent.
    client.send(head(9));
    assert_eq!(client.read_head().status(), 413);
}

#[test]
fn a_request_that_is_too_large() {
    let backend = telling();
    let large = "x".repeat(5000);
    for (config, route, shown) in [
        (WHOLE, "bodies = { max_size = \"4999B\" }", false),
        ("wish = \"whole\", most = 4999", "", false),
        (WHOLE, "bodies = { max_size = \"5000B\" }", true),
        // A plugin's wish does not reach beyond the route's cap.
        ("wish = \"whole\", most = 9999", "bodies = { max_size = \"4999B\" }", false),
    ] {
        let proxy = before(backend.address(), set_up("request-body", &[config], "", route));
        for sent in [post(&large, ""), chunked(&[&large], "")] {
            let answer = proxy.ask(sent);
            let wanted = if shown { 200 } else { 413 };
            assert_eq!(answer.0.status(), wanted, "{config} {route}");
        }
    }
    // Or it passes unseen, as it came.
    let route = "bodies = { max_size = \"4999B\", too_large = \"pass\" }";
    let proxy = before(backend.address(), set_up("request-body", &[WHOLE], "", route));
    assert_eq!(proxy.ask(post(&large, "")).1.text(), format!("5000|{large}||"));
    assert_eq!(proxy.ask(chunked(&[&large], "X-Sum: 1\r\n")).1.text(), format!("chunked|{large}|X-Sum=1|"));
}

#[test]
fn an_answer_is_replaced_with_its_length() {
    let backend = Backend::http(|request| match request.head.target() {
        "/length" => Response::text("hello").header("ETag", "\"a\"").header("Accept-Ranges", "bytes"),
        "/chunks" => Response::new(201).chunked(&["he", "llo"], ""),
        "/pass" => Response::text("!pass").header("ETag", "\"a\""),
        "/trailers" => Response::new(200).chunked(&["!pass"], "X-Sum: 1\r\n"),
        "/unseen" => Response::text("hello").header("X-Unseen", "1"),
        "/reply" => Response::text("!reply other").header("X-Mine", "1"),
        "/empty" => Response::text(""),
        _ => Response::new(204),
    });
    for lane in LANES {
        let proxy = before(backend.address(), set_up("response-body", &[WHOLE], lane, ""));
        let mut client = proxy.connect();
        let mut get = |path: &str| {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
            client.read_response()
        };
        let (head, body) = get("/length");
        assert_eq!((head.status(), body.text().as_str()), (200, "HELLO"));
        assert_eq!((head.get("content-length"), head.get("x-status")), (Some("5"), Some("200")));
        assert_eq!((head.get("etag"), head.get("accept-ranges")), (Some("W/\"a\""), None));
        assert_eq!(head.get("x-seen"), Some("5 bytes at /length"));
        let (head, body) = get("/chunks");
        assert_eq!((head.status(), body.text().as_str()), (201, "HELLO"));
        assert_eq!((head.get("content-length"), head.get("transfer-encoding")), (Some("5"), None));
        let (head, body) = get("/pass");
        assert_eq!((head.get("etag"), body.text().as_str()), (Some("\"a\""), "!pass"));
        let (_, body) = get("/trailers");
        assert_eq!((body.text().as_str(), body.trailers), ("!pass", vec![("X-Sum".to_owned(), "1".to_owned())]));
        let (head, body) = get("/unseen");
        assert_eq!((head.get("x-seen"), body.text().as_str()), (None, "hello"));
        let (head, body) = get("/reply");
        assert_eq!((head.status(), body.text().as_str()), (403, "other"));
        assert_eq!((head.get("x-mine"), head.get("x-why")), (None, Some("told so")));
        for (path, status) in [("/empty", 200), ("/none", 204)] {
            let (head, body) = get(path);
            assert_eq!((head.status(), head.get("x-seen"), body.data.len()), (status, None, 0), "{path}");
        }
    }
}

/// What a GET would be told of the body is not known without it.
#[test]
fn an_answer_to_head() {
    let backend = Backend::script(|mut wire, _| {
        while let Some(head) = wire.try_read_head() {
            let unseen = if head.target() == "/unseen" { "X-Unseen: 1\r\n" } else { "" };
            wire.send(format!("HTTP/1.1 200 OK\r\n{unseen}Content-Length: 5\r\n\r\n"));
        }
    });
    let proxy = before(backend.address(), set_up("response-body", &[WHOLE], "", ""));
    let mut client = proxy.connect();
    for (path, length) in [("/", None), ("/unseen", Some("5"))] {
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let head = client.read_head();
        assert_eq!((head.status(), head.get("content-length")), (200, length), "{path}");
    }
}

#[test]
fn an_answer_that_is_too_large() {
    let large = "x".repeat(5000);
    let answer = large.clone();
    let backend = Backend::http(move |request| match request.head.target() {
        "/chunks" => Response::new(200).chunked(&[&answer], "X-Sum: 1\r\n"),
        _ => Response::text(&answer),
    });
    let refusing = set_up("response-body", &[WHOLE], "", "bodies = { max_size = \"4999B\" }");
    let proxy = before(backend.address(), refusing);
    for path in ["/", "/chunks"] {
        assert_eq!(proxy.get(path).0.status(), 502, "{path}");
    }
    let passing = "bodies = { max_size = \"4999B\", too_large = \"pass\" }";
    let proxy = before(backend.address(), set_up("response-body", &[WHOLE], "", passing));
    let (head, body) = proxy.get("/");
    assert_eq!((head.get("content-length"), body.text() == large), (Some("5000"), true));
    let (head, body) = proxy.get("/chunks");
    assert_eq!((head.get("content-length"), body.text() == large, body.trailers.len()), (None, true, 1));
}

/// Requests: in the order of the route. Answers: in the reverse, as layers around the upstream.
#[test]
fn several_plugins() {
    let marks = ["a", "b", "c"].map(|mark| format!("wish = \"whole\", mark = \"{mark}\""));
    let marks = marks.each_ref().map(String::as_str);
    let backend = telling();
    let proxy = before(backend.address(), set_up("request-body", &marks, "", ""));
    assert_eq!(proxy.ask(post("x", "")).1.text(), "4|XABc||3 bytes at /form");
    let backend = Backend::named("x");
    let proxy = before(backend.address(), set_up("response-body", &marks, "", ""));
    assert_eq!(proxy.get("/").1.text(), "XCBa");
    // One that sees pieces before one that sees it whole.
    let mixed =
        ["wish = \"chunks\", mark = \"a\"", "wish = \"whole\", mark = \"b\"", "wish = \"chunks\", tally = true"];
    let backend = telling();
    let proxy = before(backend.address(), set_up("request-body", &mixed, "", ""));
    assert_eq!(proxy.ask(post("x", "")).1.text(), "chunked|XAB[3 bytes, some]||2 bytes at /form");
    assert_eq!(proxy.ask(post("!reply early", "")).0.status(), 403, "while another waits for all of it");
}

/// A body that was shown whole is there for the next peer too.
#[test]
fn a_shown_body_is_sent_again() {
    let first = Backend::script(|mut wire, _| {
        let head = wire.read_head();
        let body = tidegate_tests::http::read_body(&mut wire, &head, false);
        assert_eq!(body.text(), "HELLO");
        wire.reset();
    });
    let second = telling();
    let group = format!("[{{ address = \"{}\" }}, {{ address = \"{}\" }}]", first.address(), second.address());
    let group = format!("[upstreams.group]\npeers = {group}\n");
    let setup = with(&group, "request-body", &[WHOLE], "", "next_upstream = [\"error\", \"non_idempotent\"]");
    let proxy = setup.var("backend", "group").start();
    assert_eq!(proxy.ask(chunked(&["hel", "lo"], "")).1.text(), "5|HELLO||5 bytes at /form");
}

/// Upstreams are asked for plain and whole answers; what is shown is compressed afterwards.
#[test]
fn what_upstreams_are_asked_for() {
    let backend = Backend::http(|request| {
        let asked = ["accept-encoding", "range"].map(|name| request.head.get(name).unwrap_or("none").to_owned());
        Response::text(asked.join(" ").repeat(20)).header("Content-Type", "text/plain")
    });
    let ask = "GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nRange: bytes=0-1\r\n\r\n";
    let proxy = before(backend.address(), set_up("response-body", &[WHOLE], "", ""));
    assert_eq!(proxy.ask(ask).1.text(), "NONE NONE".repeat(20));
    let proxy = before(backend.address(), set_up("response-body", &[WHOLE], "", "bodies = { plain = false }"));
    assert_eq!(proxy.ask(ask).1.text(), "GZIP BYTES=0-1".repeat(20));
    let setup = set_up("response-body", &[WHOLE], "", "compress = { types = [\"text/plain\"] }");
    let (head, body) = before(backend.address(), setup).ask(ask);
    assert_eq!(head.get("content-encoding"), Some("gzip"));
    let mut plain = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&body.data[..]), &mut plain).unwrap();
    assert_eq!(plain, "NONE NONE".repeat(20));
}
