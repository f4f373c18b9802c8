//! `handler`: a component of `wasi:http` 0.2 or 0.3 answers a route's requests.

use std::net::SocketAddr;

use tidegate_tests::guests::guest;
use tidegate_tests::http2::client::{Client, run};
use tidegate_tests::{Backend, Noise, Proxy, tidegate};

/// The guest of each version, and where it sends a body back.
const GUESTS: [(&str, &[&str]); 2] = [("wasi-handler", &["/echo"]), (NEWER, &["/echo", "/pass"])];
/// The guest of 0.3; `handlers_wasi3` has what only that one does.
pub(crate) const NEWER: &str = "wasi-handler-3";

/// A configuration whose one route a handler answers.
pub(crate) fn text(lines: &str, route: &str) -> String {
    format!(
        "[server]\nworkers = 1\n[[listeners]]\naddress = \"127.0.0.1:0\"\nprotocols = [\"h1\", \"h2\"]\n\
         [plugins.mine]\ncomponent = \"%handler%\"\n{lines}\n\
         [[sites]]\nlimits = {{ max_body = 0 }}\n[[sites.routes]]\nmatch = \"/\"\nhandler = \"mine\"\n{route}\n"
    )
}

/// This guest as its handler.
pub(crate) fn mounted(name: &str, lines: &str, route: &str) -> Proxy {
    tidegate(&text(lines, route)).var("handler", guest(name)).start()
}

#[test]
fn a_component_answers() {
    for (name, _) in GUESTS {
        let proxy = mounted(name, "", "");
        let (head, body) =
            proxy.ask("PUT /facts HTTP/1.1\r\nHost: a.example\r\nX-Fact: 7\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(head.status(), 200);
        assert_eq!(body.text(), "Method::Put Some(Scheme::Http) Some(\"a.example\") 7");
        assert_eq!(head.get("content-type"), Some("text/plain"));
        let (head, body) = proxy.get("/trailers");
        assert_eq!((head.status(), body.text().as_str()), (201, "one, two"));
        assert_eq!(body.trailers, [("x-sum".to_owned(), "2".to_owned())]);
        let (head, body) = proxy.ask("POST /upper HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!((head.status(), body.text().as_str()), (200, "HELLO"));
        // An answer to HEAD has no body, and the connection goes on.
        let mut client = proxy.connect();
        client.send("HEAD /facts HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.read_head().status(), 200);
        client.send("GET /facts HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.read_response().0.status(), 200);
    }
}

/// Both ways at once, with a window's worth of memory. In 0.2 each piece of a body is some calls of the host.
#[test]
fn bodies_stream_both_ways() {
    for (name, paths) in GUESTS {
        let calls = if name == NEWER { "" } else { "host_calls = 1000000" };
        let proxy = mounted(name, &format!("deadline = \"2s\"\n{calls}"), "");
        for path in paths {
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
                assert_eq!((head.status().as_u16(), body == large), (200, true), "{name} {path}");
            });
        }
    }
}

#[test]
fn a_component_that_fails() {
    for (name, _) in GUESTS {
        let proxy = mounted(name, "deadline = \"10ms\"", "");
        // In 0.3 there is no way not to answer.
        let silent = (name != NEWER).then_some("/nothing");
        for path in ["/trap", "/spin", "/hog", "/error"].into_iter().chain(silent) {
            assert_eq!(proxy.get(path).0.status(), 500, "{name} {path}");
            assert_eq!(proxy.get("/facts").0.status(), 200, "{name} after {path}");
        }
        // The head has gone: what is left is to break off.
        for path in ["/late-trap", "/unfinished"] {
            let mut client = proxy.connect();
            client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
            assert_eq!(client.read_head().status(), 200);
            assert_eq!(
                client.read_until_close(),
                b"4\r\nsome\r\n",
                "{name} {path}: no end that could be taken for one"
            );
        }
        // One that never ends ends with its client.
        let mut client = proxy.connect();
        client.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.read_head().status(), 200);
        drop(client);
        assert_eq!(proxy.get("/facts").0.status(), 200);
    }
}

/// Outgoing requests are denied, unless the configuration grants the destination.
#[test]
fn requests_of_its_own() {
    let backend = Backend::reflect();
    let address: SocketAddr = backend.address();
    let fetch = format!("/fetch/{address}/x?y=1");
    let grants = format!("grants = [\"http-client:http://{address}\"]\ndeadline = \"1s\"");
    for (name, _) in GUESTS {
        assert_eq!(mounted(name, "", "").get(&fetch).1.text(), "ErrorCode::HttpRequestDenied");
        let granted = mounted(name, &grants, "");
        assert_eq!(granted.get(&fetch).1.text(), "200 GET /x?y=1 HTTP/1.1");
        assert_eq!(granted.get("/fetch/127.0.0.1:1/").1.text(), "ErrorCode::HttpRequestDenied");
    }
}

/// The route's phases are as for an upstream: what is judged, and what plugins do with bodies.
#[test]
fn it_stands_in_an_upstreams_place() {
    let lines = "[plugins.revise]\ncomponent = \"%reviser%\"\nconfig = { wish = \"whole\" }\n";
    let text = format!(
        "[plugins.mine]\ncomponent = \"%handler%\"\n{lines}[[sites]]\n[[sites.routes]]\nmatch = \"/\"\n\
         handler = \"mine\"\nplugins = [\"revise\"]\nlimits = {{ max_body = \"5B\" }}\n"
    );
    let setup = tidegate(&text).var("handler", guest("wasi-handler")).var("reviser", guest("reviser"));
    let proxy = setup.start();
    let (head, body) = proxy.ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((head.status(), body.text().as_str()), (200, "HELLO"));
    assert_eq!((head.get("content-length"), head.get("x-status")), (Some("5"), Some("200")));
    let (head, _) = proxy.ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nhello!");
    assert_eq!(head.status(), 413);
}

#[test]
fn what_cannot_be_a_handler_is_refused() {
    let refused = |guest_name: &str, route: &str| {
        let text = format!(
            "[plugins.mine]\ncomponent = \"%guest%\"\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nhandler = \"mine\"\n{route}\n"
        );
        tidegate(&text).var("guest", guest(guest_name)).try_start().err().expect("a problem")
    };
    assert!(
        refused("trap", "").contains("does not export `wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3`")
    );
    assert!(refused("wasi-handler", "upstream = \"127.0.0.1:1\"").contains("does not go with `handler`"));
}
