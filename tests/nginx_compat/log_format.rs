//! `log_format` and `access_log`: escapes, conditions, several logs, buffers, variables.

use tidegate_tests::backend::Refusing;
use tidegate_tests::{Backend, Proxy, Response, Subject, both, wait_for};

both!(
    values_are_escaped,
    a_map_says_what_is_logged,
    a_list_takes_the_place_of_another,
    what_is_known_at_the_end,
    a_peer_that_refuses,
    each_peer_that_was_asked,
    a_client_that_left,
    a_buffer_is_written_in_time,
    a_bad_request_is_logged,
);

/// A log once it has `n` lines.
#[track_caller]
fn lines(proxy: &Proxy, file: &str, n: usize) -> Vec<String> {
    wait_for("the log's lines", || {
        let text = proxy.read_file(file);
        (text.ends_with('\n') && text.lines().count() >= n).then(|| text.lines().map(str::to_owned).collect())
    })
}

fn values_are_escaped(subject: Subject) {
    let backend = Backend::named("ok");
    let proxy = subject
        .setup()
        .nginx(
            r#"
            log_format plain '"$http_x" $http_none [$http_empty] $arg_none|$args|$remote_user|$upstream_cache_status';
            log_format json escape=json '{"x":"$http_x","none":"$http_none"}';
            log_format raw escape=none '"$http_x" $http_none.';
            map $http_none $made { default ''; }
            log_format made '$made-${http_x}y';
            server {
                listen %listen%;
                access_log %dir%/plain.log plain; access_log %dir%/json.log json; access_log %dir%/raw.log raw;
                access_log %dir%/made.log made;
                location / { proxy_pass http://%backend%; }
            }
            "#,
        )
        .tidegate(
            r#"
            access_log = [
                { path = "plain.log", format = "plain" }, { path = "json.log", format = "in_json" },
                { path = "raw.log", format = "raw" }, { path = "made.log", format = "made" },
            ]
            [log_formats.plain]
            template = '"$http_x" $http_none [$http_empty] $arg_none|$args|$remote_user|$ssl_cipher'
            [log_formats.in_json]
            template = '{"x":"$http_x","none":"$http_none"}'
            escape = "json"
            [log_formats.raw]
            template = '"$http_x" $http_none.'
            escape = "none"
            [log_formats.made]
            template = '$made-${http_x}y'
            [maps.made]
            from = "$http_none"
            [[sites]]
            routes = [{ match = "/", upstream = "%backend%" }]
            "#,
        )
        .var("backend", backend.address())
        .start();
    proxy.ask("GET / HTTP/1.1\r\nHost: x\r\nX: a\"b\\c\td~\u{fc}\r\nEmpty: \r\n\r\n");
    assert_eq!(lines(&proxy, "plain.log", 1), [r#""a\x22b\x5Cc\x09d~\xC3\xBC" - [] -|-|-|-"#]);
    assert_eq!(lines(&proxy, "json.log", 1), [r#"{"x":"a\"b\\c\td~ü","none":""}"#]);
    assert_eq!(lines(&proxy, "raw.log", 1), ["\"a\"b\\c\td~ü\" ."]);
    assert_eq!(lines(&proxy, "made.log", 1), [r"-a\x22b\x5Cc\x09d~\xC3\xBCy"]);
}

/// The guides: `map $status $loggable { ~^[23] 0; default 1; }`, and a condition that is empty.
fn a_map_says_what_is_logged(subject: Subject) {
    let backend = Backend::http(|request| {
        let status = request.head.target().trim_start_matches('/').parse().unwrap_or(200);
        Response::new(status).header("X-Kind", if status == 404 { "special" } else { "" })
    });
    let proxy = subject
        .setup()
        .nginx(
            r#"
            map $status $loggable { ~^[23] 0; default 1; }
            map $sent_http_x_kind $special { special 1; default ""; }
            log_format short '$request_uri $status';
            server {
                listen %listen%;
                access_log %dir%/errors.log short if=$loggable;
                access_log %dir%/special.log short if=$special;
                access_log %dir%/all.log short;
                location / { proxy_pass http://%backend%; }
            }
            "#,
        )
        .tidegate(
            r#"
            access_log = [
                { path = "errors.log", format = "short", if = "$loggable" },
                { path = "special.log", format = "short", if = "$special" },
                { path = "all.log", format = "short" },
            ]
            [log_formats.short]
            template = "$request_uri $status"
            [maps.loggable]
            from = "$status"
            default = "1"
            values = { "~^[23]" = "0" }
            [maps.special]
            from = "$sent_http_x_kind"
            values = { special = "1" }
            [[sites]]
            routes = [{ match = "/", upstream = "%backend%" }]
            "#,
        )
        .var("backend", backend.address())
        .start();
    for status in [200, 404, 302, 503] {
        assert_eq!(proxy.get(&format!("/{status}")).0.status(), status);
    }
    assert_eq!(lines(&proxy, "all.log", 4), ["/200 200", "/404 404", "/302 302", "/503 503"]);
    assert_eq!(lines(&proxy, "errors.log", 2), ["/404 404", "/503 503"]);
    assert_eq!(lines(&proxy, "special.log", 1), ["/404 404"]);
}

fn a_list_takes_the_place_of_another(subject: Subject) {
    let backend = Backend::named("ok");
    let proxy = subject
        .setup()
        .nginx(
            r#"
            log_format short '$request_uri';
            access_log %dir%/all.log short;
            server {
                listen %listen%;
                location / { proxy_pass http://%backend%; }
                location /off { access_log off; proxy_pass http://%backend%; }
                location /own { access_log %dir%/a.log short; access_log %dir%/b.log short; proxy_pass http://%backend%; }
            }
            "#,
        )
        .tidegate(
            r#"
            access_log = { path = "all.log", format = "short" }
            [log_formats.short]
            template = "$request_uri"
            [[sites]]
            upstream = "%backend%"
            routes = [
                { match = "/" },
                { match = "/off", access_log = false },
                { match = "/own", access_log = [{ path = "a.log", format = "short" }, { path = "b.log", format = "short" }] },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start();
    for path in ["/1", "/off", "/own", "/2"] {
        proxy.get(path);
    }
    assert_eq!(lines(&proxy, "all.log", 2), ["/1", "/2"]);
    assert_eq!((lines(&proxy, "a.log", 1), lines(&proxy, "b.log", 1)), (vec!["/own".into()], vec!["/own".into()]));
}

const VARIABLES: &str = "$status|$body_bytes_sent|$request_length|$request_method|$upstream_addr|$upstream_status|\
     $connection_requests|$sent_http_x_one|$sent_http_content_type|$upstream_http_x_two|$upstream_http_none|$scheme|\
     $server_protocol|$http_x_sent|$request_completion|$https|$ssl_protocol|$is_args|$proxy_host|$proxy_port";
const TIMES: &str = "$request_time $upstream_response_time $upstream_connect_time $upstream_header_time $msec $connection \
     $time_iso8601 $request_id $connection_time";

fn what_is_known_at_the_end(subject: Subject) {
    let backend = Backend::http(|_| {
        Response::text("five!").header("X-One", "1").header("X-Two", "2").header("Content-Type", "text/x")
    });
    let proxy = subject
        .setup()
        .nginx(&format!(
            "log_format all '{VARIABLES}'; log_format times '{TIMES}';
             server {{ listen %listen%; access_log %dir%/all.log all; access_log %dir%/times.log times;
             location / {{ proxy_pass http://%backend%; proxy_set_header X-Sent changed; proxy_hide_header X-Two; }} }}"
        ))
        .tidegate(&format!(
            r#"
            access_log = [{{ path = "all.log", format = "all" }}, {{ path = "times.log", format = "times" }}]
            [log_formats.all]
            template = "{VARIABLES}"
            [log_formats.times]
            template = "{TIMES}"
            [[sites]]
            routes = [
                {{ match = "/", upstream = "%backend%", set_headers = {{ X-Sent = "changed" }}, remove_response_headers = ["X-Two"] }},
            ]
            "#
        ))
        .var("backend", backend.address())
        .start();
    let mut wire = proxy.connect();
    for body in ["", "abc"] {
        let request =
            format!("POST /x?y HTTP/1.1\r\nHost: h\r\nX-Sent: as sent\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        wire.send(&request);
        let (head, _) = wire.read_response();
        assert_eq!(head.get("x-two"), None);
        let number = usize::from(!body.is_empty());
        let address = backend.address();
        let expected = format!(
            "200|5|{}|POST|{address}|200|{}|1|text/x|2|-|http|HTTP/1.1|as sent|OK||-|?|{address}|{}",
            request.len(),
            number + 1,
            address.port()
        );
        assert_eq!(lines(&proxy, "all.log", number + 1)[number], expected);
    }
    for line in lines(&proxy, "times.log", 2) {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words.len(), 9, "{line}");
        let shape = |word: &str| word.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect::<String>();
        for time in [words[0], words[1], words[3], words[8]] {
            assert_eq!(shape(time), "9.999", "{line}");
        }
        assert_eq!(shape(words[4]), "9999999999.999", "{line}");
        assert!(words[5].parse::<u64>().unwrap() > 0, "{line}");
        assert!(
            ["9999-99-99T99:99:99+99:99", "9999-99-99T99:99:99-99:99"].contains(&shape(words[6]).as_str()),
            "{line}"
        );
        assert!(words[7].len() == 32 && words[7].chars().all(|c| c.is_ascii_hexdigit()), "{line}");
    }
}

fn a_peer_that_refuses(subject: Subject) {
    let refusing = Refusing::new();
    let proxy = subject
        .setup()
        .nginx(
            "log_format up '$status $upstream_addr $upstream_status $upstream_connect_time $upstream_header_time';
             server { listen %listen%; access_log %dir%/up.log up; location / { proxy_pass http://%backend%; } }",
        )
        .tidegate(
            r#"
            access_log = { path = "up.log", format = "up" }
            [log_formats.up]
            template = "$status $upstream_addr $upstream_status $upstream_connect_time $upstream_header_time"
            [[sites]]
            routes = [{ match = "/", upstream = "%backend%" }]
            "#,
        )
        .var("backend", refusing.address())
        .start();
    assert_eq!(proxy.get("/").0.status(), 502);
    assert_eq!(lines(&proxy, "up.log", 1), [format!("502 {} 502 - -", refusing.address())]);
}

fn each_peer_that_was_asked(subject: Subject) {
    let (refusing, backend) = (Refusing::new(), Backend::named("ok"));
    let proxy = subject
        .setup()
        .nginx(
            "upstream pair { server %refusing%; server %backend%; }
             log_format up '$status $upstream_addr|$upstream_status|$upstream_connect_time|$upstream_header_time|$proxy_host';
             server { listen %listen%; access_log %dir%/up.log up; location / { proxy_pass http://pair; } }",
        )
        .tidegate(
            r#"
            access_log = { path = "up.log", format = "up" }
            [log_formats.up]
            template = "$status $upstream_addr|$upstream_status|$upstream_connect_time|$upstream_header_time|$proxy_host"
            [upstreams.pair]
            peers = ["%refusing%", "%backend%"]
            [[sites]]
            routes = [{ match = "/", upstream = "pair" }]
            "#,
        )
        .var("refusing", refusing.address())
        .var("backend", backend.address())
        .start();
    assert_eq!(proxy.get("/").0.status(), 200);
    let line = lines(&proxy, "up.log", 1).remove(0);
    let mut parts = line.split('|');
    assert_eq!(parts.next(), Some(format!("200 {}, {}", refusing.address(), backend.address()).as_str()));
    assert_eq!(parts.next(), Some("502, 200"));
    for time in [parts.next(), parts.next()] {
        assert!(time.is_some_and(|time| time.starts_with("-, 0.0") && time.len() == 8), "{line}");
    }
    assert_eq!(parts.next(), Some("pair"));
}

fn a_client_that_left(subject: Subject) {
    let backend = Backend::silent();
    let proxy = subject
        .setup()
        .nginx(
            "log_format up '$status $upstream_addr $upstream_header_time $http_x $body_bytes_sent [$request_completion]';
             server { listen %listen%; access_log %dir%/up.log up; location / { proxy_pass http://%backend%; } }",
        )
        .tidegate(
            r#"
            access_log = { path = "up.log", format = "up" }
            [log_formats.up]
            template = "$status $upstream_addr $upstream_header_time $http_x $body_bytes_sent [$request_completion]"
            [[sites]]
            routes = [{ match = "/", upstream = "%backend%" }]
            "#,
        )
        .var("backend", backend.address())
        .start();
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nX: 1\r\n\r\n");
    wait_for("the connection to the backend", || (backend.connections() == 1).then_some(()));
    drop(client);
    assert_eq!(lines(&proxy, "up.log", 1), [format!("499 {} - 1 0 []", backend.address())]);
}

fn a_buffer_is_written_in_time(subject: Subject) {
    let backend = Backend::named("ok");
    let proxy = subject
        .setup()
        .nginx(
            "log_format short '$request_uri';
             server { listen %listen%; access_log %dir%/all.log short buffer=32k flush=50ms;
             access_log %dir%/at_once.log short; location / { proxy_pass http://%backend%; } }",
        )
        .tidegate(
            r#"
            access_log = [
                { path = "all.log", format = "short", buffer = "32k", flush = "50ms" },
                { path = "at_once.log", format = "short" },
            ]
            [log_formats.short]
            template = "$request_uri"
            [[sites]]
            routes = [{ match = "/", upstream = "%backend%" }]
            "#,
        )
        .var("backend", backend.address())
        .start();
    for n in 0..5 {
        proxy.get(&format!("/{n}"));
    }
    assert_eq!(lines(&proxy, "at_once.log", 5), ["/0", "/1", "/2", "/3", "/4"]);
    assert_eq!(lines(&proxy, "all.log", 5), ["/0", "/1", "/2", "/3", "/4"]);
}

/// No route takes it, so the default's logs tell of it.
fn a_bad_request_is_logged(subject: Subject) {
    let backend = Backend::named("ok");
    let proxy = subject
        .setup()
        .nginx(
            "log_format short '$status $request_method $upstream_addr';
             access_log %dir%/all.log short; server { listen %listen%; location / { proxy_pass http://%backend%; } }",
        )
        .tidegate(
            r#"
            access_log = { path = "all.log", format = "short" }
            [log_formats.short]
            template = "$status $request_method $upstream_addr"
            [[sites]]
            routes = [{ match = "/", upstream = "%backend%" }]
            "#,
        )
        .var("backend", backend.address())
        .start();
    proxy.ask("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_eq!(lines(&proxy, "all.log", 1), ["400 GET -"]);
}
