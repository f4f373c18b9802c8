//! Access logs beyond nginx's: JSON, a tunnel's life, request ids; and files that move.

use rustix::process::Signal;
use tidegate_tests::backend::Refusing;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Wire, tidegate, wait_for};

/// A log once it has `n` lines.
#[track_caller]
fn lines(proxy: &Proxy, file: &str, n: usize) -> Vec<String> {
    wait_for("the log's lines", || {
        let text = proxy.read_file(file);
        (text.ends_with('\n') && text.lines().count() >= n).then(|| text.lines().map(str::to_owned).collect())
    })
}

const TUNNELS: &str = r#"
    access_log = [
        { path = "life.log", format = "life", tunnel_opening = true, tunnel_interval = "20ms" },
        { path = "end.log", format = "life" },
    ]
    [log_formats.life]
    template = "$tunnel_event $status $bytes_received $body_bytes_sent $cause $closed_by $http_x_id $upstream_addr"
    [[sites]]
    routes = [{ match = "/", upstream = "%backend%" }]
"#;

#[test]
fn a_tunnels_life_is_logged_where_asked() {
    let backend = Backend::ws_echo();
    let proxy = tidegate(TUNNELS).var("backend", backend.address()).start();
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", "X-Id: 7\r\n"));
    assert_eq!(client.read_head().status(), 101);
    let address = backend.address();
    assert_eq!(lines(&proxy, "life.log", 1)[0], format!("open 101 0 0 - - 7 {address}"));
    client.echo(&Frame::text("hello"));
    // Masked 6 + 5 bytes up, 2 + 5 down.
    let alive = format!("alive 101 11 7 - - 7 {address}");
    wait_for("a line of the open tunnel", || proxy.read_file("life.log").lines().any(|l| l == alive).then_some(()));
    assert_eq!(proxy.read_file("end.log"), "");
    drop(client);
    let end = format!("end 101 11 7 tunnel.client_closed client 7 {address}");
    assert_eq!(lines(&proxy, "end.log", 1), std::slice::from_ref(&end));
    wait_for("the last line", || (proxy.read_file("life.log").lines().last() == Some(&end)).then_some(()));
    let life = proxy.read_file("life.log");
    assert_eq!(life.lines().filter(|l| l.starts_with("open")).count(), 1, "{life}");
    assert_eq!(life.lines().filter(|l| l.starts_with("end")).count(), 1, "{life}");
}

#[test]
fn a_plain_request_has_one_line_in_every_log() {
    let backend = Backend::named("ok");
    let proxy = tidegate(TUNNELS).var("backend", backend.address()).start();
    proxy.get("/");
    let line = format!("- 200 0 2 done - - {}", backend.address());
    assert_eq!((lines(&proxy, "life.log", 1), lines(&proxy, "end.log", 1)), (vec![line.clone()], vec![line]));
}

#[test]
fn json_is_json() {
    let backend = Backend::named("ok");
    let proxy = tidegate(
        r#"
        access_log = [{ path = "own.log", format = "own" }, { path = "built-in.log", format = "json" }]
        [log_formats.own]
        json = { "the id" = "$request_id", status = "$status", agent = "$http_user_agent", both = "$status $host" }
        [[sites]]
        names = ["x"]
        routes = [{ match = "/", upstream = "%backend%", set_headers = { X-Id = "$request_id" } }]
        "#,
    )
    .var("backend", backend.address())
    .start();
    proxy.ask("GET /a?b HTTP/1.1\r\nHost: x\r\nUser-Agent: a \"b\"\t\u{fc}\r\n\r\n");
    let own: serde_json::Value = serde_json::from_str(&lines(&proxy, "own.log", 1)[0]).unwrap();
    let head = backend.only_head();
    let id = head.get("x-id").unwrap();
    let expected = serde_json::json!({"the id": id, "status": 200, "agent": "a \"b\"\tü", "both": "200 x"});
    assert_eq!(own, expected);
    let line: serde_json::Value = serde_json::from_str(&lines(&proxy, "built-in.log", 1)[0]).unwrap();
    assert_eq!(line["request_id"], *id);
    assert_eq!((line["status"].as_u64(), line["bytes_out"].as_u64()), (Some(200), Some(2)));
    assert_eq!(
        (line["uri"].as_str(), line["site"].as_str(), line["cause"].as_str()),
        (Some("/a?b"), Some("x"), Some("done"))
    );
    assert!(line["request_time"].is_f64(), "{line}");
}

#[test]
fn a_plugins_variable_and_a_capture_are_logged() {
    let backend = Backend::named("ok");
    let proxy = tidegate(
        r#"
        access_log = { path = "all.log", format = "who" }
        [log_formats.who]
        template = "$remote_user $room $status"
        [[sites]]
        auth_basic = { realm = "x", users = { from_file = "htpasswd" } }
        routes = [{ match = "~ ^/(?<room>[a-z]+)$", upstream = "%backend%" }]
        "#,
    )
    .var("backend", backend.address())
    .file("htpasswd", "leo:{SHA}3917zirZ+J1yBN2DFh1m0eUhdZw=\n")
    .start();
    proxy.ask("GET /blue HTTP/1.1\r\nHost: x\r\nAuthorization: Basic bGVvOmxlbW9u\r\n\r\n");
    proxy.get("/red");
    assert_eq!(lines(&proxy, "all.log", 2), ["leo blue 200", "- red 401"]);
}

#[test]
fn usr1_opens_files_anew() {
    let backend = Backend::named("ok");
    let mut proxy = tidegate(
        r#"
        access_log = [{ path = "all.log", format = "short" }, { path = "kept.log", format = "short", buffer = "1k" }]
        [log_formats.short]
        template = "$request_uri"
        [[sites]]
        routes = [{ match = "/", upstream = "%backend%" }]
        "#,
    )
    .var("backend", backend.address())
    .binary()
    .start();
    proxy.get("/before");
    assert_eq!(lines(&proxy, "all.log", 1), ["/before"]);
    for name in ["all.log", "kept.log"] {
        std::fs::rename(proxy.dir().join(name), proxy.dir().join(format!("{name}.1"))).unwrap();
    }
    proxy.process().signal(Signal::USR1);
    wait_for("the files anew", || proxy.dir().join("kept.log").exists().then_some(()));
    assert_eq!(lines(&proxy, "kept.log.1", 1), ["/before"]);
    proxy.get("/after");
    assert_eq!(lines(&proxy, "all.log", 1), ["/after"]);
    assert_eq!((proxy.read_file("all.log.1"), proxy.read_file("kept.log.1")), ("/before\n".into(), "/before\n".into()));
    // What is gathered is written before the end.
    proxy.process().signal(Signal::TERM);
    proxy.process().wait();
    assert_eq!(proxy.read_file("kept.log"), "/after\n");
}

#[test]
fn a_reload_opens_files_anew_and_changes_formats() {
    let backend = Backend::named("ok");
    let config = |template: &str| {
        format!(
            "access_log = {{ path = \"all.log\", format = \"f\" }}\n[log_formats.f]\ntemplate = \"{template}\"\n\
             [[sites]]\nroutes = [{{ match = \"/\", upstream = \"%backend%\" }}]\n"
        )
    };
    let mut proxy = tidegate(&config("one $uri")).var("backend", backend.address()).in_process().start();
    proxy.get("/a");
    assert_eq!(lines(&proxy, "all.log", 1), ["one /a"]);
    std::fs::rename(proxy.dir().join("all.log"), proxy.dir().join("old.log")).unwrap();
    proxy.reload(&config("two $uri")).unwrap();
    proxy.get("/b");
    assert_eq!(lines(&proxy, "all.log", 1), ["two /b"]);
    assert_eq!(proxy.read_file("old.log"), "one /a\n");
}

#[test]
fn what_is_known_of_the_answer_can_be_sent() {
    let backend = Backend::named("ok");
    let proxy = tidegate(
        r#"
        [[sites]]
        routes = [
            { match = "/", upstream = "%backend%", set_response_headers = { X-Up = "$upstream_addr $upstream_status $status $sent_http_content_length" } },
        ]
        "#,
    )
    .var("backend", backend.address())
    .start();
    let (head, _) = proxy.get("/");
    assert_eq!(head.get("x-up"), Some(format!("{} 200 200 2", backend.address()).as_str()));
}

/// Requests of a path, from an address of the loopback network.
fn ask_from(proxy: &Proxy, from: [u8; 4], path: &str) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&proxy.address().into()).unwrap();
    let mut wire = Wire::new(socket.into());
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    wire.read_response();
}

#[test]
fn routes_and_clients_have_levels_of_their_own() {
    let refusing = Refusing::new();
    let mut proxy = tidegate(
        r#"
        [log]
        level = "error,tidegate::server=info"
        debug_clients = ["127.0.0.2"]
        [[sites]]
        upstream = "%backend%"
        routes = [
            { match = "/silent" },
            { match = "/warns", log_level = "warn" },
            { match = "/tells", log_level = "debug" },
        ]
        "#,
    )
    .var("backend", refusing.address())
    .binary()
    .start();
    let about = |proxy: &mut Proxy, path: &str| {
        let log = proxy.process().stderr();
        log.lines().filter(|line| line.contains(path)).map(str::to_owned).collect::<Vec<_>>()
    };
    ask_from(&proxy, [127, 0, 0, 1], "/silent/1");
    ask_from(&proxy, [127, 0, 0, 1], "/tells");
    ask_from(&proxy, [127, 0, 0, 1], "/warns");
    wait_for("the warning", || about(&mut proxy, "/warns").into_iter().find(|line| line.contains("upstream failed")));
    assert_eq!(about(&mut proxy, "/silent/1"), [] as [String; 0]);
    assert_eq!(about(&mut proxy, "/warns").len(), 1);
    assert!(proxy.process().stderr().contains("answer"), "the route that tells");
    ask_from(&proxy, [127, 0, 0, 2], "/silent/2");
    let told = wait_for("the client that is looked at", || {
        let told = about(&mut proxy, "/silent/2");
        (told.len() >= 2).then_some(told)
    });
    assert!(told[0].contains("DEBUG") && told[0].contains("127.0.0.2"), "{told:?}");
    assert!(told.iter().any(|line| line.contains("WARN") && line.contains("upstream failed")), "{told:?}");
}
