//! `handler`: a component of `wasi:http` 0.3, in the engine of the async ABI.

use std::net::{SocketAddr, TcpListener};

use tidegate_tests::guests::guest;
use tidegate_tests::http2::client::{Client, run};
use tidegate_tests::subject::HeldPort;
use tidegate_tests::{Backend, Noise, Proxy, eventually, tidegate};

use crate::quarantine::page;

fn text(lines: &str, route: &str) -> String {
    format!(
        "[server]\nworkers = 1\n[[listeners]]\naddress = \"127.0.0.1:0\"\nprotocols = [\"h1\", \"h2\"]\n\
         [plugins.mine]\ncomponent = \"%handler%\"\n{lines}\n\
         [[sites]]\nlimits = {{ max_body = 0 }}\n[[sites.routes]]\nmatch = \"/\"\nhandler = \"mine\"\n{route}\n"
    )
}

fn mounted(lines: &str, route: &str) -> Proxy {
    tidegate(&text(lines, route)).var("handler", guest("wasi-handler-3")).start()
}

#[test]
fn a_component_of_wasi_3_answers() {
    let proxy = mounted("", "");
    let (head, body) = proxy.ask("PUT /facts HTTP/1.1\r\nHost: a.example\r\nX-Fact: 7\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(head.status(), 200);
    assert_eq!(body.text(), "Method::Put Some(Scheme::Http) Some(\"a.example\") 7");
    assert_eq!(head.get("content-type"), Some("text/plain"));
    let (head, body) = proxy.get("/trailers");
    assert_eq!((head.status(), body.text().as_str()), (201, "one, two"));
    assert_eq!(body.trailers, [("x-sum".to_owned(), "2".to_owned())]);
    for path in ["/echo", "/pass"] {
        let (head, body) = proxy.ask(format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-End: 3\r\n\r\n"
        ));
        assert_eq!((head.status(), body.text().as_str()), (200, "hello"), "{path}");
        assert_eq!(body.trailers, [("x-end".to_owned(), "3".to_owned())], "{path}");
    }
    let (head, body) = proxy.ask("POST /upper HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((head.status(), body.text().as_str()), (200, "HELLO"));
    // An answer to HEAD has no body, and the connection goes on.
    let mut client = proxy.connect();
    client.send("HEAD /facts HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_head().status(), 200);
    client.send("GET /facts HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_response().0.status(), 200);
}

/// Both ways at once, with a window's worth of memory. No piece of a body is a call of the host.
#[test]
fn bodies_of_wasi_3_stream_both_ways() {
    let proxy = mounted("deadline = \"2s\"", "");
    for path in ["/echo", "/pass"] {
        let mut client = proxy.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"));
        assert_eq!(client.read_head().status(), 200);
        assert_eq!(tidegate_tests::http::read_chunk(&mut client), b"one");
        client.send("3\r\ntwo\r\n0\r\n\r\n");
        assert_eq!(tidegate_tests::http::read_chunk(&mut client), b"two");
        client.expect("0\r\n\r\n");
        run(async {
            let client = Client::connect(proxy.address()).await;
            let large = Noise::new(9).take(2 << 20);
            let (head, body) = client.ask(http::Method::POST, &format!("http://x{path}"), &large).await;
            assert_eq!((head.status().as_u16(), body == large), (200, true), "{path}");
        });
    }
}

#[test]
fn a_component_of_wasi_3_that_fails() {
    let (proxy, port) = watched("deadline = \"10ms\"", "");
    for path in ["/trap", "/spin", "/hog", "/error"] {
        assert_eq!(proxy.get(path).0.status(), 500, "{path}");
        assert_eq!(proxy.get("/facts").0.status(), 200, "after {path}");
    }
    // The head has gone: what is left is to break off.
    for path in ["/late-trap", "/unfinished"] {
        let mut client = proxy.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(client.read_head().status(), 200);
        assert_eq!(client.read_until_close(), b"4\r\nsome\r\n", "{path}: no end that could be taken for one");
    }
    let metrics = page(&port, "/metrics");
    for (kind, count) in [("trap", 2), ("deadline", 1), ("memory", 1), ("bad_answer", 1)] {
        let line = "tidegate_hook_failures_total{plugin=\"mine\",hook=\"handler\",kind=\"plugin.";
        assert!(metrics.contains(&format!("{line}{kind}\"}} {count}\n")), "{kind}: {metrics}");
    }
}

/// What it waits for is no computing: the route's timeout is for that.
#[test]
fn waiting_in_wasi_3() {
    let (proxy, port) = watched("deadline = \"10ms\"", "timeouts = { read = \"200ms\" }");
    let (head, body) = proxy.get("/sleep");
    assert_eq!((head.status(), body.text().as_str()), (200, "before after"));
    assert_eq!(proxy.get("/stuck").0.status(), 504);
    eventually("its instance is gone", || instances(&port) == 1);
}

/// One that never ends ends with its client.
#[test]
fn a_call_of_wasi_3_ends_with_its_client() {
    let (proxy, port) = watched("deadline = \"60s\"", "timeouts = { read = \"60s\" }");
    let mut client = proxy.connect();
    client.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_head().status(), 200);
    drop(client);
    eventually("its instance is gone", || instances(&port) == 1);
    let mut client = proxy.connect();
    client.send("GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("a call is under way", || instances(&port) == 2);
    drop(client);
    eventually("its instance is gone", || instances(&port) == 1);
    assert_eq!(proxy.get("/facts").0.status(), 200);
}

/// Outgoing requests are denied, unless the configuration grants the destination.
#[test]
fn requests_of_wasi_3_of_its_own() {
    let backend = Backend::reflect();
    let address: SocketAddr = backend.address();
    let fetch = format!("/fetch/{address}/x?y=1");
    assert_eq!(mounted("", "").get(&fetch).1.text(), "ErrorCode::HttpRequestDenied");
    let grants = format!("grants = [\"http-client:http://{address}\"]\ndeadline = \"1s\"");
    let granted = mounted(&grants, "");
    assert_eq!(granted.get(&fetch).1.text(), "200 GET /x?y=1 HTTP/1.1");
    assert_eq!(granted.get("/fetch/127.0.0.1:1/").1.text(), "ErrorCode::HttpRequestDenied");
}

/// There is nothing behind WASI but what is granted.
#[test]
fn wasi_3_leads_nowhere() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let probe = format!("/probe/{}", listener.local_addr().unwrap().port());
    let found = |environment: &str| {
        format!(
            "environment {environment}, arguments [], folders 0, socket ErrorCode::AccessDenied, \
             name Err(ErrorCode::PermanentResolverFailure), print Ok(())"
        )
    };
    assert_eq!(mounted("", "").get(&probe).1.text(), found("[]"));
    let value = std::env::var("PATH").unwrap();
    let granted = format!("[(\"PATH\", {value:?})]");
    assert_eq!(mounted("grants = [\"env:PATH\"]", "").get(&probe).1.text(), found(&granted));
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody connected");
    // What it prints is a line of the log.
    let setup = tidegate(&text("", "")).var("handler", guest("wasi-handler-3"));
    let mut proxy = setup.binary().start();
    assert_eq!(proxy.get(&probe).0.status(), 200);
    eventually("a line of the log", || {
        proxy.process().stderr().lines().any(|line| line.contains("this guest prints") && line.contains("mine"))
    });
}

/// Both engines in one process: a handler of each version, and hooks before and behind them.
#[test]
fn both_engines_in_one_process() {
    let lines = |wish: &str| {
        format!(
            "[plugins.older]\ncomponent = \"%older%\"\n[plugins.revise]\ncomponent = \"%reviser%\"\n\
             config = {{ wish = \"{wish}\" }}\n"
        )
    };
    let routes = "plugins = [\"revise\"]\nlimits = { max_body = \"5B\" }\n[[sites.routes]]\nmatch = \"/older/\"\n\
                  handler = \"older\"\n";
    let setup = tidegate(&text(&lines("whole"), routes)).var("handler", guest("wasi-handler-3"));
    let setup = setup.var("older", guest("wasi-handler")).var("reviser", guest("reviser"));
    let mut proxy = setup.in_process().start();
    let hello = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    let answers = |proxy: &Proxy| {
        let (head, body) = proxy.ask(hello);
        assert_eq!((head.status(), body.text().as_str()), (200, "HELLO"));
        assert_eq!((head.get("content-length"), head.get("x-status")), (Some("5"), Some("200")));
        assert_eq!(proxy.get("/older/x").0.status(), 200);
    };
    answers(&proxy);
    let (head, _) = proxy.ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nhello!");
    assert_eq!(head.status(), 413);
    // A reload goes on with the components that it has, and takes what is new.
    proxy.reload(&text(&lines("chunks"), routes)).unwrap();
    assert_eq!(proxy.ask(hello).1.text(), "HELLO");
    proxy.reload(&text(&lines("whole"), routes)).unwrap();
    answers(&proxy);
}

/// With its operator's address.
fn watched(lines: &str, route: &str) -> (Proxy, HeldPort) {
    let port = HeldPort::new();
    let lines = format!("{lines}\n[admin]\naddress = \"{}\"\n", port.address());
    (mounted(&lines, route), port)
}

/// Its instances that exist: one is kept from when it was loaded, and each request has its own.
fn instances(port: &HeldPort) -> u64 {
    let metrics = page(port, "/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("tidegate_plugin_instances{plugin=\"mine\"} "));
    line.map_or(0, |count| count.parse().unwrap())
}
