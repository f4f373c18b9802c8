//! What is written about requests.

use tidegate_tests::{Backend, Subject, both, eventually};

use super::Example;

both!(access_logs, error_log);

fn access_logs(subject: Subject) {
    let backend = Backend::ws_echo();
    let example =
        Example::of(subject, "guide-access-logs").backend("127.0.0.1:9000", backend.address()).listen("8080").start();
    drop(example.talk("8080", "/ws"));
    for path in ["/health", "/page"] {
        assert_eq!(example.get("8080", "ws.example.com", path).1, "plain");
    }
    let log = |name: &str| example.proxy.read_file(name);
    eventually("three lines", || log("websocket_access.log").lines().count() == 3);
    eventually("two lines", || log("access.log").lines().count() == 2);
    let line = |name: &str, path: &str| {
        let lines = log(name);
        let line = lines.lines().find(|line| line.contains(&format!("\"GET {path} HTTP/1.1\"")));
        line.map(shape)
    };
    let upstream = backend.address();
    let expected = |path: &str, status: u16, bytes: &str, upgrade: &str| {
        Some(format!(
            "127.0.0.1 - - [TIME] \"GET {path} HTTP/1.1\" {status} {bytes} \"-\" \"-\" {upgrade} \
             upstream_addr={upstream} upstream_response_time=N request_time=N"
        ))
    };
    assert_eq!(line("websocket_access.log", "/page"), expected("/page", 200, "5", "upgrade=- connection=close"));
    assert_eq!(line("websocket_access.log", "/health"), expected("/health", 200, "5", "upgrade=- connection=close"));
    // What came back through the tunnel: two frames, of 7 and 70010 bytes.
    assert_eq!(
        line("websocket_access.log", "/ws"),
        expected("/ws", 101, "70017", "upgrade=websocket connection=upgrade")
    );
    assert_eq!(
        line("access.log", "/page"),
        Some("127.0.0.1 - - [TIME] \"GET /page HTTP/1.1\" 200 5 \"-\" \"-\"".into())
    );
    assert_eq!(line("access.log", "/health"), None);
}

/// The line without what differs from run to run.
fn shape(line: &str) -> String {
    let (before, rest) = line.split_once('[').unwrap();
    let (_, after) = rest.split_once(']').unwrap();
    let words = after.split(' ').map(|word| match word.split_once("_time=") {
        Some((name, value)) if value.parse::<f64>().is_ok() => format!("{name}_time=N"),
        _ => word.to_owned(),
    });
    format!("{before}[TIME]{}", words.collect::<Vec<_>>().join(" "))
}

fn error_log(subject: Subject) {
    let backend = Backend::ws_echo();
    let mut example = Example::of(subject, "guide-error-log")
        .backend("127.0.0.1:9000", backend.address())
        .listen("8080")
        .binary()
        .start();
    assert_eq!(example.get("8080", "ws.example.com", "/quiet").1, "plain");
    drop(example.talk("8080", "/ws/told"));
    match subject {
        Subject::Nginx => {
            eventually("the debug log", || example.proxy.read_file("websocket_error.log").contains("/ws/told"));
            let all = example.proxy.read_file("websocket_error.log") + &example.proxy.read_file("global_error.log");
            assert!(all.contains("[debug]") && !all.contains("/quiet"));
        }
        Subject::Tidegate => {
            eventually("the debug lines", || example.proxy.process().stderr().contains("/ws/told"));
            let log = example.proxy.process().stderr();
            assert!(log.lines().any(|line| line.contains("DEBUG") && line.contains("/ws/told")), "{log}");
            assert!(!log.contains("/quiet"), "{log}");
        }
    }
}
