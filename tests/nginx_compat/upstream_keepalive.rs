//! How long connections to peers are kept, and for how many requests.

use std::time::{Duration, Instant};

use tidegate_tests::{Backend, Proxy, Response, Subject, both, eventually};

both!(requests_by_connection, connections_grow_old, idle_connections_are_closed);

/// An upstream with these lines in nginx's and in Tidegate's words.
fn upstream(subject: Subject, backend: &Backend, nginx: &str, toml: &str) -> Proxy {
    subject
        .setup()
        .nginx(&format!(
            "upstream u {{ server %backend%; keepalive 8; {nginx} }}
            server {{ listen %listen%; location / {{ proxy_pass http://u; %guide% }} }}"
        ))
        .tidegate(&format!(
            "[upstreams.u]\npeers = [\"%backend%\"]\n{toml}\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n"
        ))
        .var("backend", backend.address())
        .start()
}

/// A backend that says over which of its connections it was asked.
fn numbering() -> Backend {
    Backend::http(|request| Response::text(request.connection.to_string()))
}

fn requests_by_connection(subject: Subject) {
    let backend = numbering();
    let proxy = upstream(subject, &backend, "keepalive_requests 3;", "keepalive_requests = 3");
    let over: Vec<String> = (0..8).map(|_| proxy.get("/").1.text()).collect();
    assert_eq!(over, ["1", "1", "1", "2", "2", "2", "3", "3"]);
}

fn connections_grow_old(subject: Subject) {
    let backend = numbering();
    let proxy = upstream(subject, &backend, "keepalive_time 1s;", "keepalive_time = \"1s\"");
    let start = Instant::now();
    let mut over = vec![proxy.get("/").1.text()];
    eventually("another connection", || {
        over.push(proxy.get("/").1.text());
        over.last().is_some_and(|number| number == "2")
    });
    // The tick of nginx's clock may be some milliseconds late.
    assert!(start.elapsed() >= Duration::from_millis(900), "after {:?}", start.elapsed());
    assert!(over.len() > 3, "{over:?}");
}

fn idle_connections_are_closed(subject: Subject) {
    let (ended, end) = std::sync::mpsc::channel();
    let ended = parking_lot::Mutex::new(ended);
    let backend = Backend::script(move |mut wire, number| {
        while wire.try_read_head().is_some() {
            wire.send(Response::text(number.to_string()).bytes());
        }
        ended.lock().send(number).unwrap();
    });
    let proxy = upstream(subject, &backend, "keepalive_timeout 1s;", "keepalive_timeout = \"1s\"");
    assert_eq!((proxy.get("/").1.text(), proxy.get("/").1.text()), ("1".to_owned(), "1".to_owned()));
    assert_eq!(end.recv_timeout(tidegate_tests::patience()), Ok(1));
    assert_eq!(proxy.get("/").1.text(), "2");
    drop(proxy);
    eventually("the last connection's end", || end.try_recv() == Ok(2));
    backend.join();
}
