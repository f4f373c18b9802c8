//! Requests of a plugin's own, by the guest `fetcher`: it answers the client with what came.

use tidegate_tests::guests::guest;
use tidegate_tests::{Backend, Response, tidegate};

/// What a fetch with this configuration says, and the same while the plugin starts.
#[track_caller]
fn fetched(peer: &Backend, config: &str) -> (String, String) {
    let text = format!(
        "[upstreams.peer]\npeers = [\"{}\"]\n\
         [plugins.fetcher]\ncomponent = \"%guest%\"\ndeadline = \"20s\"\ngrants = [\"http-client:upstream:peer\"]\n\
         config = {{ {config} }}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\nplugins = [\"fetcher\"]\n",
        peer.address()
    );
    let proxy = tidegate(&text).var("guest", guest("fetcher")).start();
    let (head, body) = proxy.get("/");
    (body.text(), head.get("x-at-start").unwrap().to_owned())
}

#[test]
fn a_body_goes_out_and_the_answers_comes_back() {
    let peer = Backend::http(|request| {
        let said = format!("{} {} {}", request.head.start, request.head.get("host").unwrap(), request.body.text());
        Response::new(201).body(said)
    });
    let (text, _) = fetched(
        &peer,
        "method = \"POST\", url = \"upstream:peer/a?b=c\", body = 3, max_body = 100, headers = [[\"X-Own\", \"1\"]]",
    );
    assert_eq!(text, "201 POST /a?b=c HTTP/1.1 peer bbb");
    let head = peer.only_head();
    assert_eq!((head.get("content-length"), head.get("x-own")), (Some("3"), Some("1")));
    // RFC 9110 §8.6: a POST says that it has none.
    fetched(&peer, "method = \"POST\", url = \"upstream:peer\", headers = [[\"Host\", \"own.test\"]]");
    let heads = peer.heads();
    let head = heads.last().unwrap();
    assert_eq!((head.start.as_str(), head.get("content-length")), ("POST / HTTP/1.1", Some("0")));
    assert_eq!(head.get("host"), Some("own.test"));
}

#[test]
fn bodies_have_bounds_either_way() {
    let peer = Backend::http(|request| match request.head.target() {
        "/chunked" => Response::new(200).chunked(&["12345", "67890"], ""),
        "/closed" => Response::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234567890"),
        _ => Response::text("1234567890"),
    });
    for path in ["", "chunked", "closed"] {
        let of = |most: u32| {
            fetched(&peer, &format!("method = \"GET\", url = \"upstream:peer/{path}\", max_body = {most}")).0
        };
        assert_eq!(of(10), "200 1234567890", "{path}");
        assert_eq!(of(9), "a body is too large", "{path}");
        assert_eq!(of(0), "200 ", "{path}: none is wanted");
    }
    let asked = peer.heads().len();
    let large = fetched(&peer, "method = \"PUT\", url = \"upstream:peer/\", body = 262145").0;
    assert_eq!((large.as_str(), peer.heads().len()), ("a body is too large", asked));
    assert_eq!(fetched(&peer, "method = \"PUT\", url = \"upstream:peer/\", body = 262144").0, "200 ");
}

#[test]
fn what_cannot_be_sent_is_not_sent() {
    let peer = Backend::named("ok");
    for (config, wanted) in [
        ("method = \"CONNECT\", url = \"upstream:peer/\"", "invalid: "),
        ("method = \"G T\", url = \"upstream:peer/\"", "invalid: "),
        ("method = \"GET\", url = \"upstream:peer/a b\"", "invalid: "),
        ("method = \"GET\", url = \"upstream:peer/\\r\\nX: y\"", "invalid: "),
        ("method = \"GET\", url = \"https://127.0.0.1/\"", "denied: "),
        ("method = \"GET\", url = \"/\"", "invalid: "),
        ("method = \"GET\", url = \"upstream:peer/\", headers = [[\"Content-Length\", \"5\"]]", "invalid: "),
        ("method = \"GET\", url = \"upstream:peer/\", headers = [[\"X\", \"a\\r\\nY: b\"]]", "invalid: "),
        ("method = \"GET\", url = \"upstream:peer/\", headers = [[\"Host\", \"a\"], [\"host\", \"b\"]]", "invalid: "),
        ("method = \"GET\", url = \"upstream:other/\"", "denied: "),
        ("method = \"GET\", url = \"http://169.254.169.254/latest\"", "denied: "),
    ] {
        let (text, _) = fetched(&peer, config);
        assert!(text.starts_with(wanted), "{config}: {text}");
    }
    assert_eq!(peer.connections(), 0);
}

/// There is no request yet that it could be for.
#[test]
fn nothing_is_fetched_while_a_plugin_starts() {
    let peer = Backend::named("ok");
    let (text, at_start) = fetched(&peer, "method = \"GET\", url = \"upstream:peer/\", max_body = 2");
    assert_eq!(text, "200 ok");
    assert!(at_start.starts_with("denied: "), "{at_start}");
    assert_eq!(peer.heads().len(), 1);
}

#[test]
fn failures_have_their_kinds() {
    let get = "method = \"GET\", url = \"upstream:peer/\", max_body = 100";
    assert_eq!(fetched(&Backend::silent(), &format!("{get}, timeout_ms = 100")).0, "no answer in time");
    assert!(fetched(&Backend::resetting(), get).0.starts_with("broken off: "));
    let says = |text: &'static str| {
        Backend::script(move |mut wire, _| {
            wire.read_head();
            wire.send(text);
        })
    };
    assert!(fetched(&says("what?\r\n\r\n"), get).0.starts_with("not an answer: "));
    assert!(fetched(&says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), get).0.starts_with("broken off: "));
    // As long as the connection lasts, for an answer that says no length.
    assert_eq!(fetched(&says("HTTP/1.1 200 OK\r\n\r\nwhole"), get).0, "200 whole");
    // Interim answers are none, and a redirect is the plugin's to follow.
    let interim =
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(fetched(&says(interim), get).0, "302 ");
}
