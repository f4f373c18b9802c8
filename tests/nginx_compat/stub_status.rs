//! `stub_status`: what connections are at, as nginx counts it.

use tidegate_tests::subject::HeldPort;
use tidegate_tests::{Backend, Subject, Wire, both, http, wait_for};

both!(connections_are_counted_by_what_they_are_at);

/// The numbers of the page, in its order: active, accepts, handled, requests, reading,
/// writing, waiting. The connection that asks nginx is one that it answers itself, while
/// Tidegate's page has an address of its own, which is not counted.
fn ask(subject: Subject, wire: &mut Wire) -> Vec<u64> {
    wire.send("GET /stub_status HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = wire.read_head();
    assert_eq!((head.status(), head.get("content-type")), (200, Some("text/plain")));
    let text = http::read_body(wire, &head, false).text();
    let mut numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let shape: String =
        text.split(' ').map(|w| if w.parse::<u64>().is_ok() { "N" } else { w }).collect::<Vec<_>>().join(" ");
    assert_eq!(
        shape,
        "Active connections: N \nserver accepts handled requests\n N N N \nReading: N Writing: N Waiting: N \n"
    );
    if subject == Subject::Nginx {
        numbers[0] -= 1;
        numbers[5] -= 1;
    }
    numbers
}

fn connections_are_counted_by_what_they_are_at(subject: Subject) {
    let backend = Backend::ws_echo();
    let port = HeldPort::new();
    let proxy = subject
        .setup()
        .nginx("location / { proxy_pass http://%backend%; %guide% } location = /stub_status { stub_status; }")
        .tidegate(
            r#"
            [admin]
            address = "%admin%"
            [[sites]]
            routes = [{ match = "/", upstream = "%backend%" }]
            "#,
        )
        .var("backend", backend.address())
        .var("admin", port.address())
        .start();
    let mut asking = Wire::connect(if subject == Subject::Nginx { proxy.address() } else { port.address() });
    let mut see = |what: &str, expected: [u64; 4]| {
        wait_for(what, || {
            let n = ask(subject, &mut asking);
            assert_eq!(n[1], n[2], "accepted and handled");
            ([n[0], n[4], n[5], n[6]] == expected).then_some(n)
        })
    };
    let before = see("a quiet server", [0, 0, 0, 0]);
    let silent = proxy.connect();
    see("a connection that has said nothing", [1, 0, 0, 1]);
    let mut kept = proxy.connect();
    kept.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    kept.read_response();
    see("a kept connection", [2, 0, 0, 2]);
    let mut slow = proxy.connect();
    slow.send("GET / HT");
    see("a head on its way", [3, 1, 0, 2]);
    let tunnel = proxy.open("/ws");
    let after = see("a tunnel", [4, 1, 1, 2]);
    assert_eq!(after[1] - before[1], 4, "accepted");
    slow.send("TP/1.1\r\nHost: x\r\n\r\n");
    slow.read_response();
    see("the head is whole", [4, 0, 1, 3]);
    drop((silent, kept, slow, tunnel));
    see("all have left", [0, 0, 0, 0]);
}
