//! `proxy_next_upstream` with its tries and its timeout: which failure goes to which peer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tidegate_tests::backend::{Hanging, Refusing};
use tidegate_tests::{Backend, Proxy, Response, Subject, both, wait_for, ws};

both!(
    conditions,
    off_means_never,
    methods_that_may_be_repeated,
    a_post_that_reached_nobody_goes_on,
    a_body_is_sent_again,
    tries_are_counted,
    no_peer_is_asked_twice,
    a_single_peer_answers_for_itself,
    the_last_answer_passes,
    time_runs_out,
    handshakes_go_on,
    an_error_page_has_the_last_answer,
    a_location_has_its_own,
    statuses_count_as_failures,
);

/// A subject with these peers, in this order, and no memory of failures. `nginx` and `toml` say
/// what the route does.
fn pair(subject: Subject, peers: &[SocketAddr], nginx: &str, toml: &str) -> Proxy {
    let servers: String = peers.iter().map(|peer| format!("server {peer} max_fails=0; ")).collect();
    let list: Vec<String> = peers.iter().map(|peer| format!("{{ address = \"{peer}\", max_fails = 0 }}")).collect();
    subject
        .setup()
        .nginx(&format!(
            "upstream pair {{ {servers} }}
             log_format up '$status|$upstream_addr|$upstream_status';
             server {{ listen %listen%; access_log %dir%/up.log up;
               location / {{ proxy_pass http://pair; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
                 proxy_set_header Connection $guide_connection; {nginx} }} }}"
        ))
        .tidegate(&format!(
            "access_log = {{ path = \"up.log\", format = \"up\" }}\n\
             [log_formats.up]\ntemplate = \"$status|$upstream_addr|$upstream_status\"\n\
             [upstreams.pair]\npeers = [{}]\n\
             [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"pair\"\n{toml}\n",
            list.join(", ")
        ))
        .start()
}

/// The last line of the log, once it has so many.
fn logged(proxy: &Proxy, n: usize) -> String {
    wait_for("the log's line", || {
        let text = proxy.read_file("up.log");
        (text.ends_with('\n') && text.lines().count() == n).then(|| text.lines().last().unwrap().to_owned())
    })
}

fn request(method: &str, body: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Reads a head, then says this and closes.
fn saying(text: &'static str) -> Backend {
    Backend::script(move |mut wire, _| {
        if wire.try_read_head().is_some() {
            wire.send(text);
            wire.finish();
            wire.expect_end();
        }
    })
}

/// What one failure leads to, by condition: nginx's words and ours are the same.
fn conditions(subject: Subject) {
    let good = Backend::named("good");
    let refusing = Refusing::new();
    let (hanging, silent, resetting) = (Hanging::new(), Backend::silent(), Backend::resetting());
    let (garbage, half, closing) =
        (saying("HTTP/1.1 200 OK\r\nbad\x01name: x\r\n\r\n"), saying("HTTP/1.1 200 OK\r\nContent-"), saying(""));
    let statuses: Vec<(u16, Backend)> = [500, 502, 503, 504, 403, 404, 429]
        .into_iter()
        .map(|status| (status, Backend::http(move |_| Response::new(status).body("bad"))))
        .collect();
    let mut table: Vec<(SocketAddr, String, u16)> = vec![
        (refusing.address(), "error".into(), 502),
        (resetting.address(), "error".into(), 502),
        (half.address(), "error".into(), 502),
        (closing.address(), "error".into(), 502),
        (hanging.address(), "timeout".into(), 504),
        (silent.address(), "timeout".into(), 504),
        (garbage.address(), "invalid_header".into(), 502),
    ];
    for (status, backend) in &statuses {
        table.push((backend.address(), format!("http_{status}"), *status));
    }
    for (bad, condition, status) in table {
        // Its own word leads on, with the status that nginx notes for the first.
        let times = "proxy_connect_timeout 300ms; proxy_read_timeout 300ms;";
        let timeouts = "timeouts = { connect = \"300ms\", read = \"300ms\" }";
        let proxy = pair(
            subject,
            &[bad, good.address()],
            &format!("proxy_next_upstream {condition}; {times}"),
            &format!("next_upstream = [\"{condition}\"]\n{timeouts}"),
        );
        let (head, body) = proxy.get("/");
        assert_eq!((head.status(), body.text().as_str()), (200, "good"), "{condition} of {bad}");
        assert_eq!(logged(&proxy, 1), format!("200|{bad}, {}|{status}, 200", good.address()), "{condition}");
        // Another word does not.
        let other = if condition == "http_500" { "http_502" } else { "http_500" };
        let proxy = pair(
            subject,
            &[bad, good.address()],
            &format!("proxy_next_upstream {other}; {times}"),
            &format!("next_upstream = [\"{other}\"]\n{timeouts}"),
        );
        assert_eq!(proxy.get("/").0.status(), status, "{other} at {condition} of {bad}");
        assert_eq!(logged(&proxy, 1), format!("{status}|{bad}|{status}"), "{condition}");
    }
}

fn off_means_never(subject: Subject) {
    let (refusing, good) = (Refusing::new(), Backend::named("good"));
    let proxy =
        pair(subject, &[refusing.address(), good.address()], "proxy_next_upstream off;", "next_upstream = [\"off\"]");
    assert_eq!(proxy.get("/").0.status(), 502);
    assert_eq!(logged(&proxy, 1), format!("502|{}|502", refusing.address()));
    // The next one is the other's turn.
    assert_eq!(proxy.get("/").1.text(), "good");
}

/// The first peer has the request and resets; only what does nothing twice is sent again.
fn methods_that_may_be_repeated(subject: Subject) {
    for (method, leave, repeated) in [
        ("GET", "", true),
        ("HEAD", "", true),
        ("OPTIONS", "", true),
        ("PUT", "", true),
        ("DELETE", "", true),
        ("POST", "", false),
        ("PATCH", "", false),
        ("LOCK", "", false),
        ("POST", "non_idempotent", true),
        ("PATCH", "non_idempotent", true),
    ] {
        let (bad, good) = (Backend::resetting(), Backend::named("good"));
        let words = if leave.is_empty() { String::new() } else { format!(", \"{leave}\"") };
        let proxy = pair(
            subject,
            &[bad.address(), good.address()],
            &format!("proxy_next_upstream error {leave};"),
            &format!("next_upstream = [\"error\"{words}]"),
        );
        let mut wire = proxy.connect();
        wire.send(request(method, ""));
        let status = wire.read_head().status();
        assert_eq!(status, if repeated { 200 } else { 502 }, "{method} {leave}");
        assert_eq!((bad.heads().len(), good.heads().len()), (1, usize::from(repeated)), "{method} {leave}");
    }
}

fn a_post_that_reached_nobody_goes_on(subject: Subject) {
    let (refusing, good) = (Refusing::new(), super::mirror());
    let proxy = pair(subject, &[refusing.address(), good.address()], "", "");
    let (head, body) = proxy.ask(request("POST", "the body"));
    assert_eq!(head.status(), 200);
    assert!(body.text().ends_with("\n\nthe body"), "{}", body.text());
}

/// nginx holds bodies before it asks; Tidegate keeps what has streamed, or holds them if told.
fn a_body_is_sent_again(subject: Subject) {
    let text = "0123456789abcdef".repeat(2000);
    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
    let chunked = format!("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    for held in ["", "buffer_requests = \"1MiB\""] {
        for (request, length) in [(request("PUT", &text), text.len()), (chunked.clone(), 2 * text.len())] {
            let bad = Backend::script(move |mut wire, _| {
                if let Some(head) = wire.try_read_head() {
                    assert_eq!(tidegate_tests::http::read_body(&mut wire, &head, false).data.len(), length);
                    wire.reset();
                }
            });
            let good = Backend::http(|request| Response::text(&request.body.data));
            let proxy = pair(subject, &[bad.address(), good.address()], "", held);
            let (head, answer) = proxy.ask(request);
            assert_eq!((head.status(), bad.connections()), (200, 1), "{length} {held}");
            assert_eq!(answer.data.len(), length, "{held}");
            assert!(answer.text().as_bytes().chunks(text.len()).all(|part| part == text.as_bytes()));
        }
    }
}

fn tries_are_counted(subject: Subject) {
    let bad = [Refusing::new(), Refusing::new(), Refusing::new()];
    let good = Backend::named("good");
    let peers = [bad[0].address(), bad[1].address(), bad[2].address(), good.address()];
    for (tries, status) in [(0, 200), (1, 502), (2, 502), (3, 502), (4, 200), (9, 200)] {
        let proxy = pair(
            subject,
            &peers,
            &format!("proxy_next_upstream_tries {tries};"),
            &format!("next_upstream_tries = {tries}"),
        );
        assert_eq!(proxy.get("/").0.status(), status, "{tries} tries");
        let asked = logged(&proxy, 1).split('|').nth(1).unwrap().split(", ").count();
        assert_eq!(asked, if tries == 0 { 4 } else { tries.min(4) }, "{tries} tries");
    }
}

fn no_peer_is_asked_twice(subject: Subject) {
    let asked = Arc::new(AtomicUsize::new(0));
    let bad: Vec<Backend> = (0..3)
        .map(|_| {
            let asked = Arc::clone(&asked);
            Backend::script(move |mut wire, _| {
                if wire.try_read_head().is_some() {
                    asked.fetch_add(1, Ordering::SeqCst);
                    wire.reset();
                }
            })
        })
        .collect();
    let peers: Vec<SocketAddr> = bad.iter().map(Backend::address).collect();
    let proxy = pair(subject, &peers, "", "");
    for n in 1..=4 {
        assert_eq!(proxy.get("/").0.status(), 502);
        let line = logged(&proxy, n);
        let mut addresses: Vec<&str> = line.split('|').nth(1).unwrap().split(", ").collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!((addresses.len(), asked.load(Ordering::SeqCst)), (3, 3 * n), "{line}");
    }
}

fn a_single_peer_answers_for_itself(subject: Subject) {
    let bad = Backend::http(|_| Response::new(503).body("busy"));
    let words = "error timeout http_503";
    let list = "next_upstream = [\"error\", \"timeout\", \"http_503\"]";
    let proxy = pair(subject, &[bad.address()], &format!("proxy_next_upstream {words};"), list);
    let (head, body) = proxy.get("/");
    assert_eq!((head.status(), body.text().as_str()), (503, "busy"));
    assert_eq!(logged(&proxy, 1), format!("503|{}|503", bad.address()));
    assert_eq!(bad.heads().len(), 1);
}

fn the_last_answer_passes(subject: Subject) {
    let a = Backend::http(|_| Response::new(502).body("from a"));
    let b = Backend::http(|_| Response::new(404).header("X-From", "b").body("from b"));
    let proxy = pair(
        subject,
        &[a.address(), b.address()],
        "proxy_next_upstream http_502 http_404;",
        "next_upstream = [\"http_502\", \"http_404\"]",
    );
    let (head, body) = proxy.get("/");
    assert_eq!((head.status(), head.get("x-from"), body.text().as_str()), (404, Some("b"), "from b"));
    assert_eq!(logged(&proxy, 1), format!("404|{}, {}|502, 404", a.address(), b.address()));
}

/// The time is looked at when a try has failed; it ends none.
fn time_runs_out(subject: Subject) {
    for (limit, status) in [("50ms", 504), ("30s", 200)] {
        let (silent, good) = (Backend::silent(), Backend::named("good"));
        let proxy = pair(
            subject,
            &[silent.address(), good.address()],
            &format!("proxy_read_timeout 300ms; proxy_next_upstream_timeout {limit};"),
            &format!("timeouts = {{ read = \"300ms\" }}\nnext_upstream_timeout = \"{limit}\""),
        );
        let since = std::time::Instant::now();
        assert_eq!(proxy.get("/").0.status(), status, "{limit}");
        assert!(since.elapsed() >= Duration::from_millis(200), "{:?}", since.elapsed());
    }
}

fn handshakes_go_on(subject: Subject) {
    let good = Backend::ws_echo();
    let (refusing, resetting, garbage, silent) =
        (Refusing::new(), Backend::resetting(), saying("HTTP/1.1 101 OK\r\nbad\x01name: x\r\n\r\n"), Backend::silent());
    for bad in [refusing.address(), resetting.address(), garbage.address(), silent.address()] {
        let proxy = pair(
            subject,
            &[bad, good.address()],
            "proxy_next_upstream error timeout invalid_header; proxy_read_timeout 300ms;",
            "next_upstream = [\"error\", \"timeout\", \"invalid_header\"]\ntimeouts = { read = \"300ms\" }",
        );
        let mut client = proxy.open("/ws");
        client.echo(&ws::Frame::text("hello"));
    }
}

fn an_error_page_has_the_last_answer(subject: Subject) {
    let bad = [Backend::http(|_| Response::new(500).body("a")), Backend::http(|_| Response::new(503).body("b"))];
    let proxy = pair(
        subject,
        &[bad[0].address(), bad[1].address()],
        "proxy_next_upstream http_500 http_503; proxy_intercept_errors on; error_page 503 =200 /page; \
         location = /page { return 200 'the page'; }",
        "next_upstream = [\"http_500\", \"http_503\"]\nintercept_errors = true\n\
         error_pages = { \"503 =200\" = \"/page\" }\n\
         [[sites.routes]]\nmatch = \"= /page\"\nrespond = { status = 200, body = \"the page\" }\n",
    );
    let (head, body) = proxy.get("/");
    assert_eq!((head.status(), body.text().as_str()), (200, "the page"));
    assert_eq!(bad.iter().map(|bad| bad.heads().len()).collect::<Vec<_>>(), [1, 1]);
}

fn a_location_has_its_own(subject: Subject) {
    let (refusing, good) = (Refusing::new(), Backend::named("good"));
    let proxy = subject
        .setup()
        .nginx(
            "upstream pair { server %bad% max_fails=0; server %good%; }
             server { listen %listen%; proxy_next_upstream off;
               location /a { proxy_pass http://pair; }
               location /b { proxy_pass http://pair; proxy_next_upstream error; } }",
        )
        .tidegate(
            r#"
            [upstreams.pair]
            peers = [{ address = "%bad%", max_fails = 0 }, "%good%"]
            [[sites]]
            next_upstream = []
            routes = [
                { match = "/a", upstream = "pair" },
                { match = "/b", upstream = "pair", next_upstream = ["error"] },
            ]
            "#,
        )
        .var("bad", refusing.address())
        .var("good", good.address())
        .start();
    assert_eq!(proxy.get("/a").0.status(), 502);
    assert_eq!(proxy.get("/a").0.status(), 200);
    assert_eq!(proxy.get("/b").0.status(), 200);
    assert_eq!(proxy.get("/b").0.status(), 200);
}

/// A status that a request goes on for takes its peer out (`max_fails` is 1), but for 403 and 404;
/// one that it does not go on for says nothing, and neither does the answer of the last peer.
fn statuses_count_as_failures(subject: Subject) {
    for (status, word, asked) in
        [(503, "http_503", 1), (429, "http_429", 1), (404, "http_404", 2), (503, "http_500", 2)]
    {
        let bad = Backend::http(move |_| Response::new(status));
        let good = Backend::named("good");
        let proxy = subject
            .setup()
            .nginx(
                "upstream pair { server %bad%; server %good%; }
                    server { listen %listen%; location / { proxy_pass http://pair; proxy_next_upstream %word%; } }",
            )
            .tidegate(
                r#"
                [upstreams.pair]
                peers = ["%bad%", "%good%"]
                [[sites]]
                routes = [{ match = "/", upstream = "pair", next_upstream = ["%word%"] }]
                "#,
            )
            .var("bad", bad.address())
            .var("good", good.address())
            .var("word", word)
            .start();
        for _ in 0..4 {
            proxy.get("/");
        }
        assert_eq!(bad.heads().len(), asked, "{status} {word}");
    }
    let bad = [Backend::http(|_| Response::new(503)), Backend::http(|_| Response::new(503))];
    let proxy = subject
        .setup()
        .nginx(
            "upstream pair { server %a%; server %b%; }
                server { listen %listen%; location / { proxy_pass http://pair; proxy_next_upstream http_503; } }",
        )
        .tidegate(
            r#"
            [upstreams.pair]
            peers = ["%a%", "%b%"]
            [[sites]]
            routes = [{ match = "/", upstream = "pair", next_upstream = ["http_503"] }]
            "#,
        )
        .var("a", bad[0].address())
        .var("b", bad[1].address())
        .start();
    assert_eq!(proxy.get("/").0.status(), 503);
    proxy.get("/");
    assert_eq!((bad[0].heads().len(), bad[1].heads().len()), (1, 2), "the last one stays in use");
    assert_eq!(proxy.get("/").0.status(), 502, "now both are out");
}
