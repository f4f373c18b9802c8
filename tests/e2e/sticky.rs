//! Sessions that stay with a peer, tunnels that count as load over reloads, and peers that begin
//! slowly.

use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Head, Proxy, Request, Response, Setup, tidegate};

const SITE: &str = "[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n";
const BY_COOKIE: &str = "sticky = { cookie = \"srv\", secret = \"0123456789abcdef\", expires = \"1h\", path = \"/\", \
    http_only = true, same_site = \"lax\" }\n";

fn before(rules: &str, peers: &str, backends: &[&Backend]) -> Setup {
    let mut setup = tidegate(&format!("[upstreams.u]\n{rules}peers = [{peers}]\n{SITE}"));
    for (name, backend) in ["a", "b", "c"].iter().zip(backends) {
        setup = setup.var(name, backend.address());
    }
    setup
}

fn three() -> [Backend; 3] {
    [Backend::ws_echo_named("a"), Backend::ws_echo_named("b"), Backend::ws_echo_named("c")]
}

/// The answer to a GET with this cookie, and the name of who gave it.
fn get(proxy: &Proxy, cookie: &str) -> (Head, String) {
    let (head, body) = proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"));
    (head, body.text())
}

/// The cookie that an answer sets, `NAME=VALUE`.
fn set(head: &Head) -> String {
    head.get("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned()
}

#[test]
fn a_cookie_brings_requests_and_tunnels_back() {
    let [a, b, c] = three();
    let proxy = before(BY_COOKIE, "\"%a%\", \"%b%\", \"%c%\"", &[&a, &b, &c]).start();
    let (head, first) = get(&proxy, "x=1");
    let line = head.get("set-cookie").unwrap().to_owned();
    assert!(line.starts_with("srv=") && line.ends_with("; httponly; samesite=lax; path=/"), "{line}");
    assert!(line.contains("; max-age=3600"), "{line}");
    let cookie = set(&head);
    for _ in 0..4 {
        let (head, name) = get(&proxy, &format!("theme=dark; {cookie}"));
        assert_eq!((name, set(&head)), (first.clone(), cookie.clone()));
    }
    // Who has none is sent by turns, and a tunnel's 101 sets one.
    let (head, _) = proxy.ask(ws::handshake("/ws", ""));
    assert_eq!(head.status(), 101);
    assert_ne!(set(&head), cookie, "the next in turn");
    let (head, _) = proxy.ask(ws::handshake("/ws", &format!("Cookie: {cookie}\r\n")));
    assert_eq!((head.status(), set(&head)), (101, cookie.clone()));
    // Nobody chooses by guessing.
    for forged in ["srv=", "srv=a", &format!("{cookie}0"), &cookie.replacen(|c: char| c.is_ascii_digit(), "x", 1)] {
        assert_eq!(get(&proxy, forged).0.status(), 200, "{forged}");
    }
}

#[test]
fn one_that_drains_keeps_its_clients_and_one_that_is_down_does_not() {
    let [a, b, c] = three();
    let port = HeldPort::new();
    let listen = "[[listeners]]\naddress = \"%listen%\"\n";
    let text = |of_b: &str| {
        format!("{listen}[upstreams.u]\n{BY_COOKIE}peers = [\"%a%\", {{ address = \"%b%\"{of_b} }}, \"%c%\"]\n{SITE}")
    };
    let mut proxy = tidegate(&text(""))
        .var("listen", port.address())
        .var("a", a.address())
        .var("b", b.address())
        .var("c", c.address())
        .in_process()
        .start();
    let cookies: Vec<(Head, String)> = (0..3).map(|_| get(&proxy, "x=1")).collect();
    let cookie = cookies.iter().find(|(_, name)| name == "b").map(|(head, _)| set(head)).unwrap();
    proxy.reload(&text(", drain = true")).unwrap();
    assert_eq!(get(&proxy, &cookie).1, "b", "the cookie is good after a reload");
    let others: String = (0..6).map(|_| get(&proxy, "x=1").1).collect();
    assert!(!others.contains('b'), "{others}");
    proxy.reload(&text(", down = true")).unwrap();
    let (head, name) = get(&proxy, &cookie);
    assert!(name != "b" && set(&head) != cookie);
    assert_eq!(get(&proxy, &set(&head)).1, name, "it is stuck to the new one");
}

#[test]
fn a_route_in_the_request_names_the_peer() {
    let [a, b, c] = three();
    let peers = "{ address = \"%a%\", route = \"r1\" }, { address = \"%b%\", route = \"r2\" }, \"%c%\"";
    let proxy = before("sticky = { route = [\"$cookie_route\", \"$arg_route\"] }\n", peers, &[&a, &b, &c]).start();
    for _ in 0..3 {
        assert_eq!(get(&proxy, "route=r2").1, "b");
        assert_eq!(proxy.get("/?route=r1").1.text(), "a");
    }
    let (head, _) = get(&proxy, "route=none");
    assert_eq!((head.status(), head.get("set-cookie")), (200, None));
}

#[test]
fn a_session_is_learnt_from_the_answer_that_begins_it() {
    fn login(name: &'static str) -> Backend {
        Backend::http(move |request: &Request| {
            if request.head.start.starts_with("GET /login") {
                Response::text(name).header("Set-Cookie", &format!("SID={name}-42; Path=/"))
            } else {
                Response::text(name)
            }
        })
    }
    let (a, b) = (login("a"), login("b"));
    let learn = "sticky = { create = [\"$upstream_cookie_sid\"], lookup = [\"$cookie_sid\"] }\n";
    let proxy = before(learn, "\"%a%\", \"%b%\"", &[&a, &b]).start();
    let (head, body) = proxy.get("/login");
    let name = body.text();
    assert_eq!(head.get("set-cookie"), Some(format!("SID={name}-42; Path=/").as_str()), "none of the proxy's own");
    for _ in 0..4 {
        assert_eq!(get(&proxy, &format!("SID={name}-42")).1, name);
    }
    let others: String = (0..4).map(|_| get(&proxy, "SID=unknown").1).collect();
    assert!(others.contains('a') && others.contains('b'), "{others}");
}

#[test]
fn tunnels_count_over_a_reload_and_a_new_peer_begins_slowly() {
    let [a, b, c] = three();
    let port = HeldPort::new();
    let text = |more: &str| {
        format!(
            "[[listeners]]\naddress = \"%listen%\"\n[upstreams.u]\npolicy = \"least-conn\"\n\
             peers = [\"%a%\", \"%b%\"{more}]\n{SITE}"
        )
    };
    let mut proxy = tidegate(&text(""))
        .var("listen", port.address())
        .var("a", a.address())
        .var("b", b.address())
        .var("c", c.address())
        .in_process()
        .start();
    let tunnels =
        |backend: &Backend| backend.heads().iter().filter(|head| head.get("sec-websocket-key").is_some()).count();
    let mut open: Vec<_> = (0..8).map(|_| proxy.open("/ws")).collect();
    assert_eq!((tunnels(&a), tunnels(&b)), (4, 4));
    // It has nothing to do, and still a burst does not come down on it.
    proxy.reload(&text(", { address = \"%c%\", slow_start = \"1h\" }")).unwrap();
    open.extend((0..12).map(|_| proxy.open("/ws")));
    assert!(tunnels(&c) <= 2, "{} of 12", tunnels(&c));
    // Without a slow start it is filled up first: the others' tunnels still count.
    proxy.reload(&text(", \"%c%\"")).unwrap();
    let before = (tunnels(&a), tunnels(&b), tunnels(&c));
    open.extend((0..4).map(|_| proxy.open("/ws")));
    assert_eq!((tunnels(&a), tunnels(&b), tunnels(&c)), (before.0, before.1, before.2 + 4));
    for tunnel in &mut open {
        tunnel.echo(&Frame::text("still here"));
    }
}

#[test]
fn what_does_not_go_together_is_told() {
    for (rules, said) in [
        ("policy = \"hash\"\n", "the policy \"hash\" needs a key"),
        ("hash = { key = \"$uri\" }\n", "`hash` is of the policy \"hash\""),
        ("policy = \"hash\"\nhash = { key = \"$nonsense\" }\n", "no variable or map named `$nonsense`"),
        ("sticky = { cookie = \"x\" }\n", "`cookie` needs a `secret`"),
        ("sticky = { cookie = \"x\", secret = \"short\" }\n", "fewer than 16 characters"),
        ("sticky = { cookie = \"x\", secret = \"0123456789abcdef\", route = [\"$uri\"] }\n", "exactly one way"),
        ("sticky = { route = [\"$uri\"], path = \"/\" }\n", "goes with `cookie` only"),
        ("sticky = { create = [\"$upstream_cookie_x\"] }\n", "`create` and `lookup` need each other"),
    ] {
        let text = format!("[upstreams.u]\n{rules}peers = [\"127.0.0.1:1\"]\n{SITE}");
        let problems = tidegate(&text).in_process().try_start().err().unwrap();
        assert!(problems.contains(said), "{rules}: {problems}");
    }
}
