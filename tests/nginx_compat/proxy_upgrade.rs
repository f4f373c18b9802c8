//! As nginx's own `proxy_upgrade.t`: a protocol of plain text lines after 101, with lines
//! that came before the switch was done.

use tidegate_tests::{Backend, Proxy, Subject, Wire, both};

both!(
    lines_go_both_ways,
    lines_sent_with_the_request,
    lines_sent_with_the_answer,
    lines_sent_with_both,
    an_upgrade_that_is_not_taken,
    the_same_connection_after_an_upgrade_that_is_not_taken,
);

const ASK: &str = "GET /foo HTTP/1.1\r\nHost: localhost\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n";
const YES: &str = "HTTP/1.1 101 Switching\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n";

fn passing_foo(subject: Subject, backend: &Backend) -> Proxy {
    subject
        .setup()
        .nginx(
            r#"location / {
                proxy_pass http://%backend%;
                proxy_http_version 1.1;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection $guide_connection;
            }"#,
        )
        .tidegate("[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nupgrade = [\"foo\"]")
        .var("backend", backend.address())
        .start()
}

/// Answers 101 and `with_it` in one piece, then each line with `got: ` before it.
fn lines_backend(with_it: &'static str) -> Backend {
    Backend::script(move |mut wire, _| {
        let head = wire.read_head();
        assert_eq!(head.get("upgrade"), Some("foo"));
        assert!(head.lists("connection", "upgrade"));
        wire.send(format!("{YES}{with_it}"));
        loop {
            let line = wire.read_line();
            wire.send(format!("got: {line}\r\n"));
            if line == "bye" {
                return;
            }
        }
    })
}

fn ask(proxy: &Proxy, with_it: &str) -> Wire {
    let mut client = proxy.connect();
    client.send(format!("{ASK}{with_it}"));
    let head = client.read_head();
    assert_eq!(head.status(), 101);
    assert_eq!(head.get("upgrade"), Some("foo"));
    assert!(head.lists("connection", "upgrade"));
    client
}

fn lines_go_both_ways(subject: Subject) {
    let backend = lines_backend("");
    let proxy = passing_foo(subject, &backend);
    let mut client = ask(&proxy, "");
    for line in ["foo", "bar", "a longer line than the others"] {
        client.send(format!("{line}\r\n"));
        client.expect(format!("got: {line}\r\n"));
    }
    client.send("pipe1\r\npipe2\r\nbye\r\n");
    client.expect("got: pipe1\r\ngot: pipe2\r\ngot: bye\r\n");
    client.expect_close();
    backend.join();
}

fn lines_sent_with_the_request(subject: Subject) {
    let backend = lines_backend("");
    let proxy = passing_foo(subject, &backend);
    let mut client = ask(&proxy, "foo\r\nbar\r\n");
    client.expect("got: foo\r\ngot: bar\r\n");
    client.send("bye\r\n");
    client.expect("got: bye\r\n");
    client.expect_close();
    backend.join();
}

fn lines_sent_with_the_answer(subject: Subject) {
    let backend = lines_backend("message\r\n");
    let proxy = passing_foo(subject, &backend);
    let mut client = ask(&proxy, "");
    client.expect("message\r\n");
    client.send("bye\r\n");
    client.expect("got: bye\r\n");
    client.expect_close();
    backend.join();
}

fn lines_sent_with_both(subject: Subject) {
    let backend = lines_backend("message\r\nmessage\r\n");
    let proxy = passing_foo(subject, &backend);
    let mut client = ask(&proxy, "foo\r\nbye\r\n");
    client.expect("message\r\nmessage\r\ngot: foo\r\ngot: bye\r\n");
    client.expect_close();
    backend.join();
}

const NO: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";

fn an_upgrade_that_is_not_taken(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(NO);
        wire.expect_end();
    });
    let proxy = passing_foo(subject, &backend);
    let (head, body) = proxy.ask(ASK);
    assert_eq!((head.status(), body.text().as_str()), (404, "no"));
    assert_eq!(head.get("upgrade"), None);
    drop(proxy);
    backend.join();
}

/// What followed the request is then the next request.
fn the_same_connection_after_an_upgrade_that_is_not_taken(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        while let Some(head) = wire.try_read_head() {
            match head.target() {
                "/foo" => wire.send(NO),
                target => wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len())),
            }
        }
    });
    let proxy = passing_foo(subject, &backend);
    let mut client = proxy.connect();
    client.send(format!("{ASK}GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert_eq!(client.read_response().0.status(), 404);
    assert_eq!(client.read_response().1.text(), "/next");
    drop((client, proxy));
    backend.join();
}
