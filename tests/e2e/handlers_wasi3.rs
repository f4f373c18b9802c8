//! `handler`: what a component of `wasi:http` 0.3 does that one of 0.2 does not, in the engine of the
//! async ABI. What both do is in `handlers`.

use std::net::TcpListener;

use tidegate_tests::guests::guest;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::{Proxy, eventually, tidegate};

use crate::handlers::{self, NEWER, text};
use crate::quarantine::page;

fn mounted(lines: &str, route: &str) -> Proxy {
    handlers::mounted(NEWER, lines, route)
}

#[test]
fn trailers_of_wasi_3_go_both_ways() {
    let proxy = mounted("", "");
    for path in ["/echo", "/pass"] {
        let (head, body) = proxy.ask(format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-End: 3\r\n\r\n"
        ));
        assert_eq!((head.status(), body.text().as_str()), (200, "hello"), "{path}");
        assert_eq!(body.trailers, [("x-end".to_owned(), "3".to_owned())], "{path}");
    }
}

#[test]
fn failures_of_wasi_3_are_counted_by_kind() {
    let (proxy, port) = watched("deadline = \"10ms\"", "");
    for path in ["/trap", "/spin", "/hog", "/error"] {
        assert_eq!(proxy.get(path).0.status(), 500, "{path}");
    }
    // One whose head has gone counts, too.
    let mut client = proxy.connect();
    client.send("GET /late-trap HTTP/1.1\r\nHost: x\r\n\r\n");
    client.read_until_close();
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
    let setup = tidegate(&text("", "")).var("handler", guest(NEWER));
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
    let setup = tidegate(&text(&lines("whole"), routes)).var("handler", guest(NEWER));
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
