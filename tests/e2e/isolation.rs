//! `isolation = "request"`: what a plugin keeps of one request, no other request sees.

use tidegate_tests::guests::guest;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Proxy, eventually, tidegate};

fn start(settings: &str, backend: &Backend, port: &HeldPort) -> Proxy {
    let text = format!(
        r#"
        [admin]
        address = "%admin%"
        [plugins.greedy]
        component = "%greedy%"
        {settings}
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        plugins = ["greedy"]
        "#
    );
    let setup = tidegate(&text).var("greedy", guest("greedy"));
    setup.var("backend", backend.address()).var("admin", port.address()).start()
}

/// What the guest found that was hidden before, and whether the hook for the answer ran in the
/// instance of the hook for the request.
fn hide(proxy: &Proxy, backend: &Backend, secret: &str) -> (String, String) {
    let (head, _) = proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Secret: {secret}\r\n\r\n"));
    assert_eq!(head.status(), 200);
    let found = backend.heads().last().unwrap().get("x-found").unwrap_or_default().to_owned();
    (found, head.get("x-asked").unwrap().to_owned())
}

fn instances(port: &HeldPort) -> u64 {
    let page = super::quarantine::plugin(port, "greedy");
    page["instances"].as_u64().unwrap()
}

#[test]
fn requests_of_a_worker_share_an_instance() {
    let (backend, port) = (Backend::ws_echo(), HeldPort::new());
    let proxy = start("", &backend, &port);
    let found = ["a", "b", "c"].map(|secret| hide(&proxy, &backend, secret).0);
    assert_eq!(found, ["", "a", "a,b"]);
    assert_eq!(instances(&port), 1);
}

#[test]
fn requests_see_nothing_of_each_other() {
    for settings in ["isolation = \"request\"", "isolation = \"request\"\ndeadline = \"1s\""] {
        let (backend, port) = (Backend::ws_echo(), HeldPort::new());
        let proxy = start(settings, &backend, &port);
        for n in 0..10 {
            let (found, asked) = hide(&proxy, &backend, &format!("secret-{n}"));
            assert_eq!((&*found, &*asked), ("", "yes"), "{settings}");
        }
        // A tunnel whose plugin is asked nothing more holds no instance.
        let mut tunnel = proxy.open("/ws");
        tunnel.echo(&Frame::text("hello"));
        eventually("no instance is left", || instances(&port) == 0);
        tunnel.echo(&Frame::text("still here"));
    }
}

/// A call that fails takes its request's instance with it, and no other's.
#[test]
fn failures_stay_with_their_request() {
    let (backend, port) = (Backend::ws_echo(), HeldPort::new());
    let proxy = start("isolation = \"request\"\non_failure = \"open\"", &backend, &port);
    for _ in 0..3 {
        let (head, _) = proxy.ask("GET / HTTP/1.1\r\nHost: x\r\nX-Do: trap\r\n\r\n");
        assert_eq!((head.status(), head.get("x-asked")), (200, Some("no")), "another instance for the answer");
        assert_eq!(hide(&proxy, &backend, "x"), (String::new(), "yes".to_owned()));
    }
}
