//! The operator's address: `/status`, and who may ask.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use tidegate_tests::backend::Refusing;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::{Backend, tidegate, wait_for};

fn ask(port: &HeldPort, request: &str) -> String {
    let mut stream = TcpStream::connect(port.address()).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn status(port: &HeldPort) -> Value {
    let answer = ask(port, "GET /status");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.to_lowercase().contains("content-type: application/json"),
        "{head}"
    );
    serde_json::from_str(body).unwrap()
}

const CONFIG: &str = r#"
    [admin]
    address = "%admin%"
    allow = ["192.0.2.0/24", "127.0.0.0/8"]
    [upstreams.pair]
    peers = ["%refusing%", "%backend%"]
    [[sites]]
    names = ["a.test"]
    default = true
    routes = [{ match = "/", upstream = "pair" }]
    [[sites]]
    names = ["b.test"]
    routes = [{ match = "/", upstream = "pair" }]
"#;

#[test]
fn sites_peers_and_plugins_are_counted() {
    let (backend, refusing, port) = (Backend::ws_echo(), Refusing::new(), HeldPort::new());
    let mut proxy = tidegate(CONFIG)
        .var("backend", backend.address())
        .var("refusing", refusing.address())
        .var("admin", port.address())
        .in_process()
        .start();
    // The first peer refuses, the second answers.
    assert_eq!(proxy.get("/plain").0.status(), 200);
    let before = status(&port);
    let site = |value: &Value, name: &str, key: &str| value["sites"][name][key].as_u64().unwrap();
    assert_eq!((site(&before, "a.test", "requests"), site(&before, "b.test", "requests")), (1, 0));
    let pair = &before["upstreams"]["pair"];
    let (bad, good) = (&pair["peers"][refusing.address().to_string()], &pair["peers"][backend.address().to_string()]);
    assert_eq!((bad["requests"].as_u64(), bad["failures"].as_u64()), (Some(1), Some(1)), "{pair}");
    assert_eq!((good["requests"].as_u64(), good["failures"].as_u64()), (Some(1), Some(0)), "{pair}");
    assert_eq!(good["responses"]["2xx"].as_u64(), Some(1), "{pair}");
    assert_eq!((bad["state"].as_str(), bad["fails"].as_u64()), (Some("unavailable"), Some(1)), "{pair}");
    assert!(bad["last_failure"]["text"].as_str().unwrap().contains("refused") && bad["since"].is_string(), "{pair}");
    assert_eq!((good["state"].as_str(), good["fails"].as_u64()), (Some("up"), Some(0)), "{pair}");
    assert_eq!((good["effective_weight"].as_f64(), good["last_failure"].is_null()), (Some(1.0), true), "{pair}");
    assert_eq!(
        (pair["requests"].as_u64(), pair["failures"].as_u64(), pair["active"].as_u64()),
        (Some(2), Some(1), Some(0))
    );
    assert_eq!(before["plugins"]["router"]["calls"]["router"].as_u64(), Some(1), "{}", before["plugins"]);
    // A tunnel is active until it ends, and a reload forgets nothing.
    let tunnel = proxy.open("/ws");
    proxy.reload(CONFIG).unwrap();
    let during = wait_for("the tunnel in the numbers", || {
        let now = status(&port);
        (site(&now, "a.test", "tunnels") == 1).then_some(now)
    });
    assert_eq!((site(&during, "a.test", "active"), site(&during, "a.test", "requests")), (1, 2));
    assert_eq!((during["tunnels"].as_u64(), during["reloads"].as_u64()), (Some(1), Some(1)));
    let good = &during["upstreams"]["pair"]["peers"][backend.address().to_string()];
    assert_eq!((good["active"].as_u64(), good["tunnels"].as_u64()), (Some(1), Some(1)));
    drop(tunnel);
    let after = wait_for("the end of the tunnel", || {
        let now = status(&port);
        (site(&now, "a.test", "active") == 0).then_some(now)
    });
    assert_eq!(
        (site(&after, "a.test", "tunnels"), after["sites"]["a.test"]["responses"]["1xx"].as_u64()),
        (0, Some(1))
    );
    let metrics = ask(&port, "GET /metrics");
    for line in [
        "tidegate_site_requests_total{site=\"a.test\"} 2".to_owned(),
        format!("tidegate_peer_tunnels{{upstream=\"pair\",peer=\"{}\"}} 0", backend.address()),
        "tidegate_connections{state=\"writing\"} 0".to_owned(),
    ] {
        assert!(metrics.lines().any(|l| l == line), "no `{line}` in\n{metrics}");
    }
}

#[test]
fn who_is_not_listed_is_refused() {
    let (backend, refusing, port) = (Backend::named("ok"), Refusing::new(), HeldPort::new());
    let _proxy = tidegate(&CONFIG.replace(", \"127.0.0.0/8\"", ""))
        .var("backend", backend.address())
        .var("refusing", refusing.address())
        .var("admin", port.address())
        .start();
    for path in ["/status", "/metrics", "/stub_status", "/other"] {
        assert!(ask(&port, &format!("GET {path}")).starts_with("HTTP/1.1 403 "), "{path}");
    }
}

#[test]
fn pages_are_only_read() {
    let (backend, refusing, port) = (Backend::named("ok"), Refusing::new(), HeldPort::new());
    let _proxy = tidegate(CONFIG)
        .var("backend", backend.address())
        .var("refusing", refusing.address())
        .var("admin", port.address())
        .start();
    for path in ["/status", "/metrics", "/stub_status"] {
        assert!(ask(&port, &format!("POST {path}")).starts_with("HTTP/1.1 405 "), "{path}");
        assert!(ask(&port, &format!("HEAD {path}")).ends_with("\r\n\r\n"), "{path}");
    }
    assert!(ask(&port, "GET /other").starts_with("HTTP/1.1 404 "));
}
